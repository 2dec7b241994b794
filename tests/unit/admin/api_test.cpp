// /status and /readyz from a table filled by hand, at a time the test chooses.
#include "master/admin/api.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "master/admin/exposition.h"
#include "table_for_test.h"

namespace lb::admin {
namespace {

using nlohmann::json;

constexpr Micros now = 1'000'000'000;
constexpr Micros second = 1'000'000;

TEST(Status, tells_what_runs) {
    TableForTest table;
    table.segment.header().start_time = 1000;
    table.segment.header().generation = 3;
    table.listener(0, "web");
    table.pool(0, "app");
    table.pool(1, "empty");
    shm::BackendSlot& sick = table.backend(4, 0, "a2", shm::Health::down, "[::1]:8082");
    sick.weight = 5;
    sick.backup = 1;
    sick.changed = 1500;
    sick.check_reason = table.text("connection refused");
    table.backend(2, 0, "a1", shm::Health::up, "10.0.0.1:8081");
    table.process(0, shm::Role::master);
    shm::Column worker = table.process(1, shm::Role::worker, 3, now - 150'000);
    table.process(2, shm::Role::worker, 2, now + 5);
    table.segment.column(2).draining = 1;
    table.process(3, shm::Role::worker, 3, 0);
    worker.add<"lb_client_connections">(0, 0, 2);
    worker.add<"lb_listener_requests_total">(0, 2, 8);
    worker.add<"lb_listener_requests_total">(0, 5, 1);
    worker.add<"lb_requests_total">(0, 2, 7);
    worker.add<"lb_retries_total">(0);
    worker.add<"lb_backend_in_flight">(4, 0, 3);
    worker.add<"lb_backend_requests_total">(4, 2, 10);
    worker.add<"lb_backend_requests_total">(4, 5, 1);
    worker.add<"lb_backend_failures_total">(4, metrics::fail_cut, 2);

    const json status =
        json::parse(status_json(table.segment, take_inventory(table.segment, nullptr), 1600, now));
    EXPECT_TRUE(status["version"].is_string());
    EXPECT_EQ(status["generation"], 3);
    EXPECT_EQ(status["start_time"], 1000);
    EXPECT_EQ(status["uptime_seconds"], 600);
    EXPECT_EQ(status["stopping"], false);
    EXPECT_EQ(status["workers"], json::parse(R"([
        {"number":1,"pid":1001,"generation":3,"state":"serving","heartbeat_age_ms":150},
        {"number":2,"pid":1002,"generation":2,"state":"draining","heartbeat_age_ms":0},
        {"number":3,"pid":1003,"generation":3,"state":"serving","heartbeat_age_ms":null}])"));
    EXPECT_EQ(status["listeners"], json::parse(R"([{"name":"web","connections":2,"requests":9}])"));
    EXPECT_EQ(status["pools"], json::parse(R"([
        {"name":"app","requests":7,"retries":1,"backends":[
            {"name":"a1","address":"10.0.0.1:8081","health":"up","configured":true,"weight":1,"backup":false,
             "in_flight":0,"requests":0,"failures":0,"changed":null,"check_reason":null},
            {"name":"a2","address":"[::1]:8082","health":"down","configured":true,"weight":5,"backup":true,
             "in_flight":3,"requests":11,"failures":2,"changed":1500,"check_reason":"connection refused"}]},
        {"name":"empty","requests":0,"retries":0,"backends":[]}])"));
}

TEST(Status, is_json_whatever_the_names_hold) {
    TableForTest table;
    table.pool(0, "\xff\"\n\\");
    table.backend(0, 0, "\xc3(").check_reason = table.text("\x80");
    const std::string text = status_json(table.segment, take_inventory(table.segment, nullptr), 0, now);
    const json status = json::parse(text, nullptr, false);
    ASSERT_FALSE(status.is_discarded()) << text;
    EXPECT_EQ(status["pools"][0]["name"], "\xef\xbf\xbd\"\n\\");
}

TEST(Inventory, the_configuration_in_force_says_which_slot_speaks) {
    TableForTest table;
    table.pool(0, "app");
    table.backend(0, 0, "a1", shm::Health::up, "10.0.0.1:80").changed = 900;
    table.backend(1, 0, "a1", shm::Health::down, "10.0.0.2:80").changed = 100;
    table.backend(2, 0, "gone", shm::Health::up);
    table.publish(0, {0});
    config::Config config;
    config.pools.resize(1);
    config.pools[0].backends.resize(1);
    config.pools[0].backends[0].slot = 1;
    const Inventory known = take_inventory(table.segment, &config);
    ASSERT_EQ(known.backends.size(), 2u);
    EXPECT_EQ(known.backends[0].slots, (std::vector<std::uint32_t>{1, 0}));
    EXPECT_EQ(known.backends[0].health, shm::Health::down);
    EXPECT_EQ(to_string(known.backends[0].addresses.at(0)), "10.0.0.2:80");
    EXPECT_TRUE(known.backends[0].configured);
    EXPECT_EQ(known.backends[1].name, "gone");
    EXPECT_FALSE(known.backends[1].configured) << "an older generation still uses it";

    const Inventory unknown = take_inventory(table.segment, nullptr);
    EXPECT_EQ(unknown.backends[0].slots, (std::vector<std::uint32_t>{0, 1})) << "the one that is handed out";
    table.publish(0, {});
    table.segment.backend(1).changed = 901;
    EXPECT_EQ(take_inventory(table.segment, nullptr).backends[0].slots, (std::vector<std::uint32_t>{1, 0}))
        << "the one that changed last";
}

TEST(Inventory, a_backend_that_is_leaving_does_not_count_as_one_of_its_pool) {
    TableForTest table;
    table.pool(0, "app");
    table.backend(0, 0, "stays");
    table.backend(1, 0, "leaves");
    config::Config config;
    config.pools.resize(1);
    config.pools[0].backends.resize(1);
    config.pools[0].backends[0].slot = 0;
    const std::string page =
        expose(table.segment, take_inventory(table.segment, &config), config::Switch::off).text;
    EXPECT_NE(page.find("lb_pool_backends{pool=\"app\",state=\"up\"} 1\n"), std::string::npos);
    EXPECT_NE(page.find("lb_backend_up{pool=\"app\",backend=\"leaves\"} 1\n"), std::string::npos);
}

TEST(Inventory, leaves_free_slots_and_strangers_out) {
    TableForTest table;
    table.listener(0, "web");
    table.segment.listener(0).state = shm::SlotState::free;
    table.pool(3, "app");
    table.backend(0, 3, "a1");
    table.backend(1, 9, "of a pool that is not there");
    table.backend(2, 3, "free").state = shm::SlotState::free;
    const Inventory inventory = take_inventory(table.segment, nullptr);
    EXPECT_TRUE(inventory.listeners.empty());
    ASSERT_EQ(inventory.backends.size(), 1u);
    EXPECT_EQ(inventory.backends[0].name, "a1");
}

TEST(Utf8, replaces_only_what_is_not_utf8) {
    EXPECT_EQ(to_utf8("plain"), "plain");
    EXPECT_EQ(to_utf8(""), "");
    EXPECT_EQ(to_utf8("\xe2\x82\xac \xf0\x9f\x98\x80"), "\xe2\x82\xac \xf0\x9f\x98\x80");
    EXPECT_EQ(to_utf8("a\xed\xa0\x80z").find('\xed'), std::string::npos) << "a surrogate";
}

struct ReadyCase {
    const char* name;
    std::uint32_t generation;  // of the worker; in force: 2
    Micros heartbeat;          // 0: none yet
    bool draining, stopping, worker;
    const char* why;
};
class ReadyTable : public testing::TestWithParam<ReadyCase> {};

TEST_P(ReadyTable, decides) {
    const ReadyCase& c = GetParam();
    TableForTest table;
    table.segment.header().generation = 2;
    table.segment.header().stopping = c.stopping ? 1 : 0;
    table.process(1, c.worker ? shm::Role::worker : shm::Role::admin, c.generation, c.heartbeat);
    table.segment.column(1).draining = c.draining ? 1 : 0;
    EXPECT_EQ(not_ready(table.segment, now), c.why);
    table.segment.column(1).state = shm::ColumnState::free;
    EXPECT_NE(not_ready(table.segment, now), "") << "a free column is nobody";
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ReadyTable,
    testing::Values(
        ReadyCase{"ready", 2, now - second, false, false, true, ""},
        ReadyCase{"just_fresh", 2, now - 2 * second + 1, false, false, true, ""},
        ReadyCase{"stale", 2, now - 2 * second, false, false, true,
                  "no worker of the present generation is alive"},
        ReadyCase{"not_begun", 2, 0, false, false, true, "no worker of the present generation is alive"},
        ReadyCase{"older_generation", 1, now, false, false, true, "no worker of the present generation"},
        ReadyCase{"draining", 2, now, true, false, true, "no worker of the present generation"},
        ReadyCase{"not_a_worker", 2, now, false, false, false, "no worker of the present generation"},
        ReadyCase{"stopping", 2, now, false, true, true, "stopping"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace lb::admin
