// tests/unit/explain/pool_test.cpp -- what lb explain says of the rules a request meets and of the pool that it reaches: lists,
// limits, zones, sessions, keys, and the states of backends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shared/balance/peak_ewma.h"
#include "shared/balance/sticky_id.h"
#include "shared/geo/countries.h"
#include "support.h"

namespace lb {
namespace {

using testing::Contains;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ExplainPool : public Explain {
 protected:
    // One pool "app" that the listener leads to.
    std::uint32_t app(const std::vector<std::string>& backends,
                      config::Policy policy = config::Policy::round_robin) {
        const std::uint32_t number = pool("app", backends);
        config_.pools[number].balance.policy = policy;
        config_.listeners[0].pool = number;
        return number;
    }
    config::Pool& settings() { return config_.pools[0]; }
    std::vector<std::string> get(std::string_view target = "/", std::string_view from = "",
                                 std::string_view field = "") {
        return told("GET\thttp://h" + std::string(target) + "\t" + std::string(from) + "\t" +
                    (field.empty() ? "" : "\t" + std::string(field)));
    }
    void in_flight(std::size_t backend, std::uint32_t count) {
        table_.backend_cell(slot(0, backend)).in_flight.store(count);
    }
    shm::BackendSlot& state(std::size_t backend) { return table_.backend(slot(0, backend)); }
    // The text behind the name of a backend.
    static std::string of(const std::vector<std::string>& lines, const std::string& name) {
        for (const std::string& line : lines) {
            const auto at = line.find(" " + name + " (10.");
            if (at != std::string::npos) return line.substr(line.find(")  ") + 3);
        }
        return "no line";
    }
};

TEST_F(ExplainPool, SaysWhichAclLetsIn) {
    config_.acls = {
        {"office", {parse_cidr("10.0.0.0/8").value()}, {parse_cidr("10.6.0.0/16").value()}, false},
        {"seven", {parse_cidr("10.7.0.0/16").value()}, {}, false},
        {"never", {}, {}, false}};
    const std::uint32_t pool = app({"a"});
    config::Route& one = route("r", "/r");
    one.pools = {{pool, 1}};
    one.acls = {1};
    config_.listeners[0].acls = {0};
    begin();
    auto lines = get("/r", "10.7.0.1");
    EXPECT_THAT(lines, Contains("acl       office  allowed: 10.0.0.0/8 is allowed"));
    EXPECT_THAT(lines, Contains("          seven   allowed: 10.7.0.0/16 is allowed"));
    EXPECT_EQ(lines.back(), "+ backend a of pool app is next");
    lines = get("/r", "10.8.0.1");
    EXPECT_THAT(lines, Contains("          seven   denied: no prefix holds the client, the default is deny"));
    EXPECT_EQ(lines.back(), "- refused with 403: acl seven denies 10.8.0.1");
    EXPECT_THAT(lines, Not(Contains(StartsWith("pool")))) << "it comes no further";
    EXPECT_EQ(get("/", "10.8.0.1").back(), "+ backend a of pool app is next") << "another route's acl";
    lines = get("/r", "10.6.0.1");
    EXPECT_EQ(lines.back(), "- refused with 403: acl office denies 10.6.0.1");
    EXPECT_THAT(lines, Not(Contains(HasSubstr("seven"))));
}

TEST_F(ExplainPool, SaysWhichLimitsCount) {
    const std::uint32_t pool = app({"a"});
    config_.limits.resize(4);
    config_.limits[0] = {"per-client", {}, 5'000'000, 400, 100, 429, false};
    config_.limits[1] = {"per-key", {config::KeyKind::header, "x-api-key"}, 30'000'000'000, 1, 0, 503, true};
    config_.limits[2] = {"places", {config::KeyKind::route, ""}, 0, 0, 7, 429, false};
    config_.limits[3] = {"odd", {config::KeyKind::cookie, "id"}, 3'600'000'000'001, 1, 0, 429, false};
    config::Route& one = route("r", "/r");
    one.pools = {{pool, 1}};
    one.limits = {1, 2, 3};
    config_.listeners[0].limits = {0};
    begin();
    auto lines = get("/r", "10.7.0.1");
    EXPECT_THAT(
        lines,
        Contains("limit     per-client  client_addr 10.7.0.1: 200/s burst=400, 100 at once, else 429"));
    EXPECT_THAT(lines, Contains("          per-key     there is no header x-api-key: not counted"));
    EXPECT_THAT(lines, Contains("          places      route r: 7 at once, else 429"));
    EXPECT_THAT(lines, Contains("          odd         there is no cookie id: not counted"));
    lines = get("/r", "10.7.0.1", "X-Api-Key: abc");
    EXPECT_THAT(
        lines, Contains("          per-key     header x-api-key 'abc': 2/m burst=1, counted only (dry_run)"));
    lines = get("/r", "10.7.0.1", "Cookie: id=1");
    EXPECT_THAT(lines,
                Contains("          odd         cookie id '1': 1 every 3600.000000001s burst=1, else 429"));
    EXPECT_THAT(get("/").at(4), StartsWith("limit     per-client  client_addr 127.0.0.1"));
}

TEST_F(ExplainPool, SaysWhatAnOperatorOrAFailureTookOut) {
    const std::uint32_t pool = app({"a", "b", "c", "d"});
    begin();
    state(1).operator_state.store(shm::Operator::maint);
    state(2).operator_state.store(shm::Operator::drain);
    state(3).ejected_until.store(1'795'255'200);
    publish(pool, {{"", false, 1, {{0}}}});
    const auto lines = get();
    EXPECT_EQ(of(lines, "a"), "next: it is its turn");
    EXPECT_EQ(of(lines, "b"), "maint: taken out by an operator");
    EXPECT_EQ(of(lines, "c"), "drain: serves what is open and the sessions it has");
    EXPECT_EQ(of(lines, "d"), "ejected until 2026-11-21 10:00:00 UTC: it failed requests");
}

TEST_F(ExplainPool, SaysHowFarASlowStartIs) {
    const std::uint32_t pool = app({"a", "b"});
    settings().backends[1].weight = 4;
    begin();
    publish(pool, {{"", false, 1, {{0, 100}, {1, 180}}}});
    const auto lines = get();
    EXPECT_EQ(of(lines, "a"), "next: it is its turn");
    EXPECT_EQ(of(lines, "b"), "usable: its turn comes in 1 request; slow start: 45% of its weight");
}

TEST_F(ExplainPool, SaysThatItIsPanic) {
    const std::uint32_t pool = app({"a", "b"});
    settings().panic = 50;
    begin();
    health(pool, 1, shm::Health::down, "refused");
    publish(pool, {{"", false, 1, {{0}, {1}}}}, {}, true);
    const auto lines = get();
    EXPECT_THAT(lines, Contains("panic     less than 50% are usable: all are used"));
    EXPECT_THAT(of(lines, "b"), StartsWith("usable: its turn comes in 1 request; down since 20"));
}

TEST_F(ExplainPool, PassesOverWhoIsFull) {
    const std::uint32_t pool = app({"a", "b"});
    settings().queue = {10, config::Millis(5000)};
    begin();
    publish(pool, {{"", false, 1, {{0, 1, 3}, {1, 1, 3}}}});
    in_flight(0, 3);
    auto lines = get();
    EXPECT_EQ(of(lines, "a"), "full: 3 in flight, no more than its max_inflight");
    EXPECT_EQ(of(lines, "b"), "next: it is its turn");
    EXPECT_EQ(lines.back(), "+ backend b of pool app is next");
    in_flight(1, 3);
    table_.pool_cell(settings().slot).queued.store(4);
    lines = get();
    EXPECT_THAT(lines, Contains("queue     4 of 10 places taken, for at most 5000 ms"));
    EXPECT_EQ(lines.back(), "+ waits in the queue: every backend of pool app has its max_inflight");
    table_.pool_cell(settings().slot).queued.store(10);
    EXPECT_EQ(get().back(), "+ 503: every backend of pool app has its max_inflight, and its queue is full");
    settings().queue.size = 0;
    lines = get();
    EXPECT_THAT(lines, Contains("queue     off"));
    EXPECT_EQ(lines.back(), "+ 503: every backend of pool app has its max_inflight");
}

TEST_F(ExplainPool, BackupsAreForWhenNoPrimaryIsUsable) {
    const std::uint32_t pool = app({"a", "b"});
    begin();
    publish(pool, {{"", false, 1, {{0, 1, 1}}}, {"", true, 1, {{1}}}});
    EXPECT_EQ(of(get(), "b"), "backup: not used while a primary is usable");
    in_flight(0, 1);
    EXPECT_EQ(get().back(), "+ 503: every backend of pool app has its max_inflight") << "full is not gone";
    publish(pool, {{"", false, 1, {}}, {"", true, 1, {{1}}}});
    EXPECT_EQ(of(get(), "b"), "next: it is its turn");
}

TEST_F(ExplainPool, TheClientsZoneThenTheOthers) {
    const std::uint32_t pool = app({"a", "b", "c"});
    settings().backends[0].zone = "eu";
    settings().backends[1].zone = "us";
    settings().backends[2].zone = "us";
    config_.zones.here = "us";
    config_.zones.places = {{"eu", {"DE"}}, {"asia", {"FR"}}};
    const auto database = geo::Countries::open("tests/data/countries.mmdb");
    ASSERT_TRUE(database.ok()) << database.error();
    config_.zones.countries = database.value();
    begin();
    publish(pool, {{"eu", false, 1, {{0}}}, {"us", false, 1, {{1}, {2}}}});
    auto lines = get("/", "127.0.1.1");
    EXPECT_THAT(lines, Contains("zone      eu, the client's by its country DE"));
    EXPECT_EQ(of(lines, "a"), "next: it is its turn");
    EXPECT_EQ(of(lines, "b"), "usable: in zone us, this request goes to zone eu");
    lines = get("/", "10.0.0.1");
    EXPECT_THAT(lines, Contains("zone      us, this lb's own"));
    EXPECT_EQ(of(lines, "b"), "next: it is its turn");
    EXPECT_EQ(get("/", "127.0.2.1").at(5),
              "zone      asia, the client's by its country FR, where nobody is usable: the others by their "
              "weights");
    publish(pool, {{"eu", false, 0.5, {{0}}}, {"us", false, 1, {{1}, {2}}}});
    EXPECT_EQ(get("/", "127.0.1.1").at(5),
              "zone      eu, the client's by its country DE: keeps 50% of its requests, the others take the "
              "rest by their "
              "weights");
    in_flight(0, 1);
    publish(pool, {{"eu", false, 1, {{0, 1, 1}}}, {"us", false, 1, {{1}, {2}}}});
    lines = get("/", "127.0.1.1");
    EXPECT_EQ(of(lines, "b"), "next: it is its turn") << "its own zone is full";
    config_.zones = {};
    lines = get();
    EXPECT_EQ(lines.at(5), "zone      none is preferred: all by their weights");
}

TEST_F(ExplainPool, TheCookieNamesABackend) {
    const std::uint32_t pool = app({"a", "b", "c"});
    settings().sticky = {config::StickyKind::cookie, "LBID", "secret"};
    begin();
    const auto cookie = [](std::uint64_t id) { return "Cookie: x=1; LBID=" + balance::sticky_text(id); };
    publish(pool, {{"", false, 1, {{0}, {1}}}}, {{0, 100}, {1, 200}, {2, 300, true}});
    state(2).operator_state.store(shm::Operator::drain);
    auto lines = get();
    EXPECT_THAT(lines, Contains("sticky    there is no cookie LBID yet: the answer sets it"));
    EXPECT_EQ(lines.back(), "+ backend a of pool app is next");
    lines = get("/", "", cookie(200));
    EXPECT_THAT(lines, Contains("sticky    cookie LBID names b"));
    EXPECT_EQ(of(lines, "a"), "usable: the cookie decides");
    EXPECT_EQ(of(lines, "b"), "next: the cookie names it");
    EXPECT_EQ(lines.back(), "+ backend b of pool app is next: its session");
    lines = get("/", "", cookie(300));
    EXPECT_THAT(lines,
                Contains("sticky    cookie LBID names c, which drains and serves the sessions it has"));
    EXPECT_EQ(of(lines, "c"), "next: the cookie names it, and in drain it serves the sessions it has");
    EXPECT_EQ(lines.back(), "+ backend c of pool app is next: its session");
    for (const std::string& wrong : {cookie(400), std::string("Cookie: LBID=zz"), cookie(0)}) {
        lines = get("/", "", wrong);
        EXPECT_THAT(lines,
                    Contains("sticky    cookie LBID names no backend that serves: the answer sets another"));
        EXPECT_EQ(lines.back(), "+ backend a of pool app is next");
    }
    publish(pool, {{"", false, 1, {{0}, {1, 1, 2}}}}, {{0, 100}, {1, 200, false, 2}});
    in_flight(1, 2);
    lines = get("/", "", cookie(200));
    EXPECT_THAT(lines, Contains("sticky    cookie LBID names b, which has its max_inflight, 2"));
    EXPECT_EQ(lines.back(), "+ backend a of pool app is next");
}

TEST_F(ExplainPool, ASessionServesWhileNobodyElseIsUsable) {
    const std::uint32_t pool = app({"a"});
    settings().sticky = {config::StickyKind::cookie, "LBID", "secret"};
    begin();
    state(0).operator_state.store(shm::Operator::drain);
    publish(pool, {{"", false, 0, {}}}, {{0, 100, true}});
    EXPECT_EQ(get("/", "", "Cookie: LBID=" + balance::sticky_text(100)).back(),
              "+ backend a of pool app is next: its session");
    EXPECT_EQ(get().back(), "+ 503: no backend of pool app is usable");
}

TEST_F(ExplainPool, AKeyHashesToABackend) {
    const std::uint32_t pool = app({"a", "b", "c"}, config::Policy::hash);
    settings().balance.key = {config::KeyKind::path, ""};
    begin();
    publish(pool, {{"", false, 1, {{0, 1, 5}, {1, 1, 5}, {2, 1, 5}}}});
    const auto named = [](const std::string& outcome) { return outcome.substr(10, 1); };
    auto lines = get("/x");
    EXPECT_THAT(lines, Contains("pool      app (hash path) of listener web"));
    const std::string first = named(lines.back());
    EXPECT_EQ(of(lines, first), "next: path /x hashes to it");
    EXPECT_EQ(of(lines, first == "a" ? "b" : "a"), "usable: has other keys");
    EXPECT_EQ(named(get("/x", "10.0.0.1").back()), first);
    bool others = false;
    for (int i = 0; i < 20; i++) others |= named(get("/" + std::to_string(i)).back()) != first;
    EXPECT_TRUE(others);
    in_flight(static_cast<std::size_t>(first[0] - 'a'), 5);
    lines = get("/x");
    const std::string second = named(lines.back());
    EXPECT_NE(second, first);
    EXPECT_EQ(of(lines, second), "next: path /x hashes to " + first + ", which is full; this is the next");
    settings().balance.bound = 125;
    publish(pool, {{"", false, 1, {{0}, {1}, {2}}}});
    table_.pool_cell(settings().slot).in_flight.store(6);
    EXPECT_EQ(of(get("/x"), second),
              "next: path /x hashes to " + first + ", which has its bound of 125%; this is the next");
}

TEST_F(ExplainPool, AKeyThatIsNotThere) {
    const std::uint32_t pool = app({"a", "b"}, config::Policy::hash);
    settings().balance.key = {config::KeyKind::header, "x-user"};
    begin();
    publish(pool, {{"", false, 1, {{0}, {1}}}});
    auto lines = get();
    EXPECT_EQ(of(lines, "a"), "next: there is no header x-user, and it is its turn");
    EXPECT_EQ(lines.back(), "+ backend a of pool app is next");
    EXPECT_THAT(get("/", "", "X-User: me").back(), EndsWith("is next"));
    settings().balance = {};
    settings().sticky = {config::StickyKind::header, "x-user", ""};
    lines = get();
    EXPECT_THAT(lines, Contains("sticky    there is no header x-user: the balance policy decides"));
    EXPECT_EQ(lines.back(), "+ backend a of pool app is next");
    lines = get("/", "", "X-User: me");
    EXPECT_THAT(lines, Contains("sticky    header x-user 'me'"));
    EXPECT_THAT(lines, Contains(EndsWith("next: header x-user 'me' hashes to it")));
    settings().sticky = {config::StickyKind::ip, "", ""};
    EXPECT_THAT(get("/", "10.0.0.1"), Contains(EndsWith("next: client_addr 10.0.0.1 hashes to it")));
}

TEST_F(ExplainPool, ByChance) {
    const std::uint32_t pool = app({"a", "b"}, config::Policy::p2c);
    settings().backends[1].weight = 3;
    begin();
    publish(pool, {{"", false, 1, {{0, 1, 9}, {1, 3}}}});
    in_flight(0, 2);
    auto lines = get();
    EXPECT_EQ(of(lines, "a"), "usable: 2 of 9 in flight; the less loaded of two by chance");
    EXPECT_EQ(of(lines, "b"), "usable: 0 in flight for weight 3; the less loaded of two by chance");
    EXPECT_EQ(lines.back(), "+ a backend of pool app by chance");
    settings().balance.policy = config::Policy::random;
    lines = get();
    EXPECT_EQ(of(lines, "a"), "usable: 25% by chance");
    EXPECT_EQ(of(lines, "b"), "usable: 75% by chance");
    settings().balance.policy = config::Policy::peak_ewma;
    table_.backend_cell(slot(0, 1)).latency.store(balance::ewma::pack(12'300, monotonic_now() + 1'000'000));
    lines = get();
    EXPECT_EQ(of(lines, "a"), "usable: latency not known, 2 of 9 in flight; the faster of two by chance");
    EXPECT_EQ(of(lines, "b"),
              "usable: latency 12.3 ms, 0 in flight for weight 3; the faster of two by chance");
    in_flight(0, 9);
    lines = get();
    EXPECT_EQ(of(lines, "b"), "next: the only one");
    EXPECT_EQ(lines.back(), "+ backend b of pool app is next");
}

}  // namespace
}  // namespace lb
