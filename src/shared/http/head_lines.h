// shared/http/head_lines.h -- what request and response heads have in common: lines, fields, framing, the end.
// Rule:  a prefix is in error only if no continuation could make it a good head. So the pieces in which a head
//        arrives make no difference but for how early an error is seen.
// Never: copies; looks at a byte twice but to compare a name or judge a value. For the two parsers alone.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>

#include "shared/base/text.h"
#include "shared/http/chars.h"
#include "shared/http/field_values.h"
#include "shared/http/http1_parser.h"

namespace lb::http::head_lines {

// Up to this many bytes a head is parsed anew on each arrival, so that what is plainly no HTTP (a TLS hello,
// say) is refused at once even in pieces.
inline constexpr std::size_t early_bytes = 64;

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
inline constexpr Verdict ok{};
inline constexpr Verdict last{Outcome::last};
inline constexpr Verdict incomplete{Outcome::incomplete};
constexpr Verdict bad(const char* why) noexcept { return {Outcome::error, HeadError::bad_request, why}; }
constexpr Verdict bad(HeadError error, const char* why) noexcept { return {Outcome::error, error, why}; }

inline std::string_view between(const char* begin, const char* end) noexcept {
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

// Whether the bytes after `seen` could decide anything: the end of a line, or a byte that may stand in none. So a
// head is parsed at most once for each of its lines, of which there are few (HeadLimits::fields), and what is wrong
// with a line is known when it has ended. Looks at each byte once over all arrivals, a CR between two excepted.
inline bool worth_parsing(std::string_view bytes, std::size_t seen) noexcept {
    if (seen < early_bytes) return true;
    const char* end = bytes.data() + bytes.size();
    const char* from = bytes.data() + seen;
    const char* at = chars::skip_value(from[-1] == '\r' ? from - 1 : from, end);
    const bool lone_cr = at != end && *at == '\r' && at + 1 == end;
    return at != end && !lone_cr;
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

inline Verdict take_coding(FramingFields& framing, std::string_view value) noexcept {
    if (framing.has_coding) return bad("Transfer-Encoding twice");
    framing.has_coding = true;
    switch (parse_transfer_encoding(value)) {
        case Coding::chunked: return ok;
        case Coding::unknown: return bad(HeadError::not_implemented, "a transfer coding other than chunked");
        case Coding::bad: break;
    }
    return bad("bad Transfer-Encoding");
}

inline Verdict check_framing(const FramingFields& framing, std::uint8_t minor) noexcept {
    if (!framing.has_coding) return ok;
    if (framing.has_length) return bad("Content-Length and Transfer-Encoding together");
    if (minor == 0) return bad("Transfer-Encoding in HTTP/1.0");
    return ok;
}

// What both kinds of head end with. `whole` was already cut to the limit: no end within it is over the limit.
inline HeadResult finish(const Verdict& verdict, const Cursor& c, std::string_view whole,
                         const HeadLimits& limits, bool start_line_done) noexcept {
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

// "HTTP/1.1": exactly eight bytes, upper case, one digit on each side (RFC 9112 2.3). Of 1.x only 1.0
// differs.
inline Verdict take_version(Cursor& c, std::uint8_t& minor) noexcept {
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

}  // namespace lb::http::head_lines
