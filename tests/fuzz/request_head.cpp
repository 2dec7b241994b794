// tests/fuzz/request_head.cpp -- any bytes as a request head. See head_checks.h for what must hold.
#include <cstdint>

#include "head_checks.h"

namespace lb::fuzz {
namespace {

using http::BodyKind;
using http::FieldId;
using http::HeadLimits;
using http::HeadResult;
using http::Method;
using http::RequestHead;
using State = HeadResult::State;

void check_complete(std::string_view bytes, const HeadResult& result, const RequestHead& head) {
    require(result.consumed <= bytes.size() && result.error == http::HeadError::none,
            "a complete result is sound");
    require(head.bytes == result.consumed, "the head knows its size");
    std::string_view used = bytes.substr(0, result.consumed);
    while (used.starts_with("\r\n")) used.remove_prefix(2);
    require(result.consumed - used.size() <= 4, "at most two empty lines before it");

    check_fields(used, head.fields);
    require(head.line.data() == used.data() && used.substr(head.line.size()).starts_with("\r\n"),
            "the line is the line");
    require(inside(head.method_text, head.line) && head.line.starts_with(head.method_text),
            "the method begins the line");
    require(std::count(head.line.begin(), head.line.end(), ' ') == 2, "two blanks in the line");
    require(!head.target.empty(), "a target is never empty");
    require(inside(head.target, head.line) || head.target == "/" || head.target == "*",
            "the target is in the line");
    const char first = head.target.front();
    require(head.target_needs_slash ? first == '?' : first == '/' || head.target == "*",
            "the target is a path");
    require(head.target != "*" || head.method == Method::options, "'*' is for OPTIONS");
    require(head.target.find('#') == std::string_view::npos, "no fragment");
    require(head.method != Method::connect, "CONNECT is refused");
    require(
        head.host.empty() ? head.minor == 0 : head.host.find_first_of(" /@,?#\\") == std::string_view::npos,
        "a host is a host");
    require(head.host.empty() || inside(head.host, used), "the host is in the head");
    require(count(head.fields, FieldId::host) + (head.minor == 0 ? 1 : 0) >= 1, "1.1 has a Host");
    require(count(head.fields, FieldId::host) <= 1, "one Host at most");

    const std::size_t lengths = count(head.fields, FieldId::content_length);
    for (const FieldId once :
         {FieldId::content_type, FieldId::authorization, FieldId::proxy_authorization, FieldId::content_range,
          FieldId::range, FieldId::if_range, FieldId::max_forwards, FieldId::if_modified_since,
          FieldId::if_unmodified_since})
        require(count(head.fields, once) <= 1, "what has one value came once");
    const std::size_t codings = count(head.fields, FieldId::transfer_encoding);
    require(lengths + codings <= 1, "one field says where the body ends");
    require((head.body.kind == BodyKind::chunked) == (codings == 1), "chunked exactly when it was said");
    require(head.body.kind != BodyKind::until_close, "no request ends by close");
    require((head.body.kind == BodyKind::length) == (head.body.length > 0), "a length is above 0");
    require(head.body.kind != BodyKind::chunked || head.minor == 1, "no chunked in 1.0");
    if (!head.upgrade.empty()) {
        require(inside(head.upgrade, used) && count(head.fields, FieldId::upgrade) == 1,
                "an upgrade was asked for");
        require(head.minor == 1 && head.body.kind == BodyKind::none, "where it may be");
        require(head.upgrade.find("h2c") == std::string_view::npos || head.upgrade.size() > 3,
                "and never to h2c");
        require(std::all_of(head.upgrade.begin(), head.upgrade.end(),
                            [](char c) {
                                return token_byte(c) ||
                                       std::string_view("/, \t").find(c) != std::string_view::npos;
                            }),
                "by names alone");
    }
    for (const http::Field& field : head.fields) {
        const bool vital = field.id == FieldId::content_length || field.id == FieldId::transfer_encoding ||
                           field.id == FieldId::host || field.id == FieldId::x_forwarded_for;
        require(!(vital && field.ends_here), "Connection cannot name what others rely on");
        if (field.name.find('_') != std::string_view::npos) require(field.ends_here, "underscores end here");
    }
}

bool same(const RequestHead& a, const RequestHead& b) {
    return a.method == b.method && a.method_text == b.method_text && a.target == b.target &&
           a.target_needs_slash == b.target_needs_slash && a.host == b.host && a.line == b.line &&
           a.form == b.form && a.minor == b.minor && a.keep_alive == b.keep_alive &&
           a.expect_continue == b.expect_continue && a.te_trailers == b.te_trailers &&
           a.upgrade == b.upgrade && a.body.kind == b.body.kind && a.body.length == b.body.length &&
           same_fields(a.fields, b.fields);
}

// Cuts at places that the bytes themselves decide, in the first bytes as far behind them. Once the head has ended, or is
// in error whatever comes, the verdict is that of the whole and for the same reason; and it is known by the end of the
// line that is wrong.
void check_cuts(std::string_view bytes, const HeadLimits& limits, const HeadResult& whole) {
    const std::string ended = std::string(bytes) + (whole.state == State::error ? "\r\n\r\n" : "");
    for (std::uint32_t round = 0; round < 3; round++) {
        std::uint32_t random = round + 1;
        for (const char c : bytes) random = (random ^ static_cast<unsigned char>(c)) * 16777619U;
        RequestHead head;
        HeadResult result;
        std::size_t seen = 0;
        while (result.state == State::incomplete && seen < ended.size()) {
            random = random * 1664525U + 1013904223U;
            const std::size_t size =
                std::min(ended.size(), seen + 1 + (random >> 16) % (1U << (2 * round + 1)));
            const Exact prefix(std::string_view(ended).substr(0, size));
            result = parse_request(prefix.view(), seen, limits, head);
            seen = size;
            if (result.state == State::incomplete && prefix.view().ends_with('\n')) {
                RequestHead fresh;
                require(parse_request(prefix.view(), 0, limits, fresh).state == State::incomplete,
                        "at the end of a line its error is known");
            }
        }
        require(result.state == whole.state && result.error == whole.error, "any cut gives the same verdict");
        require(std::string_view(result.why) == whole.why, "for the same reason");
        require(result.consumed == whole.consumed, "and the same size");
    }
}

void check(std::string_view bytes, const HeadLimits& limits) {
    RequestHead head;
    const HeadResult whole = parse_request(bytes, 0, limits, head);
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{61}}) {
        RequestHead other;
        check_pieces(whole, in_pieces(bytes, step, [&](std::string_view prefix, std::size_t seen) {
                         return parse_request(prefix, seen, limits, other);
                     }));
        if (whole.state == State::complete) require(same(head, other), "pieces give the same head");
    }
    check_cuts(bytes, limits, whole);
    RequestHead other;
    if (whole.state == State::complete) {
        require(whole.consumed <= limits.bytes && head.fields.size() <= limits.fields, "limits hold");
        check_complete(bytes, whole, head);
        const Exact exact(bytes.substr(0, whole.consumed));
        require(parse_request(exact.view(), 0, limits, other).state == State::complete,
                "what follows does not matter");
        require(same(head, other), "what follows does not matter");
        const Exact short_by_one(bytes.substr(0, whole.consumed - 1));
        require(parse_request(short_by_one.view(), 0, limits, other).state == State::incomplete,
                "no head ends early");
    } else if (whole.state == State::error) {
        require(whole.error != http::HeadError::none && whole.why[0] != '\0', "an error says what it is");
        for (const std::string_view more : {"\r\n\r\n", " HTTP/1.1\r\nHost: a\r\n\r\n", "a: b\r\n\r\n"}) {
            const Exact longer(std::string(bytes) + std::string(more));
            require(parse_request(longer.view(), 0, limits, other).state == State::error,
                    "nothing mends an error");
        }
    } else {
        require(bytes.size() < limits.bytes, "a full buffer is never incomplete");
    }
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const lb::fuzz::Exact input({reinterpret_cast<const char*>(data), size});
    lb::fuzz::check(input.view(), {});
    lb::fuzz::check(input.view(), {96, 3});
    return 0;
}
