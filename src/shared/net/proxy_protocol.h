// shared/net/proxy_protocol.h -- the PROXY header, in front of everything else on a connection: who is really there.
// Source: haproxy.org/download/2.9/doc/proxy-protocol.txt. Pure: bytes in, addresses out, and the other way round.
// Never:  allocates; decides whom to believe.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/net/address.h"

namespace lb {

enum class ProxyVersion : std::uint8_t { v1, v2 };

struct ProxyHeader {
    enum class State : std::uint8_t { complete, incomplete, error };
    State state = State::incomplete;
    std::size_t consumed = 0;  // complete: bytes of the header
    bool proxied =
        false;  // complete: it names the two ends below; else (LOCAL, UNKNOWN) the socket's own count
    const char* why = "";  // error: a short sentence for the log; static
    Address source;        // the client
    Address destination;   // what the client connected to
};

// Of a header that is taken, with all its extensions.
inline constexpr std::size_t proxy_header_most = 4096;

// Reads a header of either version at the start of `bytes`; call again with all of them and more after `incomplete`.
// What cannot become a header is an error at its first wrong byte, a bad v1 line at its end.
// - v1: at most 107 bytes, single blanks, addresses of the stated family, decimal ports without leading zeros.
// - v2: LOCAL and PROXY; stream sockets of IPv4, IPv6 and unix; an unspecified family counts as LOCAL. Extensions must
//   fill what the addresses leave exactly, and a CRC32c among them must be right; all others are skipped.
ProxyHeader parse_proxy_header(std::string_view bytes) noexcept;

// What write_proxy_header needs at most: v2 with two unix paths.
inline constexpr std::size_t proxy_header_room = 232;
// Writes a header in front of a connection from `client` to `local` and returns its size. IPv4 when both are (IPv4-mapped
// IPv6 too), else IPv6 with IPv4 in mapped form; where v1 has no form (unix) UNKNOWN, where v2 has none "unspecified".
std::size_t write_proxy_header(ProxyVersion version, const Address& client, const Address& local,
                               char* at) noexcept;
// In front of a connection that is lb's own, such as a health check: "PROXY UNKNOWN", or LOCAL.
std::string_view own_proxy_header(ProxyVersion version) noexcept;

}  // namespace lb
