// master/tcp_table.cpp -- see tcp_table.h.
#include "master/tcp_table.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/net/fd.h"

namespace lb {
namespace {

std::optional<std::uint32_t> hex(std::string_view digits) {
    if (digits.empty() || digits.size() > 8) return std::nullopt;
    std::uint32_t value = 0;
    for (const char c : digits) {
        const char l = text::lower(c);
        if (text::is_digit(l)) {
            value = value << 4 | static_cast<std::uint32_t>(l - '0');
        } else if (l >= 'a' && l <= 'f') {
            value = value << 4 | static_cast<std::uint32_t>(l - 'a' + 10);
        } else {
            return std::nullopt;
        }
    }
    return value;
}

// "0100007F:1F90"; an IPv6 address is four such words.
bool take_end(std::string_view text, std::array<std::uint32_t, 4>& words, std::uint16_t& port, bool& v6) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return false;
    const std::string_view host = text.substr(0, colon);
    const auto number = hex(text.substr(colon + 1));
    if ((host.size() != 8 && host.size() != 32) || !number || *number > UINT16_MAX) return false;
    for (std::size_t i = 0; i * 8 < host.size(); i++) {
        const auto word = hex(host.substr(i * 8, 8));
        if (!word) return false;
        words[i] = *word;
    }
    port = static_cast<std::uint16_t>(*number);
    v6 = host.size() == 32;
    return true;
}

}  // namespace

std::string read_tcp_table(int family, bool& whole) {
    whole = false;
    std::string text;
    const Fd fd(
        open(family == AF_INET6 ? "/proc/self/net/tcp6" : "/proc/self/net/tcp", O_RDONLY | O_CLOEXEC));
    if (!fd) return text;
    constexpr std::size_t part = std::size_t{1} << 16;
    while (text.size() < largest_tcp_table) {
        const std::size_t before = text.size();
        text.resize(before + part);
        const ssize_t got = read(fd.get(), text.data() + before, part);
        text.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
        whole = got == 0;
        if (got <= 0) break;
    }
    return text;
}

std::optional<TcpRow> tcp_row(std::string_view line) {
    constexpr std::size_t local_at = 1, remote_at = 2, state_at = 3, inode_at = 9;
    const auto fields = text::words(line);
    if (fields.size() <= inode_at) return std::nullopt;
    TcpRow row;
    bool remote_v6 = false;
    const auto state = hex(fields[state_at]);
    const auto inode = text::number(fields[inode_at]);
    if (!state || !inode || !take_end(fields[local_at], row.local, row.local_port, row.v6) ||
        !take_end(fields[remote_at], row.remote, row.remote_port, remote_v6)) {
        return std::nullopt;
    }
    row.state = *state;
    row.inode = *inode;
    return row;
}

}  // namespace lb
