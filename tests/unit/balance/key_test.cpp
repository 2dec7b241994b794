// Keys are the same numbers on every node; sticky ids are HMACs and read back.
#include "shared/balance/key.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "shared/balance/sticky_id.h"

namespace lb::balance {
namespace {

Address address(std::string_view text) { return parse_address(text).value(); }

// `printf %s abc | xxhsum -H3` and `printf '' | xxhsum -H3`.
TEST(Key, IsXxh3OfTheBytes) {
    EXPECT_EQ(hash_key(std::string_view("abc")), 0x78af5f94892f3950ULL);
    EXPECT_EQ(hash_key(std::string_view("")), 0x2d06800538d394c2ULL);
    EXPECT_NE(hash_key(std::string_view("a\0b", 3)), hash_key(std::string_view("a")));
}

TEST(Key, OfAnAddressIsItsHost) {
    EXPECT_EQ(hash_key(address("192.0.2.1:80")), hash_key(address("192.0.2.1:4711")));
    EXPECT_NE(hash_key(address("192.0.2.1:80")), hash_key(address("192.0.2.2:80")));
    EXPECT_EQ(hash_key(address("192.0.2.1:80")), hash_key(address("[::ffff:192.0.2.1]:9")));
    EXPECT_EQ(hash_key(address("[2001:db8::1]:80")), hash_key(address("[2001:db8::1]:81")));
    EXPECT_NE(hash_key(address("[2001:db8::1]:80")), hash_key(address("[2001:db8::2]:80")));
    Address local;
    local.any.un.sun_family = AF_UNIX;
    local.length = sizeof(sa_family_t);
    EXPECT_EQ(hash_key(local), hash_key(Address{}));
}

TEST(Key, IdentityIsOfPoolAndName) {
    const std::set<std::uint64_t> all{identity_of("a", "bc"), identity_of("ab", "c"), identity_of("", "abc"),
                                      identity_of("abc", ""), identity_of("bc", "a"), identity_of("b", "bc")};
    EXPECT_EQ(all.size(), 6u);
    EXPECT_EQ(identity_of("a", "bc"), identity_of("a", "bc"));
}

// printf 'app\0s1' | openssl dgst -sha256 -hmac secret
TEST(StickyId, IsTheFirstHalfOfTheHmac) {
    EXPECT_EQ(sticky_id("secret", "app", "s1"), 0xc2c87e3dbb32694dULL);
    EXPECT_NE(sticky_id("secret", "app", "s1"), sticky_id("secret", "app", "s2"));
    EXPECT_NE(sticky_id("secret", "app", "s1"), sticky_id("other", "app", "s1"));
    EXPECT_NE(sticky_id("secret", "a", "ps1"), sticky_id("secret", "ap", "s1"));
    EXPECT_NE(sticky_id(std::string(3, '\0'), "app", "s1"), 0u);
    EXPECT_NE(sticky_id(std::string(500, 'k'), "app", "s1"), 0u);
}

TEST(StickyId, ReadsBackWhatItWrites) {
    for (const std::uint64_t id : {std::uint64_t{1}, std::uint64_t{0x0123456789abcdef}, UINT64_MAX}) {
        const auto text = sticky_text(id);
        EXPECT_EQ(text.size(), 16u);
        EXPECT_EQ(parse_sticky(text), id);
    }
    EXPECT_EQ(sticky_text(0xfe), "00000000000000fe");
    for (const std::string_view bad : {"", "0", "00000000000000001", "000000000000000g", "00000000000000FE",
                                       "+000000000000001", " 00000000000001", "0000000000000000"}) {
        EXPECT_EQ(parse_sticky(bad), std::nullopt) << bad;
    }
}

}  // namespace
}  // namespace lb::balance
