// shared/net/address.cpp -- text to socket addresses and back.
#include "shared/net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cstddef>
#include <cstring>

#include "shared/base/text.h"

namespace lb {
namespace {

constexpr std::uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned mapped_bits = 96;

bool is_mapped(const std::uint8_t* bytes) noexcept {
    return std::memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

// inet_pton on a view. No form but a dotted quad or RFC 4291 text passes: no octal, no short forms, no zone.
bool parse_literal(int family, std::string_view text, void* out) noexcept {
    char copy[INET6_ADDRSTRLEN];
    if (text.size() >= sizeof copy || text.find('\0') != std::string_view::npos) return false;
    std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = '\0';
    return inet_pton(family, copy, out) == 1;
}

// The address as 16 bytes, IPv4 in mapped form. False for other families.
bool to_bytes(const Address& address, std::uint8_t (&out)[16]) noexcept {
    if (address.length == 0) return false;
    if (address.family() == AF_INET) {
        std::memcpy(out, mapped_prefix, sizeof mapped_prefix);
        std::memcpy(out + sizeof mapped_prefix, &address.any.in.sin_addr, 4);
        return true;
    }
    if (address.family() == AF_INET6) {
        std::memcpy(out, &address.any.in6.sin6_addr, 16);
        return true;
    }
    return false;
}

// IPv4-mapped addresses print as IPv4. inet_ntop writes into `out`; nothing is allocated.
std::string_view print_bytes(const std::uint8_t* bytes, char (&out)[INET6_ADDRSTRLEN]) noexcept {
    const char* text = is_mapped(bytes) ? inet_ntop(AF_INET, bytes + sizeof mapped_prefix, out, sizeof out)
                                        : inet_ntop(AF_INET6, bytes, out, sizeof out);
    return text;
}

// The path of a unix address. An abstract name (first byte NUL) shows as '@', an unnamed socket as "".
std::string unix_path(const Address& address) {
    const std::size_t start = offsetof(sockaddr_un, sun_path);
    if (address.length <= start) return {};
    std::string path(address.any.un.sun_path, address.length - start);
    if (path.front() == '\0') {
        path.front() = '@';
    } else {
        path.resize(std::strlen(path.c_str()));
    }
    return path;
}

}  // namespace

std::uint16_t Address::port() const noexcept {
    if (length == 0) return 0;
    if (family() == AF_INET) return ntohs(any.in.sin_port);
    if (family() == AF_INET6) return ntohs(any.in6.sin6_port);
    return 0;
}

bool Address::operator==(const Address& other) const noexcept {
    if (length == 0 || other.length == 0) return length == other.length;
    if (family() != other.family()) return false;
    // By meaning, not by bytes: padding and the flow label differ between equal addresses.
    if (family() == AF_INET) {
        return any.in.sin_port == other.any.in.sin_port &&
               any.in.sin_addr.s_addr == other.any.in.sin_addr.s_addr;
    }
    if (family() == AF_INET6) {
        return any.in6.sin6_port == other.any.in6.sin6_port &&
               any.in6.sin6_scope_id == other.any.in6.sin6_scope_id &&
               std::memcmp(&any.in6.sin6_addr, &other.any.in6.sin6_addr, 16) == 0;
    }
    return length == other.length && std::memcmp(&any, &other.any, length) == 0;
}

Result<Address, std::string> parse_host(std::string_view host, std::uint16_t port) {
    Address address;
    if (parse_literal(AF_INET, host, &address.any.in.sin_addr)) {
        address.any.in.sin_family = AF_INET;
        address.any.in.sin_port = htons(port);
        address.length = sizeof(sockaddr_in);
        return address;
    }
    if (parse_literal(AF_INET6, host, &address.any.in6.sin6_addr)) {
        address.any.in6.sin6_family = AF_INET6;
        address.any.in6.sin6_port = htons(port);
        address.length = sizeof(sockaddr_in6);
        return address;
    }
    return Failed{fmt::format("'{}' is not an IPv4 or IPv6 address", host)};
}

Result<Address, std::string> parse_address(std::string_view text, bool port_zero) {
    std::string_view host;
    std::string_view port_text;
    const bool bracketed = text.starts_with('[');
    if (bracketed) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos)
            return Failed{std::string("the ']' after the address is missing")};
        host = text.substr(1, close - 1);
        const std::string_view rest = text.substr(close + 1);
        if (!rest.starts_with(':')) return Failed{std::string("the port is missing: write [ADDRESS]:PORT")};
        port_text = rest.substr(1);
    } else {
        const std::size_t colon = text.find(':');
        if (colon == std::string_view::npos) {
            return Failed{std::string("the port is missing: write ADDRESS:PORT")};
        }
        if (text.find(':', colon + 1) != std::string_view::npos) {
            return Failed{std::string("an IPv6 address needs brackets: write [ADDRESS]:PORT")};
        }
        host = text.substr(0, colon);
        port_text = text.substr(colon + 1);
    }
    const auto port = text::number(port_text);
    const std::uint64_t lowest = port_zero ? 0 : 1;
    if (!port || *port < lowest || *port > 65535) {
        return Failed{fmt::format("the port must be {} to 65535", lowest)};
    }
    auto address = parse_host(host, static_cast<std::uint16_t>(*port));
    if (address.ok() && bracketed != (address.value().family() == AF_INET6)) {
        return Failed{std::string("brackets are for IPv6 addresses only")};
    }
    return address;
}

void append_host(std::string& out, const Address& address) {
    std::uint8_t bytes[16];
    if (to_bytes(address, bytes)) {
        char text[INET6_ADDRSTRLEN];
        out += print_bytes(bytes, text);
    } else if (address.length != 0 && address.family() == AF_UNIX) {
        out += "unix:";
    }
}

std::string to_string(const Address& address) {
    if (address.length == 0) return {};
    std::string out;
    if (address.family() == AF_UNIX) {
        out = "unix:" + unix_path(address);
    } else if (address.family() == AF_INET6) {
        // Never in IPv4 form: what is printed here must parse to the same address.
        char text[INET6_ADDRSTRLEN];
        out = fmt::format("[{}]:{}", inet_ntop(AF_INET6, &address.any.in6.sin6_addr, text, sizeof text),
                          address.port());
    } else if (address.family() == AF_INET) {
        append_host(out, address);
        out += fmt::format(":{}", address.port());
    }
    return out;
}

bool Cidr::contains(const Address& address) const noexcept {
    std::uint8_t other[16];
    if (!to_bytes(address, other)) return false;
    // "::/0" is every IPv6 address and not the IPv4 ones, which only share the notation.
    if (is_mapped(other) && bits < mapped_bits) return false;
    const std::size_t whole = bits / 8;
    if (std::memcmp(bytes, other, whole) != 0) return false;
    const unsigned rest = bits % 8;
    if (rest == 0) return true;
    const auto mask = static_cast<std::uint8_t>(0xff << (8 - rest));
    return ((bytes[whole] ^ other[whole]) & mask) == 0;
}

Result<Cidr, std::string> parse_cidr(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto address = parse_host(text.substr(0, slash), 0);
    if (!address) return Failed{address.error()};
    const bool v4 = address.value().family() == AF_INET;
    const unsigned width = v4 ? 32 : 128;
    std::uint64_t prefix = width;
    if (slash != std::string_view::npos) {
        const auto given = text::number(text.substr(slash + 1));
        if (!given || *given > width) return Failed{fmt::format("the prefix length must be 0 to {}", width)};
        prefix = *given;
    }
    Cidr cidr;
    to_bytes(address.value(), cidr.bytes);
    cidr.bits = static_cast<std::uint8_t>(v4 ? prefix + mapped_bits : prefix);
    for (unsigned bit = cidr.bits; bit < 128; bit++) {
        if ((cidr.bytes[bit / 8] & (0x80U >> (bit % 8))) != 0) {
            return Failed{fmt::format("'{}' has bits set beyond its prefix", text)};
        }
    }
    return cidr;
}

std::string to_string(const Cidr& cidr) {
    const bool v4 = cidr.bits >= mapped_bits && is_mapped(cidr.bytes);
    char text[INET6_ADDRSTRLEN];
    const char* host = v4 ? inet_ntop(AF_INET, cidr.bytes + sizeof mapped_prefix, text, sizeof text)
                          : inet_ntop(AF_INET6, cidr.bytes, text, sizeof text);
    if (cidr.bits == 128) return host;
    return fmt::format("{}/{}", host, v4 ? cidr.bits - mapped_bits : cidr.bits);
}

}  // namespace lb
