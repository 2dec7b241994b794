// master/port_holder.cpp -- see port_holder.h. proc_pid_fd(5).
#include "master/port_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include "master/tcp_table.h"
#include "shared/base/text.h"
#include "shared/net/event_ptr.h"
#include "shared/net/fd.h"

namespace lb {
namespace {

using DirPtr = std::unique_ptr<DIR, Frees<closedir>>;
constexpr unsigned most_links = 20000;  // of all processes together: some tens of milliseconds

std::string read_file(const std::string& path, std::size_t limit) {
    std::string text;
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return text;
    std::array<char, 16384> part{};
    while (text.size() < limit) {
        const ssize_t got = read(fd.get(), part.data(), part.size());
        if (got <= 0) break;
        text.append(part.data(), static_cast<std::size_t>(got));
    }
    return text;
}

// Whether a socket listens where it would be in the way of `address`.
bool in_the_way(const TcpRow& row, const Address& address) {
    if (row.state != TCP_LISTEN || row.local_port != address.port()) return false;
    constexpr std::array<std::uint32_t, 4> unspecified{};
    const bool any = row.local == unspecified;
    if (address.family() == AF_INET) {
        const std::uint32_t wanted = address.any.in.sin_addr.s_addr;
        // An unspecified IPv6 address may take IPv4 as well; whether it does is not shown, so it counts.
        return any || (!row.v6 && (wanted == 0 || row.local[0] == wanted));
    }
    if (address.family() != AF_INET6 || !row.v6) return false;
    std::array<std::uint32_t, 4> wanted{};
    std::memcpy(wanted.data(), &address.any.in6.sin6_addr, sizeof wanted);
    return any || row.local == wanted || wanted == unspecified;
}

bool is_number(const char* name) { return text::number(name).has_value(); }

// The inode of "socket:[123]".
std::optional<ino_t> socket_inode(const char* link) {
    constexpr std::string_view before = "socket:[";
    std::string_view view(link);
    if (!view.starts_with(before) || !view.ends_with(']')) return std::nullopt;
    view.remove_prefix(before.size());
    view.remove_suffix(1);
    const auto number = text::number(view);
    return number ? std::optional<ino_t>(*number) : std::nullopt;
}

bool holds_one(const std::string& process, const std::vector<ino_t>& inodes, unsigned& links_left) {
    const std::string folder = process + "/fd";
    const DirPtr fds(opendir(folder.c_str()));
    if (!fds) return false;
    while (const dirent* entry = readdir(fds.get())) {
        if (!is_number(entry->d_name)) continue;
        if (links_left-- == 0) return false;
        std::array<char, 64> link{};
        const std::string path = folder + "/" + entry->d_name;
        if (readlink(path.c_str(), link.data(), link.size() - 1) <= 0) continue;
        const auto inode = socket_inode(link.data());
        if (inode && std::find(inodes.begin(), inodes.end(), *inode) != inodes.end()) return true;
    }
    return false;
}

}  // namespace

std::vector<ino_t> listening_inodes(std::string_view table, const Address& address) {
    std::vector<ino_t> inodes;
    while (!table.empty()) {
        const auto end = table.find('\n');
        const auto row = tcp_row(table.substr(0, end));
        table.remove_prefix(end == std::string_view::npos ? table.size() : end + 1);
        if (row && in_the_way(*row, address)) inodes.push_back(row->inode);
    }
    return inodes;
}

Holders find_holders(const Address& address, const std::vector<ino_t>& own) {
    Holders holders;
    std::vector<ino_t> inodes;
    for (const int family : {AF_INET, AF_INET6}) {
        bool whole = false;
        for (const ino_t inode : listening_inodes(read_tcp_table(family, whole), address))
            inodes.push_back(inode);
    }
    const auto is_own = [&](ino_t inode) { return std::find(own.begin(), own.end(), inode) != own.end(); };
    holders.only_own = !inodes.empty() && std::all_of(inodes.begin(), inodes.end(), is_own);
    if (holders.only_own) return holders;
    std::erase_if(inodes, is_own);
    const DirPtr processes(opendir("/proc"));
    unsigned links_left = most_links;
    while (processes && links_left > 0) {
        const dirent* entry = readdir(processes.get());
        if (entry == nullptr) break;
        if (!is_number(entry->d_name)) continue;
        const std::string process = std::string("/proc/") + entry->d_name;
        if (!holds_one(process, inodes, links_left)) continue;
        const auto pid = static_cast<pid_t>(*text::number(entry->d_name));
        holders.others.push_back({pid, process_name(pid)});
        if (holders.others.size() >= 8) break;
    }
    return holders;
}

std::string process_name(pid_t pid) {
    const std::string name = read_file(fmt::format("/proc/{}/comm", pid), 64);
    return std::string(text::trim(name.substr(0, name.find('\n'))));
}

std::string show(const Holders& holders) {
    if (holders.others.empty()) return {};
    const Holder& first = holders.others.front();
    if (holders.others.size() == 1) return fmt::format("held by {} (pid {})", first.name, first.pid);
    return fmt::format("held by {} (pid {}) and {} more", first.name, first.pid, holders.others.size() - 1);
}

}  // namespace lb
