// Request heads: what is read, what is refused, and that pieces make no difference.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <deque>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "shared/http/http1_parser.h"

namespace lb::http {
namespace {

using State = HeadResult::State;
using namespace std::string_literals;

// A head's views need bytes that live. The copy has no byte too many, so that a sanitizer sees a read beyond it.
std::string_view keep(std::string_view bytes) {
    static std::deque<std::vector<char>> all;
    const std::vector<char>& copy = all.emplace_back(bytes.begin(), bytes.end());
    return {copy.data(), copy.size()};
}

HeadResult parse(std::string_view bytes, RequestHead& head, HeadLimits limits = {}) {
    return parse_request(keep(bytes), 0, limits, head);
}
HeadResult parse(std::string_view bytes) {
    RequestHead head;
    return parse(bytes, head);
}
// A good request with these further lines.
std::string with(std::string_view lines, std::string_view method = "GET") {
    return std::string(method) + " /a HTTP/1.1\r\nHost: lb.test\r\n" + std::string(lines) + "\r\n";
}
void expect_error(std::string_view bytes, HeadError error) {
    const HeadResult result = parse(bytes);
    EXPECT_EQ(result.state, State::error) << bytes.substr(0, 200);
    EXPECT_EQ(result.error, error) << bytes.substr(0, 200) << ": " << result.why;
    EXPECT_STRNE(result.why, "") << bytes.substr(0, 200);
    EXPECT_EQ(result.consumed, 0U);
}
void expect_bad(std::string_view bytes) { expect_error(bytes, HeadError::bad_request); }
const Field* find(const RequestHead& head, std::string_view name) {
    for (const Field& field : head.fields) {
        if (field.name == name) return &field;
    }
    return nullptr;
}

std::string upgrade_of(std::string_view bytes) {
    RequestHead head;
    EXPECT_EQ(parse(bytes, head).state, State::complete) << bytes;
    return std::string(head.upgrade);
}

TEST(Request, AsksForAnotherProtocolOnlyAsItShould) {
    EXPECT_EQ(upgrade_of(with("Connection: Upgrade\r\nUpgrade: websocket\r\n")), "websocket");
    EXPECT_EQ(upgrade_of(with("Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n")), "websocket");
    EXPECT_EQ(upgrade_of(with("Upgrade: a\r\nUpgrade: b\r\nConnection: upgrade\r\n")), "")
        << "one of two is not what was asked";
    EXPECT_EQ(upgrade_of(with("Upgrade: a\r\nConnection: upgrade\r\nUpgrade: a\r\n")), "");
    EXPECT_EQ(upgrade_of(with("Upgrade: a, b\r\nConnection: upgrade\r\n")), "a, b");
    EXPECT_EQ(upgrade_of(with("Upgrade: websocket\r\n")), "") << "Connection does not name it";
    EXPECT_EQ(upgrade_of(with("Connection: upgrade\r\n")), "");
    EXPECT_EQ(
        upgrade_of(with("Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n")), "");
    EXPECT_EQ(upgrade_of(with("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", "POST")),
              "")
        << "a body comes first";
    EXPECT_EQ(upgrade_of(with("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", "POST")),
              "websocket");
    EXPECT_EQ(upgrade_of("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), "");
}

TEST(Request, SaysWhetherItsClientReadsTrailers) {
    RequestHead head;
    ASSERT_EQ(parse(with("TE: gzip;q=0.5, Trailers\r\nConnection: TE\r\n"), head).state, State::complete);
    EXPECT_TRUE(head.te_trailers);
    ASSERT_EQ(parse(with("TE: gzip\r\n"), head).state, State::complete);
    EXPECT_FALSE(head.te_trailers);
    ASSERT_EQ(parse("GET / HTTP/1.0\r\nTE: trailers\r\n\r\n", head).state, State::complete);
    EXPECT_FALSE(head.te_trailers);
}

TEST(Request, LeavesNothingBehindForTheNextHead) {
    RequestHead head;
    ASSERT_EQ(parse(with("Connection: upgrade, te\r\nUpgrade: websocket\r\nTE: trailers\r\n"), head).state,
              State::complete);
    ASSERT_EQ(parse(with(""), head).state, State::complete);
    EXPECT_EQ(head.upgrade, "");
    EXPECT_FALSE(head.te_trailers);
}

TEST(Request, IsReadIntoItsParts) {
    const std::string bytes =
        "POST /a/b;p=1?x=%20y&z=a+b HTTP/1.1\r\nHost: lb.test:8080\r\nX-A:\t  v1 v2 \t "
        "\r\nX-B:v\r\nX-Empty:\r\n"
        "content-LENGTH: 5\r\n\r\n";
    RequestHead head;
    const HeadResult result = parse(bytes + "helloGET", head);
    ASSERT_EQ(result.state, State::complete) << result.why;
    EXPECT_EQ(result.consumed, bytes.size());
    EXPECT_EQ(head.method, Method::post);
    EXPECT_EQ(head.method_text, "POST");
    EXPECT_EQ(head.target, "/a/b;p=1?x=%20y&z=a+b");
    EXPECT_EQ(head.form, TargetForm::origin);
    EXPECT_EQ(head.line, "POST /a/b;p=1?x=%20y&z=a+b HTTP/1.1");
    EXPECT_EQ(head.host, "lb.test:8080");
    EXPECT_EQ(head.minor, 1);
    EXPECT_TRUE(head.keep_alive);
    EXPECT_FALSE(head.expect_continue);
    EXPECT_FALSE(head.target_needs_slash);
    EXPECT_EQ(head.body.kind, BodyKind::length);
    EXPECT_EQ(head.body.length, 5U);
    ASSERT_EQ(head.fields.size(), 5U);
    EXPECT_EQ(head.fields[0].id, FieldId::host);
    EXPECT_EQ(head.fields[1].name, "X-A");
    EXPECT_EQ(head.fields[1].value, "v1 v2");
    EXPECT_EQ(head.fields[1].line, "X-A:\t  v1 v2 \t \r\n");
    EXPECT_EQ(head.fields[1].id, FieldId::other);
    EXPECT_EQ(head.fields[2].value, "v");
    EXPECT_EQ(head.fields[3].value, "");
    EXPECT_EQ(head.fields[4].id, FieldId::content_length);
    EXPECT_EQ(head.fields[4].name, "content-LENGTH");
}

TEST(Request, MethodsAreCaseSensitiveTokens) {
    const std::pair<const char*, Method> methods[] = {
        {"GET", Method::get},          {"HEAD", Method::head},       {"POST", Method::post},
        {"PUT", Method::put},          {"DELETE", Method::del},      {"PATCH", Method::patch},
        {"TRACE", Method::trace},      {"OPTIONS", Method::options}, {"get", Method::other},
        {"BREW", Method::other},       {"M-SEARCH", Method::other},  {"QUERY", Method::other},
        {"MKCALENDAR", Method::other},
    };
    for (const auto& [text, method] : methods) {
        RequestHead head;
        ASSERT_EQ(parse(with("", text), head).state, State::complete) << text;
        EXPECT_EQ(head.method, method) << text;
        EXPECT_EQ(head.method_text, text);
    }
    expect_error("CONNECT lb.test:443 HTTP/1.1\r\nHost: lb.test\r\n\r\n", HeadError::not_implemented);
    expect_error("CONNECT /a HTTP/1.1\r\nHost: lb.test\r\n\r\n", HeadError::not_implemented);
    RequestHead head;
    EXPECT_EQ(parse(std::string(32, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n", head).state, State::complete);
    expect_bad(std::string(33, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_bad(std::string(33, 'M'));
    EXPECT_EQ(parse(std::string(32, 'M')).state, State::incomplete);
}

TEST(Request, BadRequestLinesAreRefused) {
    for (const std::string& line : {"GET  /a HTTP/1.1"s,
                                    "GET\t/a\tHTTP/1.1"s,
                                    "GET /a b HTTP/1.1"s,
                                    "GET /a HTTP/1.1 "s,
                                    " GET /a HTTP/1.1"s,
                                    "/a HTTP/1.1"s,
                                    "GE(T) /a HTTP/1.1"s,
                                    "G=\"x\" /a HTTP/1.1"s,
                                    "GET\0 /a HTTP/1.1"s,
                                    "G\xcbT /a HTTP/1.1"s,
                                    "GET /a http/1.1"s,
                                    "GET /a HTTP/1.10"s,
                                    "GET /a HTTP/01.1"s,
                                    "GET /a HTTP/1,1"s,
                                    "GET /a HTTP/ 1.1"s,
                                    "GET /a HTTPS/1.1"s,
                                    "GET /a HTTP/1.x"s,
                                    "GET ?x=1 HTTP/1.1"s,
                                    "GET a/b HTTP/1.1"s,
                                    "GET * HTTP/1.1"s,
                                    "GET /a#frag HTTP/1.1"s,
                                    "GET /caf\xe9 HTTP/1.1"s,
                                    "GET /a\0b HTTP/1.1"s,
                                    "GET /a\001b HTTP/1.1"s,
                                    "GET /a\x7f"s
                                    "b HTTP/1.1"s,
                                    "GET /a\rX: y HTTP/1.1"s,
                                    "GET /a"s,
                                    "GET"s,
                                    "GET /a HTTP/1.1\rX"s,
                                    "GET lb.test:80 HTTP/1.1"s,
                                    "GET :// HTTP/1.1"s}) {
        expect_bad(line + "\r\nHost: lb.test\r\n\r\n");
    }
    expect_error("GET /a HTTP/2.0\r\nHost: lb.test\r\n\r\n", HeadError::bad_version);
    expect_error("GET /a HTTP/0.9\r\nHost: lb.test\r\n\r\n", HeadError::bad_version);
    expect_error("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadError::bad_version);
}

TEST(Request, EachByteIsJudgedInEachPartOfTheLine) {
    for (int c = 0; c < 256; c++) {
        const char byte = static_cast<char>(c);
        const bool in_target = c > 0x20 && c < 0x7f && c != '#';
        const bool in_value = c >= 0x20 ? c != 0x7f : c == '\t';
        const std::string target = "GET /a"s + byte + "b HTTP/1.1\r\nHost: a\r\n\r\n";
        EXPECT_EQ(parse(target).state, in_target ? State::complete : State::error) << c;
        // Far from the front, where the scan is past its first blocks, and as the last byte.
        const std::string value = with("X: " + std::string(37, 'v') + byte + "w\r\n");
        EXPECT_EQ(parse(value).state, in_value ? State::complete : State::error) << c;
    }
}

TEST(Request, VersionsOfOneAreKnownByTheirMinor) {
    RequestHead head;
    ASSERT_EQ(parse("GET /v HTTP/1.0\r\nHost: lb.test\r\n\r\n", head).state, State::complete);
    EXPECT_EQ(head.minor, 0);
    EXPECT_FALSE(head.keep_alive);
    ASSERT_EQ(parse("GET /v HTTP/1.2\r\nHost: lb.test\r\n\r\n", head).state, State::complete);
    EXPECT_EQ(head.minor, 1);
    EXPECT_TRUE(head.keep_alive);
}

TEST(Request, UpToTwoEmptyLinesMayComeFirst) {
    RequestHead head;
    const HeadResult two = parse("\r\n\r\n" + with(""), head);
    ASSERT_EQ(two.state, State::complete);
    EXPECT_EQ(two.consumed, with("").size() + 4);
    EXPECT_EQ(head.bytes, two.consumed);
    EXPECT_EQ(head.line, "GET /a HTTP/1.1");
    expect_bad("\r\n\r\n\r\n" + with(""));
    expect_bad("\n" + with(""));
    expect_bad("\rG" + with(""));
    EXPECT_EQ(parse("").state, State::incomplete);
    EXPECT_EQ(parse("\r").state, State::incomplete);
    EXPECT_EQ(parse("\r\n").state, State::incomplete);
}

TEST(Request, AbsoluteTargetsAreSplit) {
    struct Case {
        const char* line;
        const char* target;
        bool needs_slash;
        const char* host;
    };
    const Case cases[] = {
        {"GET http://real.test/abs?x=1", "/abs?x=1", false, "real.test"},
        {"GET HTTPS://real.test:8443/", "/", false, "real.test:8443"},
        {"GET http://[::1]:80/a", "/a", false, "[::1]:80"},
        {"GET http://real.test", "/", false, "real.test"},
        {"GET http://real.test?x=/y", "?x=/y", true, "real.test"},
        {"OPTIONS http://real.test", "*", false, "real.test"},
        {"OPTIONS http://real.test?x", "?x", true, "real.test"},
        {"OPTIONS http://real.test/", "/", false, "real.test"},
    };
    RequestHead head;  // one for all: nothing may be left from the head before
    for (const Case& c : cases) {
        const HeadResult result = parse(c.line + " HTTP/1.1\r\nHost: other.test\r\n\r\n"s, head);
        ASSERT_EQ(result.state, State::complete) << c.line << result.why;
        EXPECT_EQ(head.target, c.target) << c.line;
        EXPECT_EQ(head.target_needs_slash, c.needs_slash) << c.line;
        EXPECT_EQ(head.host, c.host) << c.line;
        EXPECT_EQ(head.form, TargetForm::absolute) << c.line;
    }
    for (const char* bad :
         {"http://u:p@lb.test/a", "http:///a", "http://", "http:/a", "ftp://lb.test/a",
          "http:", "http://lb.test:99999/", "http://lb.test:x/", "http://[::1/", "//", "http//lb.test/"}) {
        if (bad == "//"s) continue;  // a path with two slashes
        expect_bad("GET "s + bad + " HTTP/1.1\r\nHost: lb.test\r\n\r\n");
    }
    expect_bad("GET http://lb.test/a HTTP/1.1\r\n\r\n");
    expect_bad("GET http://lb.test/a HTTP/1.1\r\nHost:\r\n\r\n");
}

TEST(Request, PathsArePassedAsTheyAre) {
    for (const char* target : {"//x///y", "/a%2Fb/%2e%2e/c", "/a/./b/../c", "/\"<>\\^`{|}"}) {
        RequestHead head;
        ASSERT_EQ(parse("GET "s + target + " HTTP/1.1\r\nHost: a\r\n\r\n", head).state, State::complete)
            << target;
        EXPECT_EQ(head.target, target);
    }
    RequestHead head;
    ASSERT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", head).state, State::complete);
    EXPECT_EQ(head.target, "*");
    EXPECT_EQ(head.form, TargetForm::asterisk);
    expect_bad("OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST(Request, HostIsNeededOnceAndGood) {
    expect_bad("GET /h HTTP/1.1\r\n\r\n");
    expect_bad("GET /h HTTP/1.1\r\nHost:\r\n\r\n");
    expect_bad("GET /h HTTP/1.0\r\nHost:\r\n\r\n");
    expect_bad(with("Host: lb.test\r\n"));
    expect_bad(with("X-A: 1\r\nhOST: evil.test\r\n"));
    expect_bad("GET /h HTTP/1.1\r\nHost: lb.test\0.evil.test\r\n\r\n"s);
    for (const char* host : {"lb.test evil", "lb.test/evil", "u@lb.test", "lb.test:80x", "[::1",
                             "http://lb.test/", "caf\xe9.test", "lb.test,evil.test"}) {
        expect_bad("GET /h HTTP/1.1\r\nHost: "s + host + "\r\n\r\n");
    }
    RequestHead head;
    ASSERT_EQ(parse("GET /v HTTP/1.0\r\n\r\n", head).state, State::complete);
    EXPECT_EQ(head.host, "");
}

TEST(Request, BadFieldLinesAreRefused) {
    for (const std::string& line : {"X-A : b\r\n"s,
                                    "X-A\t: b\r\n"s,
                                    "Content-Length : 5\r\n"s,
                                    "Transfer-Encoding : chunked\r\n"s,
                                    ": value\r\n"s,
                                    "JustText\r\n"s,
                                    "X A: b\r\n"s,
                                    "X\0A: b\r\n"s,
                                    "X(A): b\r\n"s,
                                    "X@A: b\r\n"s,
                                    "X\xe9"s
                                    "A: b\r\n"s,
                                    "X\rA: b\r\n"s,
                                    "\x0bTransfer-Encoding: chunked\r\n"s,
                                    "X-A: a\0b\r\n"s,
                                    "X-A: a\rX-Evil: 1\r\n"s,
                                    "X-A: a\r\r\n"s,
                                    "X-A: a\001b\r\n"s,
                                    "X-A: a\x7f"s
                                    "b\r\n"s,
                                    "X-A: one\r\n two\r\n"s,
                                    "X-A: one\r\n\ttwo\r\n"s,
                                    "Transfer-Encoding:\r\n chunked\r\n"s,
                                    "Content-Length:\r\n 3\r\n"s,
                                    "X-A: 1\n"s,
                                    "X-A: 1\nX-B: 2\r\n"s,
                                    "X-A\n"s,
                                    "\n"s,
                                    "\rX"s}) {
        expect_bad(with("X-Z: 1\r\n" + line + "X-Y: 2\r\n"));
    }
    expect_bad("GET /a HTTP/1.1\r\n X-A: 1\r\nHost: lb.test\r\n\r\n");
    expect_bad("GET /a HTTP/1.1\r\n Host: evil.test\r\nHost: lb.test\r\n\r\n");
    expect_bad("GET /lf HTTP/1.1\nHost: lb.test\n\n");
    expect_bad("POST /lf HTTP/1.1\r\nHost: lb.test\r\nContent-Length: 0\r\n\nGET /smuggled HTTP/1.1\r\n\r\n");
}

TEST(Request, OddButGoodFieldsPass) {
    RequestHead head;
    const std::string bytes =
        with("X!#$%&'*+-.^`|~9: v\r\nX-A: caf\xe9 \x80\xff\r\nX-T: a\tb\r\nX-C: a:b\r\n");
    ASSERT_EQ(parse(bytes, head).state, State::complete);
    EXPECT_EQ(head.fields[1].name, "X!#$%&'*+-.^`|~9");
    EXPECT_EQ(head.fields[2].value, "caf\xe9 \x80\xff");
    EXPECT_EQ(head.fields[3].value, "a\tb");
    EXPECT_EQ(head.fields[4].value, "a:b");
}

TEST(Request, NamesWithUnderscoresEndHere) {
    RequestHead head;
    ASSERT_EQ(
        parse(with("X_Under: 1\r\nX-Dash: 2\r\nTransfer_Encoding: chunked\r\nContent-Length: 3\r\n"), head)
            .state,
        State::complete);
    EXPECT_TRUE(find(head, "X_Under")->ends_here);
    EXPECT_FALSE(find(head, "X-Dash")->ends_here);
    EXPECT_TRUE(find(head, "Transfer_Encoding")->ends_here);
    EXPECT_EQ(head.body.kind, BodyKind::length);
}

TEST(Request, FramingIsOneGoodLengthOrChunked) {
    RequestHead head;
    ASSERT_EQ(parse(with("tRANSFER-eNCODING: ChUnKeD\r\n", "POST"), head).state, State::complete);
    EXPECT_EQ(head.body.kind, BodyKind::chunked);
    ASSERT_EQ(parse(with("Content-Length: 0\r\n", "POST"), head).state, State::complete);
    EXPECT_EQ(head.body.kind, BodyKind::none);
    ASSERT_EQ(parse(with("", "POST"), head).state, State::complete);
    EXPECT_EQ(head.body.kind, BodyKind::none);
    ASSERT_EQ(parse(with("Content-Length: 4\r\n"), head).state, State::complete);
    EXPECT_EQ(head.body.length, 4U);
    for (const char* lines :
         {"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
          "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
          "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length:\r\nContent-Length: 5\r\n",
          "Content-Length: 5, 5\r\n", "Content-Length: +5\r\n", "Content-Length: 18446744073709551621\r\n",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
          "Transfer-Encoding:\r\nContent-Length: 3\r\n", "Transfer-Encoding: chunked, gzip\r\n"}) {
        expect_bad(with(lines, "POST"));
    }
    for (const char* lines : {"Transfer-Encoding: identity\r\n", "Transfer-Encoding: gzip, chunked\r\n"}) {
        expect_error(with(lines, "POST"), HeadError::not_implemented);
    }
    expect_bad("POST /p HTTP/1.0\r\nHost: lb.test\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST(Request, ExpectIsForContinueOnly) {
    RequestHead head;
    ASSERT_EQ(parse(with("Expect: 100-Continue\r\n"), head).state, State::complete);
    EXPECT_TRUE(head.expect_continue);
    ASSERT_EQ(parse(with(""), head).state, State::complete);
    EXPECT_FALSE(head.expect_continue) << "nothing is left from the head before";
    ASSERT_EQ(parse("POST /e HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", head).state, State::complete);
    EXPECT_FALSE(head.expect_continue);
    for (const char* lines :
         {"Expect: 100-continue, 100-CONTINUE\r\n", "Expect: 100-continue\r\nExpect: 100-continue\r\n",
          "Expect: , 100-continue ,\r\n", "Expect:\r\nExpect: 100-continue\r\n"}) {
        ASSERT_EQ(parse(with(lines), head).state, State::complete) << lines;
        EXPECT_TRUE(head.expect_continue) << lines;
    }
    for (const char* lines :
         {"Expect: magic\r\n", "Expect:\r\n", "Expect: ,\r\n", "Expect: 100-continue, magic\r\n",
          "Expect: 100-continue\r\nExpect: magic\r\n", "Expect: magic\r\nExpect: 100-continue\r\n",
          "Expect: 100-continue;q=1\r\n", "Expect: \"100-continue\"\r\n", "Expect: 100\r\n"}) {
        expect_error(with(lines), HeadError::expectation);
        expect_bad(with(lines + "X Y: 1\r\n"s));  // what is no message at all comes first
    }
}

TEST(Request, WhatHasOneValueComesOnce) {
    const std::pair<const char*, const char*> fields[] = {
        {"Content-Type", "a/b"},      {"Content-Range", "bytes 0-1/2"}, {"Authorization", "Basic YTpi"},
        {"Proxy-Authorization", "x"}, {"Range", "bytes=0-1"},           {"If-Range", "\"a\""},
        {"If-Modified-Since", "x"},   {"If-Unmodified-Since", "x"},     {"Max-Forwards", "1"},
    };
    for (const auto& [name, value] : fields) {
        std::string line = name + ": "s + value + "\r\n";
        EXPECT_EQ(parse(with(line)).state, State::complete) << line;
        std::string upper = line;
        for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
        expect_bad(with(line + line));
        expect_bad(with(line + "X-Between: 1\r\n" + upper));
        EXPECT_EQ(parse(with(line + line)).why, name + " twice"s);
    }
    for (const char* name :
         {"User-Agent", "Referer", "Accept-Encoding", "Via", "Cookie", "X-Unknown", "Range-X"}) {
        const std::string line = name + ": a\r\n"s;
        EXPECT_EQ(parse(with(line + line)).state, State::complete) << name;
    }
}

// Nothing is left of the fields of the head before.
TEST(Request, WhatHasOneValueComesOnceInEachHead) {
    RequestHead head;
    for (int i = 0; i < 3; i++) EXPECT_EQ(parse(with("Range: bytes=0-1\r\n"), head).state, State::complete);
}

TEST(Request, ConnectionDecidesPersistence) {
    const std::tuple<const char*, const char*, bool> cases[] = {
        {"1.1", "Connection: close\r\n", false},
        {"1.1", "Connection: X-A , CLOSE\r\n", false},
        {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
        {"1.1", "Connection: close, keep-alive\r\n", false},
        {"1.1", "Connection: keep-alive\r\n", true},
        {"1.1", "Connection:\r\n", true},
        {"1.1", "Connection: closed\r\n", true},
        {"1.0", "Connection: Keep-Alive\r\n", true},
        {"1.0", "Connection: keep-alive, close\r\n", false},
        {"1.0", "Proxy-Connection: keep-alive\r\n", false},
    };
    for (const auto& [version, lines, keep] : cases) {
        RequestHead head;
        ASSERT_EQ(parse("GET / HTTP/"s + version + "\r\nHost: a\r\n" + lines + "\r\n", head).state,
                  State::complete);
        EXPECT_EQ(head.keep_alive, keep) << version << ' ' << lines;
    }
}

TEST(Request, ConnectionNamesFieldsThatEndHere) {
    RequestHead head;
    ASSERT_EQ(
        parse(
            with("x-late: 1\r\nConnection: X-Secret, keep-alive, X-LATE\r\nConnection: te\r\nX-Secret: 1\r\n"
                 "X-secret: 2\r\nX-Keep: 2\r\nTE: x\r\n"),
            head)
            .state,
        State::complete);
    EXPECT_TRUE(find(head, "x-late")->ends_here) << "before the Connection field too";
    EXPECT_TRUE(find(head, "X-Secret")->ends_here);
    EXPECT_TRUE(find(head, "X-secret")->ends_here);
    EXPECT_TRUE(find(head, "TE")->ends_here);
    EXPECT_FALSE(find(head, "X-Keep")->ends_here);
}

TEST(Request, ConnectionCannotNameWhatOthersRelyOn) {
    for (const char* name :
         {"Host", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"}) {
        RequestHead head;
        const std::string field = name == "Host"s ? "" : name + ": 1\r\n"s;
        ASSERT_EQ(parse(with("Connection: "s + name + "\r\n" + field), head).state, State::complete);
        EXPECT_FALSE(find(head, name)->ends_here) << name;
    }
    RequestHead head;
    ASSERT_EQ(parse(with("Connection: Content-Length\r\nContent-Length: 5\r\n"), head).state,
              State::complete);
    EXPECT_FALSE(find(head, "Content-Length")->ends_here);
    ASSERT_EQ(parse(with("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n"), head).state,
              State::complete);
    EXPECT_FALSE(find(head, "Transfer-Encoding")->ends_here);
}

TEST(Request, ConnectionMayNameSixteenOptions) {
    std::string list;
    for (int i = 0; i < 16; i++) list += "a" + std::to_string(i) + ",";
    EXPECT_EQ(parse(with("Connection: " + list + "\r\n")).state, State::complete);
    expect_bad(with("Connection: " + list + "b\r\n"));
    expect_bad(with("Connection: " + list + "\r\nConnection: b\r\n"));
    EXPECT_EQ(parse(with("Connection: " + std::string(1000, ',') + "\r\n")).state, State::complete);
}

TEST(Request, LimitsHoldExactly) {
    const std::string bytes = with("X-A: 1\r\n");
    const auto size = static_cast<std::uint32_t>(bytes.size());
    RequestHead head;
    EXPECT_EQ(parse(bytes + "more", head, {size, 2}).state, State::complete);
    EXPECT_EQ(parse(bytes + "more", head, {size - 1, 2}).error, HeadError::too_large);
    EXPECT_EQ(parse(bytes, head, {size - 1, 2}).error, HeadError::too_large);
    EXPECT_EQ(parse(std::string_view(bytes).substr(0, size - 1), head, {size - 1, 2}).error,
              HeadError::too_large)
        << "full and not at its end: no more can come";
    EXPECT_EQ(parse(std::string_view(bytes).substr(0, size - 2), head, {size - 1, 2}).state,
              State::incomplete);
    EXPECT_EQ(parse(bytes, head, {size, 1}).error, HeadError::too_large);
    EXPECT_EQ(parse("GET /" + std::string(200, 'u'), head, {100, 10}).error, HeadError::uri_too_long);
    EXPECT_EQ(parse("GET /" + std::string(200, 'u') + " HTTP/1.1\r\nHost: a\r\n\r\n", head, {100, 10}).error,
              HeadError::uri_too_long);
    EXPECT_EQ(parse(with("X: " + std::string(200, 'v')), head, {100, 10}).error, HeadError::too_large);
    EXPECT_EQ(parse_request("GET /" + std::string(200, 'u'), 99, {100, 10}, head).error,
              HeadError::uri_too_long)
        << "also when nothing else makes it worth parsing";
}

// Feeds ever longer prefixes, as a slow client would make them, and returns the first result that is not incomplete.
HeadResult bytewise(const std::string& bytes, RequestHead& head, std::size_t step) {
    std::size_t seen = 0;
    for (std::size_t size = std::min(step, bytes.size());; size = std::min(size + step, bytes.size())) {
        const HeadResult result = parse_request(std::string_view(bytes).substr(0, size), seen, {}, head);
        if (result.state != State::incomplete || size == bytes.size()) return result;
        seen = size;
    }
}

TEST(Request, PiecesOfAnySizeGiveTheSameHead) {
    const std::string bytes =
        "\r\n" + with("X-A: " + std::string(100, 'v') + "\r\nContent-Length: 7\r\n", "PUT");
    for (std::size_t step = 1; step <= bytes.size(); step++) {
        RequestHead head;
        const HeadResult result = bytewise(bytes, head, step);
        ASSERT_EQ(result.state, State::complete) << step;
        EXPECT_EQ(result.consumed, bytes.size());
        EXPECT_EQ(head.fields.size(), 3U);
        EXPECT_EQ(head.body.length, 7U);
    }
}

TEST(Request, ABareLfOrTheEndIsSeenWhereverThePieceBegins) {
    const std::string front = "GET /" + std::string(100, 'u') + " HTTP/1.1\r\nHost: a\r\n";
    for (std::size_t step = 1; step < 10; step++) {
        RequestHead head;
        EXPECT_EQ(bytewise(front + "X-A: 1\nX", head, step).state, State::error) << step;
        EXPECT_EQ(bytewise(front + "X-A: 1\r\n\r\n", head, step).state, State::complete) << step;
        EXPECT_EQ(bytewise(front + "X-A: 1\r\n", head, step).state, State::incomplete) << step;
    }
}

// Far behind the first bytes too, and without the end of the head.
TEST(Request, AWrongLineIsRefusedWhenItEndsAndAWrongByteAtOnce) {
    const std::string front = "GET /" + std::string(100, 'u') + " HTTP/1.1\r\nHost: a\r\n";
    for (const std::string& wrong :
         {"X Y: 1\r\n"s, " folded\r\n"s, "no colon\r\n"s, "Host: b\r\n"s, "Content-Length: x\r\n"s, "X: \1"s,
          "X: \0"s, "X: \x7f"s, "X: a\n"s, "X: a\rb"s, "X: a\r\r"s}) {
        for (std::size_t step = 1; step < 10; step++) {
            RequestHead head;
            EXPECT_EQ(bytewise(front + wrong, head, step).error, HeadError::bad_request)
                << wrong << " in steps of " << step;
        }
    }
    for (std::size_t step = 1; step < 10; step++) {
        RequestHead head;
        EXPECT_EQ(bytewise("GET /" + std::string(100, 'u') + "\r\n", head, step).error,
                  HeadError::bad_request);
        EXPECT_EQ(bytewise("GET /" + std::string(100, 'u') + " HTTP/2.0\r\n", head, step).error,
                  HeadError::bad_version);
        EXPECT_EQ(bytewise(front + "X: a\r", head, step).state, State::incomplete);
    }
}

TEST(Request, WhatIsPlainlyNoHttpIsRefusedAtOnce) {
    RequestHead head;
    EXPECT_EQ(bytewise("\x16\x03\x01\x02"s + '\0' + "\x01"s + '\0' + "\x01\xfc\x03\x03"s, head, 1).state,
              State::error);
    EXPECT_EQ(parse_request("GET /\x01", 5, {}, head).state, State::error);
}

// Counts the work by its effect: a head of the largest size, byte by byte, would take half a billion steps if each byte
// parsed the whole again; it is a fraction of a second here even under sanitizers only because it does not.
TEST(Request, ByteByByteTakesLinearTime) {
    const HeadLimits limits{1024 * 1024, 128};
    std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    bytes.append(900 * 1024, 'v');
    RequestHead head;
    const std::string_view all = bytes;
    std::size_t seen = 0;
    for (std::size_t size = 1; size <= all.size(); size++) {
        ASSERT_EQ(parse_request(all.substr(0, size), seen, limits, head).state, State::incomplete);
        seen = size;
    }
}

// Processor time for a head that arrives line by line: a long field first, short ones behind it. The least of some.
std::clock_t time_by_lines(const std::string& first) {
    const std::string front = "GET / HTTP/1.1\r\nHost: a\r\n" + first + "\r\n";
    std::clock_t least = 0;
    for (int round = 0; round < 3; round++) {
        RequestHead head;
        std::string bytes = front;
        std::size_t seen = 0;
        const std::clock_t begin = std::clock();
        for (int lines = 0; lines < 120; lines++) {
            bytes += "a:\r\n";
            EXPECT_EQ(parse_request(bytes, seen, {}, head).state, State::incomplete);
            seen = bytes.size();
        }
        const std::clock_t took = std::clock() - begin;
        least = round == 0 ? took : std::min(least, took);
    }
    return least;
}

// A list of thousands of members costs more than its bytes, so it must not be read anew for each line behind it.
TEST(Request, ListsAreReadOnceHoweverTheHeadArrives) {
    const std::string commas(30000, ',');
    const auto plain = time_by_lines("X: " + std::string(30000, 'v'));
    const auto ten_milliseconds = CLOCKS_PER_SEC / 100;
    for (const char* name : {"TE: ", "Expect: ", "Connection: ", "Upgrade: "}) {
        EXPECT_LT(time_by_lines(name + commas), 10 * plain + ten_milliseconds) << name;
    }
}

TEST(Request, ReusesTheListOfFields) {
    RequestHead head;
    ASSERT_EQ(parse(with("A: 1\r\nB: 2\r\nC: 3\r\n"), head).state, State::complete);
    const Field* before = head.fields.data();
    const std::string next = with("D: 4\r\n");
    ASSERT_EQ(parse(next, head).state, State::complete);
    EXPECT_EQ(head.fields.data(), before);
    EXPECT_EQ(head.fields.size(), 2U);
}

}  // namespace
}  // namespace lb::http
