// tests/unit/config/routes_test.cpp -- routes as a part of a file: references, rules across keys, routes without requests.
#include "support.h"

namespace lb::config {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> warnings(const std::string& text) {
    const auto result = load_text(text);
    if (!result) return shown(result.error());
    return result.value().warnings;
}

const std::string two_listeners =
    "[listener web]\nbind = 127.0.0.1:1\n[listener api]\nbind = 127.0.0.1:2\n"
    "[pool app]\nbackend = 127.0.0.1:3\n[pool next]\nbackend = 127.0.0.1:4\n[log main]\npath = /x\n";  // 10 lines

TEST(Routes, NameListenersPoolsAndLogs) {
    const Config config = loaded(
        "[route a]\nlistener = api\nlistener = web\npool = next weight=5\npool = app weight=95\n"
        "mirror = app 50%\naccess_log = main\n[route b]\nrespond = 404\naccess_log = off\n" +
        two_listeners);
    ASSERT_EQ(config.routes.size(), 2u);
    EXPECT_THAT(config.routes[0].listeners, ElementsAre(1u, 0u));
    EXPECT_THAT(config.routes[0].pools, ElementsAre(Share{1, 5}, Share{0, 95}));
    EXPECT_EQ(config.routes[0].mirror, (Mirror{0, 500'000}));
    EXPECT_EQ(config.routes[0].access_log, 0u);
    EXPECT_EQ(config.routes[1].access_log, no_index);
    EXPECT_FALSE(config.routes[1].mirror);
    EXPECT_THAT(config.routes[1].listeners, IsEmpty());
}

TEST(Routes, NamesThatDoNotExistAreMistakesWithNearMisses) {
    EXPECT_THAT(
        mistakes(two_listeners +
                 "[route a]\nlistener = wbe\npool = ap\npool = nxt\nmirror = apps 1%\naccess_log = mian\n"),
        ElementsAre("lb.ini:12: [route a] listener = wbe: no such listener; did you mean 'web'?",
                    "lb.ini:13: [route a] pool = ap: no such pool; did you mean 'app'?",
                    "lb.ini:14: [route a] pool = nxt: no such pool; did you mean 'next'?",
                    "lb.ini:15: [route a] mirror = apps 1%: no such pool; did you mean 'app'?",
                    "lb.ini:16: [route a] access_log = mian: no such log; did you mean 'main'?"));
}

TEST(Routes, NameThingsOnce) {
    EXPECT_THAT(
        mistakes(two_listeners +
                 "[route a]\nlistener = web\nlistener = web\npool = app\npool = app weight=2\n"),
        ElementsAre(
            "lb.ini:13: [route a] listener = web: stands at lb.ini:12 already",
            "lb.ini:15: [route a] pool = app weight=2: stands at lb.ini:14 already; add their weights"));
}

TEST(Routes, DoExactlyOneThing) {
    EXPECT_THAT(
        mistakes(two_listeners +
                 "[route a]\npath = /a\n[route b]\npool = app\nredirect = 302 /x\nrespond = 200\n"),
        ElementsAre(
            "lb.ini:11: [route a]: needs a 'pool', a 'redirect' or a 'respond'; what is to happen to its "
            "requests?",
            "lb.ini:15: [route b] redirect: stands beside 'pool' at lb.ini:14; a route has one of pool, "
            "redirect or respond",
            "lb.ini:16: [route b] respond: stands beside 'pool' at lb.ini:14; a route has one of pool, "
            "redirect or respond"));
    EXPECT_THAT(mistakes(two_listeners + "[route a]\nredirct = 302 /x\n"),
                ElementsAre("lb.ini:12: [route a] redirct: unknown key; did you mean 'redirect'?"));
    EXPECT_THAT(mistakes(two_listeners + "[route a]\nrespond = 20\n"),
                ElementsAre("lb.ini:12: [route a] respond = 20: the status must be 200 to 599; as in 503"));
}

TEST(Routes, WithoutABackendHaveNoKeysAboutOne) {
    EXPECT_THAT(
        mistakes(two_listeners +
                 "[route a]\nredirect = 302 /x\nmirror = app 1%\nset_request_header = A b\ncompress = gzip\n"
                 "retries = 1\nset_response_header = A b\nmax_body = 1k\n"),
        ElementsAre("lb.ini:13: [route a] mirror: has no effect beside 'redirect'; remove it",
                    "lb.ini:14: [route a] set_request_header: has no effect beside 'redirect'; remove it",
                    "lb.ini:15: [route a] compress: has no effect beside 'redirect'; remove it",
                    "lb.ini:16: [route a] retries: has no effect beside 'redirect'; remove it"));
}

TEST(Routes, LeaveOutWhatTheyDoNotSay) {
    const Config config = loaded(
        two_listeners +
        "[defaults]\nbody_timeout = 7s\n[route a]\npool = app\n"
        "[route b]\npath = /b\npool = app\nbody_timeout = 1s\nmax_body = off\nrequest_timeout = off\n");
    EXPECT_FALSE(config.routes[0].body_timeout);
    EXPECT_FALSE(config.routes[0].retries);
    EXPECT_FALSE(config.routes[0].access_log);
    EXPECT_FALSE(config.routes[0].gzip);
    EXPECT_EQ(config.routes[1].body_timeout, 1s);
    EXPECT_EQ(config.routes[1].max_body, UINT64_MAX);
    EXPECT_EQ(config.routes[1].request_timeout, 0ms);
}

TEST(Routes, ConditionsAddUp) {
    const Config config =
        loaded(two_listeners +
               "[route a]\nhost = a.example *.B.example\nhost = c.example\nsource = 10.0.0.0/8\n"
               "source = ::1\nheader = A\nheader = b = 1\npool = app\n");
    EXPECT_THAT(config.routes[0].hosts,
                ElementsAre(HostMatch{false, "a.example"}, HostMatch{true, "b.example"},
                            HostMatch{false, "c.example"}));
    EXPECT_EQ(config.routes[0].sources.size(), 2u);
    EXPECT_EQ(config.routes[0].headers.size(), 2u);
    EXPECT_THAT(
        mistakes(two_listeners +
                 "[route a]\nhost = a.example\nhost = A.example\nheader = X\nheader = x\npool = app\n"),
        ElementsAre("lb.ini:13: [route a] host = A.example: the route has the host A.example already",
                    "lb.ini:15: [route a] header = x: stands there already"));
}

TEST(Routes, EditsAreOrderedWhateverTheFileSays) {
    const Config config =
        loaded(two_listeners +
               "[route a]\npool = app\nadd_request_header = X-A 1\nset_request_header = X-B 2\n"
               "add_request_header = X-A 3\nremove_request_header = X-A\nset_response_header = Y $status\n");
    std::vector<std::string> order;
    for (const Edit& edit : config.routes[0].request_edits) {
        order.push_back(std::to_string(static_cast<int>(edit.kind)) + edit.name + edit.value.source);
    }
    EXPECT_THAT(order, ElementsAre("0X-A", "1X-B2", "2X-A1", "2X-A3"));
    EXPECT_EQ(config.routes[0].response_edits.size(), 1u);
    EXPECT_EQ(loaded(dump(config)), config);
    EXPECT_THAT(
        mistakes(two_listeners + "[route a]\npool = app\nset_request_header = X 1\nset_request_header = x 2\n"
                                 "remove_response_header = S\nremove_response_header = s\n"),
        ElementsAre("lb.ini:14: [route a] set_request_header = x 2: the route sets x already",
                    "lb.ini:16: [route a] remove_response_header = s: the route removes s already"));
}

const std::string one_listener =
    "[listener web]\nbind = 127.0.0.1:1\npool = app\n[pool app]\nbackend = 127.0.0.1:3\n";  // 5 lines

TEST(UsedPools, AreThoseOfListenersRoutesAndMirrors) {
    EXPECT_THAT(
        warnings(one_listener + "[pool b]\nbackend = 127.0.0.1:4\n[pool c]\nbackend = 127.0.0.1:5\n"
                                "[pool d]\nbackend = 127.0.0.1:6\n[route r]\npool = b\nmirror = c 1%\n"),
        ElementsAre("lb.ini:10: [pool d]: no listener and no route names this pool"));
}

// What is said about a second route after a first one.
std::vector<std::string> second(const std::string& first, const std::string& then) {
    return warnings(
        "[listener web]\nbind = 127.0.0.1:1\n[listener api]\nbind = 127.0.0.1:2\n[route a]\nrespond = 200\n" +
        first + "[route b]\nrespond = 200\n" + then);
}

TEST(Shadowed, RoutesThatEarlierOnesTakeAllOf) {
    const auto shadowed = ElementsAre(testing::HasSubstr(
        "[route b]: no request gets here: [route a] at lb.ini:5 takes all that it could have"));
    EXPECT_THAT(second("", ""), shadowed);
    EXPECT_THAT(second("", "path = /x\n"), shadowed);
    EXPECT_THAT(second("path = /x\n", "path = /x\n"), shadowed);
    EXPECT_THAT(second("path = /x\n", "path = /x/y\nmethod = GET\n"), shadowed);
    EXPECT_THAT(second("path = /x/\n", "path = = /x/y\n"), shadowed);
    EXPECT_THAT(second("path = /\n", "path = /x/y\n"), shadowed);
    EXPECT_THAT(second("path = ~ a\n", "path = ~ a\n"), shadowed);
    EXPECT_THAT(second("host = a b\n", "host = b\n"), shadowed);
    EXPECT_THAT(second("host = *.a\n", "host = *.a\npath = /x\n"), shadowed);
    EXPECT_THAT(second("method = GET POST\n", "method = POST\n"), shadowed);
    EXPECT_THAT(second("header = A\n", "header = B\nheader = a\n"), shadowed);
    EXPECT_THAT(second("source = ::1\n", "source = ::1\n"), shadowed);
    EXPECT_THAT(second("listener = web\nlistener = api\n", ""), shadowed);
    EXPECT_THAT(second("", "listener = web\n"), shadowed);
}

TEST(Shadowed, RoutesThatStillGetSomethingAreNot) {
    EXPECT_THAT(second("", "host = a\n"), IsEmpty()) << "hosts are asked before none";
    EXPECT_THAT(second("host = *.a\n", "host = x.a\n"), IsEmpty()) << "and exact ones before wildcards";
    EXPECT_THAT(second("path = /x\n", ""), IsEmpty());
    EXPECT_THAT(second("path = /x\n", "path = /xy\n"), IsEmpty()) << "prefixes are whole segments";
    EXPECT_THAT(second("path = = /x\n", "path = /x\n"), IsEmpty());
    EXPECT_THAT(second("path = /x\n", "path = ~ ^/x\n"), IsEmpty());
    EXPECT_THAT(second("method = GET\n", "method = GET POST\n"), IsEmpty());
    EXPECT_THAT(second("method = GET\n", ""), IsEmpty());
    EXPECT_THAT(second("header = A = 1\n", "header = A\n"), IsEmpty());
    EXPECT_THAT(second("cookie = A\n", "query = A\n"), IsEmpty());
    EXPECT_THAT(second("host = a\n", "host = a b\n"), IsEmpty());
    EXPECT_THAT(second("listener = web\n", ""), IsEmpty());
    EXPECT_THAT(second("listener = web\n", "listener = api\n"), IsEmpty());
}

TEST(Shadowed, ListenerByListener) {
    EXPECT_THAT(
        warnings("[listener web]\nbind = 127.0.0.1:1\n[listener api]\nbind = 127.0.0.1:2\n"
                 "[route a]\nlistener = web\nrespond = 200\n[route b]\nlistener = api\nrespond = 200\n"
                 "[route c]\nrespond = 200\n"),
        ElementsAre("lb.ini:11: [route c]: no request gets here: [route b] at lb.ini:8 takes all that it "
                    "could have"));
}

TEST(Shadowed, ManyRoutesAreComparedInTime) {
    std::string text = "[listener web]\nbind = 127.0.0.1:1\n";
    for (int i = 0; i < 5000; i++) {
        const std::string n = std::to_string(i);
        text += "[route " + n + "]\nrespond = 200\nheader = X = " + n + "\n";
    }
    EXPECT_THAT(warnings(text), IsEmpty());
}

TEST(ProxyProtocol, NeedsSendersThatAreTrusted) {
    EXPECT_THAT(
        mistakes("[listener web]\nbind = 127.0.0.1:1\nbind = 127.0.0.1:2 proxy_protocol\n"),
        ElementsAre(
            "lb.ini:3: [listener web] bind = 127.0.0.1:2 proxy_protocol: proxy_protocol needs to know "
            "whose PROXY header is believed; add trusted = ADDRESS/BITS"));
    const Config config = loaded("[listener web]\nbind = 127.0.0.1:2 proxy_protocol\ntrusted = 127.0.0.1\n");
    EXPECT_TRUE(config.listeners[0].binds[0].proxy_protocol);
    EXPECT_THAT(mistakes("[listener web]\nbind = 127.0.0.1:2 proxy_protocol\ntrusted = x\n"),
                testing::SizeIs(1));
    EXPECT_THAT(mistakes("[listener web]\nbind = fd:3 proxy_protocol\n"), testing::SizeIs(1));
    EXPECT_THAT(mistakes("[listener web]\nbind = unix:/x proxy_protocol\n"), IsEmpty())
        << "who may connect there is trusted";
}

TEST(Discovery, StandsInForBackends) {
    const std::string listener = "[listener web]\nbind = 127.0.0.1:1\npool = app\n[pool app]\n";
    EXPECT_THAT(mistakes(listener), ElementsAre("lb.ini:4: [pool app]: needs a 'backend' or a 'discover'"));
    const Config config = loaded(listener + "discover = dns app.internal:80\ndiscover = file app.list\n");
    EXPECT_THAT(config.pools[0].backends, IsEmpty());
    ASSERT_EQ(config.pools[0].discover.size(), 2u);
    EXPECT_EQ(config.pools[0].discover[1].path, "/app.list");
    EXPECT_THAT(mistakes(listener + "discover = dns a.b:80\ndiscover = dns A.B:80\n"),
                ElementsAre("lb.ini:6: [pool app] discover = dns A.B:80: stands at lb.ini:5 already"));
    EXPECT_THAT(mistakes(listener + "discver = dns a.b:80\n"), testing::SizeIs(1));
    EXPECT_THAT(mistakes(listener + "backend = 127.0.0.1:1 backup\ndiscover = dns a.b:80\n"), IsEmpty());
}

TEST(Resolver, IsOne) {
    EXPECT_EQ(loaded(one_listener).resolver, (Resolver{{}, 1s, 5min, 1h}));
    const Config config =
        loaded(one_listener +
               "[resolver default]\nnameserver = 127.0.0.1:5353\nnameserver = ::1\nnameserver = [::2]\n"
               "nameserver = 192.0.2.1\nttl = 100ms 24h\nstale = 0s\n");
    std::vector<std::string> servers;
    for (const Address& server : config.resolver.nameservers) servers.push_back(to_string(server));
    EXPECT_THAT(servers, ElementsAre("127.0.0.1:5353", "[::1]:53", "[::2]:53", "192.0.2.1:53"));
    EXPECT_EQ(config.resolver.ttl_min, 100ms);
    EXPECT_EQ(config.resolver.ttl_max, 24h);
    EXPECT_THAT(
        mistakes(one_listener + "[resolver other]\nttl = 5m 1s\nnameserver = dns\n[resolver]\nttl = 1s\n"),
        ElementsAre("lb.ini:6: [resolver other]: there is one resolver; write [resolver default]",
                    "lb.ini:7: [resolver other] ttl = 5m 1s: the least time is longer than the longest",
                    "lb.ini:8: [resolver other] nameserver = dns: the port is missing: write ADDRESS:PORT; "
                    "write ADDR or ADDR:PORT, as in 127.0.0.1:53",
                    "lb.ini:9: [resolver]: the name is empty; write [resolver default]",
                    "lb.ini:10: [resolver] ttl = 1s: takes the least and the longest time; as in 1s 5m"));
}

TEST(Logs, HaveNamedFormatsAndTemplates) {
    const Config config = loaded(
        "[log a]\npath = /a\n[log b]\npath = syslog\nformat = json\n[log c]\npath = stdout\n"
        "format = \"$status $http_x_y\"\nsample = 0.01%\n[log d]\npath = ./syslog\nformat = "
        "\"{\\\"s\\\":$status}\"\n" +
        one_listener);
    ASSERT_EQ(config.logs.size(), 4u);
    EXPECT_EQ(config.logs[0].sink, LogSink::file);
    EXPECT_EQ(config.logs[0].format_name, "combined");
    EXPECT_EQ(config.logs[0].escape, LogEscape::text);
    EXPECT_EQ(config.logs[0].sample, 1'000'000u);
    EXPECT_EQ(config.logs[0].format.source,
              "$client_addr - - [$time_local] \"$request\" $status $body_bytes \"$http_referer\" "
              "\"$http_user_agent\"");
    EXPECT_EQ(config.logs[1].sink, LogSink::syslog);
    EXPECT_EQ(config.logs[1].escape, LogEscape::json);
    EXPECT_EQ(config.logs[2].sink, LogSink::standard_output);
    EXPECT_EQ(config.logs[2].format_name, "");
    EXPECT_EQ(config.logs[2].escape, LogEscape::text);
    EXPECT_EQ(config.logs[2].sample, 100u);
    EXPECT_EQ(config.logs[3].sink, LogSink::file) << "a file may be called so";
    EXPECT_EQ(config.logs[3].escape, LogEscape::json) << "an object of the operator's own";
    EXPECT_EQ(loaded(dump(config)), config);
    EXPECT_THAT(
        mistakes("[log a]\npath = stderr\nformat = jsn\n[log b]\npath = /b\nformat = main\nsample = 0%\n"
                 "[log c]\npath = /c\nformat = $statsu\n" +
                 one_listener),
        ElementsAre(
            "lb.ini:2: [log a] path = stderr: an access log goes to a file, to stdout or to syslog; a "
            "file of that name is ./stderr",
            "lb.ini:3: [log a] format = jsn: must be combined, json or a text with variables; did you "
            "mean 'json'?",
            "lb.ini:6: [log b] format = main: must be combined, json or a text with variables; as in "
            "\"$client_addr $request $status\"",
            "lb.ini:7: [log b] sample = 0%: must be 0.01% to 100%",
            "lb.ini:10: [log c] format = $statsu: there is no variable $statsu; did you mean $status?"));
}

// LogEscape::json writes text without quotes of its own and numbers bare, so the template must have each where it belongs.
TEST(Logs, TheJsonFormatIsAnObject) {
    const Template format = loaded("[log a]\npath = /a\nformat = json\n" + one_listener).logs[0].format;
    std::string text;
    for (const Piece& piece : format.pieces) text += piece.variable == Variable::text ? piece.text : "0";
    EXPECT_TRUE(text.starts_with("{\"time\":\"0\",\"client\":\"0\",\"client_port\":0,")) << text;
    EXPECT_TRUE(text.ends_with(",\"pid\":0}")) << text;
    // What scripts written for the first version read.
    for (const char* key :
         {"time", "client", "listener", "pool", "backend", "request", "end", "referer", "user_agent"}) {
        EXPECT_THAT(text, testing::HasSubstr("\"" + std::string(key) + "\":\"0\"")) << key;
    }
    for (const char* key :
         {"status", "attempts", "body_bytes", "bytes_sent", "bytes_received", "request_time", "connect_time",
          "response_time", "head_time", "pick_time", "transfer_time", "pid"}) {
        EXPECT_THAT(text, testing::HasSubstr("\"" + std::string(key) + "\":0")) << key;
    }
}

}  // namespace
}  // namespace lb::config
