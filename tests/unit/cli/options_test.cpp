// tests/unit/cli/options_test.cpp -- the command line: every spelling, every refusal, help and the manual page.
#include "master/cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace lb::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<Options, std::string> parsed(std::vector<std::string> words) {
    words.insert(words.begin(), "lb");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    return parse(static_cast<int>(words.size()), argv.data());
}
Options good(const std::vector<std::string>& words) {
    auto result = parsed(words);
    if (!result) {
        ADD_FAILURE() << result.error();
        return {};
    }
    return std::move(result).value();
}
std::string bad(const std::vector<std::string>& words) {
    const auto result = parsed(words);
    return result ? "accepted" : result.error();
}

TEST(Options, WithoutAnyRunTheUsualFile) {
    const Options options = good({});
    EXPECT_EQ(options.action, Action::run);
    EXPECT_EQ(options.source.file, "/etc/lb/lb.ini");
    EXPECT_EQ(options.source.directory, std::filesystem::current_path().string());
    EXPECT_FALSE(options.source.quick_start);
}

TEST(Options, SayWhatToDo) {
    EXPECT_EQ(good({"-t"}).action, Action::test);
    EXPECT_EQ(good({"--test"}).action, Action::test);
    EXPECT_EQ(good({"-T"}).action, Action::dump);
    EXPECT_EQ(good({"--dump"}).action, Action::dump);
    EXPECT_EQ(good({"-t", "-T"}).action, Action::dump);
    EXPECT_EQ(good({"-v"}).action, Action::version);
    EXPECT_EQ(good({"-version"}).action, Action::version);
    EXPECT_EQ(good({"-V"}).action, Action::version_long);
    EXPECT_EQ(good({"--build-info"}).action, Action::version_long);
    EXPECT_EQ(good({"-h"}).action, Action::help);
    EXPECT_EQ(good({"--manual"}).action, Action::manual);
    EXPECT_EQ(good({"-s", "reload"}).action, Action::signal);
}

TEST(Options, ValuesStandBehindABlankAnEqualsSignOrNothing) {
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"-c", "x.ini"},
                                               {"-cx.ini"},
                                               {"--config", "x.ini"},
                                               {"--config=x.ini"},
                                               {"-config=x.ini"},
                                               {"-config", "x.ini"}}) {
        EXPECT_EQ(good(words).source.file, "x.ini") << words[0];
    }
    const Options cluster = good({"-tqcx.ini"});
    EXPECT_EQ(cluster.action, Action::test);
    EXPECT_TRUE(cluster.quiet);
    EXPECT_EQ(cluster.source.file, "x.ini");
    EXPECT_EQ(good({"-sreload"}).signal, "reload");
    EXPECT_EQ(good({"-c", "-x"}).source.file, "-x");
}

TEST(Options, OverridesAreKeptInOrder) {
    EXPECT_THAT(good({"-g", "a = b", "--set=c=d", "-ge = f"}).source.overrides,
                ElementsAre("a = b", "c=d", "e = f"));
    EXPECT_EQ(good({"-p", "/srv"}).source.prefix, "/srv");
}

TEST(Options, QuickStartInAllItsSpellings) {
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"--backends=http://a:1,http://b:2", "--port=99"},
                                               {"-backends=http://a:1,http://b:2", "-port=99"},
                                               {"--backends", "http://a:1,http://b:2", "--port", "99"},
                                               {"-port", "99", "-backends", "http://a:1,http://b:2"}}) {
        const Options options = good(words);
        EXPECT_TRUE(options.source.quick_start);
        EXPECT_EQ(options.source.backends, "http://a:1,http://b:2");
        EXPECT_EQ(options.source.port, "99");
    }
    EXPECT_EQ(good({"--backends=a:1"}).source.port, "3030");
    EXPECT_TRUE(good({"-s", "stop", "--backends=a:1"}).source.quick_start);
}

TEST(Options, DemoTakesTheRest) {
    const Options options = good({"demo", "1", "-x"});
    EXPECT_EQ(options.action, Action::demo);
    EXPECT_THAT(options.arguments, ElementsAre("1", "-x"));
}

TEST(Options, ExplainTakesARequest) {
    const Options options = good({"-c", "x.ini", "explain", "GET", "http://h/a?b", "-H", "X-A: 1",
                                  "--header=Y:", "--from", "2001:db8::1", "--listener=web"});
    EXPECT_EQ(options.action, Action::explain);
    EXPECT_EQ(options.source.file, "x.ini");
    EXPECT_EQ(options.explain.method, "GET");
    EXPECT_EQ(options.explain.target, "http://h/a?b");
    EXPECT_THAT(options.explain.headers, ElementsAre("X-A: 1", "Y:"));
    EXPECT_EQ(options.explain.from, "2001:db8::1");
    EXPECT_EQ(options.explain.listener, "web");
}

TEST(Options, ExplainsFlagsMayStandAnywhere) {
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"explain", "PUT", "HTTPS://h", "-HA: b", "-c", "x.ini"},
             {"-H", "A: b", "-cx.ini", "explain", "PUT", "HTTPS://h"},
             {"explain", "-H", "A: b", "PUT", "-c", "x.ini", "HTTPS://h"}}) {
        const Options options = good(words);
        EXPECT_EQ(options.action, Action::explain);
        EXPECT_EQ(options.explain.target, "HTTPS://h");
        EXPECT_THAT(options.explain.headers, ElementsAre("A: b"));
        EXPECT_EQ(options.source.file, "x.ini");
    }
    EXPECT_TRUE(good({"explain", "GET", "http://h/", "--backends=a:1"}).source.quick_start);
}

TEST(Options, ExplainTakesAPathWithAHost) {
    EXPECT_EQ(good({"explain", "GET", "/a//b", "-H", "Host: h"}).explain.target, "/a//b");
    EXPECT_EQ(good({"explain", "OPTIONS", "*", "-H", "host:h"}).explain.target, "*");
    EXPECT_THAT(bad({"explain", "GET", "/a"}),
                HasSubstr("'/a' is no URL: write http://host/path, or a path and -H"));
    EXPECT_THAT(bad({"explain", "GET", "*", "-H", "Hosts: h"}), HasSubstr("'*' is no URL"));
}

TEST(Options, ExplainRefusesWhatIsNoRequest) {
    const std::string needs = "explain needs a method and a URL: lb explain GET http://host/path";
    EXPECT_THAT(bad({"explain"}), HasSubstr(needs));
    EXPECT_THAT(bad({"explain", "GET"}), HasSubstr(needs));
    EXPECT_THAT(bad({"explain", "GET", "http://h/", "more"}), HasSubstr("unknown argument 'more'"));
    EXPECT_THAT(bad({"explain", "GET", "ftp://h/"}), HasSubstr("'ftp://h/' is no URL"));
    EXPECT_THAT(bad({"explain", "GET", "http://h/#x"}), HasSubstr("what follows a # never reaches a server"));
    EXPECT_THAT(bad({"explain", "GET", "http://h/", "-H", "novalue"}),
                HasSubstr("-H novalue: write NAME: VALUE"));
    EXPECT_THAT(bad({"explain", "GET", "http://h/", "-H", "A: b\r\nC: d"}),
                HasSubstr("-H takes no control bytes"));
    EXPECT_THAT(bad({"explain", "GET", "http://h/", "-H", "A: b\tc"}), HasSubstr("tabs neither"));
    EXPECT_THAT(bad({"explain", "GET", "http://h/\n"}), HasSubstr("explain takes no control bytes"));
    EXPECT_THAT(bad({"explain", "GET\t", "http://h/"}), HasSubstr("explain takes no control bytes"));
    EXPECT_THAT(bad({"explain", "GET", "http://h/", "--listener", "a\tb"}),
                HasSubstr("explain takes no control bytes"));
    EXPECT_THAT(bad({"explain", "GET", "http://h/", "--from", "10.0.0.1:80"}),
                HasSubstr("--from: '10.0.0.1:80' is not an IPv4 or IPv6 address"));
    EXPECT_THAT(bad({"explain", "GET", "http://h/", "--from=a", "--from=b"}),
                HasSubstr("--from is given twice"));
    EXPECT_THAT(bad({"explain", "GET", "http://h/", "-t"}), HasSubstr("-t and explain exclude each other"));
    EXPECT_THAT(bad({"-s", "stop", "explain", "GET", "http://h/"}),
                HasSubstr("-s and explain exclude each other"));
    EXPECT_THAT(bad({"explain", "GET", "http://h/", "-q"}), HasSubstr("-q goes with -t, -s or backend"));
    EXPECT_THAT(bad({"-t", "-H", "A: b"}), HasSubstr("-H goes with explain"));
    EXPECT_THAT(bad({"--from=10.0.0.1"}), HasSubstr("--from goes with explain"));
    EXPECT_THAT(bad({"--listener=web"}), HasSubstr("--listener goes with explain"));
    EXPECT_THAT(bad({"explian", "GET", "http://h/"}),
                HasSubstr("unknown argument 'explian'; did you mean 'explain'?"));
}

TEST(Options, StatusForPeopleAndPrograms) {
    EXPECT_EQ(good({"status"}).action, Action::status);
    EXPECT_FALSE(good({"status"}).json);
    const Options options = good({"status", "--json", "-c", "x.ini"});
    EXPECT_TRUE(options.json);
    EXPECT_EQ(options.source.file, "x.ini");
    EXPECT_THAT(bad({"status", "app"}), HasSubstr("unknown argument 'app'"));
    EXPECT_THAT(bad({"--json"}), HasSubstr("--json goes with status"));
    EXPECT_THAT(bad({"statsu"}), HasSubstr("did you mean 'status'?"));
    EXPECT_THAT(bad({"status", "-q"}), HasSubstr("-q goes with"));
    EXPECT_THAT(bad({"-t", "status"}), HasSubstr("-t and status exclude each other"));
}

TEST(Options, BackendBecomesALineOfTheControlSocket) {
    const auto line = [](const std::vector<std::string>& words) {
        const Options options = good(words);
        EXPECT_EQ(options.action, Action::backend);
        return options.request;
    };
    EXPECT_EQ(line({"backend", "drain", "app/a1"}), "backend\tdrain\tapp/a1\t");
    EXPECT_EQ(line({"backend", "drain", "app/a1", "--wait"}), "backend\tdrain\tapp/a1\t0");
    EXPECT_EQ(line({"-c", "x", "backend", "--wait=90s", "maint", "app/unix:/run/a"}),
              "backend\tmaint\tapp/unix:/run/a\t90000");
    EXPECT_EQ(line({"backend", "ready", "app/a1"}), "backend\tready\tapp/a1\t");
    EXPECT_EQ(line({"backend", "weight", "app/a1", "5"}), "backend\tweight\tapp/a1\t5");
    EXPECT_EQ(line({"backend", "weight", "app/a1", "default"}), "backend\tweight\tapp/a1\tdefault");
    EXPECT_EQ(line({"backend", "add", "app", "10.0.0.7:80 weight=2 name=x"}),
              "backend\tadd\tapp\t10.0.0.7:80 weight=2 name=x");
    EXPECT_EQ(line({"backend", "add", "app", "10.0.0.7:80", "weight=2", "name=x"}),
              "backend\tadd\tapp\t10.0.0.7:80 weight=2 name=x");
    EXPECT_EQ(line({"backend", "remove", "app/a1"}), "backend\tremove\tapp/a1");
    EXPECT_EQ(line({"backend", "export"}), "backend\texport");
    EXPECT_TRUE(good({"backend", "-q", "export"}).quiet);
}

TEST(Options, BackendRefusesWhatTheMasterNeedNotBeAskedAbout) {
    EXPECT_THAT(bad({"backend"}),
                HasSubstr("backend needs an action: drain, ready, maint, weight, add, remove or export"));
    EXPECT_THAT(bad({"backend", "drian", "app/a"}), HasSubstr("did you mean 'drain'?"));
    EXPECT_THAT(bad({"backend", "drain"}), HasSubstr("backend drain takes a backend: drain app/a1"));
    EXPECT_THAT(bad({"backend", "drain", "app/a", "b"}), HasSubstr("backend drain takes a backend"));
    EXPECT_THAT(bad({"backend", "export", "app"}), HasSubstr("backend export takes nothing more"));
    EXPECT_THAT(bad({"backend", "add", "app"}), HasSubstr("backend add takes a pool and a backend"));
    for (const char* name : {"app", "/a", "app/"}) {
        EXPECT_THAT(bad({"backend", "remove", name}), HasSubstr("is no backend: write POOL/NAME")) << name;
    }
    EXPECT_THAT(bad({"backend", "weight", "app/a", "0"}), HasSubstr("weight 0: "));
    EXPECT_THAT(bad({"backend", "weight", "app/a", "257"}), HasSubstr("or default, for what the file says"));
    EXPECT_THAT(bad({"backend", "drain", "app/a", "--wait=5"}), HasSubstr("--wait=5: needs a unit"));
    EXPECT_THAT(bad({"backend", "remove", "app/a", "--wait"}), HasSubstr("--wait goes with drain and maint"));
    EXPECT_THAT(bad({"backend", "ready", "app/a", "--wait"}), HasSubstr("--wait goes with drain and maint"));
    EXPECT_THAT(bad({"--wait"}), HasSubstr("--wait goes with backend"));
    EXPECT_THAT(bad({"backend", "drain", "app/a\tb"}), HasSubstr("backend takes no control bytes"));
    EXPECT_THAT(bad({"backend", "add", "app", std::string(4096, 'x')}), HasSubstr("too long"));
}

TEST(Options, WrongOnesAreNamed) {
    const std::string more = "\nTry 'lb --help'.";
    EXPECT_EQ(bad({"--confg=x"}), "lb: unknown flag '--confg'; did you mean 'config'?" + more);
    EXPECT_EQ(bad({"--c", "x"}), "lb: unknown flag '--c'" + more);
    EXPECT_EQ(bad({"-x"}), "lb: unknown flag '-x'" + more);
    EXPECT_EQ(bad({"-tx"}), "lb: unknown flag '-x'" + more);
    EXPECT_EQ(bad({"dmeo"}), "lb: unknown argument 'dmeo'; did you mean 'demo'?" + more);
    EXPECT_EQ(bad({"-"}), "lb: unknown argument '-'" + more);
    EXPECT_EQ(bad({""}), "lb: unknown argument ''" + more);
    EXPECT_EQ(bad({"--"}), "lb: unknown flag '--'" + more);
    EXPECT_EQ(bad({"-c"}), "lb: -c needs a value: FILE" + more);
    EXPECT_EQ(bad({"-c", ""}), "lb: -c needs a value: FILE" + more);
    EXPECT_EQ(bad({"--config="}), "lb: -c needs a value: FILE" + more);
    EXPECT_EQ(bad({"--test=yes"}), "lb: -t takes no value" + more);
    EXPECT_EQ(bad({"-t", "-t"}), "lb: -t is given twice" + more);
    EXPECT_EQ(bad({"-c", "a", "--config=b"}), "lb: -c is given twice" + more);
}

TEST(Options, ValuesThatAreNoneAreWrongUsage) {
    const std::string more = "\nTry 'lb --help'.";
    EXPECT_EQ(bad({"--backends=a:1", "--port=abc"}), "lb: --port: abc: is not a whole number" + more);
    EXPECT_EQ(bad({"--backends=a:1", "--port", "65536"}), "lb: --port: 65536: must be 1 to 65535" + more);
    EXPECT_THAT(bad({"--backends=https://a:1"}),
                HasSubstr("--backends: https://a:1: TLS to backends is not supported; write http://"));
    EXPECT_THAT(bad({"--backends=a:1,,b:1"}), HasSubstr("--backends: : has no host"));
    EXPECT_THAT(bad({"--backends=a:1,b:0"}), HasSubstr("--backends: b:0: "));
    EXPECT_THAT(bad({"-g", "workers"}), HasSubstr("-g workers: write KEY=VALUE"));
    EXPECT_EQ(good({"--backends= a:1 , http://[::1]:80/ ", "--port=8"}).source.port, "8");
}

TEST(Options, ThatContradictAreRefused) {
    EXPECT_THAT(bad({"-s", "stop", "-t"}), HasSubstr("-s and -t exclude each other"));
    EXPECT_THAT(bad({"-h", "-v"}), HasSubstr("-h and -v exclude each other"));
    EXPECT_THAT(bad({"-c", "x", "--backends=a:1"}), HasSubstr("-c and --backends exclude each other"));
    EXPECT_THAT(bad({"--port=80"}), HasSubstr("--port goes with --backends"));
    EXPECT_THAT(bad({"-q"}), HasSubstr("-q goes with -t, -s or backend"));
    EXPECT_THAT(bad({"-T", "-q"}), HasSubstr("-q goes with -t, -s or backend"));
    EXPECT_THAT(bad({"-v", "-c", "x"}), HasSubstr("-c means nothing here"));
    EXPECT_THAT(
        bad({"-s", "relaod"}),
        HasSubstr(
            "-s relaod: must be stop, quit, reload, reopen, status or handover; did you mean 'reload'?"));
}

TEST(Help, FitsAScreen) {
    for (const char* topic : {"", "explain", "status", "backend"}) {
        std::istringstream lines(help(topic));
        int count = 0;
        for (std::string line; std::getline(lines, line); count++) EXPECT_LE(line.size(), 79u) << line;
        EXPECT_LE(count, 24) << topic;
        EXPECT_EQ(help(topic).back(), '\n');
    }
    for (const std::string_view action : backend_actions)
        EXPECT_THAT(help("backend"), HasSubstr(std::string(action)));
    EXPECT_EQ(good({"backend", "--help"}).topic, "backend");
    EXPECT_EQ(good({"status", "-h"}).action, Action::help);
    EXPECT_EQ(good({"-h"}).topic, "");
    EXPECT_EQ(good({"demo", "--help"}).action, Action::help);
    EXPECT_THAT(help(), HasSubstr("man 8 lb"));
    for (const std::string_view signal : signal_names) EXPECT_THAT(help(), HasSubstr(std::string(signal)));
}

TEST(Help, AndThePageNameEveryFlag) {
    std::ifstream in("man/lb.8");
    ASSERT_TRUE(in);
    std::stringstream bytes;
    bytes << in.rdbuf();
    std::string page = bytes.str();
    for (std::size_t at; (at = page.find("\\-")) != std::string::npos;) page.replace(at, 2, "-");
    for (const Flag& flag : flags()) {
        const std::string name = "--" + std::string(flag.name);
        if (flag.name != "manual") {
            const bool optional = flag.value.starts_with('[');
            EXPECT_THAT(help(flag.of), HasSubstr(name + (optional ? "[=" : " ")));
        }
        const std::string entry =
            flag.letter != 0 ? std::string(".BR -") + flag.letter + " \", \" " + name : ".B";
        EXPECT_THAT(page, HasSubstr(entry));
        EXPECT_THAT(page, HasSubstr(name));
    }
    for (const std::string_view signal : signal_names)
        EXPECT_THAT(page, HasSubstr("\n.B " + std::string(signal) + "\n"));
}

}  // namespace
}  // namespace lb::cli
