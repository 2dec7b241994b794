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

// RFC 9112 4 and 2.3 by hand, with the blank before an empty reason optional.
bool is_status_line(std::string_view line) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (line.substr(0, 7) != "HTTP/1.") return false;
    if (line.size() < 12 || !digit(line[7]) || line[8] != ' ') return false;
    if (line[9] < '1' || line[9] > '5' || !digit(line[10]) || !digit(line[11])) return false;
    if (line.size() == 12) return true;
    if (line[12] != ' ') return false;
    for (const char c : line.substr(13)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte != '\t' && (byte < 0x20 || byte == 0x7f)) return false;
    }
    return true;
}

TEST(Response, StatusLinesAreThoseOfTheGrammar) {
    int good_ones = 0;
    int bad_ones = 0;
    const auto check = [&](const std::string& line) {
        ResponseHead head;
        const HeadResult result = parse_response(keep(line + "\r\nA: b\r\n\r\n"), 0, {}, Method::get, head);
        const bool wanted = is_status_line(line);
        (wanted ? good_ones : bad_ones)++;
        ASSERT_EQ(result.state, wanted ? State::complete : State::error) << line;
        if (!wanted) return;
        EXPECT_EQ(head.status, std::stoi(line.substr(9, 3)));
        EXPECT_EQ(head.minor, line[7] == '0' ? 0 : 1);
        EXPECT_EQ(head.reason, line.size() > 13 ? std::string_view(line).substr(13) : "");
    };
    for (const std::string& version :
         {"HTTP/1.1"s, "HTTP/1.0"s, "HTTP/1.2"s, "HTTP/2.0"s, "HTTP/0.9"s, "HTTP/1"s, "HTTP/"s, ""s,
          "http/1.1"s, "HTTP/1.10"s, "HTTP/11.1"s, "HTTP/1. 1"s, "HTTP 1.1"s, " HTTP/1.1"s, "ICY"s,
          "HTTP/1.\xb1"s, "HTTPS/1.1"s, "\r\nHTTP/1.1"s}) {
        for (const std::string& gap : {" "s, ""s, "  "s, "\t"s, "\0"s, "\v"s}) {
            for (const std::string& status : {"200"s, "100"s, "599"s, "600"s, "099"s, "000"s, "20"s, "2000"s,
                                              "2 0"s, "+20"s, "-20"s, "2x0"s, "\xb2\x30\x30"s, ""s, "OK"s}) {
                for (const std::string& rest : {" OK"s, ""s, " "s, "  a\tb "s, "OK"s, "\tOK"s, " \xe9"s,
                                                " a\0b"s, " a\rb"s, " a\x7f"s, " \x1b[0m"s, ":"s, ", OK"s}) {
                    check(version + gap + status + rest);
                }
            }
        }
    }
    // Each single byte in each place of a good line.
    const std::string line = "HTTP/1.1 204 No Content";
    for (std::size_t at = 0; at < line.size(); at++) {
        for (int byte = 0; byte < 256; byte++) {
            if (byte == '\n' || byte == '\r') continue;  // which end the line
            std::string changed = line;
            changed[at] = static_cast<char>(byte);
            check(changed);
        }
    }
    EXPECT_GT(good_ones, 2000);
    EXPECT_GT(bad_ones, 10000);
}

// A backend that has sent what is no answer is not waited for.
TEST(Response, WhatCannotBecomeAStatusLineIsAnErrorAtOnce) {
    ResponseHead head;
    for (const std::string& bytes :
         {"O"s, "OK\r\n"s, "HTTP/1.1\r\n\r\n"s, "HTTP/1.1 \r\n"s, "HTTP/2"s, "HTTP/1.1 6"s, "HTTP/1.1 2\r\n"s,
          "\r\n"s, "HTTP/1.1 20\r"s, "\0"s, "h"s, "HTTP/1.1 0"s}) {
        EXPECT_EQ(parse_response(keep(bytes), 0, {}, Method::get, head).state, State::error) << bytes;
    }
    const std::string line = "HTTP/1.1 404 x";
    for (std::size_t at = 0; at < line.size(); at++) {
        for (int byte = 0; byte < 256; byte++) {
            std::string begin = line.substr(0, at);
            begin += static_cast<char>(byte);
            // Whether any line begins so: the rest of this one makes a good one, or a CR ends it.
            const bool possible = is_status_line(begin + line.substr(at + 1)) ||
                                  (byte == '\r' && at >= 12 && is_status_line(begin.substr(0, at)));
            EXPECT_EQ(parse_response(keep(begin), 0, {}, Method::get, head).state,
                      possible ? State::incomplete : State::error)
                << at << " " << byte;
        }
    }
}

// RFC 9112 6.3 as a table of its own, over every combination of what decides the framing of an answer.
struct Wanted {
    bool good = true;
    BodyKind kind = BodyKind::none;
    std::uint64_t length = 0;
    bool keep_alive = true;
    std::size_t forwarded_lengths = 0;
};
struct Lengths {
    const char* lines;
    int announced;  // -1: none, -2: no length that anybody may trust
};
struct Codings {
    const char* lines;
    enum { none, chunked, refused } what;
};
Wanted by_the_rfc(int minor, int status, bool to_head, const Lengths& lengths, const Codings& codings,
                  std::string_view connection) {
    Wanted wanted;
    if (lengths.announced == -2 || codings.what == Codings::refused) return {false};
    if (codings.what == Codings::chunked && (lengths.announced >= 0 || minor == 0)) return {false};
    wanted.keep_alive = minor == 1;
    if (connection.find("keep-alive") != std::string_view::npos) wanted.keep_alive = true;
    if (connection.find("close") != std::string_view::npos) wanted.keep_alive = false;
    const bool never = status < 200 || status == 204;
    if (never || status == 304 || to_head) {  // rule 1
        const bool announced = codings.what == Codings::chunked || lengths.announced > 0;
        if (never && announced) wanted.keep_alive = false;
        if (status == 304 && codings.what == Codings::chunked) wanted.keep_alive = false;
    } else if (codings.what == Codings::chunked) {  // rule 4
        wanted.kind = BodyKind::chunked;
    } else if (lengths.announced > 0) {  // rule 6
        wanted.kind = BodyKind::length;
        wanted.length = static_cast<std::uint64_t>(lengths.announced);
    } else if (lengths.announced < 0) {  // rule 8
        wanted.kind = BodyKind::until_close;
        wanted.keep_alive = false;
    }
    wanted.forwarded_lengths = lengths.announced >= 0 && !never ? 1 : 0;  // RFC 9110 8.6
    return wanted;
}

TEST(Response, FramingIsThatOfTheRfcInEveryCombination) {
    constexpr Lengths lengths[] = {{"", -1},
                                   {"Content-Length: 5\r\n", 5},
                                   {"content-length:\t5 \r\n", 5},
                                   {"Content-Length: 0\r\n", 0},
                                   {"Content-Length: 5\r\nContent-Length: 5\r\n", 5},
                                   {"Content-Length: 5\r\nContent-Length: 6\r\n", -2},
                                   {"Content-Length: 0\r\nContent-Length: 5\r\n", -2},
                                   {"Content-Length: 5, 6\r\n", -2},
                                   {"Content-Length: 5x\r\n", -2},
                                   {"Content-Length:\r\n", -2},
                                   {"Content-Length: -5\r\n", -2},
                                   {"Content-Length: 0x5\r\n", -2},
                                   {"Content-Length: 5 5\r\n", -2},
                                   {"Content-Length: 9223372036854775808\r\n", -2},
                                   {"Content-Length: 00000000000000000005\r\n", -2}};
    constexpr Codings codings[] = {
        {"", Codings::none},
        {"Transfer-Encoding: chunked\r\n", Codings::chunked},
        {"TRANSFER-ENCODING: \tChunKed\r\n", Codings::chunked},
        {"Transfer-Encoding: gzip\r\n", Codings::refused},
        {"Transfer-Encoding: gzip, chunked\r\n", Codings::refused},
        {"Transfer-Encoding: chunked, gzip\r\n", Codings::refused},
        {"Transfer-Encoding: chunked, chunked\r\n", Codings::refused},
        {"Transfer-Encoding: chunked;a=b\r\n", Codings::refused},
        {"Transfer-Encoding:\r\n", Codings::refused},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Codings::refused}};
    constexpr const char* connections[] = {"", "Connection: close\r\n", "Connection: Keep-Alive, X\r\n",
                                           "Connection: keep-alive\r\nConnection: close\r\n",
                                           "Connection: Content-Length, Transfer-Encoding\r\n"};
    for (const int minor : {0, 1}) {
        for (const int status : {100, 101, 103, 199, 200, 204, 205, 206, 304, 404, 599}) {
            for (const bool to_head : {false, true}) {
                for (const Lengths& length : lengths) {
                    for (const Codings& coding : codings) {
                        for (const std::string connection : connections) {
                            for (const bool length_first : {true, false}) {
                                const std::string bytes =
                                    "HTTP/1." + std::to_string(minor) + " " + std::to_string(status) +
                                    " X\r\n" + (length_first ? length.lines : coding.lines) + connection +
                                    (length_first ? coding.lines : length.lines) + "\r\n";
                                std::string lower = connection;
                                for (char& c : lower) c = c == 'K' ? 'k' : c == 'A' ? 'a' : c;
                                const Wanted wanted =
                                    by_the_rfc(minor, status, to_head, length, coding, lower);
                                ResponseHead head;
                                const HeadResult result =
                                    parse_response(bytes, 0, {}, to_head ? Method::head : Method::get, head);
                                ASSERT_EQ(result.state == State::complete, wanted.good) << bytes;
                                if (!wanted.good) continue;
                                ASSERT_EQ(head.body.kind, wanted.kind) << bytes;
                                ASSERT_EQ(head.body.length, wanted.length) << bytes;
                                ASSERT_EQ(head.keep_alive, wanted.keep_alive) << bytes;
                                std::size_t forwarded = 0;
                                for (const Field& field : head.fields)
                                    forwarded +=
                                        field.id == FieldId::content_length && !field.ends_here ? 1U : 0U;
                                ASSERT_EQ(forwarded, wanted.forwarded_lengths) << bytes;
                            }
                        }
                    }
                }
            }
        }
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
