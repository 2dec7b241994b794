#include "shared/net/cidr_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/random.h"

namespace lb {
namespace {

Address address(std::string_view text) {
    const auto parsed = parse_host(text, 80);
    EXPECT_TRUE(parsed.ok()) << text;
    return parsed ? parsed.value() : Address{};
}

CidrSet::Entry entry(std::string_view text, CidrSet::Value value) {
    const auto parsed = parse_cidr(text);
    EXPECT_TRUE(parsed.ok()) << text;
    return {parsed ? parsed.value() : Cidr{}, value};
}

CidrSet set(const std::vector<CidrSet::Entry>& entries) { return CidrSet(entries); }

constexpr auto none = CidrSet::none;

TEST(CidrSet, TheLongestPrefixDecides) {
    const CidrSet s = set({entry("10.1.2.3", 4), entry("10.0.0.0/8", 1), entry("10.1.2.0/24", 3),
                           entry("10.1.0.0/16", 2), entry("0.0.0.0/0", 0)});
    EXPECT_EQ(s.find(address("10.1.2.3")), 4);
    EXPECT_EQ(s.find(address("10.1.2.2")), 3);
    EXPECT_EQ(s.find(address("10.1.2.4")), 3);
    EXPECT_EQ(s.find(address("10.1.3.0")), 2);
    EXPECT_EQ(s.find(address("10.0.255.255")), 1);
    EXPECT_EQ(s.find(address("10.255.255.255")), 1);
    EXPECT_EQ(s.find(address("11.0.0.0")), 0);
    EXPECT_EQ(s.find(address("9.255.255.255")), 0);
    EXPECT_EQ(s.find(address("::1")), none) << "0.0.0.0/0 is IPv4";
}

TEST(CidrSet, TheEndsOfAllAddresses) {
    const CidrSet s = set({entry("0.0.0.0", 1), entry("255.255.255.255", 2), entry("::", 3),
                           entry("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 4)});
    EXPECT_EQ(s.find(address("0.0.0.0")), 1);
    EXPECT_EQ(s.find(address("0.0.0.1")), none);
    EXPECT_EQ(s.find(address("255.255.255.254")), none);
    EXPECT_EQ(s.find(address("255.255.255.255")), 2);
    EXPECT_EQ(s.find(address("::")), 3);
    EXPECT_EQ(s.find(address("::1")), none);
    EXPECT_EQ(s.find(address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")), none);
    EXPECT_EQ(s.find(address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")), 4);
}

TEST(CidrSet, OfEqualRangesTheSmallerValue) {
    EXPECT_EQ(set({entry("10.0.0.0/8", 0), entry("10.0.0.0/8", 1)}).find(address("10.0.0.1")), 0);
    EXPECT_EQ(set({entry("10.0.0.0/8", 1), entry("10.0.0.0/8", 0)}).find(address("10.0.0.1")), 0);
}

TEST(CidrSet, BothNotations) {
    const CidrSet s = set({entry("192.0.2.0/24", 1), entry("::/0", 2), entry("2001:db8::/32", 3)});
    EXPECT_EQ(s.find(address("::ffff:192.0.2.7")), 1);
    EXPECT_EQ(s.find(address("::ffff:10.0.0.1")), none) << "::/0 is no IPv4 address";
    EXPECT_EQ(s.find(address("2001:db9::")), 2);
    EXPECT_EQ(s.find(address("2001:db8:ffff::")), 3);
    EXPECT_EQ(set({entry("::ffff:10.0.0.0/104", 5)}).find(address("10.9.9.9")), 5);
}

TEST(CidrSet, NoRangeAndNoAddress) {
    EXPECT_EQ(CidrSet().find(address("10.0.0.1")), none);
    const CidrSet s = set({entry("0.0.0.0/0", 1), entry("::/0", 1)});
    EXPECT_EQ(s.find(Address{}), none);
    Address local;
    local.any.un.sun_family = AF_UNIX;
    local.length = sizeof(sa_family_t);
    EXPECT_EQ(s.find(local), none);
}

// By Cidr::contains, one by one.
CidrSet::Value slowly(const std::vector<CidrSet::Entry>& entries, const Address& address) {
    int bits = -1;
    CidrSet::Value value = none;
    for (const CidrSet::Entry& each : entries) {
        if (!each.range.contains(address) || each.range.bits < bits) continue;
        value = each.range.bits == bits ? std::min(value, each.value) : each.value;
        bits = each.range.bits;
    }
    return value;
}

void cut_to_prefix(Cidr& range) {
    for (unsigned bit = range.bits; bit < 128; bit++)
        range.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80U >> (bit % 8)));
}

TEST(CidrSet, SaysWhatOneByOneSays) {
    Random random(7);
    for (int round = 0; round < 200; round++) {
        std::vector<CidrSet::Entry> entries(random.below(40));
        for (CidrSet::Entry& each : entries) {
            const bool v4 = random.below(2) == 0;
            each.range = parse_cidr(v4 ? "10.0.0.0" : "2001:db8::").value();
            // Few different bits, so that ranges meet.
            each.range.bytes[15] = static_cast<std::uint8_t>(random.below(256));
            each.range.bytes[14] = static_cast<std::uint8_t>(random.below(3));
            each.range.bits = static_cast<std::uint8_t>(128 - random.below(v4 ? 33 : 129));
            cut_to_prefix(each.range);
            each.value = static_cast<CidrSet::Value>(random.below(3));
        }
        const CidrSet s = set(entries);
        for (int n = 0; n < 300; n++) {
            Address a = address(random.below(2) == 0 ? "10.0.0.0" : "2001:db8::");
            auto* last = a.family() == AF_INET ? reinterpret_cast<std::uint8_t*>(&a.any.in.sin_addr) + 3
                                               : &a.any.in6.sin6_addr.s6_addr[15];
            *last = static_cast<std::uint8_t>(random.below(256));
            *(last - 1) = static_cast<std::uint8_t>(random.below(4));
            ASSERT_EQ(s.find(a), slowly(entries, a)) << to_string(a) << " in round " << round;
        }
    }
}

TEST(CidrSet, AHundredThousandPrefixes) {
    std::vector<CidrSet::Entry> entries;
    entries.push_back(entry("0.0.0.0/0", 9));
    Cidr one = parse_cidr("10.0.0.0").value();
    for (std::uint32_t i = 0; i < 100'000; i++) {
        const std::uint32_t at = i * 16 + 0x0a000000;
        for (int b = 0; b < 4; b++) one.bytes[12 + b] = static_cast<std::uint8_t>(at >> (24 - 8 * b));
        one.bits = 126;
        entries.push_back({one, static_cast<CidrSet::Value>(i % 2)});
    }
    const CidrSet s = set(entries);
    Address a = address("10.0.0.0");
    for (std::uint32_t i = 0; i < 100'000; i++) {
        a.any.in.sin_addr.s_addr = htonl(i * 16 + 0x0a000003);
        ASSERT_EQ(s.find(a), i % 2);
        a.any.in.sin_addr.s_addr = htonl(i * 16 + 0x0a000004);
        ASSERT_EQ(s.find(a), 9);
    }
}

}  // namespace
}  // namespace lb
