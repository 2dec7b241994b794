// master/half_open.h -- TCP handshakes that a port has begun and not finished, asked from the kernel (sock_diag(7)).
// Owns:  one netlink socket per question. Never waits: the kernel answers such a question within the call. A sandbox may have
//        no netlink; then the kernel's table of all sockets tells, unless it is too long.
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace lb {

// The far end of a handshake; enough to recognise it again.
struct HalfOpen {
    std::array<std::uint8_t, 16> local{}, remote{};
    std::uint16_t remote_port = 0;
    // NOLINTNEXTLINE(modernize-use-nullptr): the check takes the 0 inside a defaulted <=> for a pointer
    auto operator<=>(const HalfOpen&) const = default;
};

// Those of a local port, sorted; of AF_UNIX there are never any. Nothing when the kernel does not say
// or when there are more than fit an answer of 1 MiB.
std::optional<std::vector<HalfOpen>> half_open(int family, std::uint16_t port);

// The same out of the text of /proc/net/tcp or tcp6 (master/tcp_table.h), sorted.
std::vector<HalfOpen> half_open_in(std::string_view table, std::uint16_t port);

// Connections established and waiting to be accepted from this listening socket; 0 too when it is none. Of a unix
// socket the kernel tells only whether there are any: then 1.
std::uint32_t accept_queue(int listening) noexcept;

}  // namespace lb
