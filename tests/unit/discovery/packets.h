// tests/unit/discovery/packets.h -- DNS messages, byte by byte.
#pragma once
#include <arpa/inet.h>
#include <arpa/nameser.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "master/discovery/answer.h"

namespace lb::discovery::test {

using Bytes = std::vector<unsigned char>;

inline void put16(Bytes& out, std::uint32_t n) {
    out.push_back(static_cast<unsigned char>(n >> 8));
    out.push_back(static_cast<unsigned char>(n));
}
inline void put32(Bytes& out, std::uint32_t n) {
    put16(out, n >> 16);
    put16(out, n & 0xffff);
}
inline void put_name(Bytes& out, std::string_view name) {
    while (!name.empty()) {
        const auto dot = std::min(name.find('.'), name.size());
        out.push_back(static_cast<unsigned char>(dot));
        out.insert(out.end(), name.begin(), name.begin() + static_cast<std::ptrdiff_t>(dot));
        name.remove_prefix(std::min(dot + 1, name.size()));
    }
    out.push_back(0);
}
inline Bytes name_bytes(std::string_view name) {
    Bytes out;
    put_name(out, name);
    return out;
}
inline Bytes ipv4(const char* text) {
    Bytes out(4);
    inet_pton(AF_INET, text, out.data());
    return out;
}
inline Bytes ipv6(const char* text) {
    Bytes out(16);
    inet_pton(AF_INET6, text, out.data());
    return out;
}
inline Bytes srv(std::uint32_t priority, std::uint32_t weight, std::uint32_t port, std::string_view target) {
    Bytes out;
    put16(out, priority);
    put16(out, weight);
    put16(out, port);
    put_name(out, target == "." ? "" : target);
    return out;
}

// An answer to one question. Records are appended in order: answers first.
struct Packet {
    Bytes bytes;

    explicit Packet(std::string_view name, int type = ns_t_a, unsigned rcode = 0, unsigned flags = 0x8180) {
        put16(bytes, 0x1234);
        put16(bytes, flags | rcode);
        put16(bytes, 1);
        put16(bytes, 0);
        put16(bytes, 0);
        put16(bytes, 0);
        put_name(bytes, name);
        put16(bytes, static_cast<std::uint32_t>(type));
        put16(bytes, ns_c_in);
    }
    Packet& record(std::string_view name, int type, std::uint32_t ttl, const Bytes& data,
                   bool additional = false, int dns_class = ns_c_in) {
        put_name(bytes, name);
        put16(bytes, static_cast<std::uint32_t>(type));
        put16(bytes, static_cast<std::uint32_t>(dns_class));
        put32(bytes, ttl);
        put16(bytes, static_cast<std::uint32_t>(data.size()));
        bytes.insert(bytes.end(), data.begin(), data.end());
        const std::size_t at = additional ? 10 : 6;
        const unsigned count = bytes[at] * 256U + bytes[at + 1] + 1;
        bytes[at] = static_cast<unsigned char>(count >> 8);
        bytes[at + 1] = static_cast<unsigned char>(count);
        return *this;
    }
    Packet& a(std::string_view name, std::uint32_t ttl, const char* address, bool additional = false) {
        return record(name, ns_t_a, ttl, ipv4(address), additional);
    }
    Packet& aaaa(std::string_view name, std::uint32_t ttl, const char* address, bool additional = false) {
        return record(name, ns_t_aaaa, ttl, ipv6(address), additional);
    }
    Packet& alias(std::string_view name, std::uint32_t ttl, std::string_view to) {
        return record(name, ns_t_cname, ttl, name_bytes(to));
    }
};

// "10.0.0.1 10.0.0.2"; with ports only where there are any.
inline std::string text_of(const std::vector<Address>& addresses) {
    std::string out;
    for (const Address& each : addresses) {
        if (!out.empty()) out += ' ';
        if (each.port() != 0) {
            out += to_string(each);
        } else {
            append_host(out, each);
        }
    }
    return out;
}

}  // namespace lb::discovery::test
