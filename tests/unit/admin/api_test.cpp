// /status and /readyz from a table filled by hand, at a time the test chooses.
#include "master/admin/api.h"

#include <gtest/gtest.h>

#include <algorithm>
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
    sick.ejected_until = 1612;
    shm::BackendSlot& well = table.backend(2, 0, "a1", shm::Health::up, "10.0.0.1:8081");
    well.operator_state = shm::Operator::drain;
    well.member_of = shm::MemberOf::registry;
    well.expires = 1700;
    well.zone = table.text("west");
    well.max_inflight = 30;
    well.effective_weight = 1;
    table.segment.pool(0).panic = 1;
    table.publish(0, {2});
    table.limit(0, "per_client");
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
    worker.add<"lb_reloads_total">(0, 1, 2);
    worker.add<"lb_pool_queued">(0, 0, 2);
    worker.add<"lb_pool_saturated_total">(0, 0, 4);
    worker.add<"lb_limit_requests_total">(0, metrics::limit_refused, 6);
    worker.add<"lb_limit_evictions_total">(0);
    worker.add<"lb_backend_in_flight">(4, 0, 3);
    worker.add<"lb_backend_requests_total">(4, 2, 10);
    worker.add<"lb_backend_requests_total">(4, 5, 1);
    worker.add<"lb_backend_failures_total">(4, metrics::fail_cut, 2);

    const Inventory inventory = take_inventory(table.segment);
    const json status = json::parse(status_json({table.segment, inventory, nullptr, 1600, now}));
    EXPECT_TRUE(status["version"].is_string());
    EXPECT_EQ(status["generation"], 3);
    EXPECT_EQ(status["start_time"], 1000);
    EXPECT_EQ(status["uptime_seconds"], 600);
    EXPECT_EQ(status["stopping"], false);
    EXPECT_EQ(status["reloads"], 0);
    EXPECT_EQ(status["failed_reloads"], 2);
    EXPECT_EQ(status["master"], 1000);
    EXPECT_EQ(status["admin"], nullptr);
    EXPECT_EQ(status["workers"], json::parse(R"([
        {"number":1,"pid":1001,"generation":3,"state":"serving","heartbeat_age_ms":150},
        {"number":2,"pid":1002,"generation":2,"state":"draining","heartbeat_age_ms":0},
        {"number":3,"pid":1003,"generation":3,"state":"serving","heartbeat_age_ms":null}])"));
    EXPECT_EQ(status["listeners"],
              json::parse(R"([{"name":"web","connections":2,"tunnels":0,"requests":9}])"));
    EXPECT_EQ(status["routes"], json::array());
    EXPECT_EQ(status["pools"], json::parse(R"([
        {"name":"app","requests":7,"retries":1,"queued":2,"saturated":4,"usable":1,"panic":true,
         "unresolved":[],"backends":[
            {"name":"a1","addresses":["10.0.0.1:8081"],"health":"up","state":"drain","ejected_until":null,
             "member":true,"member_of":"registry","expires":1700,"zone":"west","weight":1,"effective_weight":1,
             "max_inflight":30,"backup":false,"in_flight":0,"requests":0,"failures":0,"changed":null,
             "check_reason":null},
            {"name":"a2","addresses":["[::1]:8082"],"health":"down","state":"ready","ejected_until":1612,
             "member":true,"member_of":"file","expires":null,"zone":null,"weight":5,"effective_weight":0,
             "max_inflight":null,"backup":true,"in_flight":3,"requests":11,"failures":2,"changed":1500,
             "check_reason":"connection refused"}]},
        {"name":"empty","requests":0,"retries":0,"queued":0,"saturated":0,"usable":0,"panic":false,
         "unresolved":[],"backends":[]}])"));
    EXPECT_EQ(status["limits"], json::parse(R"([
        {"name":"per_client","passed":0,"refused":6,"would_refuse":0,"evictions":1}])"));
}

TEST(Status, comes_in_pieces_of_whole_lines_that_make_the_same_page) {
    TableForTest table;
    table.listener(0, "web");
    table.pool(0, "none");
    table.pool(1, "app");
    table.pool(2, "one");
    for (std::uint32_t i = 0; i < 23; i++) table.backend(i, 1, "b" + std::to_string(i));
    table.backend(30, 2, "c");
    const Inventory whole = take_inventory(table.segment);
    const Moment moment{table.segment, whole, nullptr, 1600, now};
    const std::string page = status_json(moment);
    EXPECT_EQ(json::parse(page)["pools"][1]["backends"].size(), 23u);

    InventoryTaker taker(table.segment);
    int steps = 1;
    while (taker.step(10)) steps++;
    EXPECT_EQ(steps, 7) << "64 slots";
    const Inventory same = std::move(taker).take();
    for (const std::size_t backends : {1u, 5u, 23u, 1000u}) {
        StatusPage pieces({table.segment, same, nullptr, 1600, now});
        std::string text;
        for (bool more = true; more;) {
            std::string piece;
            more = pieces.next(piece, backends);
            EXPECT_TRUE(piece.ends_with('\n')) << piece;
            EXPECT_LE(std::count(piece.begin(), piece.end(), '\n'), 12 + static_cast<long>(backends));
            text += piece;
        }
        EXPECT_EQ(text, page) << backends;
    }
}

TEST(Status, no_line_is_longer_than_the_control_socket_takes) {
    TableForTest table(2048);
    table.pool(0, "app");
    for (std::uint32_t i = 0; i < 2000; i++) {
        table.backend(i, 0, "nowhere" + std::to_string(i) + ".example:80", shm::Health::down, "");
    }
    const Inventory inventory = take_inventory(table.segment);
    const std::string page = status_json({table.segment, inventory, nullptr, 0, now});
    EXPECT_EQ(json::parse(page)["pools"][0]["unresolved"].size(), 2000u);
    for (std::size_t at = 0, end; (end = page.find('\n', at)) != std::string::npos; at = end + 1) {
        ASSERT_LE(end - at, StatusPage::longest_line);
    }
}

TEST(Status, is_in_the_order_of_the_configuration_where_that_is_known) {
    TableForTest table;
    table.pool(0, "b");
    table.pool(1, "a");
    table.pool(2, "gone");
    table.backend(5, 1, "a1");
    table.backend(2, 1, "a2");
    table.backend(3, 1, "found");
    table.backend(1, 0, "b1");
    table.limit(1, "second");
    table.limit(2, "first");
    config::Config config;
    config.pools.resize(2);
    config.pools[0].slot = 1;
    config.pools[0].backends.resize(2);
    config.pools[0].backends[0].slot = 5;
    config.pools[0].backends[1].slot = 2;
    config.pools[0].balance.policy = config::Policy::p2c;
    config.pools[0].target_inflight = 12;
    config.pools[1].slot = 0;
    config.pools[1].backends.resize(1);
    config.pools[1].backends[0].slot = 1;
    config.limits.resize(2);
    config.limits[0].slot = 2;
    config.limits[1].slot = 1;
    Inventory inventory = take_inventory(table.segment);
    arrange(inventory, config);
    const json status = json::parse(status_json({table.segment, inventory, &config, 0, now}));
    std::string names;
    for (const json& pool : status["pools"]) {
        names += pool["name"].get<std::string>() + ":";
        for (const json& backend : pool["backends"]) names += " " + backend["name"].get<std::string>();
        names += "; ";
    }
    EXPECT_EQ(names, "a: a1 a2 found; b: b1; gone:; ");
    EXPECT_EQ(status["limits"][0]["name"], "first");
    EXPECT_EQ(status["pools"][0]["policy"], "p2c");
    EXPECT_EQ(status["pools"][0]["target_inflight"], 12);
    EXPECT_EQ(status["pools"][1]["target_inflight"], nullptr);
}

TEST(Status, tells_what_routes_do_while_the_configuration_in_force_is_known) {
    TableForTest table;
    table.route(0, "split");
    table.route(1, "moved");
    table.route(2, "gone");
    table.process(1, shm::Role::worker).add<"lb_route_requests_total">(0, 2, 4);
    config::Config config;
    config.pools.resize(2);
    config.pools[0].name = "app";
    config.pools[1].name = "next";
    config.routes.resize(2);
    config.routes[0].slot = 1;
    config.routes[0].redirect = config::Redirect{308, {}};
    config.routes[1].slot = 0;
    config.routes[1].pools = {{0, 95}, {1, 5}};
    config.routes[1].mirror = config::Mirror{1, 100'000};
    const Inventory inventory = take_inventory(table.segment);
    const Moment moment{table.segment, inventory, &config, 0, now};
    EXPECT_EQ(json::parse(status_json(moment))["routes"], json::parse(R"([
        {"name":"split","requests":4,"configured":true,
         "pools":[{"name":"app","weight":95},{"name":"next","weight":5}],
         "redirect":null,"respond":null,"mirror":{"name":"next","share":0.1}},
        {"name":"moved","requests":0,"configured":true,"pools":[],"redirect":308,"respond":null,"mirror":null},
        {"name":"gone","requests":0,"configured":false}])"));
    const json unknown = json::parse(status_json({table.segment, inventory, nullptr, 0, now}));
    EXPECT_EQ(unknown["routes"][0], json::parse(R"({"name":"split","requests":4})"));
}

TEST(Status, shows_who_left_which_names_have_no_address_and_where_a_pool_looks_for_backends) {
    TableForTest table;
    table.pool(0, "app");
    table.pool(1, "gone");
    table.backend(0, 0, "written");
    table.backend(2, 0, "left").member = 0;
    table.backend(3, 0, "nowhere.example:80", shm::Health::down, "");
    table.backend(4, 0, "left.example:80", shm::Health::down, "").member = 0;
    config::Config config;
    config.pools.resize(1);
    config.pools[0].slot = 0;
    config.pools[0].discover = {{config::DiscoverKind::dns, "app.example", 80, ""},
                                {config::DiscoverKind::srv, "_http._tcp.example", 0, ""},
                                {config::DiscoverKind::file, "", 0, "/etc/lb/members"}};
    const Inventory inventory = take_inventory(table.segment);
    const json pools = json::parse(status_json({table.segment, inventory, &config, 0, now}))["pools"];
    EXPECT_EQ(pools[0]["discover"],
              json::parse(R"(["dns app.example:80","dns srv=_http._tcp.example","file /etc/lb/members"])"));
    EXPECT_EQ(pools[0]["configured"], true);
    EXPECT_EQ(pools[1]["configured"], false);
    EXPECT_FALSE(pools[1].contains("discover"));
    EXPECT_EQ(pools[0]["unresolved"], json::parse(R"(["nowhere.example:80"])"));
    const auto of = [&](std::size_t i, const char* what) { return pools[0]["backends"][i][what]; };
    EXPECT_EQ(of(0, "member"), true);
    EXPECT_EQ(of(1, "member"), false);
    EXPECT_EQ(of(2, "addresses"), json::array());
}

TEST(Api, gives_a_list_or_one_entry_of_it) {
    TableForTest table;
    table.listener(0, "web");
    table.pool(0, "app");
    table.pool(1, "a/b c");
    table.process(3, shm::Role::worker, 1, now);
    const Inventory inventory = take_inventory(table.segment);
    const Moment moment{table.segment, inventory, nullptr, 0, now};
    const auto ask = [&](std::string_view path) {
        const auto text = part_json(moment, path);
        return text ? json::parse(*text) : json("nothing");
    };
    EXPECT_EQ(ask("listeners")[0]["name"], "web");
    EXPECT_EQ(ask("pools").size(), 2u);
    EXPECT_EQ(ask("pools/app")["name"], "app");
    EXPECT_EQ(ask("pools/a/b c")["name"], "a/b c") << "a name may hold a slash";
    EXPECT_EQ(ask("workers/3")["pid"], 1003);
    EXPECT_EQ(ask("routes"), json::array());
    for (const char* none : {"", "pool", "pools/", "pools/none", "workers/x", "listeners/web/", "poolsx"}) {
        EXPECT_EQ(ask(none), "nothing") << none;
    }
}

TEST(Status, is_json_whatever_the_names_hold) {
    TableForTest table;
    table.pool(0, "\xff\"\n\\");
    table.backend(0, 0, "\xc3(").check_reason = table.text("\x80");
    const Inventory inventory = take_inventory(table.segment);
    const std::string text = status_json({table.segment, inventory, nullptr, 0, now});
    const json status = json::parse(text, nullptr, false);
    ASSERT_FALSE(status.is_discarded()) << text;
    EXPECT_EQ(status["pools"][0]["name"], "\xef\xbf\xbd\"\n\\");
}

std::vector<std::uint32_t> slots_of(const BackendGroup& group) {
    std::vector<std::uint32_t> slots;
    for (const Place& place : group.places) slots.push_back(place.slot);
    return slots;
}

TEST(Inventory, of_two_slots_with_one_name_the_member_speaks) {
    TableForTest table;
    table.pool(0, "app");
    table.backend(0, 0, "a1", shm::Health::up, "10.0.0.1:80").changed = 900;
    table.segment.backend(0).member = 0;
    table.backend(1, 0, "a1", shm::Health::down, "10.0.0.2:80").changed = 100;
    table.backend(2, 0, "gone", shm::Health::up).member = 0;
    table.publish(0, {0});
    const auto read = [&] { return take_inventory(table.segment); };
    ASSERT_EQ(read().backends.size(), 2u);
    EXPECT_EQ(slots_of(read().backends[0]), (std::vector<std::uint32_t>{1, 0}));
    EXPECT_EQ(read().backends[0].health, shm::Health::down);
    EXPECT_EQ(to_string(read().backends[0].addresses.at(0)), "10.0.0.2:80");
    EXPECT_TRUE(read().backends[0].member);
    EXPECT_EQ(read().backends[1].name, "gone");
    EXPECT_FALSE(read().backends[1].member) << "an older generation still uses it";

    table.segment.backend(0).member = 1;
    EXPECT_EQ(slots_of(read().backends[0]), (std::vector<std::uint32_t>{0, 1}))
        << "the one that is handed out";
    table.publish(0, {});
    table.segment.backend(1).changed = 901;
    EXPECT_EQ(slots_of(read().backends[0]), (std::vector<std::uint32_t>{1, 0}))
        << "the one that changed last";
}

TEST(Inventory, notices_that_a_slot_changed_hands) {
    TableForTest table;
    table.pool(0, "app");
    table.route(0, "r");
    table.backend(0, 0, "a1");
    const Inventory inventory = take_inventory(table.segment);
    const Place backend = inventory.backends[0].places[0];
    const Place route = inventory.routes[0].places[0];
    EXPECT_TRUE(still(table.segment, metrics::Scope::backend, backend));
    EXPECT_TRUE(still(table.segment, metrics::Scope::route, route));
    table.segment.backend(0).state = shm::SlotState::retiring;
    EXPECT_TRUE(still(table.segment, metrics::Scope::backend, backend))
        << "it has its owner until it is free";
    table.segment.backend(0).state = shm::SlotState::free;
    EXPECT_FALSE(still(table.segment, metrics::Scope::backend, backend));
    table.backend(0, 0, "a1");
    EXPECT_FALSE(still(table.segment, metrics::Scope::backend_detail, backend)) << "another one of that name";
    table.route(0, "other");
    EXPECT_FALSE(still(table.segment, metrics::Scope::route, route));
}

TEST(Inventory, a_backend_that_is_leaving_does_not_count_as_one_of_its_pool) {
    TableForTest table;
    table.pool(0, "app");
    table.backend(0, 0, "stays");
    table.backend(1, 0, "leaves").member = 0;
    const std::string page = expose(table.segment, take_inventory(table.segment), config::Switch::off).text;
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
    const Inventory inventory = take_inventory(table.segment);
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
