// What waits for whom: blocks and slots for their readers, counters over the lives of slots, memory over many reloads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <thread>

#include "shared/balance/round_robin.h"
#include "shared/base/random.h"
#include "support.h"

namespace lb::test {
namespace {

using shm::ColumnState;
using shm::responses;

TEST(Epochs, ABlockIsNotReusedWhileALiveColumnLags) {
    Table t;
    const auto c = t.start(config({pool("app", {{"a"}, {"b"}})}), 1);
    t.settle();
    const auto& app = c->pools[0];
    auto quick = t.worker();
    auto slow = t.worker();
    const auto old = t.segment.pool(app.slot).published.load();
    const auto* block = t.segment.block<shm::PublishedPool>(old);
    t.writer->set_health(app.backends[0].slot, Health::down, "");
    t.writer->flush();
    EXPECT_NE(t.segment.pool(app.slot).published.load(), old);
    const auto flap = [&] {
        for (int i = 0; i < 20; i++) {
            t.writer->set_health(app.backends[1].slot, i % 2 == 0 ? Health::down : Health::up, "");
            t.writer->flush();
            quick.quiescent();
            t.tick();
        }
    };
    flap();
    EXPECT_EQ(block->usable, 2u);  // nobody wrote over it
    EXPECT_EQ(block->eligible(block->primaries()[0])[0].backend, app.backends[0].slot);
    EXPECT_GE(t.writer->usage().blocks_waiting, 20u);

    slow.quiescent();
    t.tick();
    EXPECT_EQ(t.writer->usage().blocks_waiting, 0u);

    // One that died does not hold anything up.
    t.writer->set_health(app.backends[0].slot, Health::up, "");
    t.writer->flush();
    quick.quiescent();
    t.tick();
    EXPECT_EQ(t.writer->usage().blocks_waiting, 1u);
    t.writer->column_ended(slow.index());
    t.tick();
    EXPECT_EQ(t.writer->usage().blocks_waiting, 0u);
}

TEST(Epochs, AClaimedColumnBeginsAtThePresentEpoch) {
    Table t;
    const auto c = t.start(config({pool("app", {{"a"}, {"b"}})}), 1);
    auto w = t.worker();
    EXPECT_EQ(t.segment.column(w.index()).epoch.load(), t.segment.header().epoch.load());
    t.settle();
    EXPECT_EQ(t.writer->usage().blocks_waiting, 0u);
}

// Readers in threads walk the published list while the master replaces it all the time; a reader that saw a block
// being reused would find a count, a slot or a schedule that does not fit.
TEST(Epochs, ReadersNeverSeeABlockChange) {
    Table t;
    const auto c = t.start(config({pool("app", many(12))}), 1);
    const auto& app = c->pools[0];
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> turns{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; i++) {
        readers.emplace_back([&, w = t.worker()]() mutable {
            while (!stop) {
                w.quiescent();
                const auto& p = t.published(app.slot);
                std::uint32_t last = 0;
                const auto& group = p.primaries()[0];
                for (const auto& e : p.eligible(group)) {
                    if (e.weight != 1 || e.backend < last || e.backend > app.backends.back().slot) wrong++;
                    last = e.backend;
                }
                if (p.configured != 12 || group.schedule_length != group.count) wrong++;
                for (const auto s : p.schedule(group)) {
                    if (s >= group.count) wrong++;
                }
                turns++;
            }
        });
    }
    Random random(5);
    std::uint64_t published = 0;
    EXPECT_TRUE(eventually([&] {
        for (int i = 0; i < 50; i++) {
            t.writer->set_health(app.backends[random.below(12)].slot,
                                 random.below(2) == 0 ? Health::up : Health::down, "because");
            t.writer->flush();
            t.tick();
            published++;
        }
        return published > 3000 && turns > 3000;
    }));
    stop = true;
    for (auto& r : readers) r.join();
    EXPECT_EQ(wrong, 0);
}

TEST(Slots, ASlotIsFreeOnlyAfterEverybodyLetGo) {
    Table t;
    const auto one = t.start(config({pool("app", {{"a"}, {"b"}})}), 1);
    const auto b = one->pools[0].backends[1].slot;
    auto w = t.worker();
    w.add<"lb_backend_in_flight">(b);
    t.start(config({pool("app", {{"a"}})}), 2);
    t.writer->retire(1);
    const auto state = [&] { return t.segment.backend(b).state.load(); };
    t.tick(5);
    EXPECT_EQ(state(), SlotState::retiring);  // the epoch of w stands still
    for (int i = 0; i < 5; i++) {
        w.quiescent();
        t.tick();
    }
    EXPECT_EQ(state(), SlotState::retiring);  // an exchange holds it
    w.add<"lb_backend_connections">(b);
    w.sub<"lb_backend_in_flight">(b);
    for (int i = 0; i < 5; i++) {
        w.quiescent();
        t.tick();
    }
    EXPECT_EQ(state(), SlotState::retiring);  // an idle connection is left
    w.take(b, 0);
    w.sub<"lb_backend_connections">(b);
    for (int i = 0; i < 5; i++) {
        w.quiescent();
        t.tick();
    }
    EXPECT_EQ(state(), SlotState::retiring);  // the journal holds it
    w.give_back(b, 0);
    t.tick(5);
    EXPECT_EQ(state(), SlotState::retiring);  // w has not ended that turn: it may still count the answer
    w.add<"lb_backend_requests_total">(b, 2);
    for (int i = 0; i < 5; i++) {
        w.quiescent();
        t.tick();
    }
    EXPECT_EQ(state(), SlotState::free);
    EXPECT_EQ(t.segment.pool(one->pools[0].slot).retired_requests.load(), 1u);
}

TEST(Slots, ADeathLetsGoOfEverything) {
    Table t;
    const auto one = t.start(config({pool("app", {{"a"}, {"b"}})}), 1);
    const auto b = one->pools[0].backends[1].slot;
    auto w = t.worker();
    w.take(b, 0);
    w.add<"lb_backend_in_flight">(b);
    w.add<"lb_client_connections">(one->listeners[0].slot);
    t.start(config({pool("app", {{"a"}})}), 2);
    t.writer->retire(1);
    t.tick(5);
    EXPECT_EQ(t.segment.backend(b).state.load(), SlotState::retiring);
    t.writer->column_ended(w.index());
    EXPECT_EQ(t.in_flight(b), 0u);
    EXPECT_EQ(shm::sum<"lb_client_connections">(t.segment, one->listeners[0].slot), 0u);
    t.settle();
    EXPECT_EQ(t.segment.backend(b).state.load(), SlotState::free);
}

TEST(Slots, ANewOwnerBeginsAtZeroWithAnotherIncarnation) {
    Table t;
    const auto one = t.start(config({pool("app", {{"a"}, {"b"}}), pool("old", {{"x"}})}, {"web", "alt"}), 1);
    const auto b = one->pools[0].backends[1].slot;
    const auto old_pool = one->pools[1].slot;
    const auto old_listener = one->listeners[1].slot;
    auto w = t.worker(*one);
    w.add<"lb_backend_requests_total">(b, 2, 100);
    w.observe<"lb_backend_response_duration_seconds">(b, 700);
    w.add<"lb_requests_total">(old_pool, 2, 50);
    w.add<"lb_client_connections_total">(old_listener, 0, 30);
    t.writer->column().add<"lb_backend_checks_total">(b, 1, 5);
    const auto was = t.segment.backend(b).incarnation.load();
    t.start(config({pool("app", {{"a"}})}), 2);
    t.writer->retire(1);
    t.settle({w});
    ASSERT_EQ(t.segment.backend(b).state.load(), SlotState::free);

    const auto three =
        t.start(config({pool("app", {{"a"}, {"c"}}), pool("new", {{"y"}})}, {"web", "new"}), 3);
    EXPECT_EQ(three->pools[0].backends[1].slot, b);
    EXPECT_EQ(three->pools[1].slot, old_pool);
    EXPECT_EQ(three->listeners[1].slot, old_listener);
    EXPECT_NE(t.segment.backend(b).incarnation.load(), was);
    EXPECT_EQ(responses(t.segment, b), 0u);
    constexpr auto detail = metrics::offset_of(metrics::index_of<"lb_backend_response_duration_seconds">());
    for (std::size_t i = 0; i < metrics::histogram_words; i++) {
        EXPECT_EQ(shm::sum(t.segment, metrics::Scope::backend_detail, b, detail + i), 0u);
    }
    EXPECT_EQ(shm::sum<"lb_requests_total">(t.segment, old_pool, 2), 0u);
    EXPECT_EQ(shm::sum<"lb_client_connections_total">(t.segment, old_listener), 0u);
    EXPECT_EQ(shm::sum<"lb_backend_checks_total">(t.segment, b, 1), 0u);
    EXPECT_EQ(t.segment.pool(old_pool).retired_requests.load(), 0u);
    w.add<"lb_backend_requests_total">(b, 2, 3);
    EXPECT_EQ(responses(t.segment, b), 3u);
    EXPECT_EQ(t.segment.pool(three->pools[0].slot).retired_requests.load(), 100u);
}

TEST(Columns, AreReusedLowestFirstAndCountersGoOn) {
    Table t;
    const auto c = t.start(config({pool("app", {{"a"}})}), 1);
    const auto a = c->pools[0].backends[0].slot;
    auto one = t.worker();
    auto two = t.worker();
    EXPECT_EQ(one.index(), 1u);
    EXPECT_EQ(two.index(), 2u);
    one.add<"lb_backend_requests_total">(a, 2, 10);
    one.add<"lb_backend_in_flight">(a);
    one.beat(5);
    t.writer->column_draining(1);
    EXPECT_EQ(t.segment.column(1).draining.load(), 1u);
    EXPECT_EQ(t.segment.column(1).pid.load(), getpid());
    t.writer->column_ended(1);
    t.writer->column_ended(1);  // twice is once
    EXPECT_EQ(t.segment.column(1).state.load(), ColumnState::free);
    EXPECT_EQ(responses(t.segment, a), 10u);
    EXPECT_EQ(shm::sum<"lb_backend_in_flight">(t.segment, a), 0u);

    const auto claimed = t.writer->claim_column(shm::Role::worker, 7, 3, *c);
    ASSERT_EQ(claimed.value(), 1u);
    const auto& head = t.segment.column(1);
    EXPECT_EQ(head.state.load(), ColumnState::used);
    EXPECT_EQ(head.generation.load(), 7u);
    EXPECT_EQ(head.worker.load(), 3u);
    EXPECT_EQ(head.draining.load(), 0u);
    EXPECT_EQ(head.pid.load(), 0);
    EXPECT_EQ(head.heartbeat.load(), 0u);
    shm::Column next(t.segment, 1);
    next.add<"lb_backend_requests_total">(a, 2, 5);
    EXPECT_EQ(responses(t.segment, a), 15u);
}

TEST(Columns, DetailFollowsTheConfiguration) {
    Table t({.columns = 8, .listeners = 4, .pools = 8, .backends = 2000, .arena = 4 << 20});
    auto c = config({pool("app", many(501))});
    const auto detail = [&](config::Switch s, shm::Role role = shm::Role::worker) {
        c.admin.backend_histograms = s;
        const auto claimed = t.writer->claim_column(role, 1, 0, c);
        const bool kept = shm::Column(t.segment, claimed.value()).detail(500);
        t.writer->column_ended(claimed.value());
        return kept;
    };
    t.adopt(c, 1);
    EXPECT_FALSE(detail(config::Switch::automatic));
    EXPECT_FALSE(detail(config::Switch::off));
    EXPECT_TRUE(detail(config::Switch::on));
    EXPECT_FALSE(detail(config::Switch::on, shm::Role::admin));
    EXPECT_FALSE(detail(config::Switch::automatic));  // the same column: what it once had does not stick
    c.pools[0].backends.pop_back();
    c.pools[0].backends[0].slot = 500;
    EXPECT_TRUE(detail(config::Switch::automatic));
}

// Everything that backends of a pool ever answered is in their own counters or in the pool's retired total, at every
// step of any history of reloads, deaths and traffic; and neither the total nor one of its parts is ever seen to fall.
TEST(Slots, RetiredTotalsKeepTheSumOfAllLives) {
    for (std::uint64_t seed = 1; seed <= 5; seed++) {
        Random random(seed);
        Table t;
        std::map<std::string, std::uint64_t> answered, retired;  // by pool
        std::vector<std::pair<std::uint32_t, std::shared_ptr<const config::Config>>> alive;
        std::vector<shm::Column> workers;
        std::uint32_t generation = 0;
        const auto reload = [&] {
            std::vector<config::Pool> pools;
            for (const auto* name : {"app", "api"}) {
                std::vector<BackendSpec> list;
                for (const auto* b : {"a", "b", "c", "d", "e"}) {
                    if (random.below(3) != 0)
                        list.push_back({b, 1 + random.below(3), false, random.below(2)});
                }
                pools.push_back(pool(name, list));
            }
            generation++;
            alive.emplace_back(generation, t.start(config(pools), generation));
        };
        reload();
        for (int step = 0; step < 400; step++) {
            const auto dice = random.below(10);
            if (dice == 0 && alive.size() < 3) reload();
            if (dice == 1 && alive.size() > 1) {
                t.writer->retire(alive.front().first);
                alive.erase(alive.begin());
            }
            if (dice == 2 && workers.size() < 5) workers.push_back(t.worker());
            if (dice == 3 && !workers.empty()) {
                t.writer->column_ended(workers.back().index());
                workers.pop_back();
            }
            for (auto& w : workers) {
                w.quiescent();
                for (const auto& p : alive.back().second->pools) {
                    const auto& list = t.primaries(p.slot);
                    if (list.empty()) continue;
                    const auto slot = list[random.below(static_cast<std::uint32_t>(list.size()))].backend;
                    const auto n = random.below(50);
                    w.add<"lb_backend_requests_total">(slot, 1 + random.below(5), n);
                    answered[p.name] += n;
                }
            }
            t.tick(static_cast<int>(random.below(3)));
            for (const auto& p : alive.back().second->pools) {
                auto total = t.segment.pool(p.slot).retired_requests.load();
                ASSERT_GE(total, retired[p.name]);
                retired[p.name] = total;
                for (std::uint32_t b = 0; b < small_table.backends; b++) {
                    const auto& slot = t.segment.backend(b);
                    if (slot.state.load() != SlotState::free && slot.pool.load() == p.slot)
                        total += responses(t.segment, b);
                }
                ASSERT_EQ(total, answered[p.name]) << "seed " << seed << " step " << step;
            }
        }
        EXPECT_GT(retired["app"], 0u);
    }
}

// CPU time of this process: other things run on the machine.
Micros cpu_now() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

// Builds without optimisation, sanitizers above all, are many times slower: fewer rounds, and no verdict on speed.
#ifdef NDEBUG  // not __OPTIMIZE__: precompiled headers bring their own
constexpr bool optimised = true;
constexpr std::uint32_t reload_rounds = 100;
#else
constexpr bool optimised = false;
constexpr std::uint32_t reload_rounds = 8;
#endif
constexpr Micros turn_limit = 50'000;  // CPU of the master in one turn

TEST(Memory, ReloadsOfTenThousandBackendsLeaveNoGrowth) {
    Table t(shm::Capacity{});
    const auto stay = config({pool("app", many(10))});
    std::uint32_t generation = 1;
    t.start(stay, generation);
    auto w = t.worker(stay);
    t.settle({w});
    const auto before = t.writer->usage();
    const auto memory = bytes_in_memory(t.segment);
    std::uint64_t memory_after_first = 0;
    Micros slowest_adopt = 0;
    Micros slowest_begin = 0;
    Micros slowest_tick = 0;
    for (std::uint32_t round = 0; round < reload_rounds; round++) {
        // Every round all backends are new ones; then back to ten.
        auto large = config({pool("app", many(10'000, 20'000 * (round + 1)))});
        auto start = cpu_now();
        auto adopted = t.adopt(std::move(large), ++generation);
        slowest_adopt = std::max(slowest_adopt, cpu_now() - start);
        start = cpu_now();
        t.writer->begin(adopted, generation);
        slowest_begin = std::max(slowest_begin, cpu_now() - start);
        ASSERT_EQ(t.published(adopted->pools[0].slot).usable, 10'000u);
        auto next = t.worker(*adopted, generation);
        next.add<"lb_backend_requests_total">(adopted->pools[0].backends[9'999].slot, 2);
        t.writer->retire(generation - 1);
        t.writer->column_ended(next.index());
        t.start(stay, ++generation);
        t.writer->retire(generation - 1);
        while (t.writer->usage().retiring != 0 || t.writer->usage().blocks_waiting != 0) {
            w.quiescent();
            start = cpu_now();
            t.tick();
            slowest_tick = std::max(slowest_tick, cpu_now() - start);
        }
        const auto after = t.writer->usage();
        ASSERT_EQ(after.backends, before.backends) << round;
        ASSERT_EQ(after.arena_bytes, before.arena_bytes) << round;
        if (round == 0) memory_after_first = bytes_in_memory(t.segment);
        // Up to 4 MiB of free arena keep their memory.
        ASSERT_LE(bytes_in_memory(t.segment), memory_after_first + (4u << 20)) << round;
    }
    EXPECT_LE(bytes_in_memory(t.segment), memory + (6u << 20));  // and the slots and cells themselves
    std::printf("10000 new backends: adopt %lld us, begin %lld us, tick %lld us\n",
                static_cast<long long>(slowest_adopt), static_cast<long long>(slowest_begin),
                static_cast<long long>(slowest_tick));
    if (optimised) {
        EXPECT_LT(slowest_adopt, turn_limit);
        EXPECT_LT(slowest_begin, turn_limit);
        EXPECT_LT(slowest_tick, turn_limit);
    }
}

TEST(Memory, TenThousandVerdictsInOneTurnCostOnePublication) {
    Table t(shm::Capacity{});
    const auto c = t.start(config({pool("app", many(10'000))}), 1);
    const auto epoch = t.segment.header().epoch.load();
    const auto start = cpu_now();
    for (const auto& b : c->pools[0].backends)
        t.writer->set_health(b.slot, Health::down, "connection refused");
    t.writer->flush();
    const auto took = cpu_now() - start;
    EXPECT_EQ(t.segment.header().epoch.load(), epoch + 1);
    EXPECT_EQ(t.published(c->pools[0].slot).usable, 0u);
    std::printf("10000 verdicts and one flush: %lld us\n", static_cast<long long>(took));
    if (optimised) {
        EXPECT_LT(took, turn_limit);
    }
}

// 6000 first attempts over weights 3:2:1 by four threads with one cursor: exact.
TEST(Shares, AreExactOverThreads) {
    Table t;
    const auto c = t.start(config({pool("app", {{"a", 3}, {"b", 2}, {"c", 1}})}), 1);
    const auto app = c->pools[0].slot;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&, w = t.worker()]() mutable {
            for (int n = 0; n < 1500; n++) {
                w.quiescent();
                const auto& p = t.published(app);
                const auto& group = p.primaries()[0];
                const auto list = p.eligible(group);
                const auto at = t.segment.pool_cell(app).cursor[0].fetch_add(1, std::memory_order_relaxed);
                const auto choice = balance::pick_round_robin(list, p.schedule(group), at,
                                                              [](const shm::Eligible&) { return false; });
                w.add<"lb_backend_requests_total">(list[choice.value()].backend, 2);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    const auto& b = c->pools[0].backends;
    EXPECT_EQ(responses(t.segment, b[0].slot), 3000u);
    EXPECT_EQ(responses(t.segment, b[1].slot), 2000u);
    EXPECT_EQ(responses(t.segment, b[2].slot), 1000u);
}

}  // namespace
}  // namespace lb::test
