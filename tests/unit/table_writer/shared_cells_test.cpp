// Slots of limits; places, queues and pool cells after a death; rates. By a clock moved by hand.
#include <gtest/gtest.h>

#include "support.h"

namespace lb::test {
namespace {

config::Config with_limits(const std::vector<std::string>& names) {
    auto c = config({pool("app", {{"a"}, {"b"}}), pool("api", {{"x"}})});
    for (const auto& name : names) c.limits.emplace_back().name = name;
    return c;
}

TEST(Limits, FollowTheirNamesOverReloads) {
    Table t;
    const auto one = t.start(with_limits({"logins", "search"}), 1);
    const auto logins = one->limits[0].slot;
    const auto search = one->limits[1].slot;
    EXPECT_EQ(t.segment.text(t.segment.limit(search).name.load()), "search");
    EXPECT_EQ(t.segment.limit(logins).state.load(), SlotState::used);
    auto w = t.worker();
    w.add<"lb_limit_requests_total">(logins, metrics::limit_refused, 4);
    w.add<"lb_limit_requests_total">(search, metrics::limit_passed, 3);

    const auto two = t.start(with_limits({"search"}), 2);
    EXPECT_EQ(two->limits[0].slot, search);
    EXPECT_EQ(t.writer->usage().limits, 2u);
    t.writer->retire(1);
    EXPECT_EQ(t.segment.limit(logins).state.load(), SlotState::retiring);
    EXPECT_EQ(t.segment.listener(one->listeners[0].slot).state.load(), SlotState::used);
    t.settle({w});
    EXPECT_EQ(t.segment.limit(logins).state.load(), SlotState::free);
    EXPECT_EQ(t.segment.limit(logins).name.load(), 0u);
    EXPECT_EQ(t.writer->usage().limits, 1u);

    const auto three = t.start(with_limits({"search", "new"}), 3);
    EXPECT_EQ(three->limits[1].slot, logins);
    EXPECT_EQ(shm::sum<"lb_limit_requests_total">(t.segment, logins, metrics::limit_refused), 0u);
    EXPECT_EQ(shm::sum<"lb_limit_requests_total">(t.segment, search, metrics::limit_passed), 3u);
}

TEST(Limits, NamedTwiceOrTooManyAreRefused) {
    Table t;
    auto c = with_limits({"a", "a"});
    EXPECT_EQ(t.writer->adopt(c, 1).error(), "limit a is named twice");
    c = with_limits({"a", "b", "c", "d", "e"});
    EXPECT_EQ(t.writer->adopt(c, 1).error(), "the shared table is full: 5 new limits, room for 4");
    EXPECT_EQ(t.writer->usage().limits, 0u);
}

TEST(Limits, TheFirstOneGivesColumnsThatAreOlderTheirJournals) {
    Table t(shm::Capacity{});
    t.start(with_limits({}), 1);
    auto w = t.worker();
    t.tick(20);
    EXPECT_LT(bytes_in_memory(t.segment), 2u << 20);
    t.start(with_limits({"logins"}), 2);
    const auto before = bytes_in_memory(t.segment);
    t.segment.limit_journal(w.index())[131'071].store(1);
    t.segment.limit_set(16'383).entries[7].places.store(1);
    EXPECT_EQ(bytes_in_memory(t.segment), before);
    t.writer->column_ended(w.index());
    EXPECT_EQ(t.segment.limit_set(16'383).entries[7].places.load(), 0u);
    EXPECT_EQ(bytes_in_memory(t.segment), before);
}

struct Cells : ::testing::Test {
    Table t;
    std::shared_ptr<const config::Config> c = t.start(with_limits({"logins"}), 1);
    std::uint32_t app = c->pools[0].slot;
    std::uint32_t api = c->pools[1].slot;
    [[nodiscard]] std::uint32_t slot(std::size_t i) const { return c->pools[0].backends[i].slot; }
    [[nodiscard]] shm::PoolCell& cell(std::uint32_t pool) const { return t.segment.pool_cell(pool); }
    [[nodiscard]] std::atomic<std::uint32_t>& places(std::uint32_t set, std::uint32_t way) const {
        return t.segment.limit_set(set).entries[way].places;
    }
    void hold(const shm::Column& w, std::uint32_t set, std::uint32_t way, std::uint32_t n) {
        places(set, way).fetch_add(n);
        t.segment.limit_journal(w.index())[set * shm::limit_ways + way].fetch_add(n);
    }
    void wait_in(shm::Column& w, std::uint32_t pool, std::uint32_t n) {
        cell(pool).queued.fetch_add(n);
        w.add<"lb_pool_queued">(pool, 0, n);
        t.segment.tickets(w.index())[pool].store(cell(pool).tickets.fetch_add(n) + 1);
    }
};

TEST_F(Cells, AKilledProcessGivesBackPlacesQueuesAndPools) {
    auto other = t.worker();
    auto w = t.worker();
    other.take(slot(0), app);
    hold(other, 3, 2, 1);
    wait_in(other, app, 2);
    Process child([&] {
        t.segment.protect_master_part();
        for (int i = 0; i < 4; i++) w.take(slot(0), app);
        for (int i = 0; i < 3; i++) w.take(slot(1), app);
        w.take(c->pools[1].backends[0].slot, api);
        hold(w, 3, 2, 5);
        hold(w, 15, 7, 1);
        wait_in(w, app, 3);
        wait_in(w, api, 1);
        w.beat(1);
        for (;;) pause();
        return 0;
    });
    ASSERT_TRUE(eventually([&] { return t.segment.column(w.index()).heartbeat.load() == 1; }));
    EXPECT_EQ(cell(app).in_flight.load(), 8u);
    EXPECT_EQ(places(3, 2).load(), 6u);
    child.send(SIGKILL);
    EXPECT_EQ(child.result(), 1000 + SIGKILL);
    t.writer->column_ended(w.index());
    EXPECT_EQ(cell(app).in_flight.load(), 1u);
    EXPECT_EQ(cell(api).in_flight.load(), 0u);
    EXPECT_EQ(cell(app).queued.load(), 2u);
    EXPECT_EQ(cell(api).queued.load(), 0u);
    EXPECT_EQ(shm::sum<"lb_pool_queued">(t.segment, app), 2u);
    EXPECT_EQ(places(3, 2).load(), 1u);
    EXPECT_EQ(places(15, 7).load(), 0u);
    EXPECT_EQ(t.segment.limit_journal(w.index())[3 * 8 + 2].load(), 0u);
    EXPECT_EQ(t.segment.tickets(w.index())[app].load(), 0u);
    EXPECT_EQ(t.segment.tickets(w.index())[api].load(), 0u);
    EXPECT_EQ(t.segment.tickets(other.index())[app].load(), 1u);
    EXPECT_EQ(cell(app).tickets.load(), 5u);  // they only grow
}

TEST_F(Cells, DifferencesThatStayAreTakenOffAllOfThem) {
    auto w = t.worker();
    w.take(slot(0), app);
    w.take(slot(1), app);
    hold(w, 2, 1, 2);
    wait_in(w, app, 1);
    cell(app).in_flight.fetch_add(1);
    cell(app).queued.fetch_add(2);
    cell(api).in_flight.store(UINT32_MAX);
    places(2, 1).fetch_add(1);
    places(9, 0).fetch_add(1);
    t.tick(9);
    EXPECT_EQ(cell(app).in_flight.load(), 3u);
    EXPECT_EQ(cell(app).queued.load(), 3u);
    t.tick();
    EXPECT_EQ(cell(app).in_flight.load(), 2u);
    EXPECT_EQ(cell(app).queued.load(), 1u);
    EXPECT_EQ(cell(api).in_flight.load(), 0u);
    EXPECT_EQ(places(2, 1).load(), 2u);
    EXPECT_EQ(places(9, 0).load(), 0u);
    t.tick(30);
    EXPECT_EQ(cell(app).in_flight.load(), 2u);
    EXPECT_EQ(cell(app).queued.load(), 1u);
    EXPECT_EQ(t.in_flight(slot(0)), 1u);
}

TEST_F(Cells, APoolsCellIsComparedWithRetiringBackendsToo) {
    auto w = t.worker();
    w.take(slot(1), app);
    auto next = with_limits({"logins"});
    next.pools[0].backends.pop_back();
    t.start(next, 2);
    t.writer->retire(1);
    for (int i = 0; i < 30; i++) {
        w.quiescent();
        t.tick();
    }
    EXPECT_EQ(t.segment.backend(slot(1)).state.load(), SlotState::retiring);
    EXPECT_EQ(cell(app).in_flight.load(), 1u);
    w.give_back(slot(1), app);
    t.settle({w});
    EXPECT_EQ(t.writer->usage().backends, 2u);
    EXPECT_EQ(cell(app).in_flight.load(), 0u);
}

TEST_F(Cells, ANewOwnerOfAPoolOrBackendBeginsAtZero) {
    auto w = t.worker();
    auto& old = t.segment.backend_cell(c->pools[1].backends[0].slot);
    old.failures.store(3);
    old.latency.store(4);
    cell(api).budget_spent.store(5);
    cell(api).request_rate.store(6);
    cell(api).queued.store(1);
    t.segment.pool(api).panic.store(1);
    t.start(config({pool("app", {{"a"}, {"b"}})}), 2);
    t.writer->retire(1);
    t.settle({w});
    ASSERT_EQ(t.segment.pool(api).state.load(), SlotState::free);
    EXPECT_EQ(old.failures.load(), 0u);
    EXPECT_EQ(old.latency.load(), 0u);
    EXPECT_EQ(cell(api).budget_spent.load(), 0);
    EXPECT_EQ(cell(api).request_rate.load(), 0u);
    EXPECT_EQ(cell(api).queued.load(), 0u);
    EXPECT_EQ(t.segment.pool(api).panic.load(), 0u);
}

TEST_F(Cells, APoolWithSomebodyInItsQueueIsNotFree) {
    auto w = t.worker();
    wait_in(w, api, 1);
    t.start(config({pool("app", {{"a"}, {"b"}})}), 2);
    t.writer->retire(1);
    for (int i = 0; i < 20; i++) {
        w.quiescent();
        t.tick();
    }
    EXPECT_EQ(t.segment.pool(api).state.load(), SlotState::retiring);
    w.sub<"lb_pool_queued">(api);
    t.settle({w});
    EXPECT_EQ(t.segment.pool(api).state.load(), SlotState::free);
}

TEST_F(Cells, RatesAreOfTheLastSecondOverAllWorkers) {
    auto w = t.worker();
    auto other = t.worker();
    t.tick();
    for (int second = 0; second < 3; second++) {
        w.add<"lb_requests_total">(app, 2, 300);
        other.add<"lb_requests_total">(app, 5, 100);
        w.add<"lb_requests_total">(api, 0, 7);
        t.tick(10);
        EXPECT_EQ(cell(app).request_rate.load(), 400u);
        EXPECT_EQ(cell(api).request_rate.load(), 7u);
    }
    t.tick(9);
    EXPECT_EQ(cell(app).request_rate.load(), 400u);
    t.tick();
    EXPECT_EQ(cell(app).request_rate.load(), 0u);
    // A master that was held up for four seconds.
    w.add<"lb_requests_total">(app, 2, 1000);
    t.writer->tick(t.now += 4'000'000);
    EXPECT_EQ(cell(app).request_rate.load(), 250u);
}

TEST(Rates, ManyPoolsAreCountedInTurn) {
    std::vector<config::Pool> pools;
    for (int i = 0; i < 1000; i++) pools.push_back(pool("p" + std::to_string(i), {{"a"}}));
    Table t({.columns = 2, .listeners = 1, .pools = 1000, .backends = 1000, .arena = 4 << 20});
    const auto c = t.start(config(pools, {}), 1);
    auto w = t.worker();
    t.tick(4);
    for (const auto& p : c->pools) w.add<"lb_requests_total">(p.slot, 2, 600);
    t.tick(12);
    std::uint64_t total = 0;
    for (const auto& p : c->pools) {
        const auto rate = t.segment.pool_cell(p.slot).request_rate.load();
        ASSERT_GE(rate, 499u);
        ASSERT_LE(rate, 600u);
        total += rate;
    }
    EXPECT_GT(total, 0u);
}

}  // namespace
}  // namespace lb::test
