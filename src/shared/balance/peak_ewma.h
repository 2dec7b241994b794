// shared/balance/peak_ewma.h -- the better of two backends by how long they take and how much they have to do: latency x
// (in flight + 1) / weight. The latency is a moving average that jumps to a peak at once and comes down with time (Peak
// EWMA, as in Twitter's Finagle). Pure: one word per backend in shared memory, loads, time and chance in, choice out.
//
// The word: high half the time of the last sample in milliseconds of CLOCK_MONOTONIC, low half the latency in microseconds
// (at least 1). 0: never measured. Workers replace it by one compare-exchange; a lost sample does no harm.
//
//   slow             jumps to the slow sample, gets less at once
//   without samples  decays to nothing, so that it is tried again: one at 1 s among others at 10 ms after 46 s
//   fails fast       each failure doubles, so that quick errors do not look like a quick backend
//   hangs            decays more slowly the more is in flight and never to nothing, so that every request that hangs makes
//                    the next one less likely; a single long download or web socket delays it little
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>

#include "shared/balance/p2c.h"
#include "shared/base/clock.h"
#include "shared/base/random.h"
#include "shared/shm/layout.h"

namespace lb::balance {

namespace ewma {

inline constexpr double tau = 10e6;                  // microseconds in which a difference shrinks to 1/e
inline constexpr Micros silence = 30'000'000;        // microseconds after which a word says nothing any more
inline constexpr std::uint64_t most = UINT32_MAX;    // microseconds: 71 minutes
inline constexpr std::uint64_t unknown = 1'000'000;  // microseconds: was asked and never answered
inline constexpr std::uint64_t least_busy =
    1'000;  // microseconds: does not decay below while something is in flight
inline constexpr std::uint32_t patience = 8;             // times as slowly at most it decays meanwhile
inline constexpr std::uint64_t least_penalty = 250'000;  // microseconds
inline constexpr std::uint64_t most_penalty = 60'000'000;
// Processes read the clock when a turn begins and write later: a word made up to so many milliseconds later than now is new.
inline constexpr std::uint32_t behind = 60'000;

constexpr std::uint64_t latency(std::uint64_t word) noexcept { return word & most; }

// Microseconds since the word was made. The time wraps after 49.7 days: a word that old may look new, and decays from there.
constexpr Micros age(std::uint64_t word, Micros now) noexcept {
    const auto millis = static_cast<std::uint32_t>(now / 1000) - static_cast<std::uint32_t>(word >> 32);
    return millis > UINT32_MAX - behind ? 0 : Micros{millis} * 1000;
}

constexpr std::uint64_t pack(std::uint64_t latency, Micros now) noexcept {
    const auto at = static_cast<std::uint32_t>(now / 1000);
    return std::uint64_t{at} << 32 | std::clamp<std::uint64_t>(latency, 1, most);
}

// In microseconds, without what is in flight.
inline double decayed(std::uint64_t word, Micros now) noexcept {
    return static_cast<double>(latency(word)) * std::exp(-static_cast<double>(age(word, now)) / tau);
}

// Samples come faster than a difference shrinks by a microsecond. Rounded always down it would vanish too soon, rounded up
// or to the nearest it would stay for ever; so it is rounded up with the chance of its fraction, taken from the time's bits.
inline std::uint64_t rounded(double value, std::uint64_t word, Micros now) noexcept {
    const std::uint64_t chance = Random(word ^ static_cast<std::uint64_t>(now)).next() >> 32;
    return static_cast<std::uint64_t>(value + static_cast<double>(chance) / 4294967296.0);
}

}  // namespace ewma

// After an answer that took `sample`: what took longer than the average counts at once, what took less pulls it down.
inline std::uint64_t observed(std::uint64_t word, Micros sample, Micros now) noexcept {
    const auto taken = static_cast<std::uint64_t>(std::max<Micros>(sample, 1));
    const std::uint64_t before = ewma::latency(word);
    if (taken >= before || ewma::age(word, now) >= ewma::silence) return ewma::pack(taken, now);
    const double above = static_cast<double>(before - taken) *
                         std::exp(-static_cast<double>(ewma::age(word, now)) / ewma::tau);
    return ewma::pack(taken + ewma::rounded(above, word, now), now);
}

// After an attempt that failed within `elapsed` (refused, reset, timed out): twice what is left of the latency, however
// fast it failed, so that one failure is forgotten within half a minute and each further one keeps more away.
inline std::uint64_t penalized(std::uint64_t word, Micros elapsed, Micros now) noexcept {
    const auto left = static_cast<std::uint64_t>(ewma::decayed(word, now));
    const std::uint64_t twice = std::clamp(2 * left, ewma::least_penalty, ewma::most_penalty);
    return ewma::pack(std::max({twice, left, static_cast<std::uint64_t>(std::max<Micros>(elapsed, 0))}), now);
}

// Microseconds that one more request there is expected to wait for all that is in flight, itself among them; 0 for who is
// idle and was never measured, or not for `silence`: however slow it was, it is asked again then, by one request, since with
// that in flight the old latency counts until the answer comes.
inline std::uint64_t cost(std::uint64_t word, std::uint32_t in_flight, Micros now) noexcept {
    const std::uint64_t after = std::uint64_t{in_flight} + 1;
    if (in_flight == 0 && ewma::age(word, now) >= ewma::silence) return 0;
    if (in_flight == 0) return static_cast<std::uint64_t>(ewma::decayed(word, now));
    if (word == 0) return ewma::unknown * after;
    const auto latency = static_cast<double>(ewma::latency(word));
    const double tau = ewma::tau * static_cast<double>(std::min<std::uint64_t>(after, ewma::patience));
    const double left = latency * std::exp(-static_cast<double>(ewma::age(word, now)) / tau);
    const double least = std::min(latency, static_cast<double>(ewma::least_busy));
    return static_cast<std::uint64_t>(std::max(left, least) * static_cast<double>(after));
}

// cost_of(slot) is the cost() of a backend now; the lower cost / weight of two drawn by weight wins.
// Returns an index into `eligible` that is not skipped; nothing when there is none.
template <class CostOf, class Skip>
std::optional<std::uint32_t> pick_peak_ewma(std::span<const shm::Eligible> eligible,
                                            std::span<const std::uint32_t> schedule, CostOf cost_of,
                                            Skip skip, Random& random) noexcept {
    const Choices drawn = draw_two(eligible, schedule, skip, random);
    if (!drawn.other) return drawn.one;
    const shm::Eligible& one = eligible[*drawn.one];
    const shm::Eligible& other = eligible[*drawn.other];
    // Products of 96 bits; equal costs and weights are equal as doubles too.
    const double of_one = static_cast<double>(cost_of(one.backend)) * other.weight;
    const double of_other = static_cast<double>(cost_of(other.backend)) * one.weight;
    return of_other < of_one ? drawn.other : drawn.one;
}

}  // namespace lb::balance
