#include "worker/variables/evaluate.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>
#include <string>

namespace lb {
namespace {

using config::Known;
using config::Piece;
using config::Template;
using config::Variable;

http::Field field(std::string_view name, std::string_view value) {
    http::Field out;
    out.name = name;
    out.value = value;
    out.id = http::field_id(name);
    return out;
}

struct Example {
    http::RequestHead head;
    http::ResponseHead answer_head;
    RequestFacts request;
    AnswerFacts answer;
    EndFacts end;

    Example() {
        head.method = http::Method::post;
        head.method_text = "POST";
        head.target = "/a%20b/c?x=1&version=2%2B&empty&x=3";
        head.host = "WWW.Example.com:8080";
        head.line = "POST /a%20b/c?x=1&version=2%2B&empty&x=3 HTTP/1.1";
        head.fields = {field("Host", "WWW.Example.com:8080"),
                       field("User-Agent", "curl/8"),
                       field("user_agent", "with an underscore"),
                       field("X-Twice", "one"),
                       field("x-twice", "two"),
                       field("Cookie", "a=1; session=s=1 ;b=2"),
                       field("COOKIE", "late=\"3\"; session=other")};
        request.head = &head;
        request.client = "192.0.2.7";
        request.client_port = 4711;
        request.peer = "10.0.0.1";
        request.country = "DE";
        request.scheme = "https";
        request.request_id = "abc-1";
        request.listener = "web";
        request.route = "api";
        request.connection_request = 3;
        request.worker = 2;
        request.pid = 99;
        request.time_local = "21/Nov/2026:10:00:00 +0000";
        request.time_iso = "2026-11-21T10:00:00Z";
        request.unix_millis = 1795255200007;
        answer_head.fields = {field("Content-Type", "text/html")};
        answer.status = 200;
        answer.backend_status = 204;
        answer.head = &answer_head;
        answer.pool = "app";
        answer.backend = "a1";
        answer.backend_address = "10.0.1.11:8080";
        end.end = End::backend_cut;
        end.phase = "transfer";
        end.backends = "a0,a1";
        end.attempts = 2;
        end.bytes_sent = UINT64_MAX;
        end.bytes_received = 90;
        end.body_bytes = 128;
        end.request_body_bytes = 5;
        end.total = 1'002'999;
        end.head = 1'000;
        end.pick = 0;
        end.connect = 61'000'000;
        end.response = -1;
        end.transfer = 999;
    }
    [[nodiscard]] Facts all() const { return {request, &answer, &end}; }
};

Template parse(std::string_view text, unsigned captures = 0) {
    auto parsed = config::parse_template(text, Known::end, captures);
    EXPECT_TRUE(parsed.ok()) << (parsed.ok() ? "" : parsed.error());
    return parsed.ok() ? parsed.value() : Template{};
}

std::string line(std::string_view text, const Facts& facts, std::size_t most = 8192) {
    std::string out;
    return append_line(out, parse(text), facts, most) ? out : "too long " + out;
}

std::string value(std::string_view name, const Facts& facts) {
    const Template parsed = parse("${" + std::string(name) + "}");
    EXPECT_EQ(parsed.pieces.size(), 1u) << name;
    std::string out;
    if (!parsed.pieces.empty()) append_value(out, parsed.pieces.front(), facts);
    return out;
}

const std::map<std::string, std::string> every_value = {
    {"client_addr", "192.0.2.7"},
    {"client_port", "4711"},
    {"peer_addr", "10.0.0.1"},
    {"country", "DE"},
    {"scheme", "https"},
    {"host", "www.example.com"},
    {"method", "POST"},
    {"request", "POST /a%20b/c?x=1&version=2%2B&empty&x=3 HTTP/1.1"},
    {"request_uri", "/a%20b/c?x=1&version=2%2B&empty&x=3"},
    {"path", "/a%20b/c"},
    {"query", "x=1&version=2%2B&empty&x=3"},
    {"protocol", "HTTP/1.1"},
    {"request_id", "abc-1"},
    {"http_user_agent", "curl/8"},
    {"cookie_session", "s=1"},
    {"arg_version", "2%2B"},
    {"listener", "web"},
    {"route", "api"},
    {"connection_requests", "3"},
    {"pid", "99"},
    {"worker", "2"},
    {"time_local", "21/Nov/2026:10:00:00 +0000"},
    {"time_iso", "2026-11-21T10:00:00Z"},
    {"time_unix", "1795255200.007"},
    {"status", "200"},
    {"backend_status", "204"},
    {"response_content_type", "text/html"},
    {"pool", "app"},
    {"backend", "a1"},
    {"backend_addr", "10.0.1.11:8080"},
    {"backends", "a0,a1"},
    {"attempts", "2"},
    {"end", "backend_cut"},
    {"end_side", "backend"},
    {"end_phase", "transfer"},
    {"bytes_sent", "18446744073709551615"},
    {"bytes_received", "90"},
    {"body_bytes", "128"},
    {"request_body_bytes", "5"},
    {"request_time", "1.002"},
    {"head_time", "0.001"},
    {"pick_time", "0.000"},
    {"connect_time", "61.000"},
    {"response_time", ""},
    {"transfer_time", "0.000"},
};

TEST(Variables, EachHasItsValue) {
    const Example example;
    std::set<Variable> seen;
    for (const auto& [name, expected] : every_value) {
        EXPECT_EQ(value(name, example.all()), expected) << name;
        const Template parsed = parse("$" + name);
        ASSERT_EQ(parsed.pieces.size(), 1u);
        seen.insert(parsed.pieces.front().variable);
    }
    EXPECT_EQ(seen.size(), std::size(config::variables)) << "a variable has no line in this test";
}

TEST(Variables, WhatIsNotKnownYetIsEmpty) {
    const Example example;
    RequestFacts refused = example.request;
    refused.head = nullptr;
    AnswerFacts own = example.answer;
    own.head = nullptr;
    for (const config::VariableSpec& each : config::variables) {
        const std::string name = std::string(each.name) + (each.name.ends_with('_') ? "x_y" : "");
        if (each.known != Known::request) {
            EXPECT_EQ(value(name, Facts{example.request}), "") << name;
        }
        if (is_of_request_head(each.id)) {
            EXPECT_EQ(value(name, Facts{refused, &example.answer, &example.end}), "") << name;
        }
    }
    EXPECT_EQ(value("end", Facts{example.request, &example.answer}), "");
    EXPECT_EQ(value("response_content_type", Facts{example.request, &own}), "");
    EXPECT_EQ(value("client_addr", Facts{refused}), "192.0.2.7");
    EXPECT_EQ(value("status", Facts{example.request, &own}), "200");
}

TEST(Variables, NumbersAreThoseThatJsonWritesWithoutQuotes) {
    const Example example;
    for (const auto& [name, expected] : every_value) {
        const bool digits = expected.find_first_not_of("0123456789.") == std::string::npos &&
                            expected.find('.') == expected.rfind('.');
        if (name == "arg_version" || name == "cookie_session" || name == "client_addr") continue;
        EXPECT_EQ(is_number(parse("$" + name).pieces.front().variable), digits) << name;
    }
}

TEST(Variables, AHostIsInLowerCaseAndHasNoPort) {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"example.com", "example.com"},
        {"EXAMPLE.com:", "example.com"},
        {"a.B:65535", "a.b"},
        {"[2001:DB8::1]:8080", "[2001:db8::1]"},
        {"[2001:db8::1]", "[2001:db8::1]"},
        {"[broken", "[broken"},
        {"[", "["},
        {"", ""},
        {":80", ""},
    };
    Example example;
    for (const auto& [host, expected] : cases) {
        example.head.host = host;
        EXPECT_EQ(value("host", example.all()), expected) << host;
    }
    const std::string longest(255, 'A'), too_long(5000, 'A');
    example.head.host = longest;
    EXPECT_EQ(value("host", example.all()), std::string(255, 'a'));
    example.head.host = too_long;
    EXPECT_EQ(value("host", example.all()), std::string(256, 'a'));
}

TEST(Variables, PathAndQueryAreAsReceived) {
    struct Case {
        std::string_view target, path, query, uri;
        bool needs_slash = false;
    };
    const Case cases[] = {
        {"/", "/", "", "/"},
        {"/a?", "/a", "", "/a?"},
        {"/a?b?c", "/a", "b?c", "/a?b?c"},
        {"/%2e%2E/?%00", "/%2e%2E/", "%00", "/%2e%2E/?%00"},
        {"*", "*", "", "*"},
        {"?x=1", "/", "x=1", "/?x=1", true},
    };
    Example example;
    for (const Case& each : cases) {
        example.head.target = each.target;
        example.head.target_needs_slash = each.needs_slash;
        EXPECT_EQ(value("path", example.all()), each.path) << each.target;
        EXPECT_EQ(value("query", example.all()), each.query) << each.target;
        EXPECT_EQ(value("request_uri", example.all()), each.uri) << each.target;
    }
    example.head.minor = 0;
    EXPECT_EQ(value("protocol", example.all()), "HTTP/1.0");
}

TEST(Variables, OfSeveralFieldsTheFirstAndNoneWithAnUnderscore) {
    Example example;
    EXPECT_EQ(value("http_x_twice", example.all()), "one");
    example.head.fields.erase(example.head.fields.begin() + 1);
    EXPECT_EQ(value("http_user_agent", example.all()), "") << "user_agent is not User-Agent";
    EXPECT_EQ(value("http_none", example.all()), "");
}

TEST(Variables, Cookies) {
    const Example example;
    EXPECT_EQ(value("cookie_a", example.all()), "1");
    EXPECT_EQ(value("cookie_b", example.all()), "2");
    EXPECT_EQ(value("cookie_session", example.all()), "s=1") << "the first one";
    EXPECT_EQ(value("cookie_late", example.all()), "\"3\"") << "of the second field, its quotes kept";
    EXPECT_EQ(value("cookie_sess", example.all()), "");
    EXPECT_EQ(value("cookie_Session", example.all()), "") << "case matters";
    Example odd;
    for (const std::string_view nasty : {";;;", "=", "a", ";a", "a;a=", "  ;\t; a =2", "a\x80=1", "xa=1;a"}) {
        odd.head.fields = {field("Cookie", nasty)};
        EXPECT_EQ(value("cookie_a", odd.all()), "") << nasty;
    }
    odd.head.fields = {field("Cookie", ";; a;\t a=x y\t;a=2")};
    EXPECT_EQ(value("cookie_a", odd.all()), "x y");
}

TEST(Variables, Parameters) {
    const Example example;
    EXPECT_EQ(value("arg_x", example.all()), "1") << "the first one";
    EXPECT_EQ(value("arg_empty", example.all()), "");
    EXPECT_EQ(value("arg_vers", example.all()), "");
    EXPECT_EQ(value("arg_version", example.all()), "2%2B") << "not decoded";
    Example odd;
    for (const std::string_view nasty :
         {"/", "/?", "/?&&&", "/?=a", "/?a", "/?a&a=2", "/?xa=1", "/?b=1&aa=2"}) {
        odd.head.target = nasty;
        EXPECT_EQ(value("arg_a", odd.all()), "") << nasty;
    }
    odd.head.target = "/?&&b=a=0&a=?=&a=2";
    EXPECT_EQ(value("arg_a", odd.all()), "?=");
}

TEST(Variables, Captures) {
    const Example example;
    const std::array<std::string_view, 3> groups = {"whole", "one", "two"};
    Facts facts{example.request};
    facts.captures = groups;
    std::string out;
    EXPECT_TRUE(append_line(out, parse("/$2/$1$3", 3), facts));
    EXPECT_EQ(out, "/two/one");
    out.clear();
    EXPECT_TRUE(append_line(out, parse("$1", 3), Facts{example.request}));
    EXPECT_EQ(out, "");
}

TEST(Variables, EveryEndHasASide) {
    for (std::size_t i = 0; i < std::size(end_words); i++) {
        const std::string_view who = side(static_cast<End>(i));
        if (i == 0) {
            EXPECT_EQ(who, "");
        } else {
            EXPECT_TRUE(who == "client" || who == "backend" || who == "lb") << end_words[i];
        }
    }
    EXPECT_EQ(side(End::client_gone), "client");
    EXPECT_EQ(side(End::response_timeout), "backend");
    EXPECT_EQ(side(End::request_timeout), "lb");
}

TEST(Line, IsOneLineWhateverTheValues) {
    Example example;
    std::string every_byte;
    for (int c = 0; c < 256; c++) every_byte += static_cast<char>(c);
    example.head.fields = {field("X-Nasty", every_byte)};
    const std::string got = line("a $http_x_nasty z", example.all());
    std::string expected = "a ";
    for (int c = 0x20; c < 256; c++) {
        if (c != 0x7f) expected += static_cast<char>(c);
    }
    EXPECT_EQ(got, expected + " z");
}

TEST(Line, KeepsTheTabsOfTheOperator) {
    const Example example;
    Template text;
    text.pieces = {{Variable::text, "a\tb\r\nc", 0}};
    std::string out;
    EXPECT_TRUE(append_line(out, text, example.all()));
    EXPECT_EQ(out, "a\tbc");
}

TEST(Line, IsAppendedWholeOrNotAtAll) {
    Example example;
    const std::string value(line_max / 2 - 1, 'v');
    example.head.fields = {field("X", value)};
    std::string out = "before ";
    EXPECT_TRUE(append_line(out, parse("[$http_x$http_x]"), example.all()));
    EXPECT_EQ(out, "before [" + value + value + "]");
    EXPECT_FALSE(append_line(out, parse("[$http_x$http_x].$method"), example.all()));
    EXPECT_EQ(out.size(), line_max + 7) << "what was there stays";
    EXPECT_EQ(line("ab$method", example.all(), 6), "abPOST");
    EXPECT_EQ(line("ab$method", example.all(), 5), "too long ");
    EXPECT_EQ(line("abcdef", example.all(), 4), "too long ");
    EXPECT_EQ(line("abcd", example.all(), 4), "abcd");
    EXPECT_EQ(line("$http_none", example.all(), 0), "");
    EXPECT_EQ(line("a", example.all(), 0), "too long ");
    const std::string controls = "ab\r\n\t\x7f";
    example.head.fields = {field("X", controls)};
    EXPECT_EQ(line("$http_x", example.all(), 2), "ab") << "what is left out does not count";
    EXPECT_EQ(line("https://$host$request_uri", example.all()),
              "https://www.example.com/a%20b/c?x=1&version=2%2B&empty&x=3");
}

}  // namespace
}  // namespace lb
