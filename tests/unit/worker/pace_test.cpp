// A client is judged by what it moved while lb waited for it, stretch by stretch, and by its silence.
#include "worker/client/pace.h"

#include <gtest/gtest.h>

namespace lb {
namespace {

constexpr Micros second = 1'000'000;
constexpr Micros start = 1000 * second;
constexpr Pace::Limits limits{30 * second, 250};  // 7500 bytes in a stretch
constexpr Pace::Limits any{30 * second, Pace::no_rate};

Pace waiting() {
    Pace pace;
    pace.begin();
    pace.waits(start);
    return pace;
}

TEST(Pace, ADripIsTooSlowAtTheEndOfTheFirstStretch) {
    Pace pace = waiting();
    for (Micros t = second; t < 30 * second; t += second) {
        pace.moved(100, start + t);
        ASSERT_FALSE(pace.too_slow(limits, start + t)) << t;
    }
    EXPECT_EQ(pace.due(limits), start + 30 * second);
    EXPECT_FALSE(pace.too_slow(limits, start + 30 * second - 1));
    EXPECT_TRUE(pace.too_slow(limits, start + 30 * second));
}

TEST(Pace, WhoMovesItsShareGoesOnFromStretchToStretch) {
    Pace pace = waiting();
    for (int stretch = 0; stretch < 5; stretch++) {
        for (int i = 1; i <= 30; i++) {
            const Micros now = start + (stretch * 30 + i) * second;
            pace.moved(250, now);
            ASSERT_FALSE(pace.too_slow(limits, now)) << stretch << " " << i;
        }
    }
}

TEST(Pace, OneByteLessThanTheShareIsTooSlow) {
    for (const std::uint64_t bytes : {7499u, 7500u}) {
        Pace pace = waiting();
        pace.moved(bytes, start + second);
        EXPECT_EQ(pace.too_slow(limits, start + 30 * second), bytes == 7499);
    }
}

TEST(Pace, WhatWasMovedInOneStretchDoesNotHelpTheNext) {
    Pace pace = waiting();
    pace.moved(1'000'000, start + 29 * second);
    EXPECT_FALSE(pace.too_slow(limits, start + 30 * second));
    pace.moved(100, start + 50 * second);
    EXPECT_EQ(pace.due(limits), start + 60 * second);
    EXPECT_TRUE(pace.too_slow(limits, start + 60 * second));
}

TEST(Pace, SilenceEndsItWhereverInAStretch) {
    Pace pace = waiting();
    pace.moved(1'000'000, start + 10 * second);
    EXPECT_EQ(pace.due(limits), start + 30 * second);
    EXPECT_FALSE(pace.too_slow(limits, start + 30 * second));
    EXPECT_EQ(pace.due(limits), start + 40 * second);  // its last byte is older than the stretch
    EXPECT_FALSE(pace.too_slow(limits, start + 40 * second - 1));
    EXPECT_TRUE(pace.too_slow(limits, start + 40 * second));
}

TEST(Pace, TimeInWhichLbDoesNotWaitNeverCounts) {
    Pace pace = waiting();
    Micros now = start;
    for (int i = 0; i < 29; i++) {
        pace.waits(now);
        now += second;
        pace.moved(1, now);
        ASSERT_FALSE(pace.too_slow(limits, now));
        pace.rests(now);
        pace.rests(now + second);  // again is the same
        now += 3600 * second;
    }
    pace.waits(now);
    EXPECT_EQ(pace.due(limits), now + second);
    EXPECT_FALSE(pace.too_slow(limits, now + second - 1));
    EXPECT_TRUE(pace.too_slow(limits, now + second));
}

TEST(Pace, SilenceBeginsWithTheWait) {
    Pace pace = waiting();
    pace.rests(start + second);
    pace.waits(start + 100 * second);
    EXPECT_EQ(pace.due(any), start + 130 * second);
    pace.waits(start + 120 * second);  // again is the same
    EXPECT_EQ(pace.due(any), start + 130 * second);
    EXPECT_FALSE(pace.too_slow(any, start + 130 * second - 1));
    EXPECT_TRUE(pace.too_slow(any, start + 130 * second));
}

TEST(Pace, WithoutARateAnyByteAndAnyFramingIsEnough) {
    Pace pace = waiting();
    for (int i = 1; i < 1000; i++) {
        const Micros now = start + i * 29 * second;
        ASSERT_FALSE(pace.too_slow(any, now));
        pace.moved(i % 2 == 0 ? 1 : 0, now);
        ASSERT_EQ(pace.due(any), now + 30 * second);
    }
}

TEST(Pace, FramingEndsSilenceButIsNoProgress) {
    Pace pace = waiting();
    for (Micros t = second; t < 30 * second; t += second) pace.moved(0, start + t);
    EXPECT_TRUE(pace.too_slow(limits, start + 30 * second));
}

TEST(Pace, AJudgementThatComesLateAsksForNoMore) {
    Pace pace = waiting();
    pace.moved(7500, start + 300 * second);
    EXPECT_FALSE(pace.too_slow(limits, start + 300 * second));
}

TEST(Pace, WhomNobodyWaitsForIsNeverTooSlow) {
    Pace pace;
    EXPECT_FALSE(pace.too_slow(limits, start));
    pace = waiting();
    pace.rests(start + second);
    EXPECT_FALSE(pace.too_slow(limits, start + 1000 * second));
}

TEST(Pace, BeginForgets) {
    Pace pace = waiting();
    pace.rests(start + 29 * second);
    pace.begin();
    pace.waits(start + 100 * second);
    pace.moved(1, start + 110 * second);
    EXPECT_EQ(pace.due(limits), start + 130 * second);
}

TEST(Pace, TheLargestSettingsDoNotOverflow) {
    const Pace::Limits largest{24 * 3600 * second, std::uint64_t{1} << 30};
    Pace pace = waiting();
    pace.moved(std::uint64_t{1} << 46, start + second);
    const Micros end = start + largest.stretch;
    pace.moved(0, end - 1);
    EXPECT_TRUE(pace.too_slow(largest, end));
    pace = waiting();
    pace.moved(std::uint64_t{1} << 47, end - 1);
    EXPECT_FALSE(pace.too_slow(largest, end));
}

}  // namespace
}  // namespace lb
