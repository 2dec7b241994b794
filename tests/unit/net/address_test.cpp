// Addresses and ranges: what parses, what does not and why, and that printing leads back.
#include "shared/net/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

namespace lb {
namespace {

Address parsed(std::string_view text) {
    auto result = parse_address(text, true);
    EXPECT_TRUE(result.ok()) << text << ": " << (result ? "" : result.error());
    return result ? result.value() : Address{};
}
Cidr range(std::string_view text) {
    auto result = parse_cidr(text);
    EXPECT_TRUE(result.ok()) << text << ": " << (result ? "" : result.error());
    return result ? result.value() : Cidr{};
}
std::string host_of(std::string_view text) {
    std::string out = "x";
    append_host(out, parsed(text));
    return out;
}

TEST(Address, PrintsWhatItParsed) {
    for (const char* text : {"10.0.0.1:80", "0.0.0.0:65535", "[::1]:80", "[2001:db8::1:2]:443",
                             "[::ffff:10.0.0.1]:1", "[::]:0"}) {
        EXPECT_EQ(to_string(parsed(text)), text);
    }
    EXPECT_EQ(parsed("[::1]:8080").port(), 8080);
    EXPECT_EQ(parsed("[::1]:8080").family(), AF_INET6);
    EXPECT_EQ(parsed("10.0.0.1:80").family(), AF_INET);
    EXPECT_EQ(to_string(Address{}), "");
    EXPECT_EQ(Address{}.port(), 0);
}

TEST(Address, SaysWhatIsWrong) {
    const std::pair<const char*, const char*> cases[] = {
        {"10.0.0.1", "port is missing"},
        {"[::1]", "port is missing"},
        {"[::1]80", "port is missing"},
        {"[::1:80", "']'"},
        {"::1:80", "needs brackets"},
        {"[10.0.0.1]:80", "brackets are for IPv6"},
        {"10.0.0.1:", "1 to 65535"},
        {"10.0.0.1:0", "1 to 65535"},
        {"10.0.0.1:65536", "1 to 65535"},
        {"10.0.0.1:+80", "1 to 65535"},
        {"10.0.0.1:80x", "1 to 65535"},
        {"10.0.0.1:18446744073709551696", "1 to 65535"},
        {":80", "'' is not"},
        {"10.0.0:80", "'10.0.0' is not"},
        {"010.0.0.1:80", "is not an IPv4"},
        {"0x0a000001:80", "is not an IPv4"},
        {"10.0.0.256:80", "is not an IPv4"},
        {" 10.0.0.1:80", "is not an IPv4"},
        {"[fe80::1%eth0]:80", "is not an IPv4"},
        {"[]:80", "'' is not"},
        {"localhost:80", "'localhost' is not"},
        {"", "port is missing"},
    };
    for (const auto& [text, why] : cases) {
        const auto result = parse_address(text);
        ASSERT_FALSE(result.ok()) << text;
        EXPECT_THAT(result.error(), testing::HasSubstr(why)) << text;
    }
    EXPECT_FALSE(parse_host(std::string_view("10.0.0.1\0x", 10), 80).ok());
    EXPECT_FALSE(parse_host(std::string(300, '1'), 80).ok());
}

TEST(Address, PortZeroIsForThoseWhoAskForIt) {
    EXPECT_FALSE(parse_address("10.0.0.1:0").ok());
    EXPECT_TRUE(parse_address("10.0.0.1:0", true).ok());
    EXPECT_THAT(parse_address("10.0.0.1:65536", true).error(), testing::HasSubstr("0 to 65535"));
}

TEST(Address, EqualMeansSameHostAndPort) {
    EXPECT_EQ(parsed("[::1]:80"), parsed("[0:0::1]:80"));
    EXPECT_FALSE(parsed("[::1]:80") == parsed("[::1]:81"));
    EXPECT_FALSE(parsed("10.0.0.1:80") == parsed("10.0.0.2:80"));
    EXPECT_FALSE(parsed("10.0.0.1:80") == parsed("10.0.0.1:81"));
    EXPECT_FALSE(parsed("[::ffff:10.0.0.1]:80") == parsed("10.0.0.1:80"));
    EXPECT_EQ(Address{}, Address{});
    EXPECT_FALSE(Address{} == parsed("10.0.0.1:80"));
    Address flow = parsed("[::1]:80");
    flow.any.in6.sin6_flowinfo = 7;
    EXPECT_EQ(flow, parsed("[::1]:80"));
    flow.any.in6.sin6_scope_id = 2;
    EXPECT_FALSE(flow == parsed("[::1]:80"));
}

TEST(Address, HostAloneHasNoPortAndNoMappedForm) {
    EXPECT_EQ(host_of("10.0.0.1:80"), "x10.0.0.1");
    EXPECT_EQ(host_of("[2001:db8::1]:80"), "x2001:db8::1");
    EXPECT_EQ(host_of("[::ffff:192.0.2.7]:80"), "x192.0.2.7");
    std::string none;
    append_host(none, Address{});
    EXPECT_EQ(none, "");
}

TEST(Address, AppendHostNeedsNoMoreThan46Bytes) {
    std::string out;
    out.reserve(64);
    const char* before = out.data();
    append_host(out, parsed("[2001:0db8:1111:2222:3333:4444:5555:6666]:80"));
    EXPECT_EQ(out, "2001:db8:1111:2222:3333:4444:5555:6666");
    EXPECT_EQ(out.data(), before);
    EXPECT_LE(out.size(), 46U);
}

TEST(Address, UnixPathsPrint) {
    Address address;
    address.any.un.sun_family = AF_UNIX;
    std::strcpy(address.any.un.sun_path, "/run/x.sock");
    address.length = offsetof(sockaddr_un, sun_path) + 12;
    EXPECT_EQ(to_string(address), "unix:/run/x.sock");
    address.any.un.sun_path[0] = '\0';
    EXPECT_EQ(to_string(address).substr(0, 14), "unix:@run/x.so");
    address.length = offsetof(sockaddr_un, sun_path);
    EXPECT_EQ(to_string(address), "unix:");
    std::string host;
    append_host(host, address);
    EXPECT_EQ(host, "unix:");
    EXPECT_EQ(address.port(), 0);
}

TEST(Cidr, ContainsItsRangeAndNotItsNeighbours) {
    EXPECT_TRUE(range("10.0.0.0/8").contains(parsed("10.255.255.255:1")));
    EXPECT_FALSE(range("10.0.0.0/8").contains(parsed("11.0.0.0:1")));
    EXPECT_TRUE(range("192.0.2.128/25").contains(parsed("192.0.2.128:1")));
    EXPECT_FALSE(range("192.0.2.128/25").contains(parsed("192.0.2.127:1")));
    EXPECT_TRUE(range("192.0.2.1").contains(parsed("192.0.2.1:1")));
    EXPECT_FALSE(range("192.0.2.1").contains(parsed("192.0.2.0:1")));
    EXPECT_TRUE(range("2001:db8::/33").contains(parsed("[2001:db8:7fff::1]:1")));
    EXPECT_FALSE(range("2001:db8::/33").contains(parsed("[2001:db8:8000::1]:1")));
    EXPECT_TRUE(range("::1").contains(parsed("[::1]:1")));
    EXPECT_FALSE(range("::1").contains(parsed("[::2]:1")));
    EXPECT_FALSE(range("0.0.0.0/0").contains(Address{}));
}

TEST(Cidr, MappedAddressesAreIPv4AndFamiliesDoNotMix) {
    EXPECT_TRUE(range("10.0.0.0/8").contains(parsed("[::ffff:10.1.2.3]:1")));
    EXPECT_TRUE(range("0.0.0.0/0").contains(parsed("10.1.2.3:1")));
    EXPECT_FALSE(range("0.0.0.0/0").contains(parsed("[2001:db8::1]:1")));
    EXPECT_TRUE(range("::/0").contains(parsed("[2001:db8::1]:1")));
    EXPECT_FALSE(range("::/0").contains(parsed("10.1.2.3:1")));
    EXPECT_FALSE(range("::/0").contains(parsed("[::ffff:10.1.2.3]:1")));
}

TEST(Cidr, PrintsWhatItParsed) {
    for (const char* text : {"10.0.0.0/8", "192.0.2.1", "::1", "2001:db8::/32", "0.0.0.0/0", "::/0"}) {
        EXPECT_EQ(to_string(range(text)), text);
        EXPECT_EQ(range(to_string(range(text))), range(text));
    }
}

TEST(Cidr, SaysWhatIsWrong) {
    const std::pair<const char*, const char*> cases[] = {
        {"10.0.0.1/8", "bits set beyond"},
        {"2001:db8::1/64", "bits set beyond"},
        {"10.0.0.0/33", "0 to 32"},
        {"::/129", "0 to 128"},
        {"10.0.0.0/", "0 to 32"},
        {"10.0.0.0/+8", "0 to 32"},
        {"10.0.0.0/8/8", "0 to 32"},
        {"10.0.0/8", "is not an IPv4"},
        {"", "is not an IPv4"},
        {"[::1]", "is not an IPv4"},
        {"10.0.0.128/24", "bits set beyond"},
    };
    for (const auto& [text, why] : cases) {
        const auto result = parse_cidr(text);
        ASSERT_FALSE(result.ok()) << text;
        EXPECT_THAT(result.error(), testing::HasSubstr(why)) << text;
    }
}

}  // namespace
}  // namespace lb
