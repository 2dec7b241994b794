// Two different ones by chance, the less loaded for its weight wins, and one that is not skipped is always found.
#include "shared/balance/p2c.h"

#include <gtest/gtest.h>

#include <set>

#include "support.h"

namespace lb::balance {
namespace {

using shm::Eligible;

struct Pool : List {
    using List::List;
    std::vector<std::uint32_t> loads = std::vector<std::uint32_t>(eligible.size());
    Random random{7};
    std::size_t asked = 0;

    template <class Skip>
    std::optional<std::uint32_t> pick(Skip skip) {
        const auto load = [this](std::uint32_t slot) {
            asked++;
            return loads[slot - 100];
        };
        return pick_p2c(eligible, schedule, load, skip, random);
    }
};

TEST(P2c, OfTwoItTakesTheLessLoaded) {
    Pool p(equal(2));
    p.loads = {5, 4};
    for (int i = 0; i < 100; i++) EXPECT_EQ(p.pick(nobody), 1u);
    p.loads = {3, 4};
    for (int i = 0; i < 100; i++) EXPECT_EQ(p.pick(nobody), 0u);
}

TEST(P2c, TheLoadAfterTheChoiceIsWeighed) {
    Pool p({1, 10});
    p.loads = {0, 8};  // 1/1, 9/10
    for (int i = 0; i < 100; i++) EXPECT_EQ(p.pick(nobody), 1u);
    p.loads = {0, 10};  // 11/10
    for (int i = 0; i < 100; i++) EXPECT_EQ(p.pick(nobody), 0u);
}

TEST(P2c, EqualsHaveEqualChances) {
    Pool p(equal(5));
    for (const int n : counts(p, 50'000, [&] { return p.pick(nobody); })) EXPECT_NEAR(n, 10'000, 400);
}

TEST(P2c, TheWorstOfAllIsNeverTaken) {
    Pool p(equal(5));
    p.loads = {0, 0, 1, 0, 0};
    EXPECT_EQ(counts(p, 10'000, [&] { return p.pick(nobody); })[2], 0);
}

TEST(P2c, TwoLoadsAreReadHoweverLongTheList) {
    Pool p(equal(10'000));
    for (int i = 0; i < 1000; i++) p.pick(nobody);
    EXPECT_EQ(p.asked, 2000u);
}

TEST(P2c, LoadsNearTheLimitDoNotOverflow) {
    Pool p({256, 1});
    p.loads = {UINT32_MAX, UINT32_MAX - 1};
    for (int i = 0; i < 20; i++) EXPECT_EQ(p.pick(nobody), 0u);
}

// With one heavy backend among many it is drawn by weight too: seldom drawn, it would never get its half.
TEST(P2c, LoadFollowsWeights) {
    std::vector<std::uint32_t> weights(20, 1);
    weights.push_back(20);
    Pool p(weights);
    for (int i = 0; i < 4000; i++) p.loads[p.pick(nobody).value()]++;
    EXPECT_NEAR(p.loads[20], 2000, 60);
    for (int i = 0; i < 20; i++) EXPECT_NEAR(p.loads[static_cast<std::size_t>(i)], 100, 25);
}

TEST(P2c, LoadStaysEven) {
    Pool p(equal(100));
    for (int i = 0; i < 10'000; i++) p.loads[p.pick(nobody).value()]++;
    EXPECT_LE(*std::ranges::max_element(p.loads), 104u);
    EXPECT_GE(*std::ranges::min_element(p.loads), 94u);
}

TEST(P2c, WhatIsSkippedIsNeverTakenAndTheLastOneIsFound) {
    Pool p(equal(50));
    std::vector<std::uint32_t> gone;
    for (std::uint32_t i = 0; i < 50; i++) {
        if (i != 33) gone.push_back(100 + i);
    }
    for (int i = 0; i < 200; i++) EXPECT_EQ(p.pick(slots(gone)), 33u);
    gone.pop_back();  // 49 as well
    p.loads[33] = 1;
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 500; i++) seen.insert(p.pick(slots(gone)).value());
    EXPECT_EQ(seen, (std::set<std::uint32_t>{33, 49}));
    EXPECT_EQ(p.pick(everybody), std::nullopt);
}

TEST(P2c, TheOtherIsFoundBesideOneThatOutweighsAll) {
    Pool p({60'000, 1});
    p.loads = {UINT32_MAX, 0};
    for (int i = 0; i < 100; i++) EXPECT_EQ(p.pick(nobody), 1u);
}

TEST(P2c, OneAndNone) {
    Pool one(equal(1));
    EXPECT_EQ(one.pick(nobody), 0u);
    EXPECT_EQ(one.pick(everybody), std::nullopt);
    Pool none;
    EXPECT_EQ(none.pick(nobody), std::nullopt);
}

}  // namespace
}  // namespace lb::balance
