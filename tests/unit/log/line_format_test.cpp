#include "worker/log/line_format.h"

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "shared/base/random.h"
#include "support.h"

namespace lb {
namespace {

using config::LogEscape;

// The whole life of a line; the head is gone when it is written.
std::string line_of(const LineFormat& format, std::unique_ptr<Head> head, const Exchanged& told,
                    const http::ResponseHead* answer_head = nullptr) {
    RequestFacts request = told.request;
    request.head = &head->head;
    const std::string captured = capture(format, request);
    head.reset();
    AnswerFacts answer = told.answer;
    answer.head = answer_head;
    std::string answer_capture;
    format.capture_answer(answer_capture, answer);
    RequestFacts later = told.request;
    later.client = later.scheme = later.request_id = "not captured";
    later.client_port = 1;
    answer.head = nullptr;
    std::string out;
    format.append_line(out, captured, answer_capture, later, answer, told.end);
    return out;
}

std::unique_ptr<Head> head_with(std::vector<std::pair<std::string, std::string>> fields) {
    return std::make_unique<Head>(std::move(fields));
}

// {"name":"$name",...} with every variable there is, numbers without quotes.
std::string json_of_all() {
    std::string out = "{";
    for (const config::VariableSpec& each : config::variables) {
        const std::string name = std::string(each.name) + (each.name.ends_with('_') ? "x" : "");
        const std::string_view quote = is_number(each.id) ? "" : "\"";
        out += (out.size() > 1 ? "," : "") + ('"' + name) + "\":" + std::string(quote) + "${" + name + "}" +
               std::string(quote);
    }
    return out + "}";
}

TEST(LineFormat, Combined) {
    const LineFormat format(access_log(combined));
    EXPECT_EQ(
        line_of(format, head_with({{"Host", "test"}, {"User-Agent", "curl/8"}}), {}),
        "192.0.2.7 - - [21/Nov/2026:10:00:00 +0000] \"GET /x?a=1 HTTP/1.1\" 200 128 \"-\" \"curl/8\"\n");
    EXPECT_FALSE(format.captures_answer());
    EXPECT_FALSE(format.wants_unix_time());
}

TEST(LineFormat, JsonHasEveryVariable) {
    const LineFormat format(access_log(json_of_all(), LogEscape::json));
    EXPECT_TRUE(format.captures_answer());
    EXPECT_TRUE(format.wants_unix_time());
    http::ResponseHead answer;
    http::Field field;
    field.name = "X";
    field.value = "answered";
    answer.fields = {field};
    const std::string line = line_of(format, head_with({{"X", "asked"}, {"Cookie", "x=c"}}), {}, &answer);
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(parsed.is_object()) << line;
    EXPECT_EQ(parsed.size(), std::size(config::variables));
    const auto expected = nlohmann::json::parse(R"({
        "client_addr": "192.0.2.7", "client_port": 4711, "peer_addr": "10.0.0.1", "scheme": "http", "host": "test",
        "method": "GET", "request": "GET /x?a=1 HTTP/1.1", "request_uri": "/x?a=1", "path": "/x", "query": "a=1",
        "protocol": "HTTP/1.1", "request_id": "id-1", "http_x": "asked", "cookie_x": "c", "arg_x": "",
        "listener": "web", "route": "api", "country": "DE", "connection_requests": 1, "pid": 99, "worker": 0,
        "time_local": "21/Nov/2026:10:00:00 +0000", "time_iso": "2026-11-21T10:00:00Z",
        "time_unix": 1795255200.007, "status": 200, "backend_status": 200, "response_x": "answered", "pool": "app",
        "backend": "a1", "backend_addr": "10.0.1.11:8080", "backends": "a0,a1", "attempts": 2, "end": "done",
        "end_side": "", "end_phase": "done", "bytes_sent": 300, "bytes_received": 90, "body_bytes": 128,
        "request_body_bytes": 0, "request_time": 1.002, "head_time": null, "pick_time": null, "connect_time": 0.0,
        "response_time": null, "transfer_time": null})");
    EXPECT_EQ(parsed, expected) << nlohmann::json::diff(parsed, expected);
}

TEST(LineFormat, ARefusedRequestHasALineAndNothingElse) {
    Exchanged refused;
    refused.answer = {};
    refused.answer.status = 400;
    refused.end.end = End::bad_request;
    std::string out;
    const LineFormat text(
        access_log("$client_addr \"$request\" $method $host $path $http_x $status $backend $client_port"));
    text.append_line(out, capture(text, refused.request, "GET \x16\x03\" nonsense"), {}, refused.request,
                     refused.answer, refused.end);
    EXPECT_EQ(out, "192.0.2.7 \"GET \\x16\\x03\\x22 nonsense\" - - - - 400 - 4711\n");

    out.clear();
    refused.answer.status = 0;  // no answer was sent
    const LineFormat json(access_log(json_of_all(), LogEscape::json));
    json.append_line(out, capture(json, refused.request, "\x80\xff"), {}, refused.request, refused.answer,
                     refused.end);
    const auto parsed = nlohmann::json::parse(out, nullptr, false);
    ASSERT_TRUE(parsed.is_object()) << out;
    EXPECT_EQ(parsed["request"], "\xc2\x80\xc3\xbf");
    EXPECT_EQ(parsed["host"], "");
    EXPECT_EQ(parsed["client_addr"], "192.0.2.7");
    EXPECT_TRUE(parsed["status"].is_null());
    EXPECT_TRUE(parsed["backend_status"].is_null());
    EXPECT_EQ(parsed["end_side"], "client");
    out.clear();
    const LineFormat status(access_log("$status $connect_time $response_time"));
    status.append_line(out, {}, {}, refused.request, refused.answer, refused.end);
    EXPECT_EQ(out, "000 0.000 -\n");
}

TEST(LineFormat, CapturesAnswersOnlyForThoseWhoAsk) {
    http::ResponseHead head;
    http::Field field;
    field.name = "Content-Type";
    field.value = "text/html";
    head.fields = {field};
    AnswerFacts answer;
    answer.head = &head;
    std::string out = "of an answer before";
    LineFormat(access_log(combined)).capture_answer(out, answer);
    EXPECT_EQ(out, "of an answer before");
    const LineFormat asks(access_log("$response_content_type,$response_content_type,$response_etag"));
    asks.capture_answer(out, answer);
    std::string line;
    asks.append_line(line, {}, out, {}, answer, {});
    EXPECT_EQ(line, "text/html,text/html,-\n");
    line.clear();
    answer.head = nullptr;  // an answer of lb's own
    asks.capture_answer(out, answer);
    asks.append_line(line, {}, out, {}, answer, {});
    EXPECT_EQ(line, "-,-,-\n");
}

TEST(LineFormat, LongValuesAreCut) {
    const LineFormat format(access_log("$http_x|$backends|$request"));
    const std::string most(LineFormat::most_value, 'v');
    Exchanged told;
    const std::string backends(5000, 'b');
    told.end.backends = backends;
    auto head = head_with({{"X", most + "cut"}});
    head->line = std::string(5000, 'r');
    head->head.line = head->line;
    EXPECT_EQ(line_of(format, std::move(head), told), most + '|' + std::string(LineFormat::most_value, 'b') +
                                                          '|' + std::string(LineFormat::most_value, 'r') +
                                                          '\n');
    // Not inside of a character.
    const std::string euros = line_of(LineFormat(access_log("\"$http_x\"", LogEscape::json)),
                                      head_with({{"X", std::string(4095, 'v') + "\xe2\x82\xac"}}), {});
    EXPECT_EQ(euros, '"' + std::string(4095, 'v') + "\"\n");
}

TEST(LineFormat, ATargetWithoutASlashGetsOne) {
    const LineFormat format(access_log("$request_uri $path $query"));
    auto head = head_with({});
    head->target = "?a=1";
    head->head.target = head->target;
    head->head.target_needs_slash = true;
    EXPECT_EQ(line_of(format, std::move(head), {}), "/?a=1 / a=1\n");
}

TEST(LineFormat, ALineIsBoundedAndStaysJson) {
    std::string form = "{\"a\":[0";
    for (int i = 0; i < 500; i++) form += ",\"$http_x\"";
    const LineFormat format(access_log(form + "],\"status\":$status}", LogEscape::json));
    const std::string line = line_of(format, head_with({{"X", std::string(8000, '\xff')}}), {});
    EXPECT_LT(line.size(), LineFormat::most_line + 6 * LineFormat::most_value + form.size() + 100);
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(parsed.is_object());
    EXPECT_EQ(parsed["a"][500], "");
    EXPECT_EQ(parsed["status"], 200);
}

TEST(LineFormat, ADamagedCaptureHarmsNobody) {
    const LineFormat format(access_log("$http_a,$http_b,$status"));
    const auto head = head_with({{"A", "first"}, {"B", "second"}});
    Exchanged told;
    told.request.head = &head->head;
    const std::string whole = capture(format, told.request);
    for (std::size_t size = 0; size <= whole.size(); size++) {
        const std::string part = whole.substr(0, size);
        std::string out;
        format.append_line(out, part, {}, told.request, told.answer, told.end);
        const std::string expected = size == whole.size() ? "first,second,200\n"
                                     : size >= 7          ? "first,-,200\n"
                                                          : "-,-,200\n";
        EXPECT_EQ(out, expected) << size;
    }
    // A room that is too small costs values, not the order of the others.
    std::string room(8, '\0');
    http::Sink small(room.data(), room.size());
    format.capture_request(small, told.request);
    std::string out;
    format.append_line(out, small.view(), {}, told.request, told.answer, told.end);
    EXPECT_EQ(out, "first,-,200\n");
}

TEST(LineFormat, ANewlineOfTheFormatIsLeftOut) {
    config::AccessLog log = access_log("$status");
    log.format.pieces.insert(log.format.pieces.begin(),
                             {config::Variable::text, std::string("a\n\r\0\tb ", 7), 0});
    std::string out;
    LineFormat(log).append_line(out, {}, {}, {}, {}, {});
    EXPECT_EQ(out, "a\tb 000\n");
}

std::string random_bytes(Random& random, std::size_t most) {
    std::string out(random.below(static_cast<std::uint32_t>(most) + 1), '\0');
    // Half of them from those that matter.
    constexpr std::string_view sharp = "\"\\\n\r\t\0 \x7f\x80\xc3\xa9\xe2\x82\xac\xff;=&?$%";
    for (char& c : out) {
        c = random.below(2) == 0 ? sharp[random.below(static_cast<std::uint32_t>(sharp.size()))]
                                 : static_cast<char>(random.below(256));
    }
    return out;
}

TEST(LineFormat, WhateverComesTextIsPrintableAndJsonIsJson) {
    const LineFormat text(
        access_log("\"$request\" \"$http_x\" \"$http_x\" \"$cookie_a\" \"$arg_a\" \"$host\" \"$path\" "
                   "\"$query\" \"$client_addr\" \"$request_id\" \"$http_cookie\""));
    const LineFormat json(access_log(json_of_all(), LogEscape::json));
    Random random(20261121);
    for (int round = 0; round < 3000; round++) {
        const auto make = [&] {
            auto head =
                head_with({{"X", random_bytes(random, 80)}, {"Cookie", "a=" + random_bytes(random, 40)}});
            head->target = random_bytes(random, 60) + "?a=" + random_bytes(random, 20);
            head->line = random_bytes(random, 200);
            head->head.target = head->target;
            head->head.line = head->line;
            head->head.bytes += head->target.size();
            return head;
        };
        Exchanged told;
        const std::string client = random_bytes(random, 40);
        told.request.client = client;
        const std::string line = line_of(text, make(), told);
        ASSERT_EQ(line.find('\n'), line.size() - 1);
        ASSERT_EQ(std::count(line.begin(), line.end(), '"'), 22) << line;
        for (const char c : line.substr(0, line.size() - 1)) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << line;
        const std::string object = line_of(json, make(), told);
        ASSERT_EQ(object.find('\n'), object.size() - 1);
        const auto parsed = nlohmann::json::parse(object, nullptr, false);
        ASSERT_TRUE(parsed.is_object()) << object;
        ASSERT_EQ(parsed.size(), std::size(config::variables)) << object;
    }
}

}  // namespace
}  // namespace lb
