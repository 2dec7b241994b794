// The rule of ejection, with a clock moved by hand: how many, how long, and when a share is too large.
#include "master/ejection_rule.h"

#include <gtest/gtest.h>

namespace lb::ejection {
namespace {

constexpr Micros s = 1'000'000;

TEST(MayEject, LeavesTheLastOneAndKeepsToItsShare) {
    EXPECT_FALSE(may_eject({.members = 1, .usable = 1, .ejected = 0}, 100)) << "the last usable one";
    EXPECT_TRUE(may_eject({.members = 2, .usable = 2, .ejected = 0}, 10)) << "one of two, whatever the share";
    EXPECT_FALSE(may_eject({.members = 2, .usable = 1, .ejected = 1}, 100));
    EXPECT_FALSE(may_eject({.members = 4, .usable = 1, .ejected = 0}, 100)) << "the others are down";
    EXPECT_TRUE(may_eject({.members = 4, .usable = 3, .ejected = 1}, 50));
    EXPECT_FALSE(may_eject({.members = 4, .usable = 2, .ejected = 2}, 50));
    EXPECT_FALSE(may_eject({.members = 10, .usable = 9, .ejected = 1}, 19)) << "rounded down";
    EXPECT_TRUE(may_eject({.members = 10, .usable = 9, .ejected = 1}, 20));
    EXPECT_FALSE(may_eject({}, 100));
}

TEST(Record, TheTimeGrowsInARowAndNoFurtherThanTenfold) {
    Record record;
    Micros now = 100 * s;
    for (std::uint32_t i = 1; i <= 12; i++) {
        const Micros time = record.begin(30 * s, now);
        EXPECT_EQ(time, 30 * s * std::min(i, 10u)) << i;
        EXPECT_TRUE(record.ejected());
        EXPECT_FALSE(record.time_is_over(now + time - 1));
        EXPECT_TRUE(record.time_is_over(now + time));
        now += time;
        record.end(now);
        EXPECT_FALSE(record.ejected());
        now += time - 1;  // not as long in use as it was out
    }
}

TEST(Record, TheRowEndsAfterAsLongInUse) {
    Record record;
    EXPECT_EQ(record.begin(10 * s, 100 * s), 10 * s);
    record.end(110 * s);
    EXPECT_FALSE(record.stale(119 * s));
    EXPECT_EQ(record.begin(10 * s, 119 * s), 20 * s);
    record.end(139 * s);
    EXPECT_TRUE(record.stale(159 * s));
    EXPECT_EQ(record.begin(10 * s, 159 * s), 10 * s);
    // Ended early by checks: it lasted for 3 s, and so long it must do well.
    record.end(162 * s);
    EXPECT_EQ(record.begin(10 * s, 165 * s), 10 * s);
}

TEST(Record, ChecksInARowEndIt) {
    Record record;
    record.begin(10 * s, 100 * s);
    EXPECT_FALSE(record.checked(true, 2));
    EXPECT_FALSE(record.checked(false, 2));
    EXPECT_FALSE(record.checked(true, 2));
    EXPECT_TRUE(record.checked(true, 2));
    record.end(104 * s);
    record.begin(10 * s, 105 * s);
    EXPECT_FALSE(record.checked(true, 2)) << "they count anew each time";
}

TEST(Window, CountsWhatCameWithinIt) {
    Window window;
    const auto add = [&](std::uint64_t requests, std::uint64_t failures, Micros now) {
        const auto counts = window.add({requests, failures}, 10 * s, now);
        return std::pair(counts.requests, counts.failures);
    };
    using Counts = std::pair<std::uint64_t, std::uint64_t>;
    EXPECT_EQ(add(1'000, 900, 100 * s), Counts(0, 0)) << "what was before nobody knows";
    EXPECT_EQ(add(1'010, 901, 101 * s), Counts(10, 1));
    EXPECT_EQ(add(1'100, 950, 110 * s), Counts(100, 50));
    EXPECT_EQ(add(1'100, 950, 111 * s), Counts(90, 49)) << "the first sample is older than the window";
    EXPECT_EQ(add(1'101, 953, 121 * s), Counts(1, 1)) << "no more failures than requests";
    window.clear();
    EXPECT_EQ(add(1'200, 960, 122 * s), Counts(0, 0));
}

TEST(Window, HoldsFewSamplesHoweverLongItIs) {
    Window window;
    for (std::uint64_t i = 0; i <= 36'000; i++) {
        const auto counts = window.add({i, i / 2}, 3'600 * s, static_cast<Micros>(i) * s / 10);
        if (i < 36'000) {
            EXPECT_EQ(counts.requests, i);
        }
    }
    EXPECT_LE(window.samples(), Window::most_samples + 2);
}

TEST(FailsTooOften, NeedsEnoughRequests) {
    config::Eject rule;
    rule.ratio = 50;
    rule.requests = 20;
    EXPECT_FALSE(fails_too_often({19, 19}, rule));
    EXPECT_TRUE(fails_too_often({20, 10}, rule));
    EXPECT_FALSE(fails_too_often({21, 10}, rule));
    rule.requests = 0;
    EXPECT_FALSE(fails_too_often({0, 0}, rule)) << "nothing is no share of nothing";
    rule.ratio = 0;
    EXPECT_FALSE(fails_too_often({100, 100}, rule));
}

}  // namespace
}  // namespace lb::ejection
