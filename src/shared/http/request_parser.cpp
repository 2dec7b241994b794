// shared/http/request_parser.cpp -- one pass from bytes to request heads.
// How:  the cursor goes over the head once, line by line; its end is where the empty line turns up, and is not
//       searched for beforehand. Each field is checked, split and, if lb cares for it, judged on the way.
// Never: see head_lines.h.
#include <algorithm>
#include <cstring>

#include "shared/http/head_lines.h"

namespace lb::http {
namespace {

using namespace head_lines;  // NOLINT(google-build-using-namespace): the other half of this parser

// Longer than any registered method (RFC 9110 16.1 and its registry: 17 bytes). Without a bound an endless
// method would be a head error only after the whole limit.
constexpr std::size_t method_max = 32;
constexpr int empty_lines_max = 2;
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

static_assert(field_ids <= 64);
constexpr std::uint64_t bit(FieldId id) noexcept { return std::uint64_t{1} << static_cast<unsigned>(id); }

// Fields of which a request has one line at most (RFC 9110 5.3): they have one value, and what is done with the request
// hangs on it. Transfer-Encoding is a list, but the one list that is taken has one member. User-Agent and Referer are
// sent twice by some clients, and nothing hangs on them.
constexpr std::uint64_t single =
    bit(FieldId::host) | bit(FieldId::content_length) | bit(FieldId::transfer_encoding) |
    bit(FieldId::content_type) | bit(FieldId::content_range) | bit(FieldId::authorization) |
    bit(FieldId::proxy_authorization) | bit(FieldId::range) | bit(FieldId::if_range) |
    bit(FieldId::if_modified_since) | bit(FieldId::if_unmodified_since) | bit(FieldId::max_forwards);

const char* why_twice(FieldId id) noexcept {
    switch (id) {
        case FieldId::host: return "Host twice";
        case FieldId::content_length: return "Content-Length twice";
        case FieldId::transfer_encoding: return "Transfer-Encoding twice";
        case FieldId::content_type: return "Content-Type twice";
        case FieldId::content_range: return "Content-Range twice";
        case FieldId::authorization: return "Authorization twice";
        case FieldId::proxy_authorization: return "Proxy-Authorization twice";
        case FieldId::range: return "Range twice";
        case FieldId::if_range: return "If-Range twice";
        case FieldId::if_modified_since: return "If-Modified-Since twice";
        case FieldId::if_unmodified_since: return "If-Unmodified-Since twice";
        case FieldId::max_forwards: return "Max-Forwards twice";
        default: return "a field twice";
    }
}

// What the fields of a request say together.
struct RequestFields {
    FramingFields framing;
    std::uint64_t ids = 0;  // those that came
    [[nodiscard]] bool has(FieldId id) const noexcept { return (ids & bit(id)) != 0; }
};

Verdict judge_request_field(Field& field, RequestHead& head, RequestFields& seen) noexcept {
    if ((seen.ids & single & bit(field.id)) != 0) return bad(why_twice(field.id));
    seen.ids |= bit(field.id);
    switch (field.id) {
        case FieldId::host:
            if (!valid_authority(field.value)) return bad("bad Host");
            if (head.form == TargetForm::absolute) {
                field.value = head.host;  // for whatever looks at the field: there is one host, not two
            } else {
                head.host = field.value;
            }
            return ok;
        case FieldId::content_length: {
            const auto length = parse_content_length(field.value);
            if (!length) return bad("bad Content-Length");
            seen.framing.has_length = true;
            seen.framing.length = *length;
            return ok;
        }
        case FieldId::transfer_encoding: return take_coding(seen.framing, field.value);
        default: return ok;
    }
}

// Lists are read when the head is whole: while it arrives it is parsed anew at each line, and a list of thousands of members
// would cost as often as lines follow it.
bool asks_for_trailers(const RequestHead& head) noexcept {
    return head.minor >= 1 && std::any_of(head.fields.begin(), head.fields.end(), [](const Field& field) {
               return field.id == FieldId::te && list_has(field.value, "trailers");
           });
}

// Of all lines together.
Expectation expectation_of(const RequestHead& head) noexcept {
    auto found = Expectation::none;
    for (const Field& field : head.fields) {
        if (field.id != FieldId::expect) continue;
        const Expectation one = parse_expect(field.value);
        if (one == Expectation::other) return one;
        if (one == Expectation::proceed) found = one;
    }
    return found;
}

// RFC 9110 7.8. Without the option in Connection an Upgrade was not meant for us. A body in front of the tunnel is allowed,
// but rare (docker sends one), and a backend that switches before it has read it would take the rest for its own protocol.
std::string_view wanted_protocols(const RequestHead& head) noexcept {
    if (head.minor == 0 || head.body.kind != BodyKind::none) return {};
    const Field* only = nullptr;
    for (const Field& field : head.fields) {
        if (field.id != FieldId::upgrade) continue;
        if (only != nullptr || !field.ends_here) return {};
        only = &field;
    }
    return only != nullptr ? parse_upgrade(only->value) : std::string_view{};
}

Verdict finish_request(RequestHead& head, const RequestFields& seen) noexcept {
    if (!seen.has(FieldId::host) && head.minor >= 1) return bad("no Host");
    const Verdict framing = check_framing(seen.framing, head.minor);
    if (framing.outcome != Outcome::ok) return framing;
    if (seen.framing.has_coding) {
        head.body.kind = BodyKind::chunked;
    } else if (seen.framing.length > 0) {
        head.body = {BodyKind::length, seen.framing.length};
    }
    head.keep_alive = head.minor >= 1;
    if (seen.has(FieldId::connection) && !apply_connection(head.fields, head.minor, head.keep_alive)) {
        return bad("Connection names too many options");
    }
    if (seen.has(FieldId::upgrade)) head.upgrade = wanted_protocols(head);
    if (seen.has(FieldId::te)) head.te_trailers = asks_for_trailers(head);
    if (seen.has(FieldId::expect)) {
        // Behind all else: an error of the message itself comes first.
        if (expectation_of(head) != Expectation::proceed) {
            return bad(HeadError::expectation, "Expect other than 100-continue");
        }
        head.expect_continue = head.minor >= 1;  // RFC 9110 10.1.1: ignored in HTTP/1.0
    }
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
        Field& field = head.fields.emplace_back(Field{line.name, line.value, line.line, field_id(line.name),
                                                      (line.name_classes & chars::underscore) != 0});
        if (field.id == FieldId::other) continue;
        const Verdict verdict = judge_request_field(field, head, seen);
        if (verdict.outcome != Outcome::ok) return verdict;
    }
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

}  // namespace lb::http
