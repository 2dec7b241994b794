// shared/http/response_parser.cpp -- one pass from bytes to response heads.
// How:  the cursor goes over the head once, line by line; its end is where the empty line turns up, and is not
//       searched for beforehand. Each field is checked, split and, if lb cares for it, judged on the way.
// Never: see head_lines.h.

#include "shared/http/head_lines.h"

namespace lb::http {
namespace {

using namespace head_lines;  // NOLINT(google-build-using-namespace): the other half of this parser

// "HTTP/1.1 200" and the byte behind it: what every status line has.
constexpr std::size_t status_line_min = 13;

// A beginning too short to be judged in full: whether it can still become a status line. Otherwise a backend that sends
// "OK" and rests would be waited for.
Verdict begin_status_line(const Cursor& c) noexcept {
    constexpr std::string_view shape = "HTTP/1.# ^##";  // #: any digit, ^: the first one of a status
    static_assert(shape.size() + 1 == status_line_min);
    for (std::size_t i = 0; i < c.left(); i++) {
        const char byte = c.at[i];
        const bool fits = shape[i] == '#'   ? text::is_digit(byte)
                          : shape[i] == '^' ? byte >= '1' && byte <= '5'
                                            : byte == shape[i];
        if (!fits) return bad("bad status line");
    }
    return incomplete;
}

// RFC 9112 4. The blank before an empty reason may be missing, as it is with some servers.
Verdict take_status_line(Cursor& c, ResponseHead& head) noexcept {
    if (c.left() < status_line_min) return begin_status_line(c);
    Verdict verdict = take_version(c, head.minor);
    if (verdict.outcome != Outcome::ok) return verdict;
    const char* p = c.at;
    if (p[0] != ' ' || p[1] < '1' || p[1] > '5' || !text::is_digit(p[2]) || !text::is_digit(p[3])) {
        return bad("bad status line");
    }
    head.status = static_cast<std::uint16_t>((p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0'));
    p += 4;
    if (*p == ' ') {
        const char* reason = p + 1;
        p = chars::skip_value(reason, c.end);
        head.reason = between(reason, p);
    }
    c.at = p;
    return take_crlf(c, "bad status line");
}

struct ResponseFields {
    FramingFields framing;
    bool has_connection = false;
};

Verdict judge_response_field(Field& field, ResponseHead& head, ResponseFields& seen) noexcept {
    switch (field.id) {
        case FieldId::content_length: {
            // As many digits as 2^63-1 has: zeros in front beyond that are more than many recipients take, and it is
            // their reading of the length that counts.
            constexpr std::size_t digits_max = 19;
            const auto length = parse_content_length(field.value);
            if (!length || field.value.size() > digits_max) return bad("bad Content-Length");
            if (seen.framing.has_length) {
                if (seen.framing.length != *length) return bad("two different Content-Lengths");
                field.ends_here = true;
            }
            seen.framing.has_length = true;
            seen.framing.length = *length;
            return ok;
        }
        case FieldId::transfer_encoding: return take_coding(seen.framing, field.value);
        case FieldId::connection: seen.has_connection = true; return ok;
        case FieldId::keep_alive: head.keep_alive_timeout = parse_keep_alive_timeout(field.value); return ok;
        default: return ok;
    }
}

// RFC 9112 6.3. A body that may not be there, but was announced, might be sent all the same: such a
// connection is not used again, or the body would be taken for the next response.
void decide_response_body(ResponseHead& head, const FramingFields& framing, Method request) noexcept {
    const bool interim = head.status < 200;
    if (interim || head.status == 204) {
        if (framing.has_coding || framing.length > 0) head.keep_alive = false;
        for (Field& field : head.fields) {
            if (field.id == FieldId::content_length) field.ends_here = true;
        }
    } else if (head.status == 304) {
        if (framing.has_coding) head.keep_alive = false;
    } else if (request == Method::head) {
        return;
    } else if (framing.has_coding) {
        head.body.kind = BodyKind::chunked;
    } else if (!framing.has_length) {
        head.body.kind = BodyKind::until_close;
        head.keep_alive = false;
    } else if (framing.length > 0) {
        head.body = {BodyKind::length, framing.length};
    }
}

Verdict take_response_fields(Cursor& c, const HeadLimits& limits, Method request, ResponseHead& head) {
    ResponseFields seen;
    while (true) {
        FieldLine line;
        const Verdict taken = take_field(c, line);
        if (taken.outcome == Outcome::last) break;
        if (taken.outcome != Outcome::ok) return taken;
        if (head.fields.size() >= limits.fields) return bad("too many fields");
        Field& field =
            head.fields.emplace_back(Field{line.name, line.value, line.line, field_id(line.name), false});
        if (field.id == FieldId::other) continue;
        const Verdict verdict = judge_response_field(field, head, seen);
        if (verdict.outcome != Outcome::ok) return verdict;
    }
    const Verdict framing = check_framing(seen.framing, head.minor);
    if (framing.outcome != Outcome::ok) return framing;
    head.keep_alive = head.minor >= 1;
    if (seen.has_connection && !apply_connection(head.fields, head.minor, head.keep_alive)) {
        return bad("Connection names too many options");
    }
    decide_response_body(head, seen.framing, request);
    return last;
}

void clear(ResponseHead& head) noexcept {
    head.status = 0;
    head.reason = {};
    head.minor = 1;
    head.keep_alive = true;
    head.body = {};
    head.keep_alive_timeout = 0;
    head.fields.clear();
}

}  // namespace

HeadResult parse_response(std::string_view bytes, std::size_t seen, const HeadLimits& limits, Method request,
                          ResponseHead& head) {
    const std::string_view whole = bytes.substr(0, limits.bytes);
    if (whole.size() < limits.bytes && !worth_parsing(whole, seen)) return {};
    clear(head);
    Cursor c{whole.data(), whole.data() + whole.size()};
    Verdict verdict = take_status_line(c, head);
    if (verdict.outcome == Outcome::ok) verdict = take_response_fields(c, limits, request, head);
    HeadResult result = finish(verdict, c, whole, limits, true);
    // Which rule a backend broke does not change what its client hears (502); `why` tells the operator.
    if (result.state == State::error) result.error = HeadError::bad_response;
    return result;
}

}  // namespace lb::http
