// shared/base/random.h -- chance as an argument, so that tests control it.
// Never: used for secrets. xoshiro-class quality is not needed for jitter and sampling; speed and a seed are.
#pragma once
#include <cstdint>

namespace lb {

// SplitMix64 (Steele, Lea, Flood 2014): one 64-bit state, passes BigCrush, any seed is good.
class Random {
 public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    // A number in [0, bound); bound > 0. Multiply-shift (Lemire 2019); the bias at 32 bits is below 2^-32.
    std::uint32_t below(std::uint32_t bound) noexcept {
        return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
    }

 private:
    std::uint64_t state_;
};

}  // namespace lb
