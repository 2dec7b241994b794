// The text functions, each with the inputs at the edges of its contract.
#include "shared/base/text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace lb::text {
namespace {

TEST(Trim, TakesBlanksAndTabsOffBothEndsOnly) {
    EXPECT_EQ(trim(" \t a b\t "), "a b");
    EXPECT_EQ(trim(" \t "), "");
    EXPECT_EQ(trim(""), "");
    EXPECT_EQ(trim("\na\n"), "\na\n");
}

TEST(Words, AreWhatStandsBetweenRunsOfBlanks) {
    EXPECT_EQ(words("  a\t\tbc d "), (std::vector<std::string_view>{"a", "bc", "d"}));
    EXPECT_TRUE(words(" \t").empty());
}

TEST(Number, TakesDigitsAndNothingElse) {
    EXPECT_EQ(number("0"), 0U);
    EXPECT_EQ(number("007"), 7U);
    EXPECT_EQ(number("18446744073709551615"), 18446744073709551615U);
    for (const char* bad :
         {"", "+1", "-1", " 1", "1 ", "1x", "0x1", "1.0", "18446744073709551616", "99999999999999999999",
          "184467440737095516160", "1000000000000000000000000000000"}) {
        EXPECT_FALSE(number(bad)) << bad;
    }
    EXPECT_FALSE(number(std::string_view("1\0", 2)));
}

TEST(EqualsLower, FoldsAsciiLettersOnly) {
    EXPECT_TRUE(equals_lower("ChUnKeD", "chunked"));
    EXPECT_FALSE(equals_lower("chunke", "chunked"));
    EXPECT_FALSE(equals_lower("@", "`"));
    EXPECT_FALSE(equals_lower("\xc0", "\xe0"));
}

TEST(Nearest, FindsTheLikelyMeaningAndNothingFarther) {
    const std::string_view keys[] = {"retries", "backend", "balance", "bind", "check"};
    EXPECT_EQ(nearest("retrys", keys), "retries");
    EXPECT_EQ(nearest("bakcend", keys), "backend");  // a swapped pair counts one
    EXPECT_EQ(nearest("bidn", keys), "bind");
    EXPECT_EQ(nearest("bnid", keys), "bind");
    EXPECT_EQ(nearest("balanse", keys), "balance");
    EXPECT_EQ(nearest("chek", keys), "check");
    EXPECT_EQ(nearest("bx", keys), "");
    EXPECT_EQ(nearest("b", keys), "");
    EXPECT_EQ(nearest("timeout", keys), "");
    EXPECT_EQ(nearest("", keys), "");
    EXPECT_EQ(nearest("bind", keys), "bind");
}

TEST(Nearest, LetsOneLetterOfTwoBeWrong) {
    const std::string_view names[] = {"s1", "db", "app", "c"};
    EXPECT_EQ(nearest("s2", names), "s1");
    EXPECT_EQ(nearest("bd", names), "db");
    EXPECT_EQ(nearest("ap", names), "app");
    EXPECT_EQ(nearest("xy", names), "");
    const std::string_view versions[] = {"off", "v1", "v2"};
    EXPECT_EQ(nearest("v3", versions), "") << "no better than a guess";
    EXPECT_EQ(nearest("x", names), "") << "of one letter nothing would be left";
}

TEST(Nearest, PrefersTheCloserCandidateWhateverTheOrder) {
    const std::string_view near_last[] = {"connect_timer", "connect_timeout"};
    EXPECT_EQ(nearest("conect_timeout", near_last), "connect_timeout");
    const std::string_view three_apart[] = {"abcdefghixyz"};
    EXPECT_EQ(nearest("abcdefghijkl", three_apart), "abcdefghixyz");
    const std::string_view four_apart[] = {"abcdefghwxyz"};
    EXPECT_EQ(nearest("abcdefghijkl", four_apart), "");
}

TEST(AppendJson, IsReadBackByAParser) {
    std::string all;
    for (int c = 0; c < 0x80; c++) all += static_cast<char>(c);
    all += "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80";
    std::string out;
    append_json(out, all);
    EXPECT_EQ(nlohmann::json::parse(out).get<std::string>(), all);
    EXPECT_EQ(out.find('\n'), std::string::npos) << "a record is one line";
}

TEST(AppendJson, ReplacesWhatIsNoUtf8) {
    const auto json = [](std::string_view s) {
        std::string out;
        append_json(out, s);
        return nlohmann::json::parse(out).get<std::string>();
    };
    const std::string r = "\xef\xbf\xbd";
    EXPECT_EQ(json("a\x80z"), "a" + r + "z");
    EXPECT_EQ(json("\xc0\xaf"), r + r) << "overlong";
    EXPECT_EQ(json("\xe0\x80\xaf"), r + r + r) << "overlong";
    EXPECT_EQ(json("\xed\xa0\x80"), r + r + r) << "surrogate";
    EXPECT_EQ(json("\xf4\x90\x80\x80"), r + r + r + r) << "above U+10FFFF";
    EXPECT_EQ(json("\xe2\x82"), r + r) << "cut short";
    EXPECT_EQ(json("\xe2\x82z"), r + r + "z");
    EXPECT_EQ(json("\xf5"), r);
}

TEST(AppendEscaped, LeavesNoControlByteAndCanBeReadBack) {
    std::string out;
    append_escaped(out, std::string_view("a\r\n\x1b[0m\x7f\\ \xc3\xa9\0", 13));
    EXPECT_EQ(out, "a\\x0d\\x0a\\x1b[0m\\x7f\\x5c \xc3\xa9\\x00");
}

}  // namespace
}  // namespace lb::text
