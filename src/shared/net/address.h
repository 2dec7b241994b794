// shared/net/address.h -- a socket address: parse, print, compare. No I/O and no resolver.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.h"

namespace lb {

// An IPv4, IPv6 or unix address in the kernel's form. Trivially copyable: it also lives in shared memory.
struct Address {
    union Any {
        sockaddr_un un;  // first, because {} clears only the first member: a stray scope id would be bound
        sockaddr_in6 in6;
        sockaddr_in in;
        sockaddr base;
    } any{};
    std::uint32_t length = 0;  // bytes of `any` in use; 0: no address

    [[nodiscard]] int family() const noexcept { return any.base.sa_family; }
    [[nodiscard]] std::uint16_t port() const noexcept;
    bool operator==(const Address& other) const noexcept;
};

// "10.0.0.1:80", "[::1]:80". Port 1-65535; 0 too when `port_zero` (a listener that wants any port).
// The error is a sentence fragment such as "the port must be 1 to 65535".
Result<Address, std::string> parse_address(std::string_view text, bool port_zero = false);
// The same for a host and port given apart; the host without brackets. Literals only.
Result<Address, std::string> parse_host(std::string_view host, std::uint16_t port);
// "10.0.0.1:80" or "[::1]:80".
std::string to_string(const Address& address);
// The host alone: "10.0.0.1", "::1"; what goes into X-Forwarded-For and the access log. Appends; no allocation when
// `out` has room for 46 more bytes. IPv4-mapped IPv6 is printed as IPv4.
void append_host(std::string& out, const Address& address);

// A range of addresses: "10.0.0.0/8", "::1", "192.0.2.1" (one address).
struct Cidr {
    std::uint8_t bytes[16] = {};  // IPv4 as ::ffff:a.b.c.d
    std::uint8_t bits = 0;        // of 128
    [[nodiscard]] bool contains(const Address& address) const noexcept;
    bool operator==(const Cidr&) const = default;
};
Result<Cidr, std::string> parse_cidr(std::string_view text);  // set bits beyond the prefix are an error
std::string to_string(const Cidr& cidr);

}  // namespace lb
