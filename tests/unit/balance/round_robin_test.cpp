// Round robin walks the published schedule; a retry goes on from the same place.
#include "shared/balance/round_robin.h"

#include <gtest/gtest.h>

#include <vector>

#include "support.h"

namespace lb::balance {
namespace {

using shm::Eligible;

const std::vector<Eligible> three{{10, 1, 3, 0}, {20, 1, 2, 0}, {30, 1, 1, 0}};
const std::vector<std::uint32_t> schedule{0, 1, 0, 1, 0, 2};

std::optional<std::uint32_t> pick(std::uint64_t cursor, std::vector<std::uint32_t> tried = {}) {
    return pick_round_robin(three, schedule, cursor, slots(std::move(tried)));
}

TEST(RoundRobin, AFirstAttemptTakesItsTurn) {
    for (std::uint64_t c = 0; c < 20; c++) EXPECT_EQ(pick(c), schedule[c % 6]);
    EXPECT_EQ(pick(UINT64_MAX), schedule[UINT64_MAX % 6]);
}

TEST(RoundRobin, ARetryWalksOnFromTheSamePlace) {
    EXPECT_EQ(pick(0, {10}), 1u);
    EXPECT_EQ(pick(4, {10}), 2u);
    EXPECT_EQ(pick(5, {30}), 0u);  // around the end
    EXPECT_EQ(pick(4, {10, 30}), 1u);
    EXPECT_EQ(pick(1, {20, 10}), 2u);
}

TEST(RoundRobin, NobodyLeftIsNobody) {
    EXPECT_EQ(pick(3, {30, 10, 20}), std::nullopt);
    EXPECT_EQ(pick_round_robin({}, {}, 3, nobody), std::nullopt);
}

TEST(RoundRobin, WhatWasTriedElsewhereDoesNotMatter) { EXPECT_EQ(pick(5, {77, 78, 79, 80, 81, 82}), 2u); }

// Where nearly all are full, the work is bounded by the list and not by a schedule many times as long.
TEST(RoundRobin, AfterManyTurnsOfWhatIsSkippedTheListIsWalked) {
    List list({10'000, 1, 1});
    int asked = 0;
    const auto last = [&](const Eligible& each) {
        asked++;
        return each.backend != 102;
    };
    EXPECT_EQ(pick_round_robin(list.eligible, list.schedule, 7, last), 2u);
    EXPECT_LE(asked, 67);
    EXPECT_EQ(pick_round_robin(list.eligible, list.schedule, 7, everybody), std::nullopt);
}

}  // namespace
}  // namespace lb::balance
