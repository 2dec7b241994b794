// A zone keeps its requests while it is well and lets go gradually; what it lets go follows the others' weights.
#include "shared/balance/zones.h"

#include <gtest/gtest.h>

#include <vector>

#include "shared/base/random.h"

namespace lb::balance {
namespace {

shm::PublishedGroup group(std::uint32_t zone, std::uint32_t weight, std::uint32_t keep = keep_all) {
    shm::PublishedGroup g{};
    g.zone = zone;
    g.weight = weight;
    g.keep = keep;
    g.count = weight;
    return g;
}

struct Outcome {
    std::vector<double> shares;
    double spilled = 0;
};

Outcome of(const std::vector<shm::PublishedGroup>& groups, std::uint32_t zone) {
    constexpr int requests = 65'536;
    Outcome out{std::vector<double>(groups.size())};
    Random random(9);
    for (std::uint32_t chance = 0; chance < requests; chance++) {
        const auto choice = choose_group(groups, zone, chance, random.next()).value();
        out.shares[choice.group] += 1.0 / requests;
        EXPECT_EQ(choice.spilled, zone != 0 && groups[choice.group].zone != zone && zone < 10);
        if (choice.spilled) out.spilled += 1.0 / requests;
    }
    return out;
}

TEST(Zones, AHealthyZoneKeepsAll) {
    const auto out = of({group(1, 3), group(2, 3), group(3, 6)}, 2);
    EXPECT_EQ(out.shares, (std::vector<double>{0, 1, 0}));
    EXPECT_EQ(out.spilled, 0);
}

TEST(Zones, WhatIsNotKeptFollowsTheOthersWeights) {
    const auto out = of({group(1, 3), group(2, 3, keep_all / 4), group(3, 6)}, 2);
    EXPECT_NEAR(out.shares[1], 0.25, 1e-9);
    EXPECT_NEAR(out.shares[0], 0.25, 0.01);
    EXPECT_NEAR(out.shares[2], 0.5, 0.01);
    EXPECT_NEAR(out.spilled, 0.75, 1e-9);
}

TEST(Zones, NoZoneOrAnUnknownOneGoesByWeight) {
    for (const std::uint32_t zone : {0u, 99u}) {
        const auto out = of({group(0, 1, 0), group(2, 2), group(3, 5)}, zone);
        EXPECT_NEAR(out.shares[0], 0.125, 0.01);
        EXPECT_NEAR(out.shares[1], 0.25, 0.01);
        EXPECT_NEAR(out.shares[2], 0.625, 0.01);
        EXPECT_EQ(out.spilled, 0);
    }
}

TEST(Zones, AnEmptyZoneIsNeverChosenWhileAnotherIsNot) {
    const auto out = of({group(1, 3), group(2, 0, 0), group(3, 0)}, 2);
    EXPECT_EQ(out.shares, (std::vector<double>{1, 0, 0}));
    EXPECT_EQ(out.spilled, 1);
    EXPECT_EQ(of({group(1, 3), group(2, 0), group(3, 1)}, 0).shares[1], 0);
    auto heavy = group(1, 100);  // whatever its weight says
    heavy.count = 0;
    EXPECT_EQ(of({heavy, group(2, 1), group(3, 1)}, 0).shares[0], 0);
}

TEST(Zones, ALoneZoneKeepsWhatItWouldLetGo) {
    const auto out = of({group(1, 0), group(2, 3, 100)}, 2);
    EXPECT_EQ(out.shares, (std::vector<double>{0, 1}));
    EXPECT_EQ(out.spilled, 0);
}

TEST(Zones, NobodyIsNobody) {
    EXPECT_FALSE(choose_group({}, 1, 0, 0));
    const std::vector<shm::PublishedGroup> empty{group(1, 0), group(2, 0)};
    EXPECT_FALSE(choose_group(empty, 1, 0, 0));
    EXPECT_FALSE(choose_group(empty, 0, 0, 0));
}

TEST(Zones, EveryEndOfChanceFindsAGroup) {
    const std::vector<shm::PublishedGroup> groups{group(1, 1), group(2, 1)};
    for (const std::uint64_t among : {std::uint64_t{0}, UINT64_MAX, std::uint64_t{1} << 63}) {
        EXPECT_TRUE(choose_group(groups, 0, 65'535, among));
        EXPECT_EQ(choose_group(groups, 1, 65'535, among)->group, 0u);
    }
}

TEST(Zones, KeepFallsInProportionBelowSpill) {
    EXPECT_EQ(keep_of(10, 10, 70), keep_all);
    EXPECT_EQ(keep_of(7, 10, 70), keep_all);
    EXPECT_NEAR(keep_of(5, 10, 70), keep_all * 5 / 7, 1);
    EXPECT_NEAR(keep_of(1, 10, 70), keep_all / 7, 1);
    EXPECT_EQ(keep_of(0, 10, 70), 0u);
    EXPECT_EQ(keep_of(5, 10, 100), keep_all / 2);
    EXPECT_EQ(keep_of(1, 10, 0), keep_all);
    EXPECT_EQ(keep_of(std::uint64_t{1} << 40, std::uint64_t{1} << 41, 100), keep_all / 2);
    std::uint32_t before = 0;
    for (std::uint64_t healthy = 0; healthy <= 100; healthy++) {
        const auto keep = keep_of(healthy, 100, 70);
        EXPECT_GE(keep, before);
        EXPECT_LE(keep - before, keep_all / 70 + 1);  // no step
        before = keep;
    }
    EXPECT_EQ(before, keep_all);
}

// Backends of one zone of three fail one after the other.
TEST(Zones, SpillIsGradual) {
    for (std::uint32_t healthy = 10;; healthy--) {
        const auto out = of({group(1, 10), group(2, healthy, keep_of(healthy, 10, 70)), group(3, 10)}, 2);
        EXPECT_NEAR(out.shares[1], std::min(1.0, healthy / 7.0), 0.001) << healthy;
        EXPECT_NEAR(out.shares[0], out.shares[2], 0.01) << healthy;
        if (healthy == 0) break;
    }
}

}  // namespace
}  // namespace lb::balance
