// shared/http/http1_parser.cpp -- one pass from bytes to heads.
// How:  the cursor goes over the head once, line by line; its end is where the empty line turns up, and is not
//       searched for beforehand. Each field is checked, split and, if lb cares for it, judged on the way.
// Rule: a prefix is in error only if no continuation could make it a good head. So the pieces in which a head
//       arrives make no difference but for how early an error is seen.
// Never: copies; looks at a byte twice but to compare a name or judge a value.
#include "shared/http/http1_parser.h"

#include <cstring>

#include "shared/base/text.h"
#include "shared/http/chars.h"
#include "shared/http/field_values.h"

namespace lb::http {
namespace {

// Longer than any registered method (RFC 9110 16.1 and its registry: 17 bytes). Without a bound an endless
// method would be a head error only after the whole limit.
constexpr std::size_t method_max = 32;
constexpr int empty_lines_max = 2;
// Up to this many bytes a head is parsed anew on each arrival, so that what is plainly no HTTP (a TLS hello,
// say) is refused at once even in pieces.
constexpr std::size_t early_bytes = 64;

using State = HeadResult::State;

struct Cursor {
    const char* at;
    const char* end;
    [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end - at); }
};

enum class Outcome : std::uint8_t { ok, last, incomplete, error };
struct Verdict {
    Outcome outcome = Outcome::ok;
    HeadError error = HeadError::none;
    const char* why = "";
};
constexpr Verdict ok{};
constexpr Verdict last{Outcome::last};
constexpr Verdict incomplete{Outcome::incomplete};
constexpr Verdict bad(const char* why) noexcept { return {Outcome::error, HeadError::bad_request, why}; }
constexpr Verdict bad(HeadError error, const char* why) noexcept { return {Outcome::error, error, why}; }

std::string_view between(const char* begin, const char* end) noexcept {
    return {begin, static_cast<std::size_t>(end - begin)};
}

// CRLF at the cursor, and past it. What else may be there is said by `why`.
[[gnu::always_inline]] inline Verdict take_crlf(Cursor& c, const char* why) noexcept {
    if (c.left() >= 2 && c.at[0] == '\r' && c.at[1] == '\n') {
        c.at += 2;
        return ok;
    }
    if (c.left() == 0) return incomplete;
    if (*c.at == '\n') return bad("a line ends with a bare LF");
    if (*c.at != '\r') return bad(why);
    return c.left() == 1 ? incomplete : bad("a CR without LF");
}

// Whether the bytes after `seen` could decide anything: an empty line that ends the head, or a bare LF, which
// is an error anywhere in it. Looks at each byte once over all arrivals, two of overlap excepted.
bool worth_parsing(std::string_view bytes, std::size_t seen) noexcept {
    if (seen < early_bytes) return true;
    for (std::size_t at = bytes.find('\n', seen - 2); at != std::string_view::npos;
         at = bytes.find('\n', at + 1)) {
        if (bytes[at - 1] != '\r') return true;
        if (bytes.substr(at + 1).starts_with("\r\n")) return true;
    }
    return false;
}

// One field line, or the empty line (Outcome::last). RFC 9112 5.
struct FieldLine {
    std::string_view name;
    std::string_view value;
    std::string_view line;
    std::uint8_t name_classes;  // of all bytes of the name, together
};
[[gnu::always_inline]] inline Verdict take_field(Cursor& c, FieldLine& out) noexcept {
    const char* begin = c.at;
    const char* p = begin;
    const char* end = c.end;
    unsigned together = 0;
    while (p < end) {
        const unsigned byte_class = chars::class_of(*p);
        if ((byte_class & chars::token) == 0) break;
        together |= byte_class;
        p++;
    }
    if (p == end) return incomplete;
    const char* name_end = p;
    if (*p != ':') {
        if (p != begin) {
            const bool blank = *p == ' ' || *p == '\t';
            return bad(blank ? "blank inside a field name or before its colon" : "a field name is no token");
        }
        if (*p == ' ' || *p == '\t') return bad("a line begins with a blank (folded field)");
        const Verdict empty_line = take_crlf(c, "a field name is no token");
        return empty_line.outcome == Outcome::ok ? last : empty_line;
    }
    if (p == begin) return bad("a field without a name");
    p++;
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    const char* value = p;
    p = chars::skip_value(p, end);
    const char* value_end = p;
    c.at = p;
    const Verdict line_end = take_crlf(c, "a control byte in a field value");
    if (line_end.outcome != Outcome::ok) return line_end;
    while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t')) value_end--;
    out.name = between(begin, name_end);
    out.value = between(value, value_end);
    out.line = between(begin, c.at);
    out.name_classes = static_cast<std::uint8_t>(together);
    return ok;
}

// Content-Length and Transfer-Encoding as they have been seen so far.
struct FramingFields {
    bool has_length = false;
    bool has_coding = false;
    std::uint64_t length = 0;
};

Verdict take_coding(FramingFields& framing, std::string_view value) noexcept {
    if (framing.has_coding) return bad("Transfer-Encoding twice");
    framing.has_coding = true;
    switch (parse_transfer_encoding(value)) {
        case Coding::chunked: return ok;
        case Coding::unknown: return bad(HeadError::not_implemented, "a transfer coding other than chunked");
        case Coding::bad: break;
    }
    return bad("bad Transfer-Encoding");
}

Verdict check_framing(const FramingFields& framing, std::uint8_t minor) noexcept {
    if (!framing.has_coding) return ok;
    if (framing.has_length) return bad("Content-Length and Transfer-Encoding together");
    if (minor == 0) return bad("Transfer-Encoding in HTTP/1.0");
    return ok;
}

// What both kinds of head end with. `whole` was already cut to the limit: no end within it is over the limit.
HeadResult finish(const Verdict& verdict, const Cursor& c, std::string_view whole, const HeadLimits& limits,
                  bool start_line_done) noexcept {
    switch (verdict.outcome) {
        case Outcome::ok:
        case Outcome::last:
            return {State::complete, HeadError::none, static_cast<std::size_t>(c.at - whole.data()), ""};
        case Outcome::error: return {State::error, verdict.error, 0, verdict.why};
        case Outcome::incomplete: break;
    }
    if (whole.size() < limits.bytes) return {};
    if (!start_line_done) return {State::error, HeadError::uri_too_long, 0, "the request line is too long"};
    return {State::error, HeadError::too_large, 0, "the head is too large"};
}

Method method_of(std::string_view text) noexcept {
    switch (text.size()) {
        case 3:
            if (text == "GET") return Method::get;
            if (text == "PUT") return Method::put;
            break;
        case 4:
            if (text == "POST") return Method::post;
            if (text == "HEAD") return Method::head;
            break;
        case 5:
            if (text == "PATCH") return Method::patch;
            if (text == "TRACE") return Method::trace;
            break;
        case 6:
            if (text == "DELETE") return Method::del;
            break;
        case 7:
            if (text == "OPTIONS") return Method::options;
            if (text == "CONNECT") return Method::connect;
            break;
        default: break;
    }
    return Method::other;
}

// "HTTP/1.1": exactly eight bytes, upper case, one digit on each side (RFC 9112 2.3). Of 1.x only 1.0
// differs.
Verdict take_version(Cursor& c, std::uint8_t& minor) noexcept {
    constexpr std::size_t length = 8;
    if (c.left() < length) return incomplete;
    if (std::memcmp(c.at, "HTTP/1.", 7) != 0) {
        const bool shaped = std::memcmp(c.at, "HTTP/", 5) == 0 && text::is_digit(c.at[5]) && c.at[6] == '.' &&
                            text::is_digit(c.at[7]);
        return shaped ? bad(HeadError::bad_version, "an HTTP version other than 1.x")
                      : bad("bad HTTP version");
    }
    if (!text::is_digit(c.at[7])) return bad("bad HTTP version");
    minor = c.at[7] == '0' ? 0 : 1;
    c.at += length;
    return ok;
}

// "http://HOST/PATH": the authority replaces Host, and what is forwarded is the rest (RFC
// 9112 3.2.1, 3.2.2, 3.2.4).
Verdict split_absolute(std::string_view target, RequestHead& head) noexcept {
    const std::size_t colon = target.find(':');
    const bool known =
        colon != std::string_view::npos && (text::equals_lower(target.substr(0, colon), "http") ||
                                            text::equals_lower(target.substr(0, colon), "https"));
    if (!known || !target.substr(colon + 1).starts_with("//"))
        return bad("the target is neither a path nor a URL");
    target.remove_prefix(colon + 3);
    const std::size_t path = target.find_first_of("/?");
    head.host = target.substr(0, path);
    if (!valid_authority(head.host)) return bad("bad host in the target");
    head.form = TargetForm::absolute;
    if (path == std::string_view::npos) {
        head.target = head.method == Method::options ? "*" : "/";
    } else {
        head.target = target.substr(path);
        head.target_needs_slash = head.target.front() == '?';
    }
    return ok;
}

// RFC 9112 3. On success the cursor stands at the first field line.
Verdict take_request_line(Cursor& c, RequestHead& head) noexcept {
    const char* begin = c.at;
    const char* stop = c.left() > method_max ? c.at + method_max + 1 : c.end;
    const char* method_end = chars::skip_by_table(c.at, stop, chars::token);
    if (method_end == stop) return c.left() > method_max ? bad("the method is too long") : incomplete;
    if (method_end == begin) return bad("the request line does not begin with a method");
    if (*method_end != ' ') return bad("the method is no token, or no single blank follows it");
    head.method_text = between(begin, method_end);
    head.method = method_of(head.method_text);
    if (head.method == Method::connect) return bad(HeadError::not_implemented, "CONNECT");

    const char* target_begin = method_end + 1;
    const char* target_end = chars::skip_target(target_begin, c.end);
    if (target_end == c.end) return incomplete;
    if (*target_end != ' ') return bad("a byte that no target can hold, or no version after it");
    if (target_end == target_begin) return bad("two blanks in the request line");
    const std::string_view target = between(target_begin, target_end);

    c.at = target_end + 1;
    Verdict verdict = take_version(c, head.minor);
    if (verdict.outcome != Outcome::ok) return verdict;
    const char* line_end = c.at;
    verdict = take_crlf(c, "bytes after the HTTP version");
    if (verdict.outcome != Outcome::ok) return verdict;
    head.line = between(begin, line_end);

    if (target.front() == '/') {
        head.target = target;
        return ok;
    }
    if (target == "*") {
        if (head.method != Method::options) return bad("the target '*' is for OPTIONS only");
        head.target = target;
        head.form = TargetForm::asterisk;
        return ok;
    }
    return split_absolute(target, head);
}

// What the fields of a request say together.
struct RequestFields {
    FramingFields framing;
    bool has_host = false;
    bool has_connection = false;
    bool has_upgrade = false;
};

Verdict judge_request_field(const Field& field, RequestHead& head, RequestFields& seen) noexcept {
    switch (field.id) {
        case FieldId::host:
            if (seen.has_host) return bad("Host twice");
            if (!valid_authority(field.value)) return bad("bad Host");
            seen.has_host = true;
            if (head.form != TargetForm::absolute) head.host = field.value;
            return ok;
        case FieldId::content_length: {
            // Even an equal second one: what a backend makes of two lines is not ours to know.
            if (seen.framing.has_length) return bad("Content-Length twice");
            const auto length = parse_content_length(field.value);
            if (!length) return bad("bad Content-Length");
            seen.framing.has_length = true;
            seen.framing.length = *length;
            return ok;
        }
        case FieldId::transfer_encoding: return take_coding(seen.framing, field.value);
        case FieldId::connection: seen.has_connection = true; return ok;
        case FieldId::upgrade: seen.has_upgrade = true; return ok;
        case FieldId::te:
            head.te_trailers = head.te_trailers || (head.minor >= 1 && list_has(field.value, "trailers"));
            return ok;
        case FieldId::expect:
            if (!text::equals_lower(field.value, "100-continue")) {
                return bad(HeadError::expectation, "Expect other than 100-continue");
            }
            head.expect_continue = head.minor >= 1;  // RFC 9110 10.1.1: ignored in HTTP/1.0
            return ok;
        default: return ok;
    }
}

// RFC 9110 7.8. Without the option in Connection an Upgrade was not meant for us. A body in front of the tunnel is allowed,
// but nobody sends one, and a backend that switches before it has read it would take the rest for its own protocol.
std::string_view wanted_protocols(const RequestHead& head) noexcept {
    if (head.minor == 0 || head.body.kind != BodyKind::none) return {};
    for (const Field& field : head.fields) {
        if (field.id == FieldId::upgrade)
            return field.ends_here ? parse_upgrade(field.value) : std::string_view{};
    }
    return {};
}

Verdict finish_request(RequestHead& head, const RequestFields& seen) noexcept {
    if (!seen.has_host && head.minor >= 1) return bad("no Host");
    const Verdict framing = check_framing(seen.framing, head.minor);
    if (framing.outcome != Outcome::ok) return framing;
    if (seen.framing.has_coding) {
        head.body.kind = BodyKind::chunked;
    } else if (seen.framing.length > 0) {
        head.body = {BodyKind::length, seen.framing.length};
    }
    head.keep_alive = head.minor >= 1;
    if (seen.has_connection && !apply_connection(head.fields, head.minor, head.keep_alive)) {
        return bad("Connection names too many options");
    }
    if (seen.has_upgrade) head.upgrade = wanted_protocols(head);
    return last;
}

Verdict take_request_fields(Cursor& c, const HeadLimits& limits, RequestHead& head) {
    RequestFields seen;
    while (true) {
        FieldLine line;
        const Verdict taken = take_field(c, line);
        if (taken.outcome == Outcome::last) return finish_request(head, seen);
        if (taken.outcome != Outcome::ok) return taken;
        if (head.fields.size() >= limits.fields) return bad(HeadError::too_large, "too many fields");
        const Field& field =
            head.fields.emplace_back(Field{line.name, line.value, line.line, field_id(line.name),
                                           (line.name_classes & chars::underscore) != 0});
        if (field.id == FieldId::other) continue;
        const Verdict verdict = judge_request_field(field, head, seen);
        if (verdict.outcome != Outcome::ok) return verdict;
    }
}

// RFC 9112 4. The blank before an empty reason may be missing, as it is with some servers.
Verdict take_status_line(Cursor& c, ResponseHead& head) noexcept {
    Verdict verdict = take_version(c, head.minor);
    if (verdict.outcome != Outcome::ok) return verdict;
    if (c.left() < 5) return incomplete;  // blank, three digits, and what follows them
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
            const auto length = parse_content_length(field.value);
            if (!length) return bad("bad Content-Length");
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

void clear(RequestHead& head) noexcept {
    head.method = Method::other;
    head.method_text = head.target = head.host = head.line = {};
    head.bytes = 0;
    head.target_needs_slash = false;
    head.form = TargetForm::origin;
    head.minor = 1;
    head.keep_alive = true;
    head.expect_continue = head.te_trailers = false;
    head.upgrade = {};
    head.body = {};
    head.fields.clear();
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

HeadResult parse_request(std::string_view bytes, std::size_t seen, const HeadLimits& limits,
                         RequestHead& head) {
    const std::string_view whole = bytes.substr(0, limits.bytes);
    if (whole.size() < limits.bytes && !worth_parsing(whole, seen)) return {};
    clear(head);
    Cursor c{whole.data(), whole.data() + whole.size()};
    Verdict verdict = ok;
    for (int lines = 0; c.left() > 0 && (*c.at == '\r' || *c.at == '\n'); lines++) {
        verdict = lines < empty_lines_max ? take_crlf(c, "") : bad("too many empty lines before the request");
        if (verdict.outcome != Outcome::ok) return finish(verdict, c, whole, limits, false);
    }
    verdict = take_request_line(c, head);
    if (verdict.outcome != Outcome::ok) return finish(verdict, c, whole, limits, false);
    const HeadResult result = finish(take_request_fields(c, limits, head), c, whole, limits, true);
    head.bytes = result.consumed;
    return result;
}

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
