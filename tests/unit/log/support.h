// One exchange as a worker knows it, and the formats of access logs.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "shared/config/model.h"
#include "worker/log/line_format.h"

namespace lb {

inline config::AccessLog access_log(std::string_view format,
                                    config::LogEscape escape = config::LogEscape::text) {
    config::AccessLog log;
    log.name = "main";
    log.escape = escape;
    auto parsed = config::parse_template(format, config::Known::end);
    EXPECT_TRUE(parsed.ok()) << (parsed.ok() ? "" : parsed.error());
    if (parsed.ok()) log.format = parsed.value();
    return log;
}

inline constexpr std::string_view combined =
    "$client_addr - - [$time_local] \"$request\" $status $body_bytes \"$http_referer\" \"$http_user_agent\"";

// The texts of the head are its own, so that they end with it.
struct Head {
    explicit Head(std::vector<std::pair<std::string, std::string>> named) : texts(std::move(named)) {
        head.method_text = "GET";
        head.target = target;
        head.host = "test";
        head.line = line;
        head.bytes = line.size() + 2;
        for (const auto& [name, value] : texts) {
            http::Field field;
            field.name = name;
            field.value = value;
            field.id = http::field_id(name);
            head.fields.push_back(field);
            head.bytes += name.size() + value.size() + 4;
        }
    }
    Head(const Head&) = delete;
    Head& operator=(const Head&) = delete;
    std::string target = "/x?a=1";
    std::string line = "GET /x?a=1 HTTP/1.1";
    std::vector<std::pair<std::string, std::string>> texts;
    http::RequestHead head;
};

struct Exchanged {
    RequestFacts request;
    AnswerFacts answer;
    EndFacts end;

    Exchanged() {
        request.client = "192.0.2.7";
        request.client_port = 4711;
        request.peer = "10.0.0.1";
        request.request_id = "id-1";
        request.listener = "web";
        request.route = "api";
        request.country = "DE";
        request.pid = 99;
        request.time_local = "21/Nov/2026:10:00:00 +0000";
        request.time_iso = "2026-11-21T10:00:00Z";
        request.unix_millis = 1795255200007;
        answer.status = 200;
        answer.backend_status = 200;
        answer.pool = "app";
        answer.backend = "a1";
        answer.backend_address = "10.0.1.11:8080";
        end.phase = "done";
        end.backends = "a0,a1";
        end.attempts = 2;
        end.bytes_sent = 300;
        end.body_bytes = 128;
        end.bytes_received = 90;
        end.total = 1'002'003;
        end.connect = 0;
    }
};

// Into a room of exactly the size that was promised.
inline std::string capture(const LineFormat& format, const RequestFacts& request,
                           std::string_view line = {}) {
    std::string room(format.capture_bound(request, line), '\0');
    http::Sink out(room.data(), room.size());
    format.capture_request(out, request, line);
    EXPECT_FALSE(out.overflow()) << "more than capture_bound()";
    room.resize(out.size());
    return room;
}

}  // namespace lb
