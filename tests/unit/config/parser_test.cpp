// tests/unit/config/parser_test.cpp -- precedence, rules across keys, command line, quick start, control.
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

namespace lb::config {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> mistakes_of(const Source& source) {
    const auto result = load(source);
    return result ? std::vector<std::string>{} : shown(result.error());
}
Config config_of(const Source& source) {
    auto result = load(source);
    if (!result) {
        for (const std::string& line : shown(result.error())) ADD_FAILURE() << line;
        return {};
    }
    return std::move(result).value().config;
}

TEST(Precedence, OwnKeysBeatDefaultsWhateverTheOrder) {
    const Config config = loaded(
        "[listener a]\nbind = 127.0.0.1:1\nbody_timeout = 1s\n"
        "[pool p]\nbackend = 127.0.0.1:9\nbody_timeout = 2s\n"
        "[defaults]\nbody_timeout = 3s\nidle_timeout = 4s\nresponse_timeout = 5s\n"
        "[listener b]\nbind = 127.0.0.1:2\n[pool q]\nbackend = 127.0.0.1:9\n");
    EXPECT_EQ(config.listeners[0].traffic.body_timeout, 1s);
    EXPECT_EQ(config.listeners[0].traffic.idle_timeout, 4s);
    EXPECT_EQ(config.listeners[1].traffic.body_timeout, 3s);
    EXPECT_EQ(config.pools[0].traffic.body_timeout, 2s);
    EXPECT_EQ(config.pools[1].traffic.body_timeout, 3s);
    EXPECT_EQ(config.pools[0].traffic.response_timeout, 5s);
    EXPECT_EQ(config.pools[0].traffic.connect_timeout, 3s);
}

TEST(Precedence, ABadDefaultIsReportedOnce) {
    EXPECT_THAT(mistakes("[defaults]\nbody_timeout = 3\n" + smallest),
                ElementsAre("lb.ini:2: [defaults] body_timeout = 3: needs a unit, such as 2s or 200ms"));
}

TEST(Rates, ANumberOfBytesOrASize) {
    for (const auto& [text, rate] :
         {std::pair("1", std::uint64_t{1}), std::pair("250", std::uint64_t{250}),
          std::pair("300b", std::uint64_t{300}), std::pair("2k", std::uint64_t{2048}),
          std::pair("1g", std::uint64_t{1} << 30), std::pair("off", UINT64_MAX)}) {
        const Config config = loaded("[defaults]\nmin_rate = " + std::string(text) + "\n" + smallest);
        EXPECT_EQ(config.listeners[0].traffic.min_rate, rate) << text;
    }
    EXPECT_EQ(loaded(smallest).listeners[0].traffic.min_rate, 250u);
    EXPECT_THAT(mistakes("[defaults]\nmin_rate = 0\n" + smallest),
                ElementsAre("lb.ini:2: [defaults] min_rate = 0: must be 1 to 1073741824"));
    EXPECT_THAT(mistakes("[defaults]\nmin_rate = 2g\n" + smallest),
                ElementsAre("lb.ini:2: [defaults] min_rate = 2g: must be 1b to 1g"));
}

TEST(Rules, AListenerIsNeeded) {
    EXPECT_THAT(mistakes(""),
                ElementsAre("lb.ini: there is no [listener NAME]; without one nothing can connect"));
}

TEST(Rules, RequiredKeys) {
    EXPECT_THAT(mistakes("[listener web]\n[pool app]\n[log main]\n"),
                ElementsAre("lb.ini:1: [listener web]: needs a 'bind'",
                            "lb.ini:2: [pool app]: needs a 'backend' or a 'discover'",
                            "lb.ini:3: [log main]: needs a 'path'"));
    // Services may register themselves there: what is said is about the file alone.
    EXPECT_THAT(mistakes("[admin]\ntoken_file = /nowhere\n[pool app]\ncheck = off\n"),
                ElementsAre(::testing::HasSubstr("no [listener NAME]"),
                            ::testing::HasSubstr("token_file = /nowhere")));
}

TEST(Rules, AMisspeltKeyIsNotMissingToo) {
    EXPECT_THAT(mistakes("[listener web]\nbnd = 127.0.0.1:1\n"),
                ElementsAre("lb.ini:2: [listener web] bnd: unknown key; did you mean 'bind'?"));
}

TEST(Rules, AListenerWithoutAPoolIsFine) {
    EXPECT_EQ(loaded("[listener web]\nbind = 127.0.0.1:1\n").listeners[0].pool, no_index);
}

TEST(Rules, TheSameBindTwice) {
    EXPECT_THAT(
        mistakes("[listener a]\nbind = 127.0.0.1:1\nbind = 127.0.0.1:1\n"
                 "[listener b]\nbind = 127.0.0.1:1 backlog=5\nbind = fd:7\n[listener c]\nbind = fd:7\n"
                 "bind = 127.0.0.1:9145\n"),
        ElementsAre(
            "lb.ini:3: [listener a] bind = 127.0.0.1:1: is already bound by [listener a] at lb.ini:2",
            "lb.ini:5: [listener b] bind = 127.0.0.1:1 backlog=5: is already bound by [listener a] at "
            "lb.ini:2",
            "lb.ini:8: [listener c] bind = fd:7: is already bound by [listener b] at lb.ini:6",
            "lb.ini:9: [listener c] bind = 127.0.0.1:9145: is already bound by [admin]"));
}

TEST(Rules, WildcardAndSpecificAddressMayShareAPort) {
    EXPECT_THAT(
        mistakes("[listener a]\nbind = 0.0.0.0:1\nbind = 127.0.0.1:1\nbind = [::]:1\nbind = [::1]:1\n"),
        IsEmpty());
}

TEST(Rules, ReferencesMustExist) {
    EXPECT_THAT(mistakes("[listener web]\nbind = 127.0.0.1:1\npool = aap\naccess_log = mian\n"
                         "[pool app]\nbackend = 127.0.0.1:2\n[log main]\npath = /x\n"),
                ElementsAre("lb.ini:3: [listener web] pool = aap: no such pool; did you mean 'app'?",
                            "lb.ini:4: [listener web] access_log = mian: no such log; did you mean 'main'?"));
    EXPECT_THAT(mistakes("[listener web]\nbind = 127.0.0.1:1\npool = x\n"),
                ElementsAre("lb.ini:3: [listener web] pool = x: no such pool; there is no [pool NAME]"));
}

TEST(Rules, WhatALostSectionHeldIsNotMissing) {
    EXPECT_THAT(
        mistakes("[listener web]\nbind = 127.0.0.1:1\npool = app\n[pool app\nbackend = 127.0.0.1:2\n"),
        SizeIs(1));
    EXPECT_THAT(mistakes("[listener web\nbind = 127.0.0.1:1\n"), SizeIs(1));
}

TEST(Rules, TheFirstLogIsTheDefaultAndOffIsNone) {
    const std::string logs = "[log a]\npath = /a\n[log b]\npath = stdout\n";
    const Config config =
        loaded(logs +
               "[listener one]\nbind = 127.0.0.1:1\n[listener two]\nbind = 127.0.0.1:2\naccess_log = b\n"
               "[listener three]\nbind = 127.0.0.1:3\naccess_log = off\n");
    EXPECT_EQ(config.listeners[0].access_log, 0u);
    EXPECT_EQ(config.listeners[1].access_log, 1u);
    EXPECT_EQ(config.listeners[2].access_log, no_index);
    EXPECT_EQ(config.logs[1].path, "");
    EXPECT_EQ(loaded(smallest).listeners[0].access_log, no_index);
    EXPECT_THAT(mistakes("[log off]\npath = /a\n" + smallest),
                ElementsAre("lb.ini:1: [log off]: a log cannot be called off; access_log = off means none"));
}

TEST(Rules, BackendNamesDiffer) {
    EXPECT_THAT(
        mistakes(smallest + "backend = 127.0.0.1:8081 weight=2\nbackend = 127.0.0.1:8082 name=x\n"
                            "backend = 127.0.0.1:8083 name=x\nbackend = 127.0.0.1:8081 name=fine\n"),
        ElementsAre(
            "lb.ini:6: [pool app] backend = 127.0.0.1:8081 weight=2: the pool has a backend "
            "'127.0.0.1:8081' already, at lb.ini:5; give one of them a name=",
            "lb.ini:8: [pool app] backend = 127.0.0.1:8083 name=x: the pool has a backend 'x' already, "
            "at lb.ini:7; give one of them a name="));
}

TEST(Rules, OnlyBackups) {
    const std::string text =
        "[listener web]\nbind = 127.0.0.1:1\npool = app\n[pool app]\nbackend = 127.0.0.1:2 backup\n";
    EXPECT_THAT(
        mistakes(text),
        ElementsAre("lb.ini:4: [pool app]: all backends are backups; at least one must be without 'backup'"));
    EXPECT_THAT(mistakes(text + "backend = bad\n"), SizeIs(1))
        << "the wrong line may be the one that is missing";
}

TEST(Rules, AdminOffStandsAlone) {
    EXPECT_THAT(loaded("[admin]\nbind = off\n" + smallest).admin.binds, IsEmpty());
    EXPECT_THAT(mistakes("[admin]\nbind = off\nbind = 127.0.0.1:5\n" + smallest),
                ElementsAre("lb.ini:2: [admin] bind = off: stands beside another bind; remove one of them"));
    const Config both =
        loaded("[admin]\nbind = 127.0.0.1:5\nbind = [::1]:5\nallow = ::1\nallow = 10.0.0.0/8\n" + smallest);
    EXPECT_THAT(both.admin.binds, SizeIs(2));
    EXPECT_THAT(both.admin.allow, SizeIs(2));
}

TEST(Rules, AnUnknownUserIsAMistake) {
    EXPECT_THAT(
        mistakes("[global]\nuser = no-such-user-here\n" + smallest),
        ElementsAre("lb.ini:2: [global] user = no-such-user-here: there is no such user; create it, or name "
                    "another one"));
}

TEST(Warnings, UnusedPoolsAndOutputNobodyReads) {
    const auto result = load_text("[global]\ndaemon = on\n[log main]\npath = stdout\n" + smallest +
                                  "[pool spare]\nbackend = 127.0.0.1:2\n");
    ASSERT_TRUE(result);
    EXPECT_THAT(
        result.value().warnings,
        ElementsAre(
            "lb.ini:2: [global] daemon: in the background nobody reads standard error; set error_log to "
            "a file or syslog",
            "lb.ini:3: [log main]: in the background nobody reads standard output; set path to a file",
            "lb.ini:10: [pool spare]: no listener and no route names this pool"));
}

TEST(Overrides, BeatTheFileAndTheLastWins) {
    const Directory dir;
    Source source{.file = dir.write("lb.ini", "[global]\nworkers = 2\n" + smallest), .directory = "/start"};
    EXPECT_EQ(config_of(source).global.workers, 2u);
    source.overrides = {"workers = 3", "workers = 4 # last", "control = c.sock", "daemon=on"};
    const Config config = config_of(source);
    EXPECT_EQ(config.global.workers, 4u);
    EXPECT_EQ(config.global.control, "/start/c.sock");
    EXPECT_TRUE(config.global.daemon);
}

TEST(Overrides, MistakesNameThem) {
    const Directory dir;
    Source source{.file = dir.write("lb.ini", smallest)};
    source.overrides = {
        "worker = 3", "workers = x", "[pool x]", "workers", "backend = 127.0.0.1:1", "daemon\n=on", ""};
    EXPECT_THAT(mistakes_of(source),
                ElementsAre("-g: [global] worker: unknown key; did you mean 'workers'?",
                            "-g: [pool x]: takes one setting of [global]; write \"key = value\"",
                            "-g: workers: is no setting; write key = value",
                            "-g: [global] backend: unknown key; it belongs to [pool]",
                            "-g: daemon\\x0a=on: takes one setting of [global]; write \"key = value\"",
                            "-g: takes one setting of [global]; write \"key = value\"",
                            "-g: [global] workers = x: is not a whole number; or auto, one for each CPU"));
}

TEST(Paths, AreBelowTheFilesDirectoryOrThePrefix) {
    const Directory dir;
    const std::string text =
        "[global]\ncontrol = run/c.sock\npid_file = lb.pid\nerror_log = e.log\ninclude = more/*.ini\n" +
        smallest;
    Source source{.file = dir.write("etc/lb.ini", text)};
    dir.write("etc/more/log.ini", "[log main]\npath = a.log\n");
    Config config = config_of(source);
    EXPECT_EQ(config.global.control, dir.path("etc/run/c.sock"));
    EXPECT_EQ(config.global.pid_file, dir.path("etc/lb.pid"));
    EXPECT_EQ(config.global.error_log.path, dir.path("etc/e.log"));
    ASSERT_THAT(config.logs, SizeIs(1));
    EXPECT_EQ(config.logs[0].path, dir.path("etc/more/a.log"));

    source.file = "etc/lb.ini";
    source.prefix = dir.path();
    dir.write("more/log.ini", "[log other]\npath = b.log\n");
    config = config_of(source);
    EXPECT_EQ(config.global.control, dir.path("run/c.sock"));
    ASSERT_THAT(config.logs, SizeIs(1));
    EXPECT_EQ(config.logs[0].path, dir.path("b.log"));
}

TEST(Files, ThatCannotBeReadAreTheOnlyMistake) {
    const Directory dir;
    EXPECT_THAT(mistakes_of({.file = dir.path("no.ini")}),
                ElementsAre(dir.path("no.ini") + ": cannot be read: No such file or directory"));
    EXPECT_THAT(mistakes_of({.file = dir.path()}), ElementsAre(dir.path() + ": is not a regular file"));
    ASSERT_EQ(mkfifo(dir.path("pipe").c_str(), 0600), 0);
    EXPECT_THAT(mistakes_of({.file = dir.path("pipe")}),
                ElementsAre(dir.path("pipe") + ": is not a regular file"));
}

TEST(QuickStart, IsAWholeConfiguration) {
    Source source{.quick_start = true, .backends = "http://localhost:8081,http://localhost:8082"};
    const Config config = config_of(source);
    ASSERT_THAT(config.listeners, SizeIs(1));
    EXPECT_EQ(config.listeners[0].name, "web");
    EXPECT_EQ(to_string(config.listeners[0].binds[0].address), "0.0.0.0:3030");
    EXPECT_EQ(config.listeners[0].pool, 0u);
    EXPECT_EQ(config.listeners[0].access_log, no_index);
    ASSERT_THAT(config.pools, SizeIs(1));
    const Pool& pool = config.pools[0];
    EXPECT_EQ(pool.name, "backends");
    EXPECT_EQ(pool.balance.policy, Policy::round_robin);
    ASSERT_THAT(pool.backends, SizeIs(2));
    EXPECT_EQ(pool.backends[1].name, "localhost:8082");
    EXPECT_EQ(to_string(pool.backends[1].addresses.front()), "127.0.0.1:8082");
    EXPECT_EQ(pool.check.path, "/healthcheck");
    EXPECT_EQ(pool.check.expect, (decltype(pool.check.expect){{200, 299}}));
    EXPECT_EQ(config.global.pid_file, "");
    EXPECT_EQ(config.global.error_log, (log::Target{log::Kind::stderr_stream, "", log::Level::info}));
    EXPECT_EQ(to_string(config.admin.binds[0].address), "127.0.0.1:9145");
    EXPECT_EQ(loaded(dump(config)), config);

    source.overrides = {"error_log = stderr debug", "pid_file = /x.pid"};
    EXPECT_EQ(config_of(source).global.error_log.level, log::Level::debug);
    EXPECT_EQ(config_of(source).global.pid_file, "/x.pid");
}

TEST(QuickStart, TakesWhatIsABackendAndNothingElse) {
    const auto host = [](const std::string& url) {
        const Source source{.quick_start = true, .backends = url};
        const auto result = load(source);
        return result ? result.value().config.pools[0].backends[0].host : show(result.error()[0]);
    };
    EXPECT_EQ(host("10.0.0.1:80"), "10.0.0.1:80");
    EXPECT_EQ(host("http://10.0.0.1"), "10.0.0.1:80");
    EXPECT_EQ(host("HTTP://[::1]:81/"), "[::1]:81");
    EXPECT_EQ(host("http://[::1]"), "[::1]:80");
    EXPECT_EQ(host("https://10.0.0.1"),
              "--backends: https://10.0.0.1: TLS to backends is not supported; write http://HOST:PORT");
    EXPECT_THAT(host("http://10.0.0.1:80/app"), HasSubstr("a backend has no path"));
    EXPECT_THAT(host("http://10.0.0.1:80?x"), HasSubstr("a backend has no path"));
    EXPECT_THAT(host("ftp://10.0.0.1:80"), HasSubstr("unknown scheme"));
    EXPECT_THAT(host("http://me@10.0.0.1:80"), HasSubstr("a backend has no user"));
    EXPECT_THAT(host(""), HasSubstr("has no host"));
    EXPECT_THAT(host("10.0.0.1:80,"), HasSubstr("has no host"));
    EXPECT_EQ(host("http://app.internal"), "app.internal:80");
    EXPECT_EQ(
        host("http://a..b:80"),
        "--backends: [pool backends] backend = a..b:80: 'a..b' is no host name; between its dots stand 1 "
        "to 63 bytes");
    EXPECT_THAT(host("10.0.0.1:80,10.0.0.1:80"), HasSubstr("already"));
}

TEST(QuickStart, ThePortIsAPort) {
    const auto port = [](const std::string& text) {
        return mistakes_of({.quick_start = true, .backends = "10.0.0.1:80", .port = text});
    };
    EXPECT_THAT(port("65535"), IsEmpty());
    EXPECT_THAT(port("65536"), ElementsAre("--port: 65536: must be 1 to 65535"));
    EXPECT_THAT(port("0"), ElementsAre("--port: 0: must be 1 to 65535"));
    EXPECT_THAT(port("http"), ElementsAre("--port: http: is not a whole number"));
}

TEST(Control, IsReadFromAFileWithAnyMistakes) {
    const Directory dir;
    Source source{.file = dir.write("lb.ini", "junk\n[global]\nworkers = x\ncontrol = c.sock\n[pol\nx\n")};
    EXPECT_EQ(load_control(source).value(), dir.path("c.sock"));
    source.overrides = {"control = /other.sock", "nonsense"};
    EXPECT_EQ(load_control(source).value(), "/other.sock");
    source = {.file = dir.write("plain.ini", "[listener x]\n")};
    EXPECT_EQ(load_control(source).value(), "/run/lb/control.sock");
    dir.write("sub/more.ini", "[global]\ncontrol = inner.sock\n");
    source = {.file = dir.write("outer.ini", "[global]\ninclude = sub/*.ini\ninclude = missing.ini\n")};
    EXPECT_EQ(load_control(source).value(), dir.path("sub/inner.sock"));
}

TEST(Control, IsNeverGuessed) {
    const Directory dir;
    Source source{.file = dir.path("missing.ini")};
    EXPECT_FALSE(load_control(source)) << "the default could be another lb's";
    source.overrides = {"control = /other.sock"};
    EXPECT_EQ(load_control(source).value(), "/other.sock");
    source = {.file = dir.write("bad.ini", "[global]\ncontrol = /" + std::string(200, 'x') + "\n")};
    const auto too_long = load_control(source);
    ASSERT_FALSE(too_long);
    EXPECT_EQ(too_long.error()[0].what, "is longer than 107 bytes");
}

TEST(Control, OfAQuickStart) {
    ASSERT_EQ(setenv("XDG_RUNTIME_DIR", "/run/user/77", 1), 0);
    const Source source{.quick_start = true, .backends = "10.0.0.1:80"};
    const std::string expected = geteuid() == 0 ? "/run/lb/control.sock" : "/run/user/77/lb/control.sock";
    EXPECT_EQ(load_control(source).value(), expected);
    EXPECT_EQ(config_of(source).global.control, expected);
    ASSERT_EQ(unsetenv("XDG_RUNTIME_DIR"), 0);
    if (geteuid() != 0) {
        EXPECT_EQ(load_control(source).value(), "/tmp/lb-" + std::to_string(geteuid()) + "/control.sock");
    }
}

}  // namespace
}  // namespace lb::config
