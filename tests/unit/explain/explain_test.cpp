// tests/unit/explain/explain_test.cpp -- what lb explain says, from a shared table that the master's writer has filled.
#include "master/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "shared/balance/least_conn.h"
#include "support.h"

namespace lb {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(Explain, TellsTheWholeWayOfARequest) {
    const std::uint32_t app = pool("app", {"a1", "a2"});
    route("old", "/v0/").pools = {{app, 1}};
    route("api", "/v1/").pools = {{app, 1}};
    route("rest", "").pools = {{app, 1}};
    begin();
    EXPECT_THAT(told("GET\thttp://H.example:8080/x/..//v1/%61?q\t192.0.2.7\t\tX-A: 1"),
                ElementsAre("request   GET /x/..//v1/%61?q from 192.0.2.7",         //
                            "compared  host h.example, path /v1/a",                 //
                            "listener  web",                                        //
                            "route     old   path /v1/a does not begin with /v0/",  //
                            "          api   taken",                                //
                            "          rest  would hold, but api comes first",      //
                            "pool      app (round_robin) of route api",             //
                            "backend   a1 (10.0.0.1:80)  next: it is its turn",     //
                            "          a2 (10.0.0.2:80)  usable: its turn comes in 1 request",
                            "+ backend a1 of pool app is next"));
}

TEST_F(Explain, ChangesNothing) {
    const std::uint32_t app = pool("app", {"a1", "a2"});
    config_.listeners[0].pool = app;
    begin();
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(ask("GET\thttp://h/\t\t").outcome, "backend a1 of pool app is next");
    table_.pool_cell(config_.pools[app].slot).cursor[0].fetch_add(1);
    EXPECT_EQ(ask("GET\thttp://h/\t\t").outcome, "backend a2 of pool app is next");
    EXPECT_EQ(table_.pool_cell(config_.pools[app].slot).cursor[0].load(), 1U);
}

TEST_F(Explain, TurnsAreThoseOfThePublishedSchedule) {
    const std::uint32_t app = pool("app", {"a", "b"});
    config_.pools[app].backends[0].weight = 3;
    config_.listeners[0].pool = app;
    begin();
    // Three of four turns are a's; where b's is, the schedule says.
    const auto* published =
        table_.block<shm::PublishedPool>(table_.pool(config_.pools[app].slot).published.load());
    const auto schedule = published->schedule(published->primaries()[0]);
    ASSERT_EQ(schedule.size(), 4U);
    for (std::uint64_t cursor = 0; cursor < 8; cursor++) {
        table_.pool_cell(config_.pools[app].slot).cursor[0].store(cursor);
        const char* const wanted = schedule[cursor % 4] == 0 ? "a" : "b";
        EXPECT_EQ(ask("GET\thttp://h/\t\t").outcome,
                  std::string("backend ") + wanted + " of pool app is next");
    }
}

TEST_F(Explain, SaysWhyABackendIsNotUsed) {
    const std::uint32_t app = pool("app", {"a1", "a2", "a3", "b1"});
    config_.pools[app].backends[3].backup = true;
    config_.pools[app].check.start_up = false;
    config_.listeners[0].pool = app;
    begin();
    EXPECT_EQ(told("GET\thttp://h/\t\t").back(), "+ 503: no backend of pool app is usable");
    health(app, 0, shm::Health::up);
    health(app, 1, shm::Health::down, "connection refused\x1b[2J");
    health(app, 3, shm::Health::up);
    const auto lines = told("GET\thttp://h/\t\t");
    ASSERT_EQ(lines.size(), 10U);
    EXPECT_EQ(lines[3], "route     none  there are no routes");
    EXPECT_EQ(lines[4], "pool      app (round_robin) of listener web");
    EXPECT_EQ(lines[5], "backend   a1 (10.0.0.1:80)  next: it is its turn");
    EXPECT_THAT(lines[6], AllOf(StartsWith("          a2 (10.0.0.2:80)  down since 20"),
                                EndsWith(" UTC: connection refused\\x1b[2J")));
    EXPECT_EQ(lines[7], "          a3 (10.0.0.3:80)  checking: not used before its first check has passed");
    EXPECT_EQ(lines[8], "          b1 (10.0.0.4:80)  backup: not used while a primary is usable");
    health(app, 0, shm::Health::down, "timeout");
    EXPECT_EQ(told("GET\thttp://h/\t\t").back(), "+ backend b1 of pool app is next");
}

TEST_F(Explain, ComparesLoadsAsTheWorkersDo) {
    const std::uint32_t app = pool("app", {"a", "b", "c"});
    config_.pools[app].balance.policy = config::Policy::least_conn;
    config_.pools[app].backends[2].weight = 4;
    config_.listeners[0].pool = app;
    begin();
    table_.backend_cell(slot(app, 0)).in_flight.store(5);
    table_.backend_cell(slot(app, 1)).in_flight.store(1);
    table_.backend_cell(slot(app, 2)).in_flight.store(2);
    auto lines = told("GET\thttp://h/\t\t");
    EXPECT_EQ(lines[4], "pool      app (least_conn) of listener web");
    EXPECT_EQ(lines[5], "backend   a (10.0.0.1:80)  usable: 5 in flight, more load");
    EXPECT_EQ(lines[6], "          b (10.0.0.2:80)  usable: 1 in flight, more load");
    EXPECT_EQ(lines[7], "          c (10.0.0.3:80)  next: 2 in flight for weight 4, the least");
    EXPECT_EQ(lines[8], "+ backend c of pool app is next");
    table_.backend_cell(slot(app, 1)).in_flight.store(0);
    table_.backend_cell(slot(app, 2)).in_flight.store(3);
    lines = told("GET\thttp://h/\t\t");
    EXPECT_THAT(lines[6] + lines[7], HasSubstr("as good: chance decides"));
    EXPECT_THAT(lines[6] + lines[7], HasSubstr("next: "));
}

TEST_F(Explain, SaysThatManyAreDrawnByChance) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i <= balance::least_conn_scan; i++) names.push_back("b" + std::to_string(i));
    config_.listeners[0].pool = pool("app", names);
    config_.pools[0].balance.policy = config::Policy::least_conn;
    begin();
    const auto said = ask("GET\thttp://h/\t\t");
    EXPECT_THAT(said.lines, testing::Contains(EndsWith("next: 0 in flight, the least of 8 drawn by chance")));
    EXPECT_THAT(said.lines, testing::Contains(EndsWith("usable: 0 in flight")));
}

TEST_F(Explain, ShowsEveryPoolOfASplit) {
    const std::uint32_t app = pool("app", {"a"});
    const std::uint32_t next = pool("next", {"n"});
    route("r", "").pools = {{app, 95}, {next, 5}};
    begin();
    const auto lines = told("GET\thttp://h/\t\t");
    EXPECT_THAT(
        lines, testing::Contains("pool      app (round_robin) of route r: 95 of 100 requests, by a counter"));
    EXPECT_THAT(
        lines, testing::Contains("pool      next (round_robin) of route r: 5 of 100 requests, by a counter"));
    EXPECT_THAT(lines, testing::Contains("backend   n (10.0.0.1:80)  next: it is its turn"));
    EXPECT_EQ(lines.back(), "+ one of 2 pools, by their weights");
}

TEST_F(Explain, ShowsAnswersWithoutAPool) {
    config::Redirect redirect;
    redirect.status = 308;
    redirect.location.source = "https://$host$request_uri";
    route("secure", "/a").redirect = redirect;
    route("page", "/b").respond =
        config::Respond{503, "/srv/down.html", std::make_shared<std::string>("12345"), "text/html"};
    route("own", "/c").respond = config::Respond{410, "", nullptr, ""};
    begin();
    EXPECT_EQ(told("GET\thttp://h/a\t\t").back(), "+ redirect 308 to https://$host$request_uri");
    EXPECT_EQ(told("GET\thttp://h/b\t\t").back(), "+ answer 503 with /srv/down.html: 5 bytes, text/html");
    EXPECT_EQ(told("GET\thttp://h/c\t\t").back(), "+ answer 410 with a page of lb's own");
}

TEST_F(Explain, ShowsRewriteAndMirror) {
    const std::uint32_t app = pool("app", {"a"});
    const std::uint32_t shadow = pool("shadow", {"s"});
    config::Route& one = route("r", "");
    one.pools = {{app, 1}};
    one.mirror = config::Mirror{shadow, 2500};
    one.rewrite.emplace();
    one.rewrite->pattern = config::Pattern::compile("^/v1/(.*)").value();
    one.rewrite->to = config::parse_template("/x/$1", config::Known::request, 1).value();
    begin();
    const auto lines = told("GET\thttp://h/\t\t");
    EXPECT_THAT(lines, testing::Contains(
                           "rewrite   ^/v1/(.*) to /x/$1: the pattern is not found, nothing is changed"));
    EXPECT_THAT(lines, testing::Contains("mirror    0.25% of the requests to pool shadow"));
}

TEST_F(Explain, SaysWhatARewriteMakes) {
    const std::uint32_t app = pool("app", {"a"});
    config::Route& one = route("r", "");
    one.pools = {{app, 1}};
    one.rewrite.emplace();
    one.rewrite->pattern = config::Pattern::compile("^/v1/(.*)").value();
    const auto made = [&](std::string_view to, std::string_view target) {
        config_.routes[0].rewrite->to = config::parse_template(to, config::Known::request, 1).value();
        const auto lines = told("GET\thttp://h" + std::string(target) + "\t\t");
        for (const std::string& line : lines) {
            const std::string front = "rewrite   ^/v1/(.*) to " + std::string(to) + ": ";
            if (line.starts_with(front)) return line.substr(front.size());
        }
        return lines.back();
    };
    begin();
    EXPECT_EQ(made("/x/$1", "/v1/a%2Fb?q"), "/x/a%2Fb?q");
    EXPECT_EQ(made("/x/$1", "/v1/../v1/a"), "taken as compared, /x/a");
    EXPECT_EQ(made("/x/$1", "/v2/../v1"), "the pattern is not found, nothing is changed");
    EXPECT_EQ(made("/x/$1/$http_user_agent/${arg_a}", "/v1/a"), "/x/a/$http_user_agent/$arg_a");
    const std::string longest(4000, 'x');
    EXPECT_EQ(made("/x/$1$1$1", "/v1/" + longest), "too long");
    EXPECT_EQ(told("GET\thttp://h/v1/" + longest + "\t\t").back(),
              "- refused with 414: the rewritten path is too long");
    EXPECT_EQ(told("OPTIONS\t*\t\t\tHost: h").back(), "+ backend a of pool app is next");
}

TEST_F(Explain, KnowsTheLimitOfBodies) {
    const std::uint32_t app = config_.listeners[0].pool = pool("app", {"a"});
    config::Route& one = route("r", "/r");
    one.pools = {{app, 1}};
    one.max_body = 10;
    route("page", "/page").respond = config::Respond{410, "", nullptr, ""};
    begin();
    EXPECT_EQ(told("POST\thttp://h/\t\t\tContent-Length: 1000").back(), "+ backend a of pool app is next");
    EXPECT_EQ(told("POST\thttp://h/\t\t\tContent-Length: 1001").back(),
              "- refused with 413: the body is longer than max_body, 1000 bytes");
    EXPECT_EQ(told("POST\thttp://h/r\t\t\tContent-Length: 11").back(),
              "- refused with 413: the body is longer than max_body, 10 bytes");
    EXPECT_EQ(told("POST\thttp://h/page\t\t\tContent-Length: 1001").back(),
              "- refused with 413: the body is longer than max_body, 1000 bytes");
    EXPECT_EQ(told("POST\thttp://h/\t\t\tTransfer-Encoding: chunked").back(),
              "+ backend a of pool app is next");
}

TEST_F(Explain, ARequestThatGoesNoFurtherIsAnsweredByLb) {
    config_.listeners[0].pool = pool("app", {"a"});
    listener("none", 81);
    route("page", "/page").respond = config::Respond{410, "", nullptr, ""};
    begin();
    const auto said = [&](std::string request) { return told(request).back(); };
    const std::string own = "+ answer 200 of lb's own: Max-Forwards is 0";
    const std::string next = "+ backend a of pool app is next";
    EXPECT_EQ(said("OPTIONS\thttp://h/\t\t\tMax-Forwards: 0"), own);
    EXPECT_EQ(said("OPTIONS\thttp://h\t\t\tMax-Forwards: 00"), own);
    EXPECT_EQ(said("OPTIONS\thttp://h/\t\t\tMax-Forwards: 1"), next);
    EXPECT_EQ(said("OPTIONS\thttp://h/\t\t\tMax-Forwards:"), next);
    EXPECT_EQ(said("OPTIONS\thttp://h/\t\t\tMax-Forwards: 0\tMax-Forwards: 0"),
              "- refused with 400: Max-Forwards twice");
    EXPECT_EQ(said("GET\thttp://h/\t\t\tMax-Forwards: 0"), next);
    EXPECT_EQ(said("OPTIONS\thttp://h/page\t\t\tMax-Forwards: 0"), "+ answer 410 with a page of lb's own");
    EXPECT_EQ(said("OPTIONS\thttp://h:81/\t\t\tMax-Forwards: 0"),
              "- 404: no route, and listener none has no pool");
}

TEST_F(Explain, NobodyTakesIt) {
    route("r", "/a");
    begin();
    EXPECT_EQ(told("GET\thttp://h/b\t\t").back(), "- 404: no route, and listener web has no pool");
}

TEST_F(Explain, ChoosesTheListener) {
    listener("api", 8080).pool = pool("app", {"a"});
    listener("also", 8080);
    begin();
    const auto listener_of = [&](std::string_view request) {
        const Explained said = ask(request);
        return said.lines.size() < 3 ? said.outcome : said.lines[2];
    };
    EXPECT_EQ(listener_of("GET\thttp://h/\t\t"), "listener  web");
    EXPECT_EQ(listener_of("GET\thttp://h:80/\t\t"), "listener  web");
    EXPECT_EQ(listener_of("GET\thttp://[::1]/\t\t"), "listener  web");
    EXPECT_EQ(listener_of("GET\t/\t\t\tHost: h"), "listener  web");
    EXPECT_EQ(listener_of("GET\thttp://h:8080/\t\tapi"), "listener  api");
    EXPECT_EQ(listener_of("GET\thttp://h/\t\talso"), "listener  also");
    EXPECT_EQ(listener_of("GET\thttp://h:8080/\t\t"),
              "more than one listener has port 8080: choose one of web api also with --listener");
    EXPECT_EQ(listener_of("GET\thttp://[::1]:8080/\t\t"),
              "more than one listener has port 8080: choose one of web api also with --listener");
    EXPECT_EQ(listener_of("GET\thttps://h/\t\t"),
              "no listener has port 443: choose one of web api also with --listener");
    EXPECT_EQ(listener_of("GET\thttp://h/\t\tnone"), "there is no listener none; there are web api also");
}

TEST_F(Explain, TheOnlyListenerTakesEveryPort) {
    begin();
    EXPECT_EQ(ask("GET\thttps://h:99/\t\t").lines.at(2), "listener  web");
}

TEST_F(Explain, SourcesSeeTheClient) {
    config_.listeners[0].pool = pool("app", {"a"});
    route("office", "").sources = {parse_cidr("10.0.0.0/8").value()};
    config_.routes[0].pools = {{0, 1}};
    begin();
    EXPECT_THAT(ask("GET\thttp://h/\t10.1.2.3\t").lines, testing::Contains("route     office  taken"));
    EXPECT_THAT(ask("GET\thttp://h/\t\t").lines,
                testing::Contains("route     office  client 127.0.0.1 is not 10.0.0.0/8"));
    EXPECT_EQ(told("GET\thttp://h/\tx\t").back(), "- 'x' is not an IPv4 or IPv6 address");
}

TEST_F(Explain, AGivenHostIsTheHost) {
    config_.listeners[0].pool = pool("app", {"a"});
    begin();
    EXPECT_EQ(ask("GET\thttp://a/x\t\t\tHost: B.example").lines.at(1), "compared  host b.example, path /x");
    EXPECT_EQ(ask("GET\t/x\t\t\thost:B.example").lines.at(1), "compared  host b.example, path /x");
    EXPECT_EQ(ask("OPTIONS\t*\t\t\tHost: h").lines.at(1), "compared  host h, no path");
    EXPECT_EQ(ask("GET\thttp://a?q\t\t").lines.at(0), "request   GET /?q from 127.0.0.1");
    EXPECT_EQ(ask("GET\thttp://a\t\t").lines.at(0), "request   GET / from 127.0.0.1");
    EXPECT_EQ(ask("OPTIONS\thttp://a\t\t").lines.at(0), "request   OPTIONS * from 127.0.0.1");
    EXPECT_EQ(ask("OPTIONS\thttp://a?q\t\t").lines.at(0), "request   OPTIONS /?q from 127.0.0.1");
}

TEST_F(Explain, WhatTheWorkersWouldRefuseIsRefused) {
    config_.listeners[0].pool = pool("app", {"a"});
    config_.listeners[0].traffic.max_header = 128;
    config_.listeners[0].traffic.max_headers = 3;
    begin();
    EXPECT_EQ(told("GET\thttp://u@h/\t\t").back(), "- refused with 400: bad Host");
    EXPECT_EQ(told("GET\thttp:///\t\t").back(), "- refused with 400: bad Host");
    EXPECT_EQ(told("GET\thttp://h/a b\t\t").back(), "- refused with 400: bad HTTP version");
    EXPECT_EQ(told("G@T\thttp://h/\t\t").back(),
              "- refused with 400: the method is no token, or no single blank follows it");
    EXPECT_EQ(told("GET\thttp://h/\t\t\tHost: a\tHost: b").back(), "- refused with 400: Host twice");
    EXPECT_EQ(told("GET\thttp://h/\t\t\tno colon").back(),
              "- refused with 400: blank inside a field name or before its colon");
    EXPECT_EQ(told("GET\thttp://h/\t\t\tA: b\r").back(), "- refused with 400: a CR without LF");
    EXPECT_EQ(told("GET\thttp://h/\t\t\tA: 1\tB: 2\tC: 3").back(), "- refused with 431: too many fields");
    EXPECT_EQ(told("GET\thttp://h/" + std::string(200, 'x') + "\t\t").back(),
              "- refused with 414: the request line is too long");
    EXPECT_EQ(told("CONNECT\thttp://h/\t\t").back(), "- refused with 501: CONNECT");
    EXPECT_EQ(told("TRACE\thttp://h/\t\t").back(), "- refused with 405: TRACE");
    EXPECT_EQ(told("GET\thttp://h/").back(),
              "- explain takes a method, a target, an address and a listener's name");
    EXPECT_EQ(told("").back(), "- explain takes a method, a target, an address and a listener's name");
}

TEST_F(Explain, ABackendWithoutAnAddressSaysSo) {
    config_.listeners[0].pool = pool("app", {"a", "10.0.0.2:80", "c"});
    config_.pools[0].backends[2].addresses.push_back(config_.pools[0].backends[0].addresses[0]);
    config_.pools[0].backends[0].addresses.clear();
    config_.pools[0].backends[0].dns_name = "a.invalid";
    begin();
    const auto said = ask("GET\thttp://h/\t\t");
    EXPECT_THAT(said.lines.at(5), StartsWith("backend   a (no address) "));
    EXPECT_THAT(said.lines.at(6), StartsWith("          10.0.0.2:80 "));
    EXPECT_THAT(said.lines.at(7), StartsWith("          c (10.0.0.3:80 and 1 more)"));
}

TEST_F(Explain, TenThousandRoutesAndBackendsAreTold) {
    std::vector<std::string> names;
    for (int i = 0; i < 10'000; i++) names.push_back("b" + std::to_string(i));
    const std::uint32_t app = pool("app", names);
    for (int i = 0; i < 10'000; i++)
        route("r" + std::to_string(i), "/p" + std::to_string(i)).pools = {{app, 1}};
    begin();
    const Explained said = ask("GET\thttp://h/p9999/x\t\t");
    EXPECT_EQ(said.outcome, "backend b0 of pool app is next");
    EXPECT_EQ(said.lines.size(), 3U + 10'000 + 1 + 10'000);
}

class Asker : public Caller {
 public:
    void info(std::string_view text) override { said += "info " + std::string(text) + "\n"; }
    void error(std::string_view text) override { said += "error " + std::string(text) + "\n"; }
    void done(bool ok, std::string_view text) override {
        said += (ok ? "ok " : "failed ") + std::string(text) + "\n";
    }
    std::string said;
};

TEST_F(Explain, AnswersACaller) {
    config_.listeners[0].pool = pool("app", {"a"});
    begin();
    const auto caller = std::make_shared<Asker>();
    explain("GET\thttp://h/\t\t", &config_, table_, caller);
    EXPECT_THAT(caller->said, AllOf(StartsWith("info request   GET / from 127.0.0.1\n"),
                                    EndsWith("ok backend a of pool app is next\n")));
    const auto early = std::make_shared<Asker>();
    explain("GET\thttp://h/\t\t", nullptr, table_, early);
    EXPECT_EQ(early->said, "failed starting: nothing serves yet\n");
}

}  // namespace
}  // namespace lb
