// Backends that come back get their weight in steps, by a clock moved by hand.
#include "master/table/slow_start.h"

#include <gtest/gtest.h>

#include "support.h"

namespace lb::test {
namespace {

using shm::Operator;

TEST(SlowStart, GoesFromATwentiethToAllInTwentyStepsAtMost) {
    constexpr Micros second = 1'000'000;
    EXPECT_EQ(table::slow_start_part(5, 5, 10 * second), 50u);
    EXPECT_EQ(table::slow_start_part(5, 5 + 5 * second, 10 * second), 525u);
    EXPECT_EQ(table::slow_start_part(5, 4 + 10 * second, 10 * second), 952u);
    EXPECT_EQ(table::slow_start_part(5, 5 + 10 * second, 10 * second), 1000u);
    EXPECT_EQ(table::slow_start_part(5, 0, 10 * second), 50u);  // no clock goes back, but no harm
    EXPECT_EQ(table::slow_start_step(10 * second), 500'000);
    EXPECT_EQ(table::slow_start_step(second), 100'000);
    EXPECT_EQ(table::slow_start_part(0, 99'999, 150'000), 50u);
    EXPECT_EQ(table::slow_start_part(0, 100'000, 150'000), 1000u);
}

struct SlowPool : ::testing::Test {
    static config::Config settings(const std::vector<BackendSpec>& list, int seconds = 10) {
        auto p = pool("app", list);
        p.slow_start = config::Millis(seconds * 1000);
        return config({p});
    }
    Table t;
    std::shared_ptr<const config::Config> c = t.start(settings({{"a"}, {"b"}}), 1);
    std::uint32_t app = c->pools[0].slot;
    [[nodiscard]] std::uint32_t slot(std::size_t i) const { return c->pools[0].backends[i].slot; }
    void health(std::size_t i, Health h) {
        t.writer->set_health(slot(i), h, "");
        t.writer->flush();
    }
};

TEST_F(SlowPool, ABackendThatWasDownGetsItsWeightInSteps) {
    t.tick();
    EXPECT_EQ(t.weights(app), "1 1");
    health(1, Health::down);
    health(1, Health::up);
    EXPECT_EQ(t.weights(app), "100 5");
    EXPECT_EQ(t.segment.backend(slot(1)).weight.load(), 1u);
    std::vector<std::string> seen{t.weights(app)};
    std::vector<std::uint64_t> blocks{t.segment.pool(app).published.load()};
    for (int i = 0; i < 150; i++) {
        t.tick();
        if (seen.back() != t.weights(app)) seen.push_back(t.weights(app));
        if (i == 99) {
            EXPECT_EQ(seen.back(), "1 1");
        }
        if (i == 98) {
            EXPECT_EQ(seen.back(), "100 95");
        }
    }
    ASSERT_EQ(seen.size(), 21u);
    EXPECT_EQ(seen[1], "100 9");
    EXPECT_EQ(seen[10], "100 52");
    EXPECT_EQ(seen[20], "1 1");
    // When it is over nothing is published any more.
    t.settle();
    const auto epoch = t.segment.header().epoch.load();
    const auto block = t.segment.pool(app).published.load();
    t.tick(50);
    EXPECT_EQ(t.segment.header().epoch.load(), epoch);
    EXPECT_EQ(t.segment.pool(app).published.load(), block);
}

TEST_F(SlowPool, TheFirstVerdictsOfAStartAreFollowedByAllOfIt) {
    auto checked = settings({{"a"}, {"b"}});
    checked.pools[0].name = "checked";
    checked.pools[0].check.start_up = false;
    const auto two = t.start(checked, 2);
    const auto pool = two->pools[0].slot;
    for (const auto& b : two->pools[0].backends) {
        t.tick(7);
        t.writer->set_health(b.slot, Health::up, "");
        t.writer->flush();
    }
    EXPECT_EQ(t.weights(pool), "1 1");
    // A reload does not make anybody cold.
    t.start(checked, 3);
    EXPECT_EQ(t.weights(pool), "1 1");
}

TEST_F(SlowPool, EjectionsMaintenanceAndNewMembersStartSlowlyToo) {
    t.tick();
    t.writer->set_ejected(slot(0), 1'900'000'000);
    t.writer->flush();
    t.writer->set_ejected(slot(0), 0);
    t.writer->flush();
    EXPECT_EQ(t.weights(app), "5 100");
    t.tick(101);
    EXPECT_EQ(t.weights(app), "1 1");
    t.writer->set_operator(slot(1), Operator::drain, 0);
    t.tick();
    EXPECT_EQ(t.weights(app), "1");
    t.writer->set_operator(slot(1), Operator::ready, 0);
    t.tick();
    EXPECT_EQ(t.weights(app), "100 5");
    t.tick(101);
    // Another weight is no new start.
    t.writer->set_operator(slot(1), Operator::ready, 3);
    t.tick();
    EXPECT_EQ(t.weights(app), "1 3");
    t.start(settings({{"a"}, {"b"}, {"c"}}), 2);
    EXPECT_EQ(t.weights(app), "100 300 5");
    t.tick(101);
    EXPECT_EQ(t.weights(app), "1 3 1");
    // A reload that fails brings the members of before back, and they were serving all the time.
    t.writer->retire(2);
    EXPECT_EQ(t.weights(app), "1 3");
}

TEST_F(SlowPool, GoesOnOverReloadsAndEndsWhenItIsTurnedOff) {
    t.tick();
    health(1, Health::down);
    health(1, Health::up);
    t.tick(50);
    EXPECT_EQ(t.weights(app), "100 52");
    t.start(settings({{"a"}, {"b"}}), 2);
    EXPECT_EQ(t.weights(app), "100 52");
    t.start(settings({{"a"}, {"b"}}, 0), 3);
    EXPECT_EQ(t.weights(app), "1 1");
    health(1, Health::down);
    health(1, Health::up);
    EXPECT_EQ(t.weights(app), "1 1");
    t.start(settings({{"a"}, {"b"}}), 4);
    EXPECT_EQ(t.weights(app), "1 1");
}

TEST_F(SlowPool, DownAgainBeginsAnew) {
    t.tick();
    health(1, Health::down);
    health(1, Health::up);
    t.tick(60);
    health(1, Health::down);
    EXPECT_EQ(t.weights(app), "1");
    t.tick(3);
    health(1, Health::up);
    EXPECT_EQ(t.weights(app), "100 5");
    t.tick(99);
    EXPECT_EQ(t.weights(app), "100 95");
    t.tick(2);
    EXPECT_EQ(t.weights(app), "1 1");
}

TEST_F(SlowPool, EffectiveWeightsAreShownAndAtLeastOne) {
    const auto two = t.start(settings({{"a", 40}, {"b", 40}}), 2);
    t.tick();
    health(1, Health::down);
    EXPECT_EQ(t.segment.backend(slot(1)).effective_weight.load(), 0u);
    health(1, Health::up);
    EXPECT_EQ(t.segment.backend(slot(1)).effective_weight.load(), 2u);
    EXPECT_EQ(t.segment.backend(slot(0)).effective_weight.load(), 40u);
    t.tick(50);
    EXPECT_EQ(t.segment.backend(slot(1)).effective_weight.load(), 21u);
    t.tick(60);
    EXPECT_EQ(t.segment.backend(slot(1)).effective_weight.load(), 40u);
}

TEST(SlowStartOfMany, UsesCoarserUnitsAndTheScheduleStaysBounded) {
    Table t({.columns = 2, .listeners = 1, .pools = 1, .backends = 10'000, .arena = 16 << 20});
    auto settings = pool("app", many(10'000));
    settings.slow_start = config::Millis(30'000);
    const auto c = t.start(config({settings}, {}), 1);
    t.tick();
    t.writer->set_health(c->pools[0].backends[7].slot, Health::down, "");
    t.writer->flush();
    t.writer->set_health(c->pools[0].backends[7].slot, Health::up, "");
    t.writer->flush();
    const auto list = t.primaries(c->pools[0].slot);
    EXPECT_EQ(list[6].weight, 10u);
    EXPECT_EQ(list[7].weight, 1u);
    EXPECT_EQ(t.published(c->pools[0].slot).primaries()[0].schedule_length, 65536u);
}

}  // namespace
}  // namespace lb::test
