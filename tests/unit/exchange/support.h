// Requests and answers as the parsers leave them, and facts about them.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shared/config/template.h"
#include "shared/http/http1_parser.h"
#include "worker/exchange/edits.h"
#include "worker/variables/evaluate.h"

namespace lb {

// A request head with the bytes it points into. `lines`: field lines, each with its CRLF; Host is there already.
struct Request {
    explicit Request(const std::string& lines = "", const std::string& first = "GET /a?b HTTP/1.1")
        : text(first + "\r\nHost: x.test\r\n" + lines + "\r\n") {
        const auto result = http::parse_request(text, 0, {}, head);
        EXPECT_EQ(result.state, http::HeadResult::State::complete) << result.why << "\n" << text;
        facts.head = &head;
        facts.client = "192.0.2.7";
        facts.request_id = "id-1";
    }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;

    std::string text;
    http::RequestHead head;
    RequestFacts facts;
};

// The same of an answer to GET.
struct Answer {
    explicit Answer(const std::string& lines = "", const std::string& first = "HTTP/1.1 200 OK",
                    http::Method to = http::Method::get)
        : text(first + "\r\n" + lines + "\r\n") {
        const auto result = http::parse_response(text, 0, {}, to, head);
        EXPECT_EQ(result.state, http::HeadResult::State::complete) << result.why << "\n" << text;
        facts.status = facts.backend_status = head.status;
        facts.head = &head;
        facts.pool = "app";
    }
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;

    std::string text;
    http::ResponseHead head;
    AnswerFacts facts;
};

inline config::Template text_template(std::string_view source, config::Known latest = config::Known::response,
                                      unsigned captures = 0) {
    auto parsed = config::parse_template(source, latest, captures);
    EXPECT_TRUE(parsed.ok()) << source;
    return parsed.ok() ? std::move(parsed).value() : config::Template{};
}

inline config::Edit set_field(std::string name, std::string_view value) {
    return {config::EditKind::set, std::move(name), text_template(value)};
}
inline config::Edit add_field(std::string name, std::string_view value) {
    return {config::EditKind::add, std::move(name), text_template(value)};
}
inline config::Edit remove_field(std::string name) { return {config::EditKind::remove, std::move(name), {}}; }

// The fields of an answer that pass by these rules, and the lines added behind them.
inline std::string fields_sent(const http::ResponseHead& head, const stream::FieldRules& rules) {
    std::string out;
    for (const http::Field& field : head.fields) {
        if (rules.keep(field, rules.context)) out.append(field.line);
    }
    return out.append(rules.added);
}

}  // namespace lb
