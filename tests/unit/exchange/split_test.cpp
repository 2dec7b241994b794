// A weighted split is exact and even.
#include "worker/exchange/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace lb {
namespace {

std::vector<config::Share> shares(const std::vector<std::uint32_t>& weights) {
    std::vector<config::Share> out;
    for (const std::uint32_t weight : weights)
        out.push_back({static_cast<std::uint32_t>(out.size()), weight});
    return out;
}

std::string sequence(const std::vector<std::uint32_t>& weights, std::uint64_t from, std::size_t count) {
    const auto split = shares(weights);
    std::string out;
    for (std::size_t i = 0; i < count; i++) out += static_cast<char>('a' + choose_share(split, from + i));
    return out;
}

const std::vector<std::vector<std::uint32_t>> cases = {
    {1},     {1, 1},       {2, 1},        {1, 2, 3},    {3, 3, 3},       {95, 5},
    {5, 95}, {100, 10, 1}, {1, 1, 1, 97}, {0, 3, 0, 2}, {256, 255, 254},
};

TEST(Split, EveryRunOfTheSumGivesEachPoolItsWeight) {
    for (const auto& weights : cases) {
        std::size_t total = 0;
        for (const std::uint32_t weight : weights) total += weight;
        for (const std::uint64_t from : {0UL, 1UL, 7UL, total - 1, 1000003UL, 1UL << 40}) {
            const std::string run = sequence(weights, from, total);
            for (std::size_t i = 0; i < weights.size(); i++) {
                EXPECT_EQ(std::count(run.begin(), run.end(), static_cast<char>('a' + i)), weights[i])
                    << "pool " << i << " of " << weights.size() << " from " << from;
            }
        }
    }
}

// In no run does a pool get ahead or behind of its share by more than one for each pool that is decided before it.
TEST(Split, ThePoolsAreInterleaved) {
    for (const auto& weights : cases) {
        double total = 0;
        for (const std::uint32_t weight : weights) total += weight;
        const std::string all = sequence(weights, 0, static_cast<std::size_t>(2 * total));
        for (std::size_t pool = 0; pool < weights.size(); pool++) {
            const double bound =
                std::min(static_cast<double>(pool + 1), static_cast<double>(weights.size() - 1));
            double got = 0;
            double least = 0, most = 0;  // of what it is ahead, over all places
            for (std::size_t i = 0; i < all.size(); i++) {
                got += all[i] == static_cast<char>('a' + pool) ? 1 : 0;
                const double ahead = got - static_cast<double>(i + 1) * weights[pool] / total;
                least = std::min(least, ahead);
                most = std::max(most, ahead);
            }
            EXPECT_LE(most - least, std::max(bound, 1.0) + 1e-9)
                << "pool " << pool << " of " << weights.size();
        }
    }
}

TEST(Split, SmallOnesAsOneWouldWriteThemDown) {
    EXPECT_EQ(sequence({1, 1}, 0, 6), "ababab");
    EXPECT_EQ(sequence({3, 1}, 0, 8), "aaabaaab");
    EXPECT_EQ(sequence({2, 2, 2}, 0, 6), "abcabc");
}

TEST(Split, WeightsOfNothing) {
    EXPECT_EQ(sequence({0, 1}, 0, 3), "bbb");
    EXPECT_EQ(sequence({1, 0}, 0, 3), "aaa");
    EXPECT_EQ(sequence({0, 0}, 0, 3), "aaa");
}

TEST(Split, LargeWeightsAndCursorsDoNotOverflow) {
    const auto split = shares({UINT32_MAX, 1, UINT32_MAX});
    for (const std::uint64_t cursor : {UINT64_MAX, UINT64_MAX - 1, std::uint64_t{1} << 63})
        EXPECT_LT(choose_share(split, cursor), 3U);
}

}  // namespace
}  // namespace lb
