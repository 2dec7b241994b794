// tests/unit/cli/status_table_test.cpp -- lb status: the table an operator reads, at a time and width of the test's choice.
#include "master/cli/status_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace lb::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t now = 1'000'000;

const char* const page =
    R"({"version":"0.9","generation":3,"uptime_seconds":7300,"stopping":false,"reloads":2,
  "failed_reloads":1,"master":10,"admin":11,
  "workers":[{"number":0,"pid":12,"generation":3,"state":"serving","heartbeat_age_ms":20},
             {"number":1,"pid":13,"generation":3,"state":"serving","heartbeat_age_ms":2500},
             {"number":0,"pid":9,"generation":2,"state":"draining","heartbeat_age_ms":20}],
  "limits":[{"name":"per_client","passed":90,"refused":7,"would_refuse":0,"evictions":0}],
  "pools":[{"name":"app","requests":1234,"retries":5,"queued":2,"saturated":4,"usable":2,"panic":false,"policy":"p2c",
    "configured":true,"backends":[
    {"name":"10.0.0.1:8080","addresses":["x"],"health":"up","state":"ready","member":true,"weight":1,"effective_weight":1,
     "in_flight":3,"max_inflight":8,"requests":1000,"failures":1,"changed":999988},
    {"name":"a2","addresses":["x"],"health":"up","state":"ready","member":true,"weight":5,"effective_weight":2,
     "in_flight":0,"requests":200,"failures":0,"changed":992800},
    {"name":"a3","addresses":["x"],"health":"down","state":"ready","member":true,"weight":1,"effective_weight":0,
     "in_flight":0,"requests":34,"failures":34,"changed":999700,"check_reason":"connection refused"},
    {"name":"a4","addresses":["x"],"health":"up","state":"drain","member":true,"weight":1,"effective_weight":0,
     "in_flight":1,"requests":0,"failures":0,"changed":null},
    {"name":"a5","addresses":["x"],"health":"up","state":"ready","member":true,"weight":1,"effective_weight":0,
     "ejected_until":1000012,"in_flight":0,"requests":0,"failures":0,"changed":0},
    {"name":"a6","addresses":["x"],"health":"up","state":"maint","member":true,"weight":1,"effective_weight":0,
     "in_flight":0,"requests":0,"failures":0,"changed":0,"backup":true},
    {"name":"a7","addresses":[],"health":"down","state":"ready","member":true,"weight":1,"effective_weight":0,
     "in_flight":0,"requests":0,"failures":0,"changed":0,"check_reason":"no such name"},
    {"name":"a8","addresses":["x"],"health":"up","state":"ready","member":false,"weight":1,"effective_weight":0,
     "in_flight":1,"requests":0,"failures":0,"changed":0}]},
   {"name":"empty","requests":0,"retries":0,"queued":0,"saturated":0,"usable":0,"panic":true,"backends":[]}]})";

TEST(StatusTable, ShowsWhatRuns) {
    const auto table = status_table(page, {now, 100, false});
    ASSERT_TRUE(table.ok());
    EXPECT_EQ(table.value(), R"(lb 0.9  up 2h  generation 3
master 10  admin 11  reloads 2 and 1 failed
generation 3  2 workers serving, 1 silent for 2s or more : 12 13
generation 2  1 worker draining : 9

pool app (p2c)  2 of 7 usable  requests 1234  retries 5  queued 2  saturated 4
  BACKEND        STATE         WEIGHT  IN FLIGHT  REQUESTS  FAILURES  SINCE
  10.0.0.1:8080  up                 1        3/8      1000         1    12s
  a2             up           5 (40%)          0       200         0     2h
  a3             down               1          0        34        34     5m
    connection refused
  a4             drain              1          1         0         0      -
  a5             ejected 12s        1          0         0         0      -
  a6 (backup)    maint              1          0         0         0      -
  a7             no address         1          0         0         0      -
    no such name
  a8             leaving            1          1         0         0      -

pool empty  0 of 0 usable  panic: all are used  requests 0  retries 0  queued 0

limit per_client  passed 90  refused 7
)");
}

TEST(StatusTable, FitsTheTerminalWhateverTheNamesAre) {
    std::string long_names(page);
    const std::string name = "gr\u00fc\u00dfe-" + std::string(120, 'n');
    for (std::size_t at; (at = long_names.find("\"a2\"")) != std::string::npos;) {
        long_names.replace(at, 4, "\"" + name + "\"");
    }
    for (std::size_t at; (at = long_names.find("\"app\"")) != std::string::npos;) {
        long_names.replace(at, 5, "\"" + name + "\"");
    }
    for (const std::size_t columns : {20u, 80u, 90u, 300u}) {
        const auto table = status_table(long_names, {now, columns, false});
        ASSERT_TRUE(table.ok());
        std::istringstream lines(table.value());
        for (std::string line; std::getline(lines, line);) {
            const auto width = std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; });
            EXPECT_LE(width, columns == 90 ? 90 : columns > 100 ? 100 : 80) << line;
            EXPECT_FALSE(line.ends_with(' ')) << line;
        }
        EXPECT_THAT(table.value(), HasSubstr("n~"));
    }
}

TEST(StatusTable, HasColourOnlyWhenAskedAndNoControlBytesEver) {
    EXPECT_THAT(status_table(page, {now, 80, false}).value(), Not(HasSubstr("\x1b")));
    const std::string colour = status_table(page, {now, 80, true}).value();
    EXPECT_THAT(colour, HasSubstr("\x1b[32mup\x1b[0m"));
    EXPECT_THAT(colour, HasSubstr("\x1b[31mdown\x1b[0m"));
    const auto odd = status_table(R"({"pools":[{"name":"a\u001b[2Jb","backends":[]}]})", {now, 80, false});
    EXPECT_THAT(odd.value(), HasSubstr("a?[2Jb"));
}

TEST(StatusTable, SaysWhatIsNoStatus) {
    for (const char* text : {"", "{", "[]", "{}", "7"})
        EXPECT_FALSE(status_table(text, {now, 80, false}).ok());
    EXPECT_TRUE(status_table(R"({"pools":[{"backends":[{}]}]})", {now, 80, false}).ok())
        << "fields may be missing";
}

TEST(StatusTable, TimesAreShort) {
    EXPECT_EQ(short_time(-5), "0s");
    EXPECT_EQ(short_time(119), "119s");
    EXPECT_EQ(short_time(120), "2m");
    EXPECT_EQ(short_time(7199), "119m");
    EXPECT_EQ(short_time(7200), "2h");
    EXPECT_EQ(short_time(172'800), "2d");
}

}  // namespace
}  // namespace lb::cli
