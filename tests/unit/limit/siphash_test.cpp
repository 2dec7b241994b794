// The vectors of the paper and of its reference implementation: key 00..0f, texts 00, 00 01, ...
#include "shared/limit/siphash.h"

#include <gtest/gtest.h>

#include <string>

namespace lb::limit {
namespace {

constexpr SipKey paper{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};

std::string counting(std::size_t length) {
    std::string text;
    for (std::size_t i = 0; i < length; i++) text += static_cast<char>(i);
    return text;
}

TEST(Siphash, AppendixA) { EXPECT_EQ(siphash(paper, counting(15)), 0xa129ca6149be45e5ULL); }

TEST(Siphash, ReferenceVectors) {
    // vectors.h of the reference, read as little endian: lengths 0 to 8.
    constexpr std::uint64_t wanted[] = {0x726fdb47dd0e0e31ULL, 0x74f839c593dc67fdULL, 0x0d6c8009d9a94f5aULL,
                                        0x85676696d7fb7e2dULL, 0xcf2794e0277187b7ULL, 0x18765564cd99a68dULL,
                                        0xcbc9466e58fee3ceULL, 0xab0200f58b01d137ULL, 0x93f5f5799a932462ULL};
    for (std::size_t i = 0; i < std::size(wanted); i++)
        EXPECT_EQ(siphash(paper, counting(i)), wanted[i]) << i;
}

TEST(Siphash, LengthAndKeyCount) {
    EXPECT_NE(siphash(paper, std::string(1, '\0')), siphash(paper, std::string(2, '\0')));
    EXPECT_NE(siphash(paper, "x"), siphash({paper.low + 1, paper.high}, "x"));
    EXPECT_NE(siphash(paper, "x"), siphash({paper.low, paper.high + 1}, "x"));
}

}  // namespace
}  // namespace lb::limit
