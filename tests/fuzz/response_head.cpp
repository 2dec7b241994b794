// tests/fuzz/response_head.cpp -- any bytes as a response head. See head_checks.h for what must hold.
#include <cstdint>

#include "head_checks.h"

namespace lb::fuzz {
namespace {

using http::BodyKind;
using http::FieldId;
using http::HeadLimits;
using http::HeadResult;
using http::Method;
using http::ResponseHead;
using State = HeadResult::State;

void check_complete(std::string_view bytes, const HeadResult& result, Method request,
                    const ResponseHead& head) {
    require(result.consumed <= bytes.size() && result.error == http::HeadError::none,
            "a complete result is sound");
    const std::string_view used = bytes.substr(0, result.consumed);
    check_fields(used, head.fields);
    require(used.starts_with("HTTP/1."), "a status line begins the head");
    require(head.status >= 100 && head.status <= 599, "a status has a class");
    require(used.substr(9, 3) == std::to_string(head.status), "the status is the one that was sent");
    require(head.reason.empty() || inside(head.reason, used), "the reason is in the head");

    const std::size_t lengths = count(head.fields, FieldId::content_length);
    const std::size_t codings = count(head.fields, FieldId::transfer_encoding);
    require(lengths == 0 || codings == 0, "one kind of field says where the body ends");
    require(codings <= 1, "one coding");
    const bool bodiless =
        request == Method::head || head.status < 200 || head.status == 204 || head.status == 304;
    require(!bodiless || head.body.kind == BodyKind::none, "no body where none can be");
    require((head.body.kind == BodyKind::chunked) == (codings == 1 && !bodiless),
            "chunked exactly when it was said");
    require((head.body.kind == BodyKind::length) == (head.body.length > 0), "a length is above 0");
    require((head.body.kind == BodyKind::until_close) == (!bodiless && lengths + codings == 0),
            "else by close");
    require(head.body.kind != BodyKind::until_close || !head.keep_alive,
            "a body by close ends the connection");
    std::size_t forwarded_lengths = 0;
    for (const http::Field& field : head.fields) {
        if (field.id == FieldId::content_length && !field.ends_here) forwarded_lengths++;
    }
    const bool forbidden = head.status < 200 || head.status == 204;
    require(forwarded_lengths == (lengths > 0 && !forbidden ? 1 : 0), "a length is forwarded once");
}

bool same(const ResponseHead& a, const ResponseHead& b) {
    return a.status == b.status && a.reason == b.reason && a.minor == b.minor &&
           a.keep_alive == b.keep_alive && a.body.kind == b.body.kind && a.body.length == b.body.length &&
           a.keep_alive_timeout == b.keep_alive_timeout && same_fields(a.fields, b.fields);
}

void check(std::string_view bytes, const HeadLimits& limits, Method request) {
    ResponseHead head;
    const HeadResult whole = parse_response(bytes, 0, limits, request, head);
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{61}}) {
        ResponseHead other;
        check_pieces(whole, in_pieces(bytes, step, [&](std::string_view prefix, std::size_t seen) {
                         return parse_response(prefix, seen, limits, request, other);
                     }));
        if (whole.state == State::complete) require(same(head, other), "pieces give the same head");
    }
    ResponseHead other;
    if (whole.state == State::complete) {
        require(whole.consumed <= limits.bytes && head.fields.size() <= limits.fields, "limits hold");
        check_complete(bytes, whole, request, head);
        const Exact exact(bytes.substr(0, whole.consumed));
        require(parse_response(exact.view(), 0, limits, request, other).state == State::complete &&
                    same(head, other),
                "what follows does not matter");
        const Exact short_by_one(bytes.substr(0, whole.consumed - 1));
        require(parse_response(short_by_one.view(), 0, limits, request, other).state == State::incomplete,
                "no head ends early");
    } else if (whole.state == State::error) {
        require(whole.error == http::HeadError::bad_response && whole.why[0] != '\0',
                "an error says what it is");
        for (const std::string_view more : {"\r\n\r\n", " 200 OK\r\n\r\n", "a: b\r\n\r\n"}) {
            const Exact longer(std::string(bytes) + std::string(more));
            require(parse_response(longer.view(), 0, limits, request, other).state == State::error,
                    "nothing mends an error");
        }
    } else {
        require(bytes.size() < limits.bytes, "a full buffer is never incomplete");
        constexpr std::string_view shortest = "HTTP/1.1 200\r\n\r\n";
        if (bytes.size() <= shortest.find('\r')) {
            const Exact longer(std::string(bytes) + std::string(shortest.substr(bytes.size())));
            require(parse_response(longer.view(), 0, limits, request, other).state == State::complete,
                    "what is waited for can still become a status line");
        }
    }
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const lb::fuzz::Exact input({reinterpret_cast<const char*>(data), size});
    for (const auto request : {lb::http::Method::get, lb::http::Method::head}) {
        lb::fuzz::check(input.view(), {}, request);
        lb::fuzz::check(input.view(), {96, 3}, request);
    }
    return 0;
}
