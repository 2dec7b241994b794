// tests/unit/admin/load_test.cpp -- the scaling signal, with a clock moved by hand and requests whose number is known.
#include "master/admin/load.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "table_for_test.h"

namespace lb::admin {
namespace {

using nlohmann::json;
constexpr Micros second = 1'000'000;

class Load : public testing::Test {
 protected:
    Load() {
        table.pool(0, "app");
        config.pools.resize(1);
        config.pools[0].slot = 0;
    }
    // `count` requests that took so long each.
    void requests(int count, Micros each, std::uint32_t label = 2) {
        worker.add<"lb_requests_total">(0, label, static_cast<std::uint64_t>(count));
        for (int i = 0; i < count; i++) worker.observe<"lb_request_duration_seconds">(0, each);
    }
    json load(const config::Config* known = nullptr) {
        const auto text =
            sampler.one("app", take_inventory(table.segment), known == nullptr ? &config : known);
        return text ? json::parse(*text) : json();
    }
    void tick(int seconds = 1) {
        for (int i = 0; i < seconds; i++) sampler.tick(now += second);
    }
    TableForTest table;
    shm::Column worker = table.process(1, shm::Role::worker);
    config::Config config;
    LoadSampler sampler{table.segment};
    Micros now = 100 * second;
};

TEST_F(Load, BeforeTheSecondSampleNothingIsKnown) {
    EXPECT_EQ(load()["window_seconds"], 0);
    tick();
    requests(100, 1000);
    const json one = load();
    EXPECT_EQ(one["pool"], "app");
    EXPECT_EQ(one["rate"], 0);
    EXPECT_EQ(one["latency"], json::parse(R"({"mean":null,"p50":null,"p90":null,"p99":null})"));
    EXPECT_EQ(one["utilisation"], nullptr);
    EXPECT_EQ(one["wanted_backends"], nullptr);
    EXPECT_EQ(one["target_inflight"], nullptr);
}

TEST_F(Load, InFlightIsRateTimesLatency) {
    tick();
    for (int i = 0; i < 10; i++) {
        requests(50, 200'000);  // 50 a second, 200 ms each: 10 at a time
        tick();
    }
    const json one = load();
    EXPECT_EQ(one["window_seconds"], 10);
    EXPECT_EQ(one["rate"], 50);
    EXPECT_EQ(one["in_flight"]["mean"], 10);
    EXPECT_EQ(one["latency"]["mean"], 0.2);
    EXPECT_NEAR(one["latency"]["p50"].get<double>(), 0.175, 0.001)
        << "the middle of the bucket from 100 to 250 ms";
}

TEST_F(Load, RequestsLongerThanTheWindowAreInFlightAllTheTime) {
    config.pools[0].target_inflight = 2;
    table.backend(0, 0, "a");
    table.backend(1, 0, "b");
    table.publish(0, {0, 1});
    tick(11);
    worker.add<"lb_backend_in_flight">(0, 0, 5);
    worker.add<"lb_backend_in_flight">(1, 0, 3);
    tick(11);
    EXPECT_EQ(load()["in_flight"], json::parse(R"({"mean":8,"now":8})"));
    EXPECT_EQ(load()["wanted_backends"], 4);
    tick(39);
    for (int i = 0; i < 5; i++) worker.sub<"lb_backend_in_flight">(0);
    for (int i = 0; i < 3; i++) worker.sub<"lb_backend_in_flight">(1);
    requests(8, 50 * second);
    tick();
    EXPECT_EQ(load()["in_flight"]["mean"], 8) << "never 40: they were 8 for all of the ten seconds";
    tick(10);
    EXPECT_EQ(load()["in_flight"]["mean"], 0);
}

TEST_F(Load, TheWindowMovesAndForgets) {
    tick();
    requests(1000, 1000, 5);
    tick(5);
    EXPECT_EQ(load()["rate"], 200);
    EXPECT_EQ(load()["errors"], 1);
    tick(5);
    EXPECT_EQ(load()["rate"], 100) << "in the first of ten seconds";
    tick();
    EXPECT_EQ(load()["rate"], 0);
    EXPECT_EQ(load()["errors"], 0);
    sampler.tick(now + second - 1);
    EXPECT_EQ(load()["window_seconds"], 10) << "too soon for another sample";
}

TEST_F(Load, WhoWaitsIsQueuedAndNotInFlight) {
    config.pools[0].target_inflight = 4;
    tick();
    requests(10, 2 * second);
    worker.add<"lb_pool_queue_seconds_total">(0, 0, 10 * static_cast<std::uint64_t>(second));
    worker.add<"lb_pool_queued">(0, 0, 3);
    tick(2);
    const json one = load();
    EXPECT_EQ(one["in_flight"]["mean"], 5) << "20 s less 10 s in two seconds";
    EXPECT_EQ(one["queued"], 3);
    EXPECT_EQ(one["wanted_backends"], 2) << "5 + 3 at 4 each";
    EXPECT_EQ(one["target_inflight"], 4);
}

TEST_F(Load, TellsBackendsApartAndUsesTheirCapacity) {
    table.backend(0, 0, "a").max_inflight = 10;
    table.backend(1, 0, "b").max_inflight = 30;
    table.backend(2, 0, "c").operator_state = shm::Operator::drain;
    table.backend(3, 0, "d").ejected_until = 5;
    table.backend(4, 0, "left").member = 0;
    table.publish(0, {0, 1});
    worker.add<"lb_backend_in_flight">(0, 0, 7);
    worker.add<"lb_backend_in_flight">(4, 0, 1);
    worker.sub<"lb_backend_in_flight">(3);
    tick();
    requests(20, second);
    tick();
    json one = load();
    EXPECT_EQ(one["backends"], json::parse(R"({"members":4,"usable":2,"draining":1,"ejected":1})"));
    EXPECT_EQ(one["in_flight"]["now"], 8);
    EXPECT_EQ(one["utilisation"], 0.5) << "20 of 40";
    table.segment.backend(1).max_inflight = 0;
    EXPECT_EQ(load()["utilisation"], nullptr);
    config.pools[0].target_inflight = 20;
    EXPECT_EQ(load()["utilisation"], 0.5) << "20 of twice the target";
    EXPECT_EQ(load(&config)["wanted_backends"], 1);
}

TEST_F(Load, AnotherPoolInTheSlotBeginsAnew) {
    tick();
    requests(100, 1000);
    tick();
    EXPECT_EQ(load()["rate"], 100);
    table.pool(0, "app");  // another name in the arena: another owner
    EXPECT_EQ(load()["rate"], 0) << "not yet sampled";
    tick();
    requests(5, 1000);
    tick();
    EXPECT_EQ(load()["rate"], 5);
    table.segment.pool(0).state = shm::SlotState::free;
    tick();
    EXPECT_EQ(load(), json());
    EXPECT_EQ(json::parse(sampler.all(take_inventory(table.segment), nullptr)), json::array());
}

TEST_F(Load, AllPoolsAreAList) {
    table.pool(3, "odd \" name");
    tick();
    const json all = json::parse(sampler.all(take_inventory(table.segment), nullptr));
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0]["pool"], "app");
    EXPECT_EQ(all[1]["pool"], "odd \" name");
}

TEST(Window, QuantilesOfATailAndSumsThatStepBack) {
    LoadSums from, to;
    to.at = second;
    to.requests = 100;
    to.duration[1] = 98;                         // 0.5 to 1 ms
    to.duration[metrics::bucket_count - 1] = 2;  // over a minute
    to.duration[metrics::bucket_count] = 140'000'000;
    const Window window = between(from, to);
    EXPECT_NEAR(window.p50.value_or(0), 0.0005 + 0.0005 * 50 / 98, 1e-9);
    EXPECT_EQ(window.p99, 60.0) << "the last bound there is";
    const Window back = between(to, [&] {
        LoadSums later;
        later.at = 2 * second;
        return later;
    }());
    EXPECT_EQ(back.rate, 0);
    EXPECT_EQ(back.in_flight, 0);
    EXPECT_EQ(between(to, to).seconds, 0);
}

TEST(Wanted, RoundsUpAndOnlyUp) {
    EXPECT_EQ(wanted_backends(0, 0, 10), 0u);
    EXPECT_EQ(wanted_backends(0.01, 0, 10), 1u);
    EXPECT_EQ(wanted_backends(10, 0, 10), 1u);
    EXPECT_EQ(wanted_backends(10.000000001, 0, 10), 1u) << "a sum of measured times";
    EXPECT_EQ(wanted_backends(10.1, 0, 10), 2u);
    EXPECT_EQ(wanted_backends(5, 6, 10), 2u);
    EXPECT_EQ(wanted_backends(5, 6, 0), 0u);
}

}  // namespace
}  // namespace lb::admin
