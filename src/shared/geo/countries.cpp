// shared/geo/countries.cpp -- see countries.h.
#include "shared/geo/countries.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <maxminddb.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "shared/net/fd.h"

namespace lb::geo {
namespace {

std::string errno_text(int error) { return std::system_category().message(error); }

// -- the file into memory

Result<Fd, std::string> open_file(const std::string& path) {
    // O_NONBLOCK: a pipe without a writer must not hold up whoever reads the configuration.
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) return Failed{fmt::format("{}: {}", path, errno_text(errno))};
    struct stat info {};
    if (fstat(file.get(), &info) != 0) return Failed{fmt::format("{}: {}", path, errno_text(errno))};
    if (!S_ISREG(info.st_mode)) return Failed{fmt::format("{} is not a regular file", path)};
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (size == 0) return Failed{fmt::format("{} is empty", path)};
    if (size > Countries::largest_file) {
        return Failed{fmt::format("{} is larger than {} MB: not read", path, Countries::largest_file >> 20)};
    }
    // To write more than this is answered with a signal, not with an error.
    rlimit limit{};
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < Countries::largest_file) {
        return Failed{fmt::format("{}: the limit on file size (ulimit -f) is below {} MB", path,
                                  Countries::largest_file >> 20)};
    }
    return file;
}

// Empty: done. The file may grow or shrink meanwhile: what was read is what counts, within the bound.
std::string copy(int from, int to) {
    std::array<char, 65536> buffer;
    std::uint64_t total = 0;
    while (true) {
        const ssize_t got = read(from, buffer.data(), buffer.size());
        if (got == 0) return {};
        if (got < 0) {
            if (errno == EINTR) continue;
            return errno_text(errno);
        }
        total += static_cast<std::uint64_t>(got);
        if (total > Countries::largest_file) return "grew too large while it was read";
        for (ssize_t done = 0; done < got;) {
            const ssize_t put = write(to, buffer.data() + done, static_cast<std::size_t>(got - done));
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) return "no memory for its copy: " + errno_text(errno);
            done += put;
        }
    }
}

Result<Fd, std::string> copy_of(const std::string& path) {
    auto file = open_file(path);
    if (!file) return Failed{file.error()};
    Fd memory(memfd_create("lb-countries", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) return Failed{fmt::format("{}: memfd_create: {}", path, errno_text(errno))};
    if (auto error = copy(file.value().get(), memory.get()); !error.empty())
        return Failed{fmt::format("{}: {}", path, error)};
    if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        return Failed{fmt::format("{}: seals: {}", path, errno_text(errno))};
    return memory;
}

// -- what it says

// Two capital letters under NAME.iso_code of an entry, else "".
std::string_view iso_code(MMDB_entry_s& entry, const char* name) noexcept {
    const char* const keys[] = {name, "iso_code", nullptr};
    MMDB_entry_data_s found{};
    if (MMDB_aget_value(&entry, &found, keys) != MMDB_SUCCESS || !found.has_data ||
        found.type != MMDB_DATA_TYPE_UTF8_STRING || found.data_size != 2) {
        return {};
    }
    const std::string_view code(found.utf8_string, 2);
    const auto capital = [](char c) { return c >= 'A' && c <= 'Z'; };
    return capital(code[0]) && capital(code[1]) ? code : std::string_view{};
}

std::string_view country_in(MMDB_entry_s& entry) noexcept {
    const std::string_view code = iso_code(entry, "country");
    return code.empty() ? iso_code(entry, "registered_country") : code;
}

// Whether countries are in it: by its name, else by its first records, as many as are read in a few milliseconds.
bool knows_countries(const MMDB_s& database) noexcept {
    const char* named = database.metadata.database_type;
    const std::string_view type = named == nullptr ? "" : named;
    for (const std::string_view word : {"Country", "City", "Enterprise"}) {
        if (type.find(word) != std::string_view::npos) return true;
    }
    constexpr std::uint32_t most = 65536;
    for (std::uint32_t i = 0; i < std::min(most, database.metadata.node_count); i++) {
        MMDB_search_node_s node{};
        if (MMDB_read_node(&database, i, &node) != MMDB_SUCCESS) return false;
        if (node.left_record_type == MMDB_RECORD_TYPE_DATA && !country_in(node.left_record_entry).empty())
            return true;
        if (node.right_record_type == MMDB_RECORD_TYPE_DATA && !country_in(node.right_record_entry).empty())
            return true;
    }
    return false;
}

// The address in a form that the library takes: IPv4 in IPv6 notation as IPv4. False: no IP address.
bool plain_form(const Address& address, sockaddr_storage& out) noexcept {
    if (address.length == 0) return false;
    if (address.family() == AF_INET) {
        std::memcpy(&out, &address.any.in, sizeof address.any.in);
        return true;
    }
    if (address.family() != AF_INET6) return false;
    const in6_addr& ip = address.any.in6.sin6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(&ip)) {
        std::memcpy(&out, &address.any.in6, sizeof address.any.in6);
        return true;
    }
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, &ip.s6_addr[12], sizeof v4.sin_addr);
    std::memcpy(&out, &v4, sizeof v4);
    return true;
}

}  // namespace

void Countries::Close::operator()(MMDB_s* database) const noexcept {
    MMDB_close(database);
    delete database;
}

Countries::Countries(Database database) noexcept : database_(std::move(database)) {}

Result<std::shared_ptr<const Countries>, std::string> Countries::open(const std::string& path) {
    auto memory = copy_of(path);
    if (!memory) return Failed{memory.error()};
    // The library opens by name and maps: the copy has one here. Its mapping outlives the descriptor.
    const std::string name = fmt::format("/proc/self/fd/{}", memory.value().get());
    auto opened = std::make_unique<MMDB_s>();
    const int error = MMDB_open(name.c_str(), MMDB_MODE_MMAP, opened.get());
    if (error == MMDB_FILE_OPEN_ERROR || error == MMDB_IO_ERROR || error == MMDB_OUT_OF_MEMORY_ERROR)
        return Failed{fmt::format("{}: its copy in memory cannot be opened: {}", path, MMDB_strerror(error))};
    if (error != MMDB_SUCCESS)
        return Failed{
            fmt::format("{} is not a MaxMind database, or is damaged: {}", path, MMDB_strerror(error))};
    Database database(opened.release());
    if (!knows_countries(*database)) {
        const char* type = database->metadata.database_type;
        return Failed{
            fmt::format("{} knows no countries: its type is {}", path, type == nullptr ? "not said" : type)};
    }
    return std::shared_ptr<const Countries>(new Countries(std::move(database)));
}

std::string_view Countries::country_of(const Address& address) const noexcept {
    sockaddr_storage plain{};
    if (!plain_form(address, plain)) return {};
    int error = MMDB_SUCCESS;
    MMDB_lookup_result_s found =
        MMDB_lookup_sockaddr(database_.get(), reinterpret_cast<const sockaddr*>(&plain), &error);
    if (error != MMDB_SUCCESS || !found.found_entry) return {};
    return country_in(found.entry);
}

}  // namespace lb::geo
