// Chance by weight, also among what is left when some are skipped.
#include "shared/balance/random_pick.h"

#include <gtest/gtest.h>

#include "support.h"

namespace lb::balance {
namespace {

TEST(RandomPick, SharesFollowWeights) {
    const List list({1, 2, 5});
    Random random(3);
    const auto n =
        counts(list, 80'000, [&] { return pick_random(list.eligible, list.schedule, nobody, random); });
    EXPECT_NEAR(n[0], 10'000, 400);
    EXPECT_NEAR(n[1], 20'000, 500);
    EXPECT_NEAR(n[2], 50'000, 600);
}

TEST(RandomPick, TheOthersKeepTheirSharesOfEachOther) {
    const List list({1, 2, 5, 1});
    Random random(3);
    const auto n =
        counts(list, 40'000, [&] { return pick_random(list.eligible, list.schedule, slots({102}), random); });
    EXPECT_EQ(n[2], 0);
    EXPECT_NEAR(n[0], 10'000, 400);
    EXPECT_NEAR(n[1], 20'000, 500);
    EXPECT_NEAR(n[3], 10'000, 400);
}

TEST(RandomPick, TheLastOneIsFound) {
    const List list({1000, 1, 1000});
    Random random(3);
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(pick_random(list.eligible, list.schedule, slots({100, 102}), random), 1u);
    }
    EXPECT_EQ(pick_random(list.eligible, list.schedule, everybody, random), std::nullopt);
    EXPECT_EQ(pick_random({}, {}, nobody, random), std::nullopt);
}

}  // namespace
}  // namespace lb::balance
