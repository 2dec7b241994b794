#include "worker/log/escape.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace lb {
namespace {

std::string as_text(std::string_view s) {
    std::string out;
    append_text_escaped(out, s);
    return out;
}
std::string as_json(std::string_view s) {
    std::string out;
    append_json_escaped(out, s);
    return out;
}

// Every byte alone and in every place of a block of 16, so that both ways of looking for it see it.
std::string framed(std::size_t before, char c, std::size_t after) {
    return std::string(before, 'a') + c + std::string(after, 'z');
}

TEST(Escape, TextEscapesAllButPrintableAscii) {
    for (int i = 0; i < 256; i++) {
        const char c = static_cast<char>(i);
        char hex[8];
        (void)std::snprintf(hex, sizeof hex, "\\x%02X", i);
        const bool stays = i >= 0x20 && i < 0x7f && c != '"' && c != '\\';
        for (std::size_t before = 0; before < 40; before++) {
            for (const std::size_t after : {0U, 1U, 15U, 16U, 17U}) {
                const std::string expected =
                    std::string(before, 'a') + (stays ? std::string(1, c) : hex) + std::string(after, 'z');
                ASSERT_EQ(as_text(framed(before, c, after)), expected) << i;
            }
        }
    }
    EXPECT_EQ(as_text(""), "");
    EXPECT_EQ(as_text("\r\n\r\n"), "\\x0D\\x0A\\x0D\\x0A");
}

TEST(Escape, JsonOfEveryByte) {
    for (int i = 0; i < 256; i++) {
        const char c = static_cast<char>(i);
        for (std::size_t before = 0; before < 40; before++) {
            for (const std::size_t after : {0U, 1U, 15U, 16U, 17U}) {
                const std::string got = as_json(framed(before, c, after));
                const auto parsed = nlohmann::json::parse('"' + got + '"', nullptr, false);
                ASSERT_TRUE(parsed.is_string()) << i << ": " << got;
                // A byte that is no UTF-8 is the character of its number.
                std::string character(1, c);
                if (i >= 0x80) {
                    character = {static_cast<char>(0xc0 | i >> 6), static_cast<char>(0x80 | (i & 0x3f))};
                }
                ASSERT_EQ(parsed.get<std::string>(),
                          std::string(before, 'a') + character + std::string(after, 'z'))
                    << i;
                for (const char each : got) ASSERT_GE(static_cast<unsigned char>(each), 0x20) << i;
            }
        }
    }
}

TEST(Escape, JsonForms) {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"", ""},
        {"a\"b\\c/d", "a\\\"b\\\\c/d"},
        {"\n\r\t\x01\x7f", "\\n\\r\\t\\u0001\\u007F"},
        {std::string_view("\0", 1), "\\u0000"},
        // valid UTF-8 stays: two, three and four bytes, the first and the last of each length
        {"\xc2\x80\xdf\xbf", "\xc2\x80\xdf\xbf"},
        {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
         "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"},
        {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        // overlong, surrogates, too large, without end, without begin
        {"\xc0\x80", "\\u00C0\\u0080"},
        {"\xe0\x9f\xbf", "\\u00E0\\u009F\\u00BF"},
        {"\xed\xa0\x80", "\\u00ED\\u00A0\\u0080"},
        {"\xf0\x8f\xbf\xbf", "\\u00F0\\u008F\\u00BF\\u00BF"},
        {"\xf4\x90\x80\x80", "\\u00F4\\u0090\\u0080\\u0080"},
        {"\xf5\x80\x80\x80", "\\u00F5\\u0080\\u0080\\u0080"},
        {"\xe2\x82", "\\u00E2\\u0082"},
        {"\xe2\x82z", "\\u00E2\\u0082z"},
        {"\xe2\xe2\x82\xac", "\\u00E2\xe2\x82\xac"},
        {"\xf0\x9f\x98", "\\u00F0\\u009F\\u0098"},
        {"\x80\xbf\xff\xfe", "\\u0080\\u00BF\\u00FF\\u00FE"},
    };
    for (const auto& [value, expected] : cases) EXPECT_EQ(as_json(value), expected);
}

TEST(Escape, AppendsToWhatIsThere) {
    std::string out = "there ";
    append_text_escaped(out, "\x01");
    append_json_escaped(out, "\x01");
    EXPECT_EQ(out, "there \\x01\\u0001");
}

TEST(Escape, CutsBetweenCharacters) {
    EXPECT_EQ(cut("abc", 3), "abc");
    EXPECT_EQ(cut("abc", 2), "ab");
    EXPECT_EQ(cut("abc", 0), "");
    EXPECT_EQ(cut("a\xe2\x82\xac", 4), "a\xe2\x82\xac");
    EXPECT_EQ(cut("a\xe2\x82\xac", 3), "a");
    EXPECT_EQ(cut("a\xe2\x82\xac", 2), "a");
    EXPECT_EQ(cut("a\xe2\x82\xacz", 4), "a\xe2\x82\xac");
    EXPECT_EQ(cut("\xf0\x9f\x98\x80", 3), "");
    EXPECT_EQ(cut("aaaa\x80\x80\x80\x80\x80\x80", 8), "aaaa\x80\x80\x80\x80") << "no UTF-8: cut anywhere";
    EXPECT_EQ(cut("\x80\x80\x80", 2), "\x80\x80");
}

}  // namespace
}  // namespace lb
