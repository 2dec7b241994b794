// Round robin walks the published schedule; a retry goes on from the same place.
#include "shared/balance/round_robin.h"

#include <gtest/gtest.h>

#include <vector>

namespace lb::balance {
namespace {

using shm::Eligible;

const std::vector<Eligible> three{{10, 1, 3, 0}, {20, 1, 2, 0}, {30, 1, 1, 0}};
const std::vector<std::uint32_t> schedule{0, 1, 0, 1, 0, 2};

std::optional<std::uint32_t> pick(std::uint64_t cursor, std::vector<std::uint32_t> tried = {}) {
    return pick_round_robin(three, schedule, cursor, tried);
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
    EXPECT_EQ(pick_round_robin({}, {}, 3, {}), std::nullopt);
}

TEST(RoundRobin, WhatWasTriedElsewhereDoesNotMatter) { EXPECT_EQ(pick(5, {77, 78, 79, 80, 81, 82}), 2u); }

}  // namespace
}  // namespace lb::balance
