// tests/unit/config/route_values_test.cpp -- the values of a [route]: what they take and what they refuse.
#include "master/config/route_values.h"

#include "support.h"

namespace lb::config {
namespace {

// "what; hint" of a refused value.
std::string why(const auto& parsed) {
    if (parsed) return "accepted";
    return parsed.error().what + (parsed.error().hint.empty() ? "" : "; " + parsed.error().hint);
}
// What is printed reads back to the same value.
template <class T>
void goes_round(const T& value, const std::string& text, auto parse) {
    const auto again = parse(text);
    ASSERT_TRUE(again) << text << ": " << again.error().what;
    EXPECT_EQ(again.value(), value) << text;
}

TEST(HostValue, IsInTheFormThatIsCompared) {
    EXPECT_EQ(parse_host_match("API.Example.com").value(), (HostMatch{false, "api.example.com"}));
    EXPECT_EQ(parse_host_match("example.com.").value(), (HostMatch{false, "example.com"}));
    EXPECT_EQ(parse_host_match("*.Example.com").value(), (HostMatch{true, "example.com"}));
    EXPECT_EQ(parse_host_match("192.0.2.1").value(), (HostMatch{false, "192.0.2.1"}));
    EXPECT_EQ(parse_host_match("[0::1]").value(), (HostMatch{false, "::1"}));
    for (const char* text : {"api.example.com", "*.example.com", "[::1]", "under_score.example"}) {
        const HostMatch host = parse_host_match(text).value();
        goes_round(host, print_host_match(host), parse_host_match);
    }
}

TEST(HostValue, RefusesWhatNoRequestHas) {
    EXPECT_EQ(why(parse_host_match("*")), "any host is what a route without host takes; leave host out");
    EXPECT_EQ(why(parse_host_match("api.*.com")),
              "'api.*.com' has a * elsewhere than in front; as in *.example.com");
    EXPECT_EQ(why(parse_host_match("*example.com")),
              "'*example.com' has a * elsewhere than in front; as in *.example.com");
    EXPECT_EQ(why(parse_host_match("example.com:443")),
              "'example.com:443' is no host; a host has no port here");
    EXPECT_EQ(why(parse_host_match("b\xc3\xbc"
                                   "cher.example")),
              "'b\xc3\xbc"
              "cher.example' is no host; write it as requests have it, xn--...");
    for (const char* text : {"", "*.", ".", "a..b", ".a", "a b", "http://a", "a/b", "[::1", "[x]", "*.[::1]",
                             "*.*.a", "*.::1", "[::1]:80", "a@b"}) {
        EXPECT_FALSE(parse_host_match(text)) << text;
    }
    EXPECT_FALSE(parse_host_match(std::string(300, 'a')));
}

TEST(PathValue, HasThreeForms) {
    const PathMatch prefix = parse_path_match("/v1/").value();
    EXPECT_EQ(prefix.kind, Match::prefix);
    EXPECT_EQ(prefix.text, "/v1/");
    const PathMatch exact = parse_path_match("= \"/a b\"").value();
    EXPECT_EQ(exact.kind, Match::exact);
    EXPECT_EQ(exact.text, "/a b");
    const PathMatch regex = parse_path_match(R"(~ ^/v[0-9]+/\d*$)").value();
    EXPECT_EQ(regex.kind, Match::regex);
    EXPECT_TRUE(regex.pattern.matches("/v12/3"));
    EXPECT_FALSE(regex.pattern.matches("/vx/3"));
    for (const char* text :
         {"/", "/v1/", "= /", "= \"/a b#c\"", R"(~ "\\d \"x\" # y")", "/100%", "/%zz", "/.well-known"}) {
        const auto path = parse_path_match(text);
        ASSERT_TRUE(path) << text << ": " << why(path);
        goes_round(path.value(), print_path_match(path.value()), parse_path_match);
    }
}

TEST(PathValue, MayStandInQuotesAsAWhole) {
    const PathMatch exact = parse_path_match("\"= /v1 x\"").value();
    EXPECT_EQ(exact.kind, Match::exact);
    EXPECT_EQ(exact.text, "/v1 x");
    const PathMatch regex = parse_path_match(R"("~ ^/v[0-9]$")").value();
    EXPECT_EQ(regex.kind, Match::regex);
    EXPECT_EQ(regex.pattern.source(), "^/v[0-9]$");
    EXPECT_EQ(why(parse_path_match("\"= v1\"")), "'v1' is no path; it starts with /");
}

TEST(PathValue, ThatCanNeverMatchIsRefusedWithItsNormalForm) {
    const std::string never =
        "can never match: paths are compared decoded, without // and dot segments; write ";
    EXPECT_EQ(why(parse_path_match("/a%20b")), never + "\"/a b\"");
    EXPECT_EQ(why(parse_path_match("= /a%2Fb")), never + "/a/b");
    EXPECT_EQ(why(parse_path_match("//a//b")), never + "/a/b");
    EXPECT_EQ(why(parse_path_match("/a/../b")), never + "/b");
    EXPECT_EQ(why(parse_path_match("= /a/.")), never + "/a/");
    EXPECT_EQ(why(parse_path_match("/%76%31")), never + "/v1");
}

TEST(PathValue, RefusesTheRest) {
    EXPECT_EQ(why(parse_path_match("v1")), "'v1' is no path; it starts with /");
    EXPECT_EQ(why(parse_path_match("=/v1")), "'=/v1' is no path; put a blank after the =");
    EXPECT_EQ(why(parse_path_match("~^/v1")), "'~^/v1' is no path; put a blank after the ~");
    EXPECT_EQ(why(parse_path_match("/a?b=1")),
              "a path ends before the ?; conditions on parameters are written with query =");
    EXPECT_EQ(why(parse_path_match("/a b")),
              "must be PREFIX, = EXACT or ~ REGEX; a part with blanks goes into quotes");
    EXPECT_EQ(why(parse_path_match("=")),
              "must be PREFIX, = EXACT or ~ REGEX; a part with blanks goes into quotes");
    EXPECT_EQ(why(parse_path_match("~ a(b")), "the pattern does not work: missing ): a(b");
    EXPECT_EQ(why(parse_path_match("")), "needs a value");
    EXPECT_FALSE(parse_path_match("\"\""));
}

ValueMatch header(std::string_view text) { return parse_value_match(text, ValueOf::header).value(); }

TEST(ValueConditions, HaveThreeForms) {
    EXPECT_EQ(header("X-Canary").name, "x-canary");
    EXPECT_EQ(header("X-Canary").kind, Match::present);
    EXPECT_EQ(header("X-Canary = \"a b\"").text, "a b");
    EXPECT_EQ(header("X-Canary = \"\"").kind, Match::exact);
    EXPECT_TRUE(header("X-Canary ~ ^(on|1)$").pattern.matches("on"));
    const ValueMatch cookie = parse_value_match("Beta = 1", ValueOf::cookie).value();
    EXPECT_EQ(cookie.name, "Beta") << "names of cookies keep their case";
    const ValueMatch query = parse_value_match("\"a b[]\" = 2", ValueOf::query).value();
    EXPECT_EQ(query.name, "a b[]");
    for (const char* text : {"a", "a = b", "a = \"b \\\"c\\\"\"", "a ~ \"b c\\\\d\"", "a = ~", "a = \"\""}) {
        for (const ValueOf what : {ValueOf::header, ValueOf::cookie, ValueOf::query}) {
            const ValueMatch value = parse_value_match(text, what).value();
            goes_round(value, print_value_match(value), [&](auto t) { return parse_value_match(t, what); });
        }
    }
}

TEST(ValueConditions, RefuseTheRest) {
    const auto refused = [](std::string_view text, ValueOf what = ValueOf::header) {
        return why(parse_value_match(text, what));
    };
    EXPECT_EQ(refused("a=1"), "'a=1' is no name of a header field; put blanks around the =");
    EXPECT_EQ(refused("beta=1", ValueOf::cookie), "'beta=1' is no name of a cookie; put blanks around the =");
    EXPECT_EQ(refused("v=2", ValueOf::query), "'v=2' is no name of a parameter; put blanks around the =");
    EXPECT_EQ(refused("X(y)"), "'X(y)' is no name of a header field");
    EXPECT_EQ(refused("a b"),
              "must be NAME, NAME = TEXT or NAME ~ REGEX; a part with blanks goes into quotes");
    EXPECT_EQ(refused("a = b c"),
              "must be NAME, NAME = TEXT or NAME ~ REGEX; a part with blanks goes into quotes");
    EXPECT_EQ(refused("a ~ ["), "the pattern does not work: missing ]: [");
    EXPECT_FALSE(parse_value_match("\"\"", ValueOf::query));
}

TEST(Methods, AreTokensInTheirCase) {
    EXPECT_EQ(parse_methods("GET POST PURGE").value(), (std::vector<std::string>{"GET", "POST", "PURGE"}));
    EXPECT_EQ(print_methods({"GET", "POST"}), "GET POST");
    EXPECT_EQ(why(parse_methods("get")), "'get' is no method; did you mean 'GET'?");
    EXPECT_EQ(why(parse_methods("GET,POST")), "'GET,POST' is no method");
    EXPECT_EQ(why(parse_methods("GET TRACE")),
              "no route can have TRACE; lb always answers it with 405; leave it out");
    EXPECT_EQ(why(parse_methods("CONNECT")),
              "no route can have CONNECT; lb always answers it with 501; leave it out");
    EXPECT_EQ(why(parse_methods("trace")),
              "no route can have TRACE; lb always answers it with 405; leave it out");
    EXPECT_EQ(why(parse_methods("GET GET")), "names GET twice");
    EXPECT_EQ(why(parse_methods("\"\"")), "'' is no method");
}

TEST(Shares, OfPoolsAndMirrors) {
    EXPECT_EQ(parse_share_of_pool("\"my app\" weight=95").value().pool, "my app");
    EXPECT_EQ(parse_share_of_pool("app").value().weight, 1u);
    EXPECT_EQ(print_share_of_pool("my app", 95), "\"my app\" weight=95");
    EXPECT_EQ(print_share_of_pool("app", 1), "app");
    EXPECT_EQ(why(parse_share_of_pool("app weight=0")), "weight=0: must be 1 to 256");
    EXPECT_EQ(why(parse_share_of_pool("app 5")), "unknown option '5'; options here: weight");
    EXPECT_EQ(parse_mirror("shadow 10%").value().share, 100'000u);
    EXPECT_EQ(parse_mirror("shadow 0.01%").value().share, 100u);
    EXPECT_EQ(print_mirror("shadow", 123'400), "shadow 12.34%");
    EXPECT_EQ(why(parse_mirror("shadow")), "must be a pool and a share; a part with blanks goes into quotes");
    EXPECT_EQ(why(parse_mirror("shadow 0%")), "the share must be 0.01% to 100%");
    EXPECT_EQ(why(parse_mirror("shadow 10")), "the share is no share; write a percentage, as in 50% or 0.5%");
}

TEST(RewriteValue, IsAPatternAndAPath) {
    const Rewrite rewrite = parse_rewrite("^/v1/(.*) /$1").value();
    EXPECT_EQ(rewrite.pattern.captures(), 1u);
    ASSERT_EQ(rewrite.to.pieces.size(), 2u);
    EXPECT_EQ(rewrite.to.pieces[1].capture, 1);
    goes_round(rewrite, print_rewrite(rewrite), parse_rewrite);
    EXPECT_TRUE(parse_rewrite("^/v1(/.*) $1"));
    EXPECT_EQ(why(parse_rewrite("^/v1/(.*) $2")), "there is no $2: the pattern has one group, $1");
    EXPECT_EQ(why(parse_rewrite("^/v1/ x")), "'x' is no path; it starts with / or a variable");
    EXPECT_EQ(why(parse_rewrite("^/v1/ /$status")), "$status is not known before the answer");
    EXPECT_TRUE(parse_rewrite("^/v1/(.*) /%2f%2F/$1"));
    for (const char* const unfinished : {"/a%$1", "/a%2$1", "/%zz/$1", "/%", "$1%2"}) {
        EXPECT_EQ(
            why(parse_rewrite("^/v1/(.*) " + std::string(unfinished))),
            "'" + std::string(unfinished) + "' has a % that begins no escape; write %25 for a percent sign");
    }
    EXPECT_EQ(why(parse_rewrite("^/v1/(.*)")),
              "must be a pattern and a path; a part with blanks goes into quotes");
    EXPECT_EQ(why(parse_rewrite("( /")), "the pattern does not work: missing ): (");
}

Parsed<Edit> request_edit(std::string_view text, EditKind kind = EditKind::set) {
    return parse_edit(text, kind, Known::request);
}
Parsed<Edit> response_edit(std::string_view text, EditKind kind = EditKind::set) {
    return parse_edit(text, kind, Known::response);
}

TEST(Edits, AreANameAndATemplate) {
    const Edit edit = request_edit("X-Env \"prod $host\"").value();
    EXPECT_EQ(edit.name, "X-Env");
    EXPECT_EQ(edit.value.pieces.size(), 2u);
    EXPECT_EQ(print_edit(edit), "X-Env \"prod $host\"");
    EXPECT_EQ(response_edit("X-Backend $backend").value().value.pieces.size(), 1u);
    EXPECT_EQ(print_edit(response_edit("Server", EditKind::remove).value()), "Server");
    EXPECT_EQ(why(request_edit("X-Backend $backend")), "$backend is not known before the answer");
    EXPECT_EQ(why(response_edit("X-Time $request_time")),
              "$request_time is not known before the end, where access logs are");
    EXPECT_EQ(why(request_edit("X-Env prod test")),
              "must be a name and a value; a part with blanks goes into quotes");
    EXPECT_EQ(why(request_edit("X-Env")), "must be a name and a value; a part with blanks goes into quotes");
    EXPECT_EQ(why(request_edit("X-Env: prod")), "'X-Env:' is no name of a header field");
    EXPECT_EQ(why(response_edit("A B", EditKind::remove)), "takes one value; name one header field");
}

TEST(Edits, NeverTouchFramingOrTheConnection) {
    for (const char* name :
         {"Connection", "content-length", "TRANSFER-ENCODING", "Keep-Alive", "Proxy-Connection", "TE",
          "Trailer", "Upgrade", "HTTP2-Settings", "Expect", "Proxy-Authorization"}) {
        for (const EditKind kind : {EditKind::set, EditKind::add, EditKind::remove}) {
            const std::string text = std::string(name) + (kind == EditKind::remove ? "" : " x");
            const std::string message =
                std::string(name) + " is not for rules to change; lb writes it as it is needed";
            EXPECT_EQ(why(request_edit(text, kind)), message);
            EXPECT_EQ(why(response_edit(text, kind)), message);
        }
    }
}

TEST(Edits, ARequestHasOneHost) {
    EXPECT_TRUE(request_edit("Host app.internal"));
    EXPECT_EQ(why(request_edit("host x", EditKind::add)),
              "a request has one Host; write set_request_header = Host NAME");
    EXPECT_EQ(why(request_edit("Host", EditKind::remove)),
              "a request has one Host; write set_request_header = Host NAME");
    EXPECT_EQ(why(response_edit("Host x")), "an answer has no Host");
}

TEST(RedirectValue, IsAStatusAndALocation) {
    const Redirect redirect = parse_redirect("308 https://$host$request_uri").value();
    EXPECT_EQ(redirect.status, 308);
    goes_round(redirect, print_redirect(redirect), parse_redirect);
    for (const char* status : {"301", "302", "303", "307", "308"}) {
        EXPECT_TRUE(parse_redirect(std::string(status) + " /x")) << status;
    }
    EXPECT_EQ(why(parse_redirect("300 /x")), "the status must be 301, 302, 303, 307 or 308");
    EXPECT_EQ(why(parse_redirect("/x")),
              "must be a status and a location; a part with blanks goes into quotes");
    EXPECT_EQ(why(parse_redirect("301 $hots")), "there is no variable $hots; did you mean $host?");
}

TEST(RespondValue, ReadsItsFile) {
    const Directory dir;
    const std::string page = dir.write("pages/down.html", "<h1>down</h1>\n");
    const Respond respond = parse_respond("503 file=pages/down.html", dir.path()).value();
    EXPECT_EQ(respond.status, 503);
    EXPECT_EQ(respond.path, page);
    EXPECT_EQ(*respond.content, "<h1>down</h1>\n");
    EXPECT_EQ(respond.content_type, "text/html");
    goes_round(respond, print_respond(respond), [](auto text) { return parse_respond(text, "/"); });
    const Respond bare = parse_respond("404", "/").value();
    EXPECT_EQ(bare.content, nullptr);
    EXPECT_EQ(print_respond(bare), "404");
}

TEST(RespondValue, TellsTheTypeByTheEnding) {
    const Directory dir;
    const auto type = [&](const std::string& name) {
        dir.write(name, "");
        return parse_respond("200 file=" + name, dir.path()).value().content_type;
    };
    EXPECT_EQ(type("a.html"), "text/html");
    EXPECT_EQ(type("a.txt"), "text/plain");
    EXPECT_EQ(type("a.json"), "application/json");
    EXPECT_EQ(type("a.xml"), "application/xml");
    EXPECT_EQ(type("a.css"), "text/css");
    EXPECT_EQ(type("a.JS"), "text/javascript");
    EXPECT_EQ(type("a.svg"), "image/svg+xml");
    EXPECT_EQ(type("a.png"), "image/png");
    EXPECT_EQ(type("favicon.ico"), "image/x-icon");
    EXPECT_EQ(type("html"), "application/octet-stream");
    EXPECT_EQ(type("a.html.bin"), "application/octet-stream");
    EXPECT_EQ(type("b.html/c"), "application/octet-stream");
}

TEST(RespondValue, IsBounded) {
    const Directory dir;
    dir.write("most", std::string(1 << 20, 'x'));
    dir.write("more", std::string((1 << 20) + 1, 'x'));
    EXPECT_EQ(parse_respond("200 file=most", dir.path()).value().content->size(), std::size_t{1} << 20);
    EXPECT_EQ(why(parse_respond("200 file=more", dir.path())),
              "'" + dir.path("more") + "' is larger than 1 MiB");
    EXPECT_EQ(why(parse_respond("200 file=none", dir.path())),
              "'" + dir.path("none") + "' cannot be read: No such file or directory");
    EXPECT_EQ(why(parse_respond("200 file=/dev/null", "/")), "'/dev/null' is not a regular file");
    EXPECT_EQ(why(parse_respond("204 file=most", dir.path())), "an answer 204 has no body; leave file= out");
    EXPECT_EQ(why(parse_respond("304 file=most", dir.path())), "an answer 304 has no body; leave file= out");
    EXPECT_EQ(why(parse_respond("199", "/")), "the status must be 200 to 599; as in 503");
    EXPECT_EQ(why(parse_respond("600", "/")), "the status must be 200 to 599; as in 503");
    EXPECT_EQ(why(parse_respond("503 /x", "/")), "unknown option '/x'; options here: file");
}

}  // namespace
}  // namespace lb::config
