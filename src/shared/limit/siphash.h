// shared/limit/siphash.h -- SipHash-2-4: a hash with a secret key, for texts that a stranger chooses. Pure.
// Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF" (2012); appendix A has the vector of the tests.
// Without the key nobody can find two texts of the same hash, nor many that fall into one set of a table.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace lb::limit {

struct SipKey {
    std::uint64_t low = 0, high = 0;  // k0 and k1 of the paper
};

inline std::uint64_t siphash(const SipKey& key, std::string_view text) noexcept {
    static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");
    std::uint64_t v0 = key.low ^ 0x736f6d6570736575ULL;
    std::uint64_t v1 = key.high ^ 0x646f72616e646f6dULL;
    std::uint64_t v2 = key.low ^ 0x6c7967656e657261ULL;
    std::uint64_t v3 = key.high ^ 0x7465646279746573ULL;
    const auto round = [&]() noexcept {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    };
    const auto compress = [&](std::uint64_t word) noexcept {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    };
    const std::size_t whole = text.size() / 8 * 8;
    for (std::size_t at = 0; at < whole; at += 8) {
        std::uint64_t word;
        std::memcpy(&word, text.data() + at, sizeof word);
        compress(word);
    }
    // The last word: what is left of the text, and its length modulo 256 in the highest byte.
    std::uint64_t last = std::uint64_t{text.size()} << 56;
    for (std::size_t i = whole; i < text.size(); i++) {
        last |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * (i - whole));
    }
    compress(last);
    v2 ^= 0xff;
    for (int i = 0; i < 4; i++) round();
    return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace lb::limit
