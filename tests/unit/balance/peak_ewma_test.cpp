// The word: up at once, down with time, whatever the clock does; what it costs with requests in flight.
#include "shared/balance/peak_ewma.h"

#include <gtest/gtest.h>

#include "support.h"

namespace lb::balance {
namespace {

constexpr Micros second = 1'000'000;
constexpr Micros start = 1000 * second;

std::uint32_t micros(std::uint64_t word) { return static_cast<std::uint32_t>(ewma::latency(word)); }

TEST(PeakEwma, TheFirstSampleIsTaken) {
    EXPECT_EQ(micros(observed(0, 5000, start)), 5000u);
    EXPECT_EQ(micros(observed(0, 0, start)), 1u);  // 0 would be: never measured
    EXPECT_EQ(micros(observed(0, Micros{1} << 40, start)), UINT32_MAX);
    EXPECT_NE(observed(0, 1, 0), 0u);
}

TEST(PeakEwma, AnAboveSampleJumps) {
    const auto word = observed(0, 5000, start);
    EXPECT_EQ(micros(observed(word, 200'000, start + 1)), 200'000u);
    EXPECT_EQ(micros(observed(word, 5000, start + 1)), 5000u);
}

// However slow it was: after half a minute of silence one request asks again, and its answer is believed.
TEST(PeakEwma, AfterSilenceOneRequestAsksAgain) {
    const auto word = observed(0, 60 * second, start);
    EXPECT_GT(cost(word, 0, start + 29 * second), 1'000'000u);
    EXPECT_EQ(cost(word, 0, start + 30 * second), 0u);
    EXPECT_GT(cost(word, 1, start + 30 * second), 1'000'000u);  // the one is under way: no second one
    EXPECT_EQ(micros(observed(word, 200, start + 30 * second)), 200u);
    EXPECT_GT(micros(observed(word, 200, start + 29 * second)), 1'000'000u);
}

TEST(PeakEwma, ABelowSamplePullsDownByTheTimeSinceTheLast) {
    const auto word = observed(0, 100'000, start);
    EXPECT_EQ(micros(observed(word, 20'000, start)), 100'000u);
    EXPECT_NEAR(micros(observed(word, 20'000, start + 10 * second)), 20'000 + 80'000 * 0.3679, 100);
    EXPECT_NEAR(micros(observed(word, 20'000, start + 100 * second)), 20'000, 10);
}

// However fast samples come: a difference of a few microseconds shrinks neither at once nor never.
TEST(PeakEwma, ManySamplesShrinkADifferenceAsFastAsFewDo) {
    for (const Micros every : {Micros{100}, Micros{1000}, 7 * Micros{1000}, second}) {
        for (const Micros peak : {1100, 3000, 50'000}) {
            auto word = observed(0, peak, start);
            const double above = static_cast<double>(peak) - 1000;
            Micros now = start;
            for (; now < start + 10 * second; now += every) word = observed(word, 1000, now);
            EXPECT_NEAR(micros(word), 1000 + above * 0.37, 60 + above / 20) << every << ' ' << peak;
            for (; now < start + 90 * second; now += every) word = observed(word, 1000, now);
            EXPECT_NEAR(micros(word), 1000, 20) << every << ' ' << peak;
        }
    }
}

TEST(PeakEwma, WithoutSamplesItDecaysToNothing) {
    const auto word = observed(0, 1'000'000, start);
    EXPECT_EQ(cost(word, 0, start), 1'000'000u);
    EXPECT_NEAR(static_cast<double>(cost(word, 0, start + 10 * second)), 367'879, 100);
    EXPECT_LT(cost(word, 0, start + 47 * second), 10'000u);
    EXPECT_EQ(cost(word, 0, start + 200 * second), 0u);
}

TEST(PeakEwma, AClockThatIsBehindIsNow) {
    const auto word = observed(0, 100'000, start);
    EXPECT_EQ(cost(word, 0, start - second), 100'000u);
    EXPECT_EQ(micros(observed(word, 50'000, start - second)), 100'000u);
    EXPECT_EQ(micros(penalized(word, 1, start - second)), 250'000u);
}

TEST(PeakEwma, TheTimeWraps) {
    constexpr Micros wrap = (Micros{1} << 32) * 1000;
    const auto word = observed(0, 100'000, wrap - second);
    EXPECT_EQ(cost(word, 0, wrap - second), 100'000u);
    EXPECT_NEAR(static_cast<double>(cost(word, 0, wrap + 9 * second)), 36'788, 20);
    EXPECT_NEAR(micros(observed(word, 1000, wrap + 9 * second)), 1000 + 99'000 * 0.3679, 50);
    // Not used for half of the range and more: still nothing.
    EXPECT_EQ(cost(word, 0, 2 * wrap / 3 + wrap), 0u);
}

TEST(PeakEwma, FailuresDoubleUpToAMinute) {
    auto word = observed(0, 5000, start);
    std::uint64_t expected = 250'000;
    for (int i = 0; i < 12; i++) {
        word = penalized(word, 100, start);
        EXPECT_EQ(micros(word), expected);
        expected = std::min<std::uint64_t>(2 * expected, 60'000'000);
    }
    EXPECT_EQ(micros(penalized(word, 90 * second, start)), 90'000'000u);  // a time-out says more
    EXPECT_EQ(micros(penalized(0, 5, start)), 250'000u);
    // What has decayed is forgotten.
    EXPECT_EQ(micros(penalized(word, 5, start + 120 * second)), 250'000u);
    // Never better than before.
    EXPECT_EQ(micros(penalized(observed(0, 600 * second, start), 5, start)), 600'000'000u);
}

TEST(PeakEwma, CostGrowsWithWhatIsInFlight) {
    const auto word = observed(0, 5000, start);
    EXPECT_EQ(cost(word, 0, start), 5000u);
    EXPECT_EQ(cost(word, 1, start), 10'000u);
    EXPECT_EQ(cost(word, 9, start), 50'000u);
    EXPECT_EQ(cost(observed(0, Micros{1} << 40, start), UINT32_MAX, start), std::uint64_t{UINT32_MAX} << 32);
}

TEST(PeakEwma, WhoWasNeverMeasuredIsTriedOnceAndNotFlooded) {
    EXPECT_EQ(cost(0, 0, start), 0u);
    EXPECT_GE(cost(0, 1, start), 1'000'000u);
    EXPECT_GT(cost(0, 2, start), cost(0, 1, start));
}

// A backend that takes requests and never answers: no samples, so its latency decays; each one makes the next less likely.
TEST(PeakEwma, WhatHangsNeverBecomesFree) {
    const auto word = observed(0, 5000, start);
    for (const Micros later : {Micros{0}, 10 * second, 60 * second, 3600 * second}) {
        EXPECT_GE(cost(word, 1, start + later), 2000u);
        for (std::uint32_t n = 1; n < 100; n++)
            EXPECT_GT(cost(word, n + 1, start + later), cost(word, n, start + later));
    }
    // Hanging for a minute at 7: not much cheaper than it was.
    EXPECT_GT(cost(word, 7, start + 60 * second), 5000u * 8 / 3);
    // A single long download hardly keeps a backend from being tried again.
    EXPECT_LT(cost(observed(0, second, start), 1, start + 120 * second), 6000u);
    // Below the least nothing decays, and nothing is lifted either.
    EXPECT_EQ(cost(observed(0, 200, start), 1, start + 3600 * second), 400u);
}

struct Pool : List {
    using List::List;
    std::vector<std::uint64_t> costs = std::vector<std::uint64_t>(eligible.size());
    Random random{5};

    template <class Skip>
    std::optional<std::uint32_t> pick(Skip skip) {
        return pick_peak_ewma(
            eligible, schedule, [this](std::uint32_t slot) { return costs[slot - 100]; }, skip, random);
    }
};

TEST(PeakEwmaPick, TheLowerCostForItsWeightWins) {
    Pool p({1, 4});
    p.costs = {1000, 3999};
    for (int i = 0; i < 100; i++) EXPECT_EQ(p.pick(nobody), 1u);
    p.costs = {1000, 4001};
    for (int i = 0; i < 100; i++) EXPECT_EQ(p.pick(nobody), 0u);
    p.costs = {UINT64_MAX, UINT64_MAX};
    for (int i = 0; i < 100; i++) EXPECT_EQ(p.pick(nobody), 1u);
}

TEST(PeakEwmaPick, EqualsHaveEqualChances) {
    for (const std::uint64_t same : {0u, 7000u}) {
        Pool p(equal(5));
        p.costs.assign(5, same);
        for (const int n : counts(p, 50'000, [&] { return p.pick(nobody); })) EXPECT_NEAR(n, 10'000, 400);
    }
}

TEST(PeakEwmaPick, WhatIsSkippedAndNone) {
    Pool p(equal(5));
    p.costs = {1, 1, 1, 1, 1'000'000};
    for (int i = 0; i < 100; i++) EXPECT_EQ(p.pick(slots({100, 101, 102, 103})), 4u);
    EXPECT_EQ(p.pick(everybody), std::nullopt);
    Pool none;
    EXPECT_EQ(none.pick(nobody), std::nullopt);
}

}  // namespace
}  // namespace lb::balance
