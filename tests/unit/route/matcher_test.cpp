// tests/unit/route/matcher_test.cpp -- which route a request takes, condition by condition, and what is said about it.
#include "shared/route/matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support.h"

namespace lb::test {
namespace {

using testing::ElementsAre;

TEST(Matcher, WithoutRoutesFindsNone) {
    EXPECT_EQ(Routes().find("GET /"), "-");
    EXPECT_EQ(Routes().find("OPTIONS *"), "-");
}

TEST(Matcher, ARouteWithoutConditionsTakesAll) {
    Routes routes;
    routes.add("all");
    EXPECT_EQ(routes.find("GET /"), "all");
    EXPECT_EQ(routes.find("POST /a/b?c", "x.example.com:99"), "all");
    EXPECT_EQ(routes.find("OPTIONS *"), "all");
}

TEST(Matcher, TheFirstInTheFileThatHoldsWins) {
    Routes routes;
    routes.add("wide", path("/")).add("narrow", path("/a/")).add("exact", path("= /a/b"));
    EXPECT_EQ(routes.find("GET /a/b"), "wide") << "a longer path is no better one";
    Routes other;
    other.add("exact", path("= /a/b")).add("regex", path("~ ^/a/c")).add("narrow", path("/a/")).add("any");
    EXPECT_EQ(other.find("GET /a/b"), "exact");
    EXPECT_EQ(other.find("GET /a/cd"), "regex");
    EXPECT_EQ(other.find("GET /a/d"), "narrow");
    EXPECT_EQ(other.find("GET /b"), "any");
}

TEST(Matcher, OrderHoldsAcrossTheKindsOfPath) {
    for (int turn = 0; turn < 24; turn++) {
        std::vector<std::string> kinds = {"= /a/b", "/a/", "~ ^/a/b$", ""};
        std::vector<int> order = {0, 1, 2, 3};
        for (int i = 0; i < turn; i++) std::ranges::next_permutation(order);
        Routes routes;
        for (const int i : order) {
            const std::string& kind = kinds[static_cast<std::size_t>(i)];
            kind.empty() ? routes.add("any") : routes.add(kind, path(kind));
        }
        EXPECT_EQ(routes.find("GET /a/b"), routes.config.routes.front().name);
    }
}

TEST(Matcher, ExactHostBeforeWildcardBeforeNone) {
    Routes routes;
    routes.add("none")
        .add("short", host("*.com"))
        .add("long", host("*.example.com"))
        .add("exact", host("a.example.com"));
    EXPECT_EQ(routes.find("GET /", "a.example.com"), "exact");
    EXPECT_EQ(routes.find("GET /", "b.example.com"), "long");
    EXPECT_EQ(routes.find("GET /", "x.a.example.com"), "long");
    EXPECT_EQ(routes.find("GET /", "example.com"), "short") << "a wildcard is not for the name itself";
    EXPECT_EQ(routes.find("GET /", ".example.com"), "short");
    EXPECT_EQ(routes.find("GET /", "com"), "none");
    EXPECT_EQ(routes.find("GET /", "aexample.com"), "short") << "whole labels";
    EXPECT_EQ(routes.find("GET /", "example.org"), "none");
}

TEST(Matcher, GoesOnWhenNoRouteOfTheBetterHostHolds) {
    Routes routes;
    routes.add("none", path("/c"))
        .add("wild", host("*.example.com"), path("/b"))
        .add("exact", host("a.example.com"), path("/a"));
    EXPECT_EQ(routes.find("GET /a", "a.example.com"), "exact");
    EXPECT_EQ(routes.find("GET /b", "a.example.com"), "wild");
    EXPECT_EQ(routes.find("GET /c", "a.example.com"), "none");
    EXPECT_EQ(routes.find("GET /d", "a.example.com"), "-");
}

TEST(Matcher, ComparesHostsInOneForm) {
    Routes routes;
    routes.add("name", host("a.example.com"))
        .add("six", host("[2001:db8::1]"))
        .add("four", host("192.0.2.9"));
    EXPECT_EQ(routes.find("GET /", "A.Example.COM:8080"), "name");
    EXPECT_EQ(routes.find("GET /", "a.example.com."), "name");
    EXPECT_EQ(routes.find("GET /", "a.example.com.:80"), "name");
    EXPECT_EQ(routes.find("GET http://A.EXAMPLE.com/", "other"), "name") << "an absolute target wins";
    EXPECT_EQ(routes.find("GET /", "[2001:DB8:0::1]:443"), "six");
    EXPECT_EQ(routes.find("GET /", "192.0.2.9:80"), "four");
    EXPECT_EQ(routes.find("GET /", "a.example.com.."), "-");
}

TEST(Matcher, ARequestWithoutHostTakesRoutesWithoutHost) {
    Routes routes;
    routes.add("named", host("h")).add("wild", host("*.h")).add("none");
    http::RequestHead head;
    const std::string bytes = "GET / HTTP/1.0\r\n\r\n";
    ASSERT_EQ(http::parse_request(bytes, 0, {}, head).state, http::HeadResult::State::complete);
    const Address client;
    route::Matcher matcher(routes.config);
    EXPECT_EQ(routes.name_of(matcher.find({0, head, client})), "none");
}

TEST(Matcher, ARouteMayHaveSeveralHosts) {
    Routes routes;
    routes.add("both", host("a.x"), host("*.a.x"), host("a.x")).add("wild", host("*.x"));
    EXPECT_EQ(routes.find("GET /", "a.x"), "both");
    EXPECT_EQ(routes.find("GET /", "b.a.x"), "both");
    EXPECT_EQ(routes.find("GET /", "b.x"), "wild");
}

TEST(Matcher, ComparesTheDecodedPathWithoutDots) {
    Routes routes;
    routes.add("admin", path("/admin")).add("public", path("/public/")).add("exact", path("= /e/x"));
    for (const char* target :
         {"/admin", "/admin/x", "/%61dmin", "//admin", "/public/../admin", "/public/%2e%2e/admin",
          "/public%2f..%2fadmin", "/./admin/./x", "/admin?x=/public/", "/public/..//admin/"}) {
        EXPECT_EQ(routes.find(std::string("GET ") + target), "admin") << target;
    }
    for (const char* target : {"/public/", "/admin/../public/x", "/public/%252e%252e/admin",
                               "/public/..%255cadmin", "/public/?/../admin"}) {
        EXPECT_EQ(routes.find(std::string("GET ") + target), "public") << target;
    }
    for (const char* target : {"/e/x", "/e//x", "/e/%78", "/e/y/../x", "/e%2Fx"}) {
        EXPECT_EQ(routes.find(std::string("GET ") + target), "exact") << target;
    }
    for (const char* target : {"/administrator", "/public", "/e/x/", "/e/x%00", "/Admin", "/%2561dmin"}) {
        EXPECT_EQ(routes.find(std::string("GET ") + target), "-") << target;
    }
}

TEST(Matcher, PrefixesAreFoundAtEveryDepth) {
    Routes routes;
    routes.add("deep", path("/a/b/c/d/"))
        .add("middle", path("/a/b"))
        .add("top", path("/a/"))
        .add("root", path("= /"));
    EXPECT_EQ(routes.find("GET /a/b/c/d/e/f"), "deep");
    EXPECT_EQ(routes.find("GET /a/b/c/d/"), "deep");
    EXPECT_EQ(routes.find("GET /a/b/c/d"), "middle");
    EXPECT_EQ(routes.find("GET /a/b"), "middle");
    EXPECT_EQ(routes.find("GET /a/bc"), "top");
    EXPECT_EQ(routes.find("GET /a"), "-");
    EXPECT_EQ(routes.find("GET /"), "root");
}

TEST(Matcher, AnExactPathHasItsSlashOrNot) {
    Routes routes;
    routes.add("bare", path("= /a")).add("slash", path("= /a/"));
    EXPECT_EQ(routes.find("GET /a"), "bare");
    EXPECT_EQ(routes.find("GET /a/"), "slash");
    EXPECT_EQ(routes.find("GET /a/b"), "-");
}

TEST(Matcher, APathNoRequestCanHaveTakesNone) {
    Routes routes;
    routes.add("double", path("/a//b"))
        .add("dots", path("= /a/../b"))
        .add("bare", path("a"))
        .add("none", path(""));
    for (const char* target : {"/a//b", "/a/b", "/a/../b", "/b", "/a", "/"}) {
        EXPECT_EQ(routes.find(std::string("GET ") + target), "-") << target;
    }
}

TEST(Matcher, TheAsteriskHasNoPath) {
    Routes routes;
    routes.add("prefix", path("/")).add("regex", path("~ .*")).add("any", method("OPTIONS"));
    EXPECT_EQ(routes.find("OPTIONS *"), "any");
    EXPECT_EQ(routes.find("OPTIONS http://h"), "any") << "RFC 9112 3.2.4";
    EXPECT_EQ(routes.find("OPTIONS /"), "prefix");
    EXPECT_EQ(routes.find("OPTIONS /*"), "prefix");
}

TEST(Matcher, AnAbsoluteTargetWithAnEmptyPathIsTheRoot) {
    Routes routes;
    routes.add("root", path("= /"));
    EXPECT_EQ(routes.find("GET http://h"), "root");
    EXPECT_EQ(routes.find("GET http://h?q"), "root");
    EXPECT_EQ(routes.find("GET http://h/"), "root");
    EXPECT_EQ(routes.find("GET http://h/x"), "-");
}

TEST(Matcher, RegularExpressionsSeeTheComparedPath) {
    Routes routes;
    routes.add("pictures", path("~ \\.(png|jpg)$")).add("anywhere", path("~ b"));
    EXPECT_EQ(routes.find("GET /x/y.png?z"), "pictures");
    EXPECT_EQ(routes.find("GET /x/y%2Epng"), "pictures");
    EXPECT_EQ(routes.find("GET /abc"), "anywhere");
    EXPECT_EQ(routes.find("GET /x/../y"), "-");
    EXPECT_EQ(routes.find("GET /y?b"), "-");
}

TEST(Matcher, MethodsAreExact) {
    Routes routes;
    routes.add("write", method("POST"), method("PUT")).add("own", method("Purge"));
    EXPECT_EQ(routes.find("POST /"), "write");
    EXPECT_EQ(routes.find("PUT /"), "write");
    EXPECT_EQ(routes.find("GET /"), "-");
    EXPECT_EQ(routes.find("post /"), "-");
    EXPECT_EQ(routes.find("Purge /"), "own");
    EXPECT_EQ(routes.find("PURGE /"), "-");
}

TEST(Matcher, HeadersMustAllHoldInAnyLine) {
    Routes routes;
    routes.add("both", header("x-a = 1"), header("x-b")).add("canary", header("x-canary ~ ^(on|1)$"));
    EXPECT_EQ(routes.find("GET /", "h", {"X-A: 1", "X-B: anything"}), "both");
    EXPECT_EQ(routes.find("GET /", "h", {"x-b:", "x-a: 2", "X-a: 1"}), "both") << "any line of that name";
    EXPECT_EQ(routes.find("GET /", "h", {"X-A: 1"}), "-");
    EXPECT_EQ(routes.find("GET /", "h", {"X-A: 1,1", "X-B: 2"}), "-") << "a list is one value";
    EXPECT_EQ(routes.find("GET /", "h", {"X-Canary: on"}), "canary");
    EXPECT_EQ(routes.find("GET /", "h", {"X-Canary: On"}), "-");
    EXPECT_EQ(routes.find("GET /", "h", {"X-Canary-2: on"}), "-");
    EXPECT_EQ(routes.find("GET /", "h", {"Connection: x-canary", "X-Canary: 1"}), "canary")
        << "what ends here was received all the same";
}

TEST(Matcher, CookiesAreThePairsOfAllLines) {
    Routes routes;
    routes.add("beta", cookie("beta = 1")).add("quoted", cookie("q = \"a b\"")).add("any", cookie("session"));
    EXPECT_EQ(routes.find("GET /", "h", {"Cookie: beta=1"}), "beta");
    EXPECT_EQ(routes.find("GET /", "h", {"Cookie: a=b; beta=1;c=d"}), "beta");
    EXPECT_EQ(routes.find("GET /", "h", {"Cookie: a=b", "cookie: beta=1"}), "beta");
    EXPECT_EQ(routes.find("GET /", "h", {"Cookie: beta=0; beta=1"}), "beta") << "any of that name";
    EXPECT_EQ(routes.find("GET /", "h", {"Cookie:  beta = 1 "}), "beta");
    EXPECT_EQ(routes.find("GET /", "h", {"Cookie: q=\"a b\""}), "quoted");
    EXPECT_EQ(routes.find("GET /", "h", {"Cookie: q=a b"}), "-");
    EXPECT_EQ(routes.find("GET /", "h", {"Cookie: session="}), "any");
    EXPECT_EQ(routes.find("GET /", "h", {"Cookie: session"}), "-") << "no pair";
    for (const char* line :
         {"Cookie: Beta=1", "Cookie: xbeta=1", "Cookie: beta=10", "Cookie: x=beta=1", "X: beta=1"}) {
        EXPECT_EQ(routes.find("GET /", "h", {line}), "-") << line;
    }
}

TEST(Matcher, ParametersAreDecoded) {
    Routes routes;
    routes.add("two", query("version = 2"))
        .add("blank", query("n v = a b"))
        .add("regex", query("id ~ ^[0-9]+$"))
        .add("flag", query("debug"));
    EXPECT_EQ(routes.find("GET /?version=2"), "two");
    EXPECT_EQ(routes.find("GET /?a=b&version=2&c"), "two");
    EXPECT_EQ(routes.find("GET /?version=1&version=2"), "two") << "any of that name";
    EXPECT_EQ(routes.find("GET /?%76ersion=%32"), "two");
    EXPECT_EQ(routes.find("GET http://h?version=2"), "two");
    EXPECT_EQ(routes.find("GET /?n+v=a%20b"), "blank");
    EXPECT_EQ(routes.find("GET /?id=12%33"), "regex");
    EXPECT_EQ(routes.find("GET /?id=x&id=7"), "regex");
    EXPECT_EQ(routes.find("GET /?debug"), "flag");
    EXPECT_EQ(routes.find("GET /?&&debug=&"), "flag");
    for (const char* target :
         {"/", "/?", "/?version", "/?version=", "/?Version=2", "/?xversion=2", "/?version=22",
          "/?x=version=2", "/version=2", "/?a;version=2", "/?id=x", "/?=2"}) {
        EXPECT_EQ(routes.find(std::string("GET ") + target), "-") << target;
    }
}

TEST(Matcher, SourcesAreAnyOfTheRanges) {
    Routes routes;
    routes.add("office", range("10.0.0.0/8"), range("2001:db8::/32")).add("one", range("192.0.2.7"));
    EXPECT_EQ(routes.find("GET /", "h", {}, "10.1.2.3"), "office");
    EXPECT_EQ(routes.find("GET /", "h", {}, "::ffff:10.1.2.3"), "office");
    EXPECT_EQ(routes.find("GET /", "h", {}, "2001:db8::9"), "office");
    EXPECT_EQ(routes.find("GET /", "h", {}, "192.0.2.7"), "one");
    EXPECT_EQ(routes.find("GET /", "h", {}, "192.0.2.8"), "-");
}

TEST(Matcher, RoutesOfAListenerAreForItAlone) {
    Routes routes({"web", "api", "third"});
    routes.add("web", on(0), path("/a"))
        .add("all", path("/a"))
        .add("api", on(1), on(2))
        .add("web-host", on(0), host("h"));
    EXPECT_EQ(routes.find(Request("GET /a"), 0), "web-host") << "the exact host first";
    EXPECT_EQ(routes.find(Request("GET /a", "x"), 0), "web");
    EXPECT_EQ(routes.find(Request("GET /a"), 1), "all");
    EXPECT_EQ(routes.find(Request("GET /b"), 1), "api");
    EXPECT_EQ(routes.find(Request("GET /b"), 2), "api");
    EXPECT_EQ(routes.find(Request("GET /b", "x"), 0), "-");
}

TEST(Matcher, AllConditionsOfARouteMustHold) {
    Routes routes;
    routes.add("r", host("h"), path("/a/"), method("GET"), header("x"), cookie("c"), query("q"),
               range("10.0.0.0/8"));
    const std::vector<std::string> fields = {"X: 1", "Cookie: c=1"};
    EXPECT_EQ(routes.find("GET /a/?q", "h", fields, "10.0.0.1"), "r");
    EXPECT_EQ(routes.find("GET /a/?q", "i", fields, "10.0.0.1"), "-");
    EXPECT_EQ(routes.find("GET /b/?q", "h", fields, "10.0.0.1"), "-");
    EXPECT_EQ(routes.find("PUT /a/?q", "h", fields, "10.0.0.1"), "-");
    EXPECT_EQ(routes.find("GET /a/?q", "h", {"Cookie: c=1"}, "10.0.0.1"), "-");
    EXPECT_EQ(routes.find("GET /a/?q", "h", {"X: 1"}, "10.0.0.1"), "-");
    EXPECT_EQ(routes.find("GET /a/", "h", fields, "10.0.0.1"), "-");
    EXPECT_EQ(routes.find("GET /a/?q", "h", fields, "11.0.0.1"), "-");
}

TEST(Matcher, ManySegmentsAndLabelsAreNoDanger) {
    Routes routes;
    routes.add("deep", host("*.x"), path("/a/a/a/b"));
    std::string target = "GET ";
    for (int i = 0; i < 16000; i++) target += "/a";
    std::string name;
    for (int i = 0; i < 126; i++) name += "a.";
    EXPECT_EQ(routes.find(target, name + "x"), "-");
    EXPECT_EQ(routes.find("GET /a/a/a/b/c", name + "x"), "deep");
}

// -- explain

std::vector<std::string> told(Routes& routes, const Request& request, std::uint32_t listener = 0) {
    route::Matcher matcher(routes.config);
    std::vector<std::string> lines;
    for (const auto& verdict : matcher.explain(request.question(listener))) {
        lines.push_back(routes.name_of(verdict.route) + (verdict.taken ? "*: " : ": ") + verdict.why);
    }
    return lines;
}

TEST(Explain, NamesTheRoutesInTheOrderOfAskingAndTheFirstConditionThatFails) {
    Routes routes({"web", "api"});
    routes.add("any")
        .add("path", path("/v1/"))
        .add("wild", host("*.example.com"), path("= /v1"))
        .add("other-host", host("b.example.com"), host("c.example.com"))
        .add("exact", host("a.example.com"), path("~ ^/v3"))
        .add("long", host("*.a.example.com"))
        .add("listener", on(1));
    EXPECT_THAT(told(routes, Request("GET /v2/x", "a.example.com")),
                ElementsAre("exact: path /v2/x does not match ^/v3", "wild: path /v2/x is not /v1",
                            "any*: ", "path: path /v2/x does not begin with /v1/",
                            "other-host: host is none of b.example.com c.example.com",
                            "long: host is not *.a.example.com", "listener: listener is not api"));
}

TEST(Explain, SaysWhatEachKindOfConditionMisses) {
    Routes routes;
    routes.add("segment", path("/v1"))
        .add("method", method("POST"))
        .add("methods", method("POST"), method("PUT"))
        .add("header", header("x-a"))
        .add("value", header("x-b = 1"))
        .add("regex", header("x-b ~ ^1"))
        .add("cookie", cookie("c = 1"))
        .add("no-cookie", cookie("d"))
        .add("query", query("q = 1"))
        .add("no-query", query("r"))
        .add("source", range("10.0.0.0/8"));
    EXPECT_THAT(
        told(routes, Request("GET /v10?q=2", "h", {"X-B: 2", "Cookie: c=2"})),
        ElementsAre("segment: path /v10 is neither /v1 nor below /v1/", "method: method GET is not POST",
                    "methods: method GET is none of POST PUT", "header: there is no header x-a",
                    "value: header x-b is not 1", "regex: header x-b does not match ^1",
                    "cookie: cookie c is not 1", "no-cookie: there is no cookie d",
                    "query: parameter q is not 1", "no-query: there is no parameter r",
                    "source: client 192.0.2.1 is not 10.0.0.0/8"));
    EXPECT_EQ(told(routes, Request("OPTIONS *")).front(), "segment: there is no path");
}

TEST(Explain, SaysWhereTheClientIs) {
    Routes routes;
    routes.add("one", country("FR")).add("more", country("FR"), country("NL")).add("last", country("DE"));
    EXPECT_THAT(told(routes, Request("GET /", "h", {}, "127.0.1.1")),
                ElementsAre("one: country is not known, must be FR",
                            "more: country is not known, must be one of FR NL",
                            "last: country is not known, must be DE"));
    routes.config.zones.countries = countries();
    EXPECT_THAT(told(routes, Request("GET /", "h", {}, "127.0.1.1")),
                ElementsAre("one: country is DE, not FR", "more: country is DE, none of FR NL", "last*: "));
}

TEST(Explain, EscapesWhatTheRequestBrings) {
    Routes routes;
    routes.add("r", path("= /a"));
    EXPECT_THAT(told(routes, Request("GET /%1b[2J%0a")), ElementsAre("r: path /\\x1b[2J\\x0a is not /a"));
}

TEST(Explain, ARouteThatHoldsBehindTheTakenOneSaysNothing) {
    Routes routes;
    routes.add("first", path("/")).add("second");
    EXPECT_THAT(told(routes, Request("GET /")), ElementsAre("first*: ", "second: "));
}

TEST(Explain, CutsLongLists) {
    Routes routes;
    routes.add("r");
    for (int i = 0; i < 12; i++) routes.config.routes[0].hosts.push_back(host("h" + std::to_string(i)));
    EXPECT_THAT(told(routes, Request("GET /", "x")),
                ElementsAre("r: host is none of h0 h1 h2 h3 h4 h5 h6 h7 and 4 more"));
}

}  // namespace
}  // namespace lb::test
