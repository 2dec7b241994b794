// The schedule: exact shares in one cycle, spread out, bounded.
#include "master/table/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "shared/base/random.h"

namespace lb::table {
namespace {

using Weights = std::vector<std::uint32_t>;

std::string letters(const Weights& weights) {
    std::string s;
    for (const auto i : make_schedule(weights)) s.push_back(static_cast<char>('A' + i));
    return s;
}

Weights counts(const std::vector<std::uint32_t>& schedule, std::size_t n) {
    Weights c(n);
    for (const auto i : schedule) c[i]++;
    return c;
}

TEST(Schedule, SpreadsTurnsOut) {
    EXPECT_EQ(letters({3, 2, 1}), "ABABAC");
    EXPECT_EQ(letters({1, 1, 1}), "ABC");
    EXPECT_EQ(letters({7}), "A");
    EXPECT_EQ(letters({}), "");
    EXPECT_EQ(letters({2, 1}), "AAB");
    EXPECT_EQ(letters({5, 1, 1}), "AAABAAC");
    EXPECT_EQ(letters({1, 5, 1}), "BBBABBC");
}

TEST(Schedule, DividesByTheCommonDivisor) {
    EXPECT_EQ(letters({200, 100}), "AAB");
    EXPECT_EQ(letters({256, 256, 256}), "ABC");
    EXPECT_EQ(schedule_length(Weights{30, 20, 10}), 6u);
}

// After any number of entries, around the end of the cycle too, nobody is a turn or more off.
TEST(Schedule, IsExactAndNeverATurnAheadOrBehind) {
    Random random(7);
    for (int round = 0; round < 300; round++) {
        Weights weights(1 + random.below(round < 200 ? 8 : 40));
        for (auto& w : weights) w = 1 + random.below(round % 3 == 0 ? 256 : 9);
        const auto schedule = make_schedule(weights);
        const auto shares = schedule_shares(weights);
        const auto divisor = std::accumulate(weights.begin(), weights.end(), 0u,
                                             [](auto a, auto b) { return std::gcd(a, b); });
        ASSERT_EQ(schedule.size(), schedule_length(weights));
        ASSERT_EQ(counts(schedule, weights.size()), shares);
        for (std::size_t i = 0; i < weights.size(); i++) ASSERT_EQ(shares[i] * divisor, weights[i]);

        std::vector<std::int64_t> taken(weights.size());
        const auto length = static_cast<std::int64_t>(schedule.size());
        for (std::int64_t t = 0; t < length; t++) {
            taken[schedule[static_cast<std::size_t>(t)]]++;
            for (std::size_t i = 0; i < weights.size(); i++) {
                ASSERT_LT(std::abs(taken[i] * length - (t + 1) * shares[i]), length)
                    << "at " << t << " of " << length;
            }
        }
    }
}

TEST(Schedule, IsBoundedAndKeepsEverybody) {
    Weights weights;
    Random random(3);
    for (int i = 0; i < 2000; i++) weights.push_back(1 + random.below(256));
    weights[0] = 1;
    weights[1] = 251;  // and so no common divisor
    const auto total = std::accumulate(weights.begin(), weights.end(), 0.0);
    ASSERT_GT(total, 65536);
    EXPECT_EQ(schedule_length(weights), 65536u);
    const auto schedule = make_schedule(weights);
    EXPECT_EQ(schedule.size(), 65536u);
    const auto got = counts(schedule, weights.size());
    for (std::size_t i = 0; i < weights.size(); i++) {
        ASSERT_GE(got[i], 1u);
        ASSERT_NEAR(got[i], std::max(1.0, weights[i] * 65536 / total), 1.5) << i;
    }
    // The order is still by weight.
    for (std::size_t i = 1; i < weights.size(); i++) {
        if (weights[i] > weights[i - 1]) {
            ASSERT_GE(got[i] + 1, got[i - 1]);
        }
    }
}

TEST(Schedule, LargestRemainderDecidesWhoGetsTheRest) {
    EXPECT_EQ(schedule_shares(Weights{1, 1, 1000}, 10), (Weights{1, 1, 8}));
    EXPECT_EQ(schedule_shares(Weights{5, 3, 2}, 10), (Weights{5, 3, 2}));
    EXPECT_EQ(schedule_shares(Weights{55, 26, 19}, 10), (Weights{5, 3, 2}));  // 5.5 2.6 1.9
    EXPECT_EQ(schedule_shares(Weights{55, 55, 55, 7}, 4), (Weights{1, 1, 1, 1}));
    EXPECT_EQ(make_schedule(Weights{1, 1, 1000}, 10).size(), 10u);
}

TEST(Schedule, AsManyBackendsAsEntriesGetOneEach) {
    const Weights weights = [] {
        Weights w(65536, 2);
        w[5] = 255;
        return w;
    }();
    const auto schedule = make_schedule(weights);
    ASSERT_EQ(schedule.size(), 65536u);
    EXPECT_EQ(counts(schedule, weights.size()), Weights(65536, 1));
}

}  // namespace
}  // namespace lb::table
