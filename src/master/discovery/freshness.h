// master/discovery/freshness.h -- how long an answer counts, and when to ask again. Pure: time and chance are arguments.
//
//   ask --answer--> good until its TTL, then asked again; goes on to count for `stale` while no new one comes
//    |                                   |
//    +--failure--> asked again after 1 s, 2 s, 4 s ... at most 30 s, or the longest TTL if that is less
#pragma once
#include <algorithm>
#include <cstdint>

#include "shared/base/clock.h"
#include "shared/base/random.h"
#include "shared/config/model.h"

namespace lb::discovery {

struct Clamps {
    Micros least = 0, most = 0;  // of a TTL
    Micros stale = 0;
};
inline Clamps clamps_of(const config::Resolver& settings) noexcept {
    return {to_micros(settings.ttl_min), to_micros(settings.ttl_max), to_micros(settings.stale)};
}

class Freshness {
 public:
    static constexpr Micros first_retry = 1'000'000;
    static constexpr Micros longest_retry = 30'000'000;
    static constexpr Micros least_stale = 10'000'000;  // a question that is under way must be able to end

    void answered(Micros now, std::uint32_t ttl, const Clamps& clamps, Random& random) noexcept {
        const Micros length =
            std::clamp(Micros{ttl} * 1'000'000, clamps.least, std::max(clamps.least, clamps.most));
        failures_ = 0;
        next_ = now + length + jitter(length, random);
        stale_at_ = next_ + std::max(clamps.stale, least_stale);
    }
    void failed(Micros now, const Clamps& clamps, Random& random) noexcept {
        const Micros limit = std::clamp(clamps.most, first_retry, longest_retry);
        const Micros length = std::min(first_retry << std::min(failures_, 5U), limit);
        failures_++;
        next_ = now + length + jitter(length, random);
    }
    // Asked again then, whatever was so far.
    void due(Micros when) noexcept {
        failures_ = 0;
        next_ = when;
    }
    // When to ask again.
    [[nodiscard]] Micros next() const noexcept { return next_; }
    // From when on the last good answer counts no more; 0: there was none.
    [[nodiscard]] Micros stale_at() const noexcept { return stale_at_; }
    [[nodiscard]] bool counts(Micros now) const noexcept { return now < stale_at_; }

 private:
    // Up to a tenth later, never earlier: a cache on the way would only give the old answer again.
    static Micros jitter(Micros length, Random& random) noexcept { return length / 1000 * random.below(101); }

    Micros next_ = 0;
    Micros stale_at_ = 0;
    unsigned failures_ = 0;
};

}  // namespace lb::discovery
