// What publications of ten thousand backends cost the master, in CPU of this process: other things run on the machine.
#include <gtest/gtest.h>

#include <cstdio>
#include <ctime>

#include "support.h"

namespace lb::test {
namespace {

// Builds without optimisation, sanitizers above all, are many times slower: no verdict on speed there.
#ifdef NDEBUG  // not __OPTIMIZE__: precompiled headers bring their own
constexpr bool optimised = true;
#else
constexpr bool optimised = false;
#endif
constexpr Micros turn_limit = 50'000;  // CPU of the master in one turn

Micros cpu_now() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

struct Cost : ::testing::Test {
    static config::Pool large() {
        auto p = pool("app", many(10'000));
        for (std::size_t i = 0; i < p.backends.size(); i++)
            p.backends[i].zone = "zone" + std::to_string(i % 3);
        return p;
    }
    // The dearest of some publications, each after one backend went or came.
    Micros of_a_change(const config::Pool& settings, const char* what) {
        c = t.start(config({settings}, {}), ++generation);
        t.tick();
        Micros most = 0;
        for (int i = 0; i < 4; i++) {
            t.writer->set_health(c->pools[0].backends[77].slot, i % 2 == 0 ? Health::down : Health::up, "");
            const auto start = cpu_now();
            EXPECT_EQ(t.writer->flush(), 0u);
            most = std::max(most, cpu_now() - start);
            t.tick();
        }
        std::printf("one change among 10000, %s: %lld us\n", what, static_cast<long long>(most));
        return most;
    }
    Table t{{.columns = 4, .listeners = 1, .pools = 1, .backends = 10'000, .arena = 64 << 20}};
    std::shared_ptr<const config::Config> c;
    std::uint32_t generation = 0;
};

TEST_F(Cost, OfAChangeAndOfNone) {
    auto settings = large();
    Micros most = of_a_change(pool("app", many(10'000)), "no zones");
    most = std::max(most, of_a_change(settings, "three zones"));
    settings.sticky.kind = config::StickyKind::cookie;
    settings.sticky.secret = "secret";
    most = std::max(most, of_a_change(settings, "sticky cookies"));
    settings.sticky = {};
    settings.slow_start = config::Millis(30'000);
    most = std::max(most, of_a_change(settings, "slow start"));
    settings.slow_start = {};
    settings.balance.policy = config::Policy::hash;
    most = std::max(most, of_a_change(settings, "maglev"));
    // Left out and back before anybody saw it: no block is built.
    const auto block = t.segment.pool(c->pools[0].slot).published.load();
    t.writer->set_ejected(c->pools[0].backends[5].slot, 1);
    t.writer->set_ejected(c->pools[0].backends[5].slot, 0);
    auto start = cpu_now();
    t.writer->flush();
    const auto same = cpu_now() - start;
    EXPECT_EQ(t.segment.pool(c->pools[0].slot).published.load(), block);
    start = cpu_now();
    for (int i = 0; i < 1000; i++) t.writer->flush();
    const auto idle = cpu_now() - start;
    std::printf("the same again: %lld us; nothing to look at: %lld us for 1000\n",
                static_cast<long long>(same), static_cast<long long>(idle));
    if (optimised) {
        EXPECT_LT(most, turn_limit);
        EXPECT_LT(same, 5'000);
        EXPECT_LT(idle, 1'000);
    }
}

}  // namespace
}  // namespace lb::test
