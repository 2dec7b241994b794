// master/tcp_table.h -- the kernel's table of TCP sockets as text, proc_pid_net(5): /proc/self/net/tcp and tcp6.
// Owns:  nothing.
// Never: fails loudly: what cannot be read or makes no sense is not there.
#pragma once
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lb {

struct TcpRow {
    std::array<std::uint32_t, 4> local{},
        remote{};  // each word as the kernel holds it: network order; IPv4: the first
    std::uint16_t local_port = 0, remote_port = 0;
    std::uint32_t state = 0;  // of netinet/tcp.h: TCP_LISTEN, TCP_SYN_RECV, ...
    ino_t inode = 0;
    bool v6 = false;
};

inline constexpr std::size_t largest_tcp_table = std::size_t{4} << 20;  // some 27 000 sockets

// The text for AF_INET or AF_INET6, as far as `largest_tcp_table`; `whole` says whether that was all.
std::string read_tcp_table(int family, bool& whole);
// One line of it; nothing for the heading.
std::optional<TcpRow> tcp_row(std::string_view line);

}  // namespace lb
