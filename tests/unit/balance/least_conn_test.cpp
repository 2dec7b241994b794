// The lowest (load + 1) / weight wins; equals have equal chances; large lists are sampled.
#include "shared/balance/least_conn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "support.h"

namespace lb::balance {
namespace {

using shm::Eligible;

struct Pool {
    std::vector<Eligible> list;
    std::map<std::uint32_t, std::uint32_t> loads;  // by slot
    mutable std::size_t asked = 0;
    Random random{42};

    void add(std::uint32_t weight, std::uint32_t load) {
        const auto slot = static_cast<std::uint32_t>(100 + list.size());
        list.push_back({slot, 1, weight, 0});
        loads[slot] = load;
    }
    std::optional<std::uint32_t> pick(std::vector<std::uint32_t> tried = {}) {
        return pick_least_conn(
            list,
            [this](std::uint32_t slot) {
                asked++;
                return loads.at(slot);
            },
            slots(std::move(tried)), random);
    }
    std::vector<int> counts(int picks, const std::vector<std::uint32_t>& tried = {}) {
        std::vector<int> n(list.size());
        for (int i = 0; i < picks; i++) n[pick(tried).value()]++;
        return n;
    }
};

TEST(LeastConn, TakesTheLeastLoaded) {
    Pool p;
    for (const auto load : {5u, 3u, 4u}) p.add(1, load);
    for (int i = 0; i < 20; i++) EXPECT_EQ(p.pick(), 1u);
    EXPECT_EQ(p.pick({101}), 2u);
    EXPECT_EQ(p.pick({101, 102}), 0u);
    EXPECT_EQ(p.pick({101, 102, 100}), std::nullopt);
}

TEST(LeastConn, WeighsTheLoadAfterTheChoice) {
    Pool p;
    p.add(1, 0);   // 1/1
    p.add(10, 8);  // 9/10
    EXPECT_EQ(p.pick(), 1u);
    p.loads[101] = 10;  // 11/10
    EXPECT_EQ(p.pick(), 0u);
}

TEST(LeastConn, LoadsNearTheLimitDoNotOverflow) {
    Pool p;
    p.add(256, UINT32_MAX);
    p.add(1, UINT32_MAX - 1);
    EXPECT_EQ(p.pick(), 0u);
}

TEST(LeastConn, EqualsHaveEqualChancesWhereverTheyStand) {
    Pool p;
    for (const auto load : {1u, 1u, 9u, 9u, 1u}) p.add(1, load);
    p.add(2, 3);  // 4/2: equal to 2/1
    const auto n = p.counts(40'000);
    EXPECT_EQ(n[2] + n[3], 0);
    for (const std::size_t i : {0u, 1u, 4u, 5u}) EXPECT_NEAR(n[i], 10'000, 400);
    const auto rest = p.counts(30'000, {100});
    for (const std::size_t i : {1u, 4u, 5u}) EXPECT_NEAR(rest[i], 10'000, 400);
}

TEST(LeastConn, AnEmptyListGivesNobody) {
    Pool p;
    EXPECT_EQ(p.pick(), std::nullopt);
}

TEST(LeastConn, SixteenAreScannedAndMoreAreSampled) {
    Pool p;
    for (std::uint32_t i = 0; i < 16; i++) p.add(1, 50 - i);
    EXPECT_EQ(p.pick(), 15u);
    EXPECT_EQ(p.asked, 16u);

    Pool large;
    for (std::uint32_t i = 0; i < 10'000; i++) large.add(1, i);
    std::uint64_t ranks = 0;
    constexpr int picks = 2000;
    for (int i = 0; i < picks; i++) ranks += *large.pick();
    EXPECT_EQ(large.asked, 8u * picks);
    EXPECT_NEAR(static_cast<double>(ranks) / picks, 10'000 / 9.0, 80);
}

TEST(LeastConn, SamplesThatWereTriedDoNotHideTheRest) {
    Pool p;
    for (std::uint32_t i = 0; i < 17; i++) p.add(1, 0);
    std::vector<std::uint32_t> tried;
    for (std::uint32_t i = 0; i < 16; i++) tried.push_back(100 + i);
    for (int i = 0; i < 200; i++) EXPECT_EQ(p.pick(tried), 16u);
    tried.push_back(116);
    EXPECT_EQ(p.pick(tried), std::nullopt);
}

TEST(LeastConn, LoadFollowsWeightsOverManyPicks) {
    Pool p;
    for (const auto weight : {1u, 2u, 5u}) p.add(weight, 0);
    for (int i = 0; i < 800; i++) p.loads[p.list[*p.pick()].backend]++;
    EXPECT_NEAR(p.loads[100], 100, 2);
    EXPECT_NEAR(p.loads[101], 200, 2);
    EXPECT_NEAR(p.loads[102], 500, 2);
}

}  // namespace
}  // namespace lb::balance
