// The byte classes against their grammar, and the wide scans against the table.
#include "shared/http/chars.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "shared/base/random.h"

namespace lb::http::chars {
namespace {

TEST(Classes, TokenIsTheListOfRfc9110) {
    const std::string tchar = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (int c = 0; c < 256; c++) {
        const bool listed = c != 0 && std::strchr(tchar.c_str(), c) != nullptr;
        EXPECT_EQ(is(static_cast<char>(c), token), listed) << c;
        EXPECT_EQ(is(static_cast<char>(c), value), c == '\t' || (c >= 0x20 && c != 0x7f)) << c;
        EXPECT_EQ(is(static_cast<char>(c), target), c > 0x20 && c < 0x7f && c != '#') << c;
        EXPECT_EQ(is(static_cast<char>(c), hex),
                  c != 0 && std::strchr("0123456789abcdefABCDEF", c) != nullptr)
            << c;
    }
}

// Every byte at every place of runs of every length around the block size.
TEST(Scans, StopWhereTheTableStops) {
    for (std::size_t length = 0; length <= 50; length++) {
        for (std::size_t place = 0; place < length; place++) {
            for (int c = 0; c < 256; c++) {
                std::string bytes(length, 'a');
                bytes[place] = static_cast<char>(c);
                const char* begin = bytes.data();
                const char* end = begin + length;
                ASSERT_EQ(skip_value(begin, end), skip_by_table(begin, end, value))
                    << length << ' ' << place << ' ' << c;
                ASSERT_EQ(skip_target(begin, end), skip_by_table(begin, end, target))
                    << length << ' ' << place << ' ' << c;
            }
        }
    }
}

TEST(Scans, AgreeOnRandomBytes) {
    Random random(7);
    for (int round = 0; round < 2000; round++) {
        std::string bytes(random.below(80), '\0');
        for (char& c : bytes) c = static_cast<char>(random.below(256));
        const char* end = bytes.data() + bytes.size();
        for (const char* at = bytes.data(); at < end; at++) {
            ASSERT_EQ(skip_value(at, end), skip_by_table(at, end, value));
            ASSERT_EQ(skip_target(at, end), skip_by_table(at, end, target));
        }
    }
}

}  // namespace
}  // namespace lb::http::chars
