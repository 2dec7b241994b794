// shared/metrics/histogram.h -- fixed latency buckets, in words of shared memory: one per bucket, then the sum.
// Bucket i counts what is at most bounds[i]; the last one counts the rest. Counts are not cumulative here; the
// exposition adds them up.
#pragma once
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace lb::metrics {

inline constexpr std::uint32_t bucket_bounds_us[] = {
    500,     1'000,   2'500,     5'000,     10'000,    25'000,     50'000,     100'000,
    250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};
inline constexpr std::size_t bucket_count = std::size(bucket_bounds_us) + 1;
inline constexpr std::size_t histogram_words = bucket_count + 1;

constexpr std::size_t bucket_of(std::int64_t micros) noexcept {
    std::size_t i = 0;
    while (i < std::size(bucket_bounds_us) && micros > bucket_bounds_us[i]) i++;
    return i;
}

}  // namespace lb::metrics
