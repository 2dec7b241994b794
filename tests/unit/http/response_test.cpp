// Response heads: what is read, what is refused, and which body follows.
#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <string_view>
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

ResponseHead good(std::string_view bytes, Method request = Method::get) {
    ResponseHead head;
    const HeadResult result = parse_response(keep(bytes), 0, {}, request, head);
    EXPECT_EQ(result.state, State::complete) << bytes << ": " << result.why;
    return head;
}
void expect_bad(std::string_view bytes) {
    ResponseHead head;
    const HeadResult result = parse_response(keep(bytes), 0, {}, Method::get, head);
    EXPECT_EQ(result.state, State::error) << bytes;
    EXPECT_EQ(result.error, HeadError::bad_response) << bytes;
    EXPECT_STRNE(result.why, "") << bytes;
}
std::string with(std::string_view lines, std::string_view status = "200 OK") {
    return "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(lines) + "\r\n";
}

TEST(Response, IsReadIntoItsParts) {
    const std::string bytes = "HTTP/1.1 404 Not \xe9 Found\r\nServer: s\r\nContent-Length: 5\r\n\r\n";
    ResponseHead head;
    const HeadResult result = parse_response(keep(bytes + "hello"), 0, {}, Method::get, head);
    ASSERT_EQ(result.state, State::complete);
    EXPECT_EQ(result.consumed, bytes.size());
    EXPECT_EQ(head.status, 404);
    EXPECT_EQ(head.reason, "Not \xe9 Found");
    EXPECT_EQ(head.minor, 1);
    EXPECT_TRUE(head.keep_alive);
    EXPECT_EQ(head.body.kind, BodyKind::length);
    EXPECT_EQ(head.body.length, 5U);
    ASSERT_EQ(head.fields.size(), 2U);
    EXPECT_EQ(head.fields[0].id, FieldId::server);
    EXPECT_EQ(head.fields[0].line, "Server: s\r\n");
}

TEST(Response, StatusLinesMayLackAReasonAndNothingElse) {
    EXPECT_EQ(good("HTTP/1.1 200 \r\n\r\n").reason, "");
    EXPECT_EQ(good("HTTP/1.1 200\r\n\r\n").status, 200);
    EXPECT_EQ(good("HTTP/1.1 599 Odd\r\n\r\n").status, 599);
    EXPECT_EQ(good("HTTP/1.1 100 C\r\n\r\n").status, 100);
    EXPECT_EQ(good("HTTP/1.0 200 OK\r\n\r\n").minor, 0);
    EXPECT_EQ(good("HTTP/1.9 200 OK\r\n\r\n").minor, 1);
    for (const std::string& line :
         {"HTTP/1.1 20 OK"s, "HTTP/1.1 2000 OK"s, "HTTP/1.1 2xx OK"s, "HTP/1.1 200 OK"s, "HTTP/9.9 200 OK"s,
          "HTTP/1.1 099 Low"s, "HTTP/1.1 600 High"s, "HTTP/1.1  200 OK"s, "HTTP/1.1\t200 OK"s,
          "http/1.1 200 OK"s, "HTTP/1.10 200 OK"s, "HTTP/1.x 200 OK"s, "hello, I am HTTP/0.9"s,
          "HTTP/1.1 200 O\0K"s, "HTTP/1.1 200 O\rK"s, "HTTP/1.1 200\tOK"s, "\r\nHTTP/1.1 200 OK"s,
          "HTTP/1.1 -20 OK"s}) {
        expect_bad(line + "\r\nContent-Length: 5\r\n\r\nhello");
    }
}

TEST(Response, BadFieldLinesAreRefused) {
    for (const std::string& lines :
         {"X-A: one\r\n two\r\n"s, "X-A : one\r\n"s, "JustText\r\n"s, "X-A: a\0b\r\n"s,
          "X-A: a\rSet-Cookie: evil=1\r\n"s, "X-A: 1\n"s, ": x\r\n"s, "X-A: \x7f\r\n"s}) {
        expect_bad(with(lines + "Content-Length: 5\r\n"));
    }
    expect_bad("HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 5\n\nhello");
}

TEST(Response, FramingIsUnambiguousOrRefused) {
    for (const char* lines :
         {"Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5, 6\r\n",
          "Content-Length: 5, 5\r\n", "Content-Length: 5x\r\n", "Content-Length: +5\r\n",
          "Content-Length: 18446744073709551621\r\n", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "Transfer-Encoding: gzip, chunked\r\n",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: identity\r\n"}) {
        expect_bad(with(lines));
    }
    expect_bad("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST(Response, RepeatedEqualLengthsAreForwardedOnce) {
    const ResponseHead head =
        good(with("Content-Length: 5\r\nX: 1\r\nContent-Length: 5\r\nContent-Length: 05\r\n"));
    EXPECT_EQ(head.body.length, 5U);
    EXPECT_FALSE(head.fields[0].ends_here);
    EXPECT_FALSE(head.fields[1].ends_here);
    EXPECT_TRUE(head.fields[2].ends_here);
    EXPECT_TRUE(head.fields[3].ends_here);
}

TEST(Response, BodyDependsOnRequestAndStatus) {
    EXPECT_EQ(good(with("Transfer-Encoding: chunked\r\n")).body.kind, BodyKind::chunked);
    EXPECT_EQ(good(with("Content-Length: 0\r\n")).body.kind, BodyKind::none);
    const ResponseHead until_close = good(with(""));
    EXPECT_EQ(until_close.body.kind, BodyKind::until_close);
    EXPECT_FALSE(until_close.keep_alive);

    const ResponseHead to_head = good(with("Content-Length: 5\r\n"), Method::head);
    EXPECT_EQ(to_head.body.kind, BodyKind::none);
    EXPECT_TRUE(to_head.keep_alive);
    EXPECT_FALSE(to_head.fields[0].ends_here);
    EXPECT_EQ(good(with(""), Method::head).body.kind, BodyKind::none);
    EXPECT_EQ(good(with("Transfer-Encoding: chunked\r\n"), Method::head).body.kind, BodyKind::none);

    for (const char* status :
         {"204 No Content", "304 Not Modified", "101 Switching Protocols", "100 Continue"}) {
        const ResponseHead head = good(with("", status));
        EXPECT_EQ(head.body.kind, BodyKind::none) << status;
        EXPECT_TRUE(head.keep_alive) << status;
    }
}

TEST(Response, AnnouncedBodiesThatMayNotBeEndTheConnection) {
    for (const char* lines : {"Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"}) {
        for (const char* status : {"204 No Content", "103 Early Hints"}) {
            const ResponseHead head = good(with(lines, status));
            EXPECT_EQ(head.body.kind, BodyKind::none) << status << lines;
            EXPECT_FALSE(head.keep_alive) << status << lines;
            EXPECT_EQ(head.fields[0].ends_here, head.fields[0].id == FieldId::content_length);
        }
    }
    EXPECT_TRUE(good(with("Content-Length: 0\r\n", "204 No Content")).keep_alive);
    const ResponseHead not_modified = good(with("Content-Length: 50\r\n", "304 Not Modified"));
    EXPECT_EQ(not_modified.body.kind, BodyKind::none);
    EXPECT_TRUE(not_modified.keep_alive);
    EXPECT_FALSE(not_modified.fields[0].ends_here);
    EXPECT_FALSE(good(with("Transfer-Encoding: chunked\r\n", "304 Not Modified")).keep_alive);
}

TEST(Response, ConnectionAndKeepAliveAreRead) {
    const std::string length = "Content-Length: 1\r\n";
    EXPECT_FALSE(good(with("Connection: close\r\n" + length)).keep_alive);
    EXPECT_FALSE(good("HTTP/1.0 200 OK\r\n" + length + "\r\n").keep_alive);
    EXPECT_TRUE(good("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + length + "\r\n").keep_alive);
    EXPECT_EQ(good(with("Keep-Alive: max=9, timeout=15\r\n")).keep_alive_timeout, 15U);
    EXPECT_EQ(good(with(length)).keep_alive_timeout, 0U);
    const ResponseHead head = good(with("Connection: X-Hop\r\nX-Hop: 1\r\nX_End: 2\r\n" + length));
    EXPECT_TRUE(head.fields[1].ends_here);
    EXPECT_FALSE(head.fields[2].ends_here) << "an underscore misleads servers, not clients";
    std::string list = "Connection: a";
    for (int i = 0; i < 16; i++) list += ",a";
    expect_bad(with(list + "\r\n"));
}

TEST(Response, LimitsHold) {
    const std::string bytes = with("A: 1\r\nB: 2\r\n");
    const auto size = static_cast<std::uint32_t>(bytes.size());
    ResponseHead head;
    EXPECT_EQ(parse_response(bytes, 0, {size, 2}, Method::get, head).state, State::complete);
    EXPECT_EQ(parse_response(bytes, 0, {size - 1, 2}, Method::get, head).error, HeadError::bad_response);
    EXPECT_EQ(parse_response(bytes, 0, {size, 1}, Method::get, head).error, HeadError::bad_response);
    EXPECT_EQ(parse_response(std::string(50, 'H'), 0, {50, 1}, Method::get, head).error,
              HeadError::bad_response);
}

TEST(Response, PrefixesAreIncompleteAndPiecesMakeNoDifference) {
    const std::string bytes = with("A: " + std::string(80, 'x') + "\r\nContent-Length: 5\r\n", "200");
    ResponseHead head;
    std::size_t seen = 0;
    for (std::size_t size = 0; size < bytes.size(); size++) {
        const std::string_view prefix = std::string_view(bytes).substr(0, size);
        ASSERT_EQ(parse_response(prefix, 0, {}, Method::get, head).state, State::incomplete) << size;
        ASSERT_EQ(parse_response(prefix, seen, {}, Method::get, head).state, State::incomplete) << size;
        seen = size;
    }
    ASSERT_EQ(parse_response(bytes, seen, {}, Method::get, head).state, State::complete);
    EXPECT_EQ(head.body.length, 5U);
}

}  // namespace
}  // namespace lb::http
