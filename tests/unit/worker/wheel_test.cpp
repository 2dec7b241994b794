// The wheel promises: never early, at most a tick late, and moving a deadline costs nothing.
#include "worker/io/wheel.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "shared/base/random.h"

namespace lb::io {
namespace {

struct Entry final : WheelEntry {
    void on_deadline() override {
        fired++;
        if (again != 0) deadline = again;
    }
    int fired = 0;
    Micros again = 0;
};

constexpr Micros ms = 1000;
constexpr Micros second = 1000 * ms;

void run(Wheel& wheel, Micros& now, Micros until) {
    for (; now < until; now += Wheel::tick) wheel.advance(now);
}

TEST(Wheel, FiresNeverEarlyAndAtMostATickLate) {
    Wheel wheel;
    Micros now = 1000 * second;
    Entry entry;
    entry.deadline = now + 730 * ms;
    wheel.add(entry, 500 * ms, now);
    while (entry.fired == 0) {
        now += 10 * ms;
        wheel.advance(now);
        ASSERT_LT(now, 1002 * second);
    }
    EXPECT_GE(now, 1000 * second + 730 * ms);
    EXPECT_LE(now, 1000 * second + 730 * ms + Wheel::tick + 10 * ms);
    EXPECT_EQ(entry.deadline, 0);
}

TEST(Wheel, ADeadlineNearerThanTheHorizonFiresInTimeWhenItIsSet) {
    Wheel wheel;
    Micros now = 1000 * second;
    Entry entry;
    wheel.add(entry, 10 * second, now);
    run(wheel, now, 1003 * second);
    const Micros due = now + 300 * ms;
    wheel.set(entry, due, now);
    while (entry.fired == 0) {
        now += 10 * ms;
        wheel.advance(now);
        ASSERT_LT(now, 1005 * second);
    }
    EXPECT_GE(now, due);
    EXPECT_LE(now, due + Wheel::tick + 10 * ms);
    wheel.set(entry, now + 200 * ms, now);
    wheel.set(entry, 0, now);
    run(wheel, now, now + 20 * second);
    EXPECT_EQ(entry.fired, 1);
    Wheel::remove(entry);
    wheel.set(entry, now + 200 * ms, now);  // nobody looks at it, and nobody begins to
    run(wheel, now, now + 20 * second);
    EXPECT_EQ(entry.fired, 1);
}

TEST(Wheel, ADeadlineMovesByAPlainStore) {
    Wheel wheel;
    Micros now = second;
    Entry entry;
    entry.deadline = now + 60 * second;
    wheel.add(entry, second, now);
    run(wheel, now, 5 * second);
    entry.deadline = now + 2 * second;  // nearer than before
    run(wheel, now, 6 * second);
    EXPECT_EQ(entry.fired, 0);
    entry.deadline = now + 4 * second;  // and further away again
    run(wheel, now, now + 3 * second);
    EXPECT_EQ(entry.fired, 0);
    run(wheel, now, now + 2 * second);
    EXPECT_EQ(entry.fired, 1);
}

TEST(Wheel, ARemovedOrDestroyedEntryIsNotCalled) {
    Wheel wheel;
    Micros now = second;
    auto gone = std::make_unique<Entry>();
    Entry removed;
    gone->deadline = removed.deadline = now + second;
    wheel.add(*gone, second, now);
    wheel.add(removed, second, now);
    gone.reset();
    Wheel::remove(removed);
    run(wheel, now, 10 * second);
    EXPECT_EQ(removed.fired, 0);
}

TEST(Wheel, AnEntryMayGiveItselfAnotherDeadline) {
    Wheel wheel;
    Micros now = second;
    Entry entry;
    entry.deadline = now + second;
    entry.again = now + 3 * second;
    wheel.add(entry, second, now);
    run(wheel, now, 3 * second);
    EXPECT_EQ(entry.fired, 1);
    entry.again = 0;
    run(wheel, now, 6 * second);
    EXPECT_EQ(entry.fired, 2);
}

TEST(Wheel, AfterALongPauseEverythingDueFiresOnce) {
    Wheel wheel;
    Micros now = second;
    std::vector<Entry> entries(1000);
    for (std::size_t i = 0; i < entries.size(); i++) {
        entries[i].deadline = now + static_cast<Micros>(i) * 50 * ms + second;
        wheel.add(entries[i], second, now);
    }
    wheel.advance(now);
    now += 3600 * second;  // longer than the whole wheel
    wheel.advance(now);
    wheel.advance(now + Wheel::tick);
    wheel.advance(now + 11 * Wheel::tick);
    for (const Entry& entry : entries) EXPECT_EQ(entry.fired, 1);
}

TEST(Wheel, RandomDeadlinesKeepThePromise) {
    Wheel wheel;
    Random random(7);
    Micros now = 5 * second;
    constexpr Micros horizon = 300 * ms;
    struct Checked final : WheelEntry {
        void on_deadline() override { fired = true; }
        bool fired = false;
        Micros due = 0;
    };
    std::vector<Checked> entries(500);
    for (auto& e : entries) {
        e.due = e.deadline = now + horizon + random.below(60'000) * ms;
        wheel.add(e, horizon, now);
    }
    for (int step = 0; step < 1200; step++) {
        now += Wheel::tick;
        wheel.advance(now);
        for (auto& e : entries) {
            if (e.fired) {
                ASSERT_LE(e.due, now);
                e.fired = false;
            } else {
                ASSERT_GT(e.due + 2 * Wheel::tick, now) << "late";
                if (random.below(50) != 0) continue;
            }
            e.due = e.deadline = now + horizon + random.below(10'000) * ms;
        }
    }
}

}  // namespace
}  // namespace lb::io
