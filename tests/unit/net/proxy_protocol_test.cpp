// The PROXY header: what is written is read back, in any pieces, and nothing that is nearly one is taken.
#include "shared/net/proxy_protocol.h"

#include <gtest/gtest.h>

#include <string>

namespace lb {
namespace {

using State = ProxyHeader::State;
using namespace std::string_literals;

const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);

Address at(std::string_view text) {
    const auto parsed = parse_address(text, true);
    EXPECT_TRUE(parsed.ok()) << text;
    return parsed.value();
}
Address unix_at(std::string_view path) {
    Address out;
    out.any.un.sun_family = AF_UNIX;
    path.copy(out.any.un.sun_path, path.size());
    out.length = static_cast<std::uint32_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return out;
}
std::string written(ProxyVersion version, const Address& client, const Address& local) {
    char room[proxy_header_room];
    return {room, write_proxy_header(version, client, local, room)};
}
std::string two(std::size_t n) { return {static_cast<char>(n >> 8), static_cast<char>(n & 0xff)}; }
// A v2 header of TCP4 10.0.0.1:1000 to 10.0.0.2:80 with this behind the addresses.
std::string v2_with(const std::string& extensions) {
    return signature + "\x21\x11" + two(12 + extensions.size()) + "\x0a\0\0\x01\x0a\0\0\x02\x03\xe8\0\x50"s +
           extensions;
}
// The whole header and each prefix of it: only the whole is complete, and what follows does not matter.
ProxyHeader parse_in_pieces(const std::string& header) {
    for (std::size_t size = 0; size < header.size(); size++)
        EXPECT_EQ(parse_proxy_header(std::string_view(header).substr(0, size)).state, State::incomplete)
            << "of " << header << " after " << size;
    const ProxyHeader out = parse_proxy_header(header + "GET / HTTP/1.1\r\n");
    EXPECT_EQ(out.state, State::complete) << header << ": " << out.why;
    EXPECT_EQ(out.consumed, header.size());
    return out;
}
void expect_bad(const std::string& bytes) {
    const ProxyHeader out = parse_proxy_header(bytes);
    EXPECT_EQ(out.state, State::error) << bytes;
    EXPECT_STRNE(out.why, "") << bytes;
}

TEST(ProxyV1, NamesBothEnds) {
    const ProxyHeader v4 = parse_in_pieces("PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n");
    ASSERT_TRUE(v4.proxied);
    EXPECT_EQ(to_string(v4.source), "192.0.2.1:51000");
    EXPECT_EQ(to_string(v4.destination), "198.51.100.7:443");
    const ProxyHeader v6 = parse_in_pieces("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n");
    ASSERT_TRUE(v6.proxied);
    EXPECT_EQ(to_string(v6.source), "[2001:db8::1]:0");
    EXPECT_EQ(to_string(v6.destination), "[::1]:65535");
}

TEST(ProxyV1, UnknownKeepsTheSocketsOwn) {
    EXPECT_FALSE(parse_in_pieces("PROXY UNKNOWN\r\n").proxied);
    EXPECT_FALSE(parse_in_pieces("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n").proxied);
}

TEST(ProxyV1, IsStrict) {
    for (const char* bad : {"PROXY TCP4 192.0.2.1 198.51.100.7 051000 443\r\n",
                            "PROXY TCP4 192.0.2.1 198.51.100.7 51000 65536\r\n",
                            "PROXY TCP4 192.0.2.1 198.51.100.7 51000 +443\r\n",
                            "PROXY TCP4 192.0.2.1 198.51.100.7 51000 \r\n",
                            "PROXY TCP4 192.0.2.1 198.51.100.7 51000\r\n",
                            "PROXY TCP4 192.0.2.1 198.51.100.7 51000 443 1\r\n",
                            "PROXY TCP4  192.0.2.1 198.51.100.7 51000 443\r\n",
                            "PROXY TCP4 192.0.2.1 198.51.100.7 51000 443 \r\n",
                            "PROXY TCP4 ::1 ::1 1 2\r\n",
                            "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
                            "PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n",
                            "PROXY TCP4 192.0.2 198.51.100.7 1 2\r\n",
                            "PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
                            "PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n",
                            "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
                            "PROXY tcp4 192.0.2.1 198.51.100.7 1 2\r\n",
                            "PROXY UNKNOWNX\r\n",
                            "PROXY \r\n",
                            "proxy UNKNOWN\r\n",
                            "PROXY\tUNKNOWN\r\n",
                            "PROXY UNKNOWN\n",
                            "PROXY UNKNOWN\rX",
                            "GET / HTTP/1.1\r\n",
                            "X"})
        expect_bad(bad);
    expect_bad("PROXY TCP4 192.0.2.1\0 198.51.100.7 1 2\r\n"s);
}

TEST(ProxyV1, EndsWithin107Bytes) {
    const std::string longest = "PROXY UNKNOWN " + std::string(107 - 16, 'x') + "\r\n";
    ASSERT_EQ(longest.size(), 107u);
    EXPECT_FALSE(parse_in_pieces(longest).proxied);
    const std::string longer = "PROXY UNKNOWN " + std::string(107 - 15, 'x') + "\r\n";
    EXPECT_EQ(parse_proxy_header(std::string_view(longer).substr(0, 106)).state, State::incomplete);
    expect_bad(longer.substr(0, 107));
    expect_bad(longer);
}

TEST(ProxyV2, NamesBothEnds) {
    const ProxyHeader v4 = parse_in_pieces(v2_with(""));
    ASSERT_TRUE(v4.proxied);
    EXPECT_EQ(to_string(v4.source), "10.0.0.1:1000");
    EXPECT_EQ(to_string(v4.destination), "10.0.0.2:80");
    const ProxyHeader v6 = parse_in_pieces(written(ProxyVersion::v2, at("[2001:db8::1]:5"), at("[::1]:443")));
    ASSERT_TRUE(v6.proxied);
    EXPECT_EQ(to_string(v6.source), "[2001:db8::1]:5");
    EXPECT_EQ(to_string(v6.destination), "[::1]:443");
    const ProxyHeader local =
        parse_in_pieces(written(ProxyVersion::v2, unix_at("/run/a"), unix_at("/run/b")));
    ASSERT_TRUE(local.proxied);
    EXPECT_EQ(to_string(local.source), "unix:/run/a");
    EXPECT_EQ(local.destination, unix_at("/run/b"));
}

TEST(ProxyV2, LocalAndUnspecifiedKeepTheSocketsOwn) {
    EXPECT_FALSE(parse_in_pieces(signature + "\x20\0\0\0"s).proxied);
    EXPECT_FALSE(parse_in_pieces(signature + "\x20\x11"s + two(5) + "abcde").proxied)
        << "LOCAL is not looked into";
    EXPECT_FALSE(parse_in_pieces(signature + "\x20\x99"s + two(0)).proxied);
    EXPECT_FALSE(parse_in_pieces(signature + "\x21\0"s + two(3) + "abc").proxied);
}

TEST(ProxyV2, IsStrict) {
    std::string other = signature;
    other[11] = 'x';
    expect_bad(other);
    expect_bad(signature + "\x11");                 // version 1
    expect_bad(signature + "\x22");                 // no such command
    expect_bad(signature + "\x21\x12");             // datagrams
    expect_bad(signature + "\x21\x41");             // no such family
    expect_bad(signature + "\x21\x11"s + two(11));  // too short for two addresses
    expect_bad(signature + "\x21\x21"s + two(35));
    expect_bad(signature + "\x21\x31"s + two(215));
    expect_bad(signature + "\x21\x11"s + two(4081));  // 4097 bytes in all
    EXPECT_EQ(parse_proxy_header(signature + "\x21\x11"s + two(4080)).state, State::incomplete);
}

TEST(ProxyV2, SkipsSoundExtensions) {
    EXPECT_TRUE(parse_in_pieces(v2_with("\x01\0\x02h2"s)).proxied);
    EXPECT_TRUE(parse_in_pieces(v2_with("\xee\0\0\xef\0\x01x"s)).proxied);
    expect_bad(v2_with("\x01"));
    expect_bad(v2_with("\x01\0"s));
    expect_bad(v2_with("\x01\0\x03h2"s));
}

// The value was computed with another implementation of CRC32c, whose check value is that of "123456789", e3069283.
TEST(ProxyV2, ChecksACrc) {
    const std::string good = v2_with("\x03\0\x04\x5c\x5b\xcd\x65"s);
    EXPECT_TRUE(parse_in_pieces(good).proxied);
    for (std::size_t i = 16; i < 28; i++) {
        std::string wrong = good;
        wrong[i] = static_cast<char>(wrong[i] ^ 1);
        expect_bad(wrong);
    }
    expect_bad(v2_with("\x03\0\x03\x5c\x5b\xcd"s));
}

TEST(ProxyWriter, WritesTheFamilyThatBothEndsHave) {
    EXPECT_EQ(written(ProxyVersion::v1, at("192.0.2.1:51000"), at("198.51.100.7:443")),
              "PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n");
    EXPECT_EQ(written(ProxyVersion::v1, at("[2001:db8::1]:1"), at("[::1]:2")),
              "PROXY TCP6 2001:db8::1 ::1 1 2\r\n");
    EXPECT_EQ(written(ProxyVersion::v1, at("[::ffff:192.0.2.1]:1"), at("[::ffff:10.0.0.1]:2")),
              "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n");
    EXPECT_EQ(written(ProxyVersion::v1, at("192.0.2.1:1"), at("[::1]:2")),
              "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n");
    EXPECT_EQ(written(ProxyVersion::v1, unix_at("/a"), unix_at("/b")), "PROXY UNKNOWN\r\n");
    EXPECT_EQ(written(ProxyVersion::v1, Address{}, at("[::1]:2")), "PROXY UNKNOWN\r\n");
    EXPECT_EQ(written(ProxyVersion::v2, at("10.0.0.1:1000"), at("10.0.0.2:80")), v2_with(""));
    EXPECT_EQ(written(ProxyVersion::v2, at("[::ffff:10.0.0.1]:1000"), at("10.0.0.2:80")), v2_with(""));
    EXPECT_EQ(written(ProxyVersion::v2, unix_at("/a"), at("10.0.0.2:80")), signature + "\x21\0\0\0"s);
    EXPECT_EQ(written(ProxyVersion::v2, unix_at("/a"), unix_at("/b")).size(), proxy_header_room);
}

TEST(ProxyWriter, OwnConnectionsSaySo) {
    EXPECT_EQ(own_proxy_header(ProxyVersion::v1), "PROXY UNKNOWN\r\n");
    EXPECT_EQ(own_proxy_header(ProxyVersion::v2), signature + "\x20\0\0\0"s);
}

TEST(ProxyWriter, TheLongestHeaderFitsItsRoom) {
    const Address longest = at("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    EXPECT_LE(written(ProxyVersion::v1, longest, longest).size(), 107u);
    EXPECT_EQ(to_string(parse_in_pieces(written(ProxyVersion::v1, longest, longest)).source),
              to_string(longest));
}

}  // namespace
}  // namespace lb
