// shared/net/proxy_protocol.cpp -- see proxy_protocol.h.
#include "shared/net/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "shared/base/text.h"

namespace lb {
namespace {

using State = ProxyHeader::State;

constexpr std::string_view v1_begin = "PROXY ";
constexpr std::size_t v1_most = 107;
constexpr std::string_view v2_signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t v2_head = 16;  // signature, version and command, family, length
constexpr std::size_t unix_path = 108;

// Values of the two bytes behind the signature.
constexpr unsigned v2_version = 2;
constexpr unsigned command_local = 0;
constexpr unsigned command_proxy = 1;
constexpr unsigned unspecified = 0x00;
constexpr unsigned tcp4 = 0x11;
constexpr unsigned tcp6 = 0x21;
constexpr unsigned unix_stream = 0x31;
constexpr unsigned extension_crc32c = 0x03;

ProxyHeader bad(const char* why) noexcept {
    ProxyHeader out;
    out.state = State::error;
    out.why = why;
    return out;
}

unsigned byte_at(std::string_view s, std::size_t at) noexcept { return static_cast<unsigned char>(s[at]); }
std::size_t two_bytes(std::string_view s, std::size_t at) noexcept {
    return (byte_at(s, at) << 8U) | byte_at(s, at + 1);
}

Address inet(int family, const void* host, std::uint16_t port_in_order) noexcept {
    Address out;
    if (family == AF_INET) {
        out.any.in.sin_family = AF_INET;
        out.any.in.sin_port = port_in_order;
        std::memcpy(&out.any.in.sin_addr, host, 4);
        out.length = sizeof(sockaddr_in);
    } else {
        out.any.in6.sin6_family = AF_INET6;
        out.any.in6.sin6_port = port_in_order;
        std::memcpy(&out.any.in6.sin6_addr, host, 16);
        out.length = sizeof(sockaddr_in6);
    }
    return out;
}

// ---- version 1

bool v1_port(std::string_view text, std::uint16_t& port) noexcept {
    const bool leading_zero = text.size() > 1 && text.front() == '0';
    const auto number = text.size() <= 5 && !leading_zero ? text::number(text) : std::nullopt;
    if (!number || *number > 65535) return false;
    port = static_cast<std::uint16_t>(*number);
    return true;
}

bool v1_address(int family, std::string_view host, std::string_view port, Address& out) noexcept {
    char copy[INET6_ADDRSTRLEN];
    std::array<std::uint8_t, 16> bytes{};
    std::uint16_t number = 0;
    if (host.size() >= sizeof copy || host.find('\0') != std::string_view::npos) return false;
    std::memcpy(copy, host.data(), host.size());
    copy[host.size()] = '\0';
    if (inet_pton(family, copy, bytes.data()) != 1 || !v1_port(port, number)) return false;
    out = inet(family, bytes.data(), htons(number));
    return true;
}

// The line behind "PROXY ", without CRLF.
ProxyHeader v1_line(std::string_view line, std::size_t whole) noexcept {
    ProxyHeader out;
    out.state = State::complete;
    out.consumed = whole;
    if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return out;
    std::array<std::string_view, 5> words;  // protocol, two hosts, two ports
    for (std::size_t i = 0; i < words.size(); i++) {
        const std::size_t blank = line.find(' ');
        words[i] = line.substr(0, blank);
        const bool is_last = i + 1 == words.size();
        if ((blank == std::string_view::npos) != is_last) return bad("not the words of a v1 header");
        if (!is_last) line.remove_prefix(blank + 1);
    }
    if (words[0] != "TCP4" && words[0] != "TCP6") return bad("a protocol other than TCP4, TCP6 and UNKNOWN");
    const int family = words[0] == "TCP4" ? AF_INET : AF_INET6;
    out.proxied = true;
    if (!v1_address(family, words[1], words[3], out.source) ||
        !v1_address(family, words[2], words[4], out.destination)) {
        return bad("bad address or port");
    }
    return out;
}

ProxyHeader parse_v1(std::string_view bytes) noexcept {
    const std::string_view whole = bytes.substr(0, v1_most);
    const std::size_t end = whole.find_first_of("\r\n");
    if (end == std::string_view::npos || end + 1 == whole.size()) {
        if (end != std::string_view::npos && whole[end] == '\n') return bad("a line ends with a bare LF");
        return whole.size() < v1_most ? ProxyHeader{} : bad("no end of the line within 107 bytes");
    }
    if (whole[end] != '\r' || whole[end + 1] != '\n') return bad("a line ends otherwise than with CRLF");
    return v1_line(whole.substr(v1_begin.size(), end - v1_begin.size()), end + 2);
}

// ---- version 2

// CRC32c (Castagnoli), by table.
constexpr std::array<std::uint32_t, 256> make_crc_table() noexcept {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); i++) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
        table[i] = crc;
    }
    return table;
}
constexpr std::array<std::uint32_t, 256> crc_table = make_crc_table();

// Of the header, with four zero bytes for its own value at `place`.
std::uint32_t crc_of(std::string_view header, std::size_t place) noexcept {
    std::uint32_t crc = UINT32_MAX;
    for (std::size_t i = 0; i < header.size(); i++) {
        const unsigned byte = i >= place && i < place + 4 ? 0 : byte_at(header, i);
        crc = (crc >> 8U) ^ crc_table[(crc ^ byte) & 0xffU];
    }
    return ~crc;
}

// Type, length, value, from `at` to the end of the header. Null when they are sound.
const char* check_extensions(std::string_view header, std::size_t at) noexcept {
    while (at < header.size()) {
        if (header.size() - at < 3) return "bad extension";
        const unsigned type = byte_at(header, at);
        const std::size_t size = two_bytes(header, at + 1);
        at += 3;
        if (size > header.size() - at) return "bad extension";
        if (type == extension_crc32c) {
            if (size != 4) return "bad checksum";
            const auto said =
                static_cast<std::uint32_t>(two_bytes(header, at) << 16U | two_bytes(header, at + 2));
            if (said != crc_of(header, at)) return "wrong checksum";
        }
        at += size;
    }
    return nullptr;
}

std::uint16_t port_bytes(std::string_view header, std::size_t at) noexcept {
    std::uint16_t port = 0;
    std::memcpy(&port, header.data() + at, sizeof port);
    return port;
}

// A path as it lies in a v2 header: ended by NUL, or filling its room. Abstract names do not say how long they are.
Address unix_address(std::string_view room) noexcept {
    const std::string_view path = room.substr(0, room.find('\0'));
    Address out;
    out.any.un.sun_family = AF_UNIX;
    if (!path.empty()) std::memcpy(out.any.un.sun_path, path.data(), path.size());
    const std::size_t size = path.empty() ? 0 : std::min(path.size() + 1, unix_path);
    out.length = static_cast<std::uint32_t>(offsetof(sockaddr_un, sun_path) + size);
    return out;
}

ProxyHeader parse_v2(std::string_view bytes) noexcept {
    ProxyHeader out;
    const std::size_t at = v2_signature.size();
    const unsigned command = bytes.size() > at ? byte_at(bytes, at) & 0x0fU : command_local;
    if (bytes.size() > at && (byte_at(bytes, at) >> 4U != v2_version || command > command_proxy))
        return bad("a version or command that lb does not know");
    const unsigned family = bytes.size() > at + 1 ? byte_at(bytes, at + 1) : unspecified;
    std::size_t addresses = 0;  // bytes of both
    switch (family) {
        case tcp4: addresses = 12; break;
        case tcp6: addresses = 36; break;
        case unix_stream: addresses = 2 * unix_path; break;
        default:
            if (command == command_proxy && family != unspecified) return bad("not a stream socket");
    }
    if (bytes.size() < v2_head) return out;
    const std::size_t rest = two_bytes(bytes, at + 2);
    if (v2_head + rest > proxy_header_most) return bad("longer than 4096 bytes");
    const bool proxied = command == command_proxy && family != unspecified;
    if (proxied && rest < addresses) return bad("too short for its addresses");
    if (bytes.size() < v2_head + rest) return out;
    const std::string_view header = bytes.substr(0, v2_head + rest);
    out.state = State::complete;
    out.consumed = header.size();
    if (!proxied) return out;  // a LOCAL one is not to be looked into (2.2)
    if (const char* why = check_extensions(header, v2_head + addresses)) return bad(why);
    out.proxied = true;
    const char* host = header.data() + v2_head;
    if (family == unix_stream) {
        out.source = unix_address(header.substr(v2_head, unix_path));
        out.destination = unix_address(header.substr(v2_head + unix_path, unix_path));
    } else {
        const int wanted = family == tcp4 ? AF_INET : AF_INET6;
        const std::size_t size = family == tcp4 ? 4 : 16;
        out.source = inet(wanted, host, port_bytes(header, v2_head + 2 * size));
        out.destination = inet(wanted, host + size, port_bytes(header, v2_head + 2 * size + 2));
    }
    return out;
}

// ---- writing

bool is_inet(const Address& address) noexcept {
    return address.length != 0 && (address.family() == AF_INET || address.family() == AF_INET6);
}

// As 16 bytes, IPv4 in mapped form; true when it is IPv4.
bool to_bytes(const Address& address, std::array<std::uint8_t, 16>& out) noexcept {
    if (address.family() == AF_INET) {
        out = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        std::memcpy(out.data() + 12, &address.any.in.sin_addr, 4);
        return true;
    }
    std::memcpy(out.data(), &address.any.in6.sin6_addr, 16);
    return IN6_IS_ADDR_V4MAPPED(&address.any.in6.sin6_addr) != 0;
}

struct Writer {
    char* at;
    void put(std::string_view s) noexcept {
        if (!s.empty()) std::memcpy(at, s.data(), s.size());
        at += s.size();
    }
    void put(const std::uint8_t* bytes, std::size_t size) noexcept {
        std::memcpy(at, bytes, size);
        at += size;
    }
    void two(unsigned value) noexcept {
        *at++ = static_cast<char>(value >> 8U);
        *at++ = static_cast<char>(value & 0xffU);
    }
    void decimal(unsigned value) noexcept { at = std::to_chars(at, at + 5, value).ptr; }
    // sun_path, filled with NUL to its whole room.
    void path(const Address& address) noexcept {
        const std::size_t begin = offsetof(sockaddr_un, sun_path);
        const std::size_t size = address.length > begin ? std::min(address.length - begin, unix_path) : 0;
        std::memcpy(at, address.any.un.sun_path, size);
        std::memset(at + size, 0, unix_path - size);
        at += unix_path;
    }
};

void write_v1(Writer& out, const Address& client, const Address& local) noexcept {
    std::array<std::uint8_t, 16> from, to;
    const bool from4 = to_bytes(client, from);
    const bool v4 = to_bytes(local, to) && from4;
    char text[INET6_ADDRSTRLEN];
    out.put(v4 ? "PROXY TCP4 " : "PROXY TCP6 ");
    const int family = v4 ? AF_INET : AF_INET6;
    const std::size_t skip = v4 ? 12 : 0;
    out.put(std::string_view(inet_ntop(family, from.data() + skip, text, sizeof text)));
    out.put(" ");
    out.put(std::string_view(inet_ntop(family, to.data() + skip, text, sizeof text)));
    out.put(" ");
    out.decimal(client.port());
    out.put(" ");
    out.decimal(local.port());
    out.put("\r\n");
}

void write_v2(Writer& out, const Address& client, const Address& local) noexcept {
    std::array<std::uint8_t, 16> from, to;
    const bool from4 = to_bytes(client, from);
    const bool v4 = to_bytes(local, to) && from4;
    const std::size_t skip = v4 ? 12 : 0;
    out.put(v4 ? std::string_view("\x21\x11", 2) : std::string_view("\x21\x21", 2));
    out.two(v4 ? 12 : 36);
    out.put(from.data() + skip, from.size() - skip);
    out.put(to.data() + skip, to.size() - skip);
    out.two(client.port());
    out.two(local.port());
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) noexcept {
    const auto agrees = [bytes](std::string_view with) {
        const std::size_t size = std::min(bytes.size(), with.size());
        return bytes.substr(0, size) == with.substr(0, size);
    };
    if (agrees(v2_signature)) return bytes.size() < v2_signature.size() ? ProxyHeader{} : parse_v2(bytes);
    if (agrees(v1_begin)) return bytes.size() < v1_begin.size() ? ProxyHeader{} : parse_v1(bytes);
    return bad("no PROXY header");
}

std::string_view own_proxy_header(ProxyVersion version) noexcept {
    static constexpr std::string_view local("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
    return version == ProxyVersion::v1 ? "PROXY UNKNOWN\r\n" : local;
}

std::size_t write_proxy_header(ProxyVersion version, const Address& client, const Address& local,
                               char* at) noexcept {
    Writer out{at};
    const bool both_inet = is_inet(client) && is_inet(local);
    if (version == ProxyVersion::v1) {
        if (both_inet) {
            write_v1(out, client, local);
        } else {
            out.put(own_proxy_header(ProxyVersion::v1));
        }
        return static_cast<std::size_t>(out.at - at);
    }
    out.put(v2_signature);
    const auto is_unix = [](const Address& a) { return a.length != 0 && a.family() == AF_UNIX; };
    if (both_inet) {
        write_v2(out, client, local);
    } else if (is_unix(client) && is_unix(local)) {
        out.put({"\x21\x31", 2});
        out.two(2 * unix_path);
        out.path(client);
        out.path(local);
    } else {
        out.put({"\x21\0\0\0", 4});
    }
    return static_cast<std::size_t>(out.at - at);
}

}  // namespace lb
