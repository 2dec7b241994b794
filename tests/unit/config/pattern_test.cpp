// tests/unit/config/pattern_test.cpp -- regular expressions: bytes, groups, bounds.
#include "shared/config/pattern.h"

#include <gtest/gtest.h>

#include <array>

namespace lb::config {
namespace {

using std::string_literals::operator""s;

Pattern pattern(std::string_view text) {
    auto compiled = Pattern::compile(text);
    if (!compiled) {
        ADD_FAILURE() << compiled.error();
        return {};
    }
    return std::move(compiled).value();
}

TEST(Patterns, AreFoundAnywhereUnlessAnchored) {
    EXPECT_TRUE(pattern("b+").matches("abbc"));
    EXPECT_FALSE(pattern("^b").matches("abbc"));
    EXPECT_TRUE(pattern("^a.*c$").matches("abbc"));
    EXPECT_FALSE(pattern("B").matches("abbc"));
    EXPECT_TRUE(pattern("(?i)B").matches("abbc"));
    EXPECT_TRUE(pattern("").matches(""));
}

TEST(Patterns, WithoutOneNothingMatches) {
    const Pattern none;
    std::array<std::string_view, 1> groups;
    EXPECT_FALSE(none.matches(""));
    EXPECT_FALSE(none.match("", groups));
    EXPECT_EQ(none.captures(), 0u);
}

TEST(Patterns, SeeBytes) {
    EXPECT_TRUE(
        pattern("^a.c$").matches("a\xff"
                                 "c"));
    EXPECT_TRUE(pattern("^..$").matches("\xc3\xa4")) << "two bytes, though one character of UTF-8";
    EXPECT_TRUE(pattern("\xc3\xa4").matches("x\xc3\xa4x"));
    EXPECT_TRUE(pattern("^a.*b$").matches("a\nb")) << "a decoded %0A must not hide the rest of a path";
    EXPECT_FALSE(pattern("^b$").matches("a\nb")) << "^ and $ are the ends of the text, not of a line";
    EXPECT_TRUE(pattern("^a.b$").matches("a\0b"s));
}

TEST(Patterns, GroupsAreViewsOfTheText) {
    const Pattern both = pattern("^/([^/]*)/(x)?(.*)$");
    EXPECT_EQ(both.captures(), 3u);
    std::array<std::string_view, 10> groups;
    groups.fill("stale");
    ASSERT_TRUE(both.match("/v1/users/7", groups));
    EXPECT_EQ(groups[0], "/v1/users/7");
    EXPECT_EQ(groups[1], "v1");
    EXPECT_EQ(groups[2], "");
    EXPECT_EQ(groups[3], "users/7");
    EXPECT_EQ(groups[4], "") << "the pattern has no fourth";
    EXPECT_FALSE(both.match("v1", groups));
    std::array<std::string_view, 2> few;
    ASSERT_TRUE(both.match("/v1/users", few));
    EXPECT_EQ(few[1], "v1");
}

TEST(Patterns, MoreThanNineGroupsAreNotHandedOut) {
    std::array<std::string_view, 12> groups;
    ASSERT_TRUE(pattern("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)").match("abcdefghijk", groups));
    EXPECT_EQ(groups[9], "i");
    EXPECT_EQ(groups[10], "");
}

TEST(Patterns, MistakesAreExplained) {
    EXPECT_EQ(Pattern::compile("a(b").error(), "missing ): a(b");
    EXPECT_EQ(Pattern::compile("[a").error(), "missing ]: [a");
    EXPECT_FALSE(Pattern::compile("a{1001}"));
    EXPECT_FALSE(Pattern::compile("(?=a)")) << "what linear time cannot do";
}

TEST(Patterns, AreBounded) {
    EXPECT_TRUE(Pattern::compile(std::string(4096, 'a')));
    EXPECT_EQ(Pattern::compile(std::string(4097, 'a')).error(), "the pattern is longer than 4096 bytes");
    const auto large = Pattern::compile("((a{100}){100}){100}");
    ASSERT_FALSE(large) << "a million states would not fit the memory of one pattern";
}

TEST(Patterns, AreEqualByTheirText) {
    EXPECT_EQ(pattern("a"), pattern("a"));
    EXPECT_FALSE(pattern("a") == pattern("b"));
    EXPECT_EQ(pattern("a+").source(), "a+");
}

}  // namespace
}  // namespace lb::config
