// tests/fuzz/differences.h -- where lb and llhttp may disagree: the whole list, each entry with a name and a predicate. The page
// doc/HTTP1.md explains each name ("Differences from llhttp"); tests/fuzz/differences_test.cpp compares the two, and wants a
// seed for each.
// Never: a predicate that holds wherever the parsers differ, or that asks lb's parser. What lb alone refuses is named by the
//        rule that lb says was broken, and the rule is stated here once more, so that no wrong refusal hides behind it.
#pragma once
#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "llhttp.h"
#include "message.h"
#include "shared/base/text.h"

namespace lb::fuzz {

enum class Aspect : std::uint8_t {
    head,
    body,
    method,
    target,
    status,
    fields,
    framing,
    keep_alive,
    upgrade,
    trailers
};

struct Disagreement {
    Aspect aspect;
    bool response;
    std::string_view bytes;  // of the message and what follows it
    const Message& lb;
    const Message& llhttp;
    bool no_body = false;  // of a response to HEAD
};

struct Difference {
    std::string_view name;
    std::string_view why;  // lb refused the head and said so; empty: it is told by the message alone
    bool (*holds)(const Disagreement&);
};

namespace differences {

inline bool has_field(const Message& message, std::string_view name) {
    return std::any_of(message.fields.begin(), message.fields.end(),
                       [&](const auto& field) { return text::equals_lower(field.first, name); });
}

// Elements of all Connection fields, in lower case.
inline std::vector<std::string> options(const Message& message) {
    std::vector<std::string> out;
    for (const auto& [name, value] : message.fields) {
        if (!text::equals_lower(name, "connection")) continue;
        for (std::size_t at = 0; at <= value.size();) {
            const std::size_t comma = std::min(value.find(',', at), value.size());
            std::string& option =
                out.emplace_back(trim_blanks(std::string_view(value).substr(at, comma - at)));
            std::transform(option.begin(), option.end(), option.begin(), text::lower);
            at = comma + 1;
        }
    }
    return out;
}
inline bool names(const Message& message, std::string_view option) {
    const auto all = options(message);
    return std::find(all.begin(), all.end(), option) != all.end();
}

// The start line, behind whatever a parser may skip before it.
inline std::string_view first_line(std::string_view bytes) {
    bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
    return bytes.substr(0, bytes.find_first_of("\r\n"));
}
inline std::string_view version(const Disagreement& it) {
    const std::string_view line = first_line(it.bytes);
    return it.response ? line.substr(0, 8) : line.substr(line.size() - std::min<std::size_t>(line.size(), 8));
}

inline std::string lowered(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), text::lower);
    return out;
}

// The values of all fields of that name, as llhttp read them: lb refused the head, or may have read it wrong.
inline std::vector<std::string> values(const Disagreement& it, std::string_view name) {
    std::vector<std::string> out;
    for (const auto& [field, value] : it.llhttp.fields) {
        if (lowered(field) == name) out.push_back(value);
    }
    return out;
}

// -- rules, said once more

inline bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), token_byte);
}

// Members of a list, in lower case, empty ones too (RFC 9110 5.6.1).
inline std::vector<std::string> members(std::string_view list) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at <= list.size();) {
        const std::size_t comma = std::min(list.find(',', at), list.size());
        out.push_back(lowered(trim_blanks(list.substr(at, comma - at))));
        at = comma + 1;
    }
    return out;
}

// A name of unreserved bytes or an IPv6 address in brackets, then perhaps a port (RFC 9110 7.2, RFC 3986 3.2.2).
inline bool good_authority(std::string_view text) {
    std::size_t end = 0;
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) return false;
        in6_addr address;
        if (inet_pton(AF_INET6, std::string(text.substr(1, close - 1)).c_str(), &address) != 1) return false;
        end = close + 1;
    } else {
        while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 ||
                                     std::string_view("-._~").find(text[end]) != std::string_view::npos))
            end++;
        if (end == 0 || end > 255) return false;
    }
    if (end == text.size()) return true;
    const std::string_view port = text.substr(end + 1);
    return text[end] == ':' && port.size() <= 5 &&
           port.find_first_not_of("0123456789") == std::string_view::npos &&
           (port.empty() || std::stoul(std::string(port)) <= 65535);
}

// The authority of "http://..." and "https://...", or nothing.
inline std::optional<std::string_view> authority(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (lowered(target.substr(0, scheme.size())) != scheme) continue;
        target.remove_prefix(scheme.size());
        return target.substr(0, target.find_first_of("/?"));
    }
    return std::nullopt;
}

// Digits, of a number up to 2^63-1.
inline bool good_length(std::string_view text, bool response) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return false;
    if (response && text.size() > 19) return false;
    text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
    constexpr std::string_view most = "9223372036854775807";
    return text.size() < most.size() || (text.size() == most.size() && text <= most);
}

// What stands behind the size in the line of a chunk (RFC 9112 7.1.1). A quoted string is made one byte first, so that what
// is in it separates nothing.
inline bool good_extensions(std::string_view text) {
    constexpr char quoted = '\1';
    std::string line;
    for (std::size_t at = 0; at < text.size(); at++) {
        if (text[at] == quoted) return false;
        if (text[at] != '"') {
            line += text[at];
            continue;
        }
        for (at++; at < text.size() && text[at] != '"'; at++) {
            if (text[at] == '\\') at++;
            const auto byte = static_cast<unsigned char>(at < text.size() ? text[at] : '\0');
            if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
        }
        if (at >= text.size()) return false;
        line += quoted;
    }
    if (line.empty()) return true;
    const std::size_t first = line.find(';');
    if (first == std::string::npos || !trim_blanks(line.substr(0, first)).empty()) return false;
    if (line.back() == ' ' || line.back() == '\t') return false;
    for (std::size_t at = first + 1; at <= line.size();) {
        const std::size_t end = std::min(line.find(';', at), line.size());
        const std::string_view one = std::string_view(line).substr(at, end - at);
        const std::size_t equals = one.find('=');
        if (!is_token(trim_blanks(one.substr(0, equals)))) return false;
        if (equals != std::string_view::npos) {
            const std::string_view value = trim_blanks(one.substr(equals + 1));
            if (!is_token(value) && value != std::string_view(&quoted, 1)) return false;
        }
        at = end + 1;
    }
    return true;
}

struct Chunks {
    bool good = false;               // a whole body by RFC 9112 7.1, within lb's bounds
    bool unusual_extension = false;  // one with a blank or a quoted string
};
// Reads by lines; lb's decoder does so by bytes.
inline Chunks read_chunks(std::string_view rest) {
    Chunks out;
    std::size_t extensions = 0;
    const auto line = [&](std::string_view& one) {
        const std::size_t end = rest.find("\r\n");
        if (end == std::string_view::npos) return false;
        one = rest.substr(0, end);
        rest.remove_prefix(end + 2);
        return true;
    };
    std::string_view one;
    while (true) {
        if (!line(one)) return out;
        const std::size_t digits = std::min(one.find_first_not_of("0123456789abcdefABCDEF"), one.size());
        if (digits == 0 || digits > 16 || (digits == 16 && one[0] > '7')) return out;
        const std::string_view extension = one.substr(digits);
        extensions += extension.size();
        if (!good_extensions(extension) || extension.size() > 4096 || extensions > 65536) return out;
        if (extension.find_first_of(" \t\"") != std::string_view::npos) out.unusual_extension = true;
        const std::uint64_t size = std::stoull(std::string(one.substr(0, digits)), nullptr, 16);
        if (size == 0) break;
        if (rest.size() < 2 || rest.size() - 2 < size || rest.substr(size, 2) != "\r\n") return out;
        rest.remove_prefix(size + 2);
    }
    for (std::size_t trailers = 0; line(one); trailers += one.size() + 2) {
        if (one.empty()) {
            out.good = trailers <= 8192;
            return out;
        }
        const std::size_t colon = one.find(':');
        if (colon == std::string_view::npos || !is_token(one.substr(0, colon))) return out;
        if (std::any_of(one.begin(), one.end(), [](char c) {
                return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
            }))
            return out;
    }
    return out;
}
inline std::string_view body_of(const Disagreement& it) { return it.bytes.substr(it.lb.head_bytes); }

// -- what lb alone takes

inline bool lb_alone_takes(const Disagreement& it, Aspect aspect, std::string_view why) {
    const bool head = aspect == Aspect::head;
    return it.aspect == aspect && (head ? it.lb.head : it.lb.body) == Outcome::accepted &&
           (head ? it.llhttp.head : it.llhttp.body) == Outcome::refused && it.llhttp.why.starts_with(why);
}

// llhttp has a list of methods and refuses all others. SOURCE is on it, for another protocol.
inline bool known_method(std::string_view method) {
    static constexpr std::string_view names[] = {
#define NAME(number, name, string) #string,
        HTTP_METHOD_MAP(NAME)
#undef NAME
    };
    return method != "SOURCE" && std::find(std::begin(names), std::end(names), method) != std::end(names);
}
// Of this and the next one: with a method and a version that llhttp knows, the parsers must agree (compare.h).
inline bool other_method(const Disagreement& it) {
    const std::string_view line = first_line(it.bytes);
    const std::string_view method = line.substr(0, line.find(' '));
    return !it.response && lb_alone_takes(it, Aspect::head, "") && is_token(method) && !known_method(method);
}
inline bool later_minor(const Disagreement& it) {
    return lb_alone_takes(it, Aspect::head, "HPE_INVALID_VERSION") && version(it) > "HTTP/1.1" &&
           version(it) <= "HTTP/1.9";
}
inline bool equal_lengths(const Disagreement& it) {
    if (!it.response || !lb_alone_takes(it, Aspect::head, "HPE_UNEXPECTED_CONTENT_LENGTH: Duplicate"))
        return false;
    std::set<std::string> lengths;
    for (const auto& [name, value] : it.lb.fields) {
        if (lowered(name) != "content-length") continue;
        if (!good_length(value, true)) return false;
        lengths.insert(value.substr(std::min(value.find_first_not_of('0'), value.size())));
    }
    return lengths.size() == 1;
}
inline bool framing_in_trailers(const Disagreement& it) {
    return (lb_alone_takes(it, Aspect::body, "HPE_INVALID_TRANSFER_ENCODING") ||
            lb_alone_takes(it, Aspect::body, "HPE_UNEXPECTED_CONTENT_LENGTH") ||
            lb_alone_takes(it, Aspect::body, "HPE_INVALID_CONTENT_LENGTH")) &&
           std::any_of(it.lb.trailers.begin(), it.lb.trailers.end(), [](const auto& field) {
               return text::equals_lower(field.first, "transfer-encoding") ||
                      text::equals_lower(field.first, "content-length");
           });
}
inline bool unusual_extension(const Disagreement& it) {
    if (!lb_alone_takes(it, Aspect::body, "HPE_INVALID_CHUNK_SIZE") &&
        !lb_alone_takes(it, Aspect::body, "HPE_STRICT: Invalid character in chunk ext"))
        return false;
    const Chunks chunks = read_chunks(body_of(it));
    return chunks.good && chunks.unusual_extension;
}

// A blank around a value is no part of it, be it a space or a tab (RFC 9110 5.5, 5.6.3). llhttp knows spaces alone there, in
// the fields that it reads itself.
inline bool tab_behind(const Disagreement& it) {
    const auto has_tab = [&](std::string_view wanted) {
        std::string_view rest = it.bytes.substr(0, it.lb.head_bytes);
        for (std::size_t end = rest.find("\r\n"); end != std::string_view::npos; end = rest.find("\r\n")) {
            const std::string_view line = rest.substr(0, end);
            rest.remove_prefix(end + 2);
            const std::size_t colon = line.find(':');
            if (colon != std::string_view::npos && lowered(line.substr(0, colon)) == wanted &&
                line.find('\t', colon) != std::string_view::npos)
                return true;
        }
        return false;
    };
    if (it.aspect == Aspect::head)
        return (lb_alone_takes(it, Aspect::head, "HPE_INVALID_CONTENT_LENGTH") &&
                has_tab("content-length")) ||
               (lb_alone_takes(it, Aspect::head, "HPE_INVALID_TRANSFER_ENCODING") &&
                has_tab("transfer-encoding"));
    const bool connection = it.aspect == Aspect::keep_alive || it.aspect == Aspect::upgrade;
    if (connection && has_tab("connection")) return true;
    // Of an answer with a coding that llhttp takes for another, the body ends with the connection.
    const bool coding = it.aspect == Aspect::framing || it.aspect == Aspect::keep_alive;
    return coding && it.response && has_tab("transfer-encoding");
}

// -- what lb alone refuses

inline bool chunk_refused(const Disagreement& it) {
    return it.aspect == Aspect::body && it.lb.body == Outcome::refused &&
           it.llhttp.body == Outcome::accepted && !read_chunks(body_of(it)).good;
}
inline bool empty_line_before_status(const Disagreement& it) {
    return it.response && it.aspect == Aspect::head && it.lb.head == Outcome::refused &&
           (it.bytes.front() == '\r' || it.bytes.front() == '\n');
}
inline bool lone_cr_before_line(const Disagreement& it) {
    const std::size_t line = it.bytes.find_first_not_of("\r\n");
    for (std::size_t at = 0; at < std::min(line, it.bytes.size()); at += 2) {
        if (it.bytes.substr(at, 2) != "\r\n") return !it.response;
    }
    return false;
}
inline bool blanks_in_line(const Disagreement& it) {
    const bool said = it.lb.why == "two blanks in the request line" || it.lb.why == "bad HTTP version" ||
                      it.lb.why == "bytes after the HTTP version";
    return !it.response && it.aspect == Aspect::head && it.lb.head == Outcome::refused && said &&
           first_line(it.bytes).find("  ") != std::string_view::npos;
}

inline bool no_host(const Disagreement& it) {
    return values(it, "host").empty() && version(it) != "HTTP/1.0";
}
inline bool bad_host(const Disagreement& it) {
    const auto all = values(it, "host");
    return std::any_of(all.begin(), all.end(), [](const auto& value) { return !good_authority(value); });
}
inline bool field_twice(const Disagreement& it) {
    static constexpr std::string_view single[] = {
        "host",          "content-length",    "transfer-encoding",   "content-type",
        "content-range", "authorization",     "proxy-authorization", "range",
        "if-range",      "if-modified-since", "max-forwards",        "if-unmodified-since"};
    return std::any_of(std::begin(single), std::end(single),
                       [&](std::string_view name) { return values(it, name).size() > 1; });
}
inline bool bad_host_in_target(const Disagreement& it) {
    const auto host = authority(it.llhttp.target);
    return host && !good_authority(*host);
}
inline bool odd_target(const Disagreement& it) {
    const std::string& target = it.llhttp.target;
    return !target.starts_with('/') && target != "*" && !authority(target);
}
inline bool asterisk(const Disagreement& it) {
    return it.llhttp.target == "*" && it.llhttp.method != "OPTIONS";
}
inline bool is_connect(const Disagreement& it) { return it.llhttp.method == "CONNECT"; }
inline bool fragment_or_none(const Disagreement& it) {
    const std::string_view line = first_line(it.bytes);
    return it.llhttp.target.find('#') != std::string::npos || line.find(' ') == line.rfind(' ');
}
inline bool other_major(const Disagreement& it) {
    return version(it) == "HTTP/0.9" || version(it) == "HTTP/2.0";
}
inline bool many_empty_lines(const Disagreement& it) {
    return it.bytes.starts_with("\r\n\r\n\r") || it.bytes.starts_with("\r\n\r\n\n");
}
inline bool bare_lf(const Disagreement& it) {
    for (std::size_t at = it.bytes.find('\n'); at != std::string_view::npos;
         at = it.bytes.find('\n', at + 1)) {
        if (at == 0 || it.bytes[at - 1] != '\r') return true;
    }
    return false;
}
inline bool folded(const Disagreement& it) {
    return it.bytes.find("\n ") != std::string_view::npos || it.bytes.find("\n\t") != std::string_view::npos;
}
inline bool nameless(const Disagreement& it) { return it.bytes.find("\n:") != std::string_view::npos; }
inline bool bad_length(const Disagreement& it) {
    const auto all = values(it, "content-length");
    return std::any_of(all.begin(), all.end(),
                       [&](const auto& value) { return !good_length(value, it.response); });
}
// All members are tokens, and chunked is at most once there and then the last.
inline bool well_formed_coding(std::string_view value) {
    const auto all = members(value);
    return std::all_of(all.begin(), all.end(), [](const auto& one) { return is_token(one); }) &&
           std::find(all.begin(), all.end() - 1, "chunked") == all.end() - 1;
}
inline bool malformed_coding(const Disagreement& it) {
    const auto all = values(it, "transfer-encoding");
    return std::any_of(all.begin(), all.end(), [](const auto& value) { return !well_formed_coding(value); });
}
inline bool other_coding(const Disagreement& it) {
    const auto all = values(it, "transfer-encoding");
    return std::any_of(all.begin(), all.end(), [](const auto& value) {
        return well_formed_coding(value) && lowered(value) != "chunked";
    });
}
inline bool coding_in_10(const Disagreement& it) {
    return version(it) == "HTTP/1.0" && !values(it, "transfer-encoding").empty();
}
inline bool other_expectation(const Disagreement& it) {
    bool known = false;
    for (const std::string& value : values(it, "expect")) {
        for (const std::string& one : members(value)) {
            if (!one.empty() && one != "100-continue") return true;
            known = known || !one.empty();
        }
    }
    return !known;
}
inline bool many_options(const Disagreement& it) {
    const auto all = options(it.llhttp);
    return std::count_if(all.begin(), all.end(), [](const auto& one) { return !one.empty(); }) > 16;
}
inline bool many_fields(const Disagreement& it) { return it.llhttp.fields.size() > 128; }
inline bool bad_status(const Disagreement& it) {
    const std::string_view line = first_line(it.bytes);
    const std::string_view status = line.substr(std::min<std::size_t>(line.size(), 8), 5);
    const bool good = status.size() >= 4 && status[0] == ' ' && status[1] >= '1' && status[1] <= '5' &&
                      status.find_first_not_of("0123456789", 1) == (status.size() == 4 ? status.npos : 4) &&
                      (status.size() == 4 || status[4] == ' ');
    return !good;
}

// reason-phrase (RFC 9112 4).
inline bool control_in_reason(const Disagreement& it) {
    const std::string_view line = first_line(it.bytes);
    return !bad_status(it) && std::any_of(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    });
}

// -- what both take, and read differently

inline bool bodiless_status(const Disagreement& it) {
    const bool bodiless = it.lb.status < 200 || it.lb.status == 204 || it.lb.status == 304;
    const bool given = !values(it, "content-length").empty() || !values(it, "transfer-encoding").empty();
    if (!it.response || !bodiless || !given) return false;
    if (it.aspect == Aspect::framing) return it.lb.framing.kind == http::BodyKind::none;
    return it.aspect == Aspect::keep_alive && !it.lb.keep_alive;
}
// RFC 9112 9.3: close comes first.
inline bool close_and_keep_alive(const Disagreement& it) {
    return it.aspect == Aspect::keep_alive && !it.lb.keep_alive && names(it.lb, "close") &&
           names(it.lb, "keep-alive");
}
// A protocol of letters alone, asked for as RFC 9110 7.8 says, is taken: not to take it needs a reason.
inline bool other_protocol(const Disagreement& it) {
    if (it.aspect != Aspect::upgrade || it.response || it.lb.upgrade || !has_field(it.lb, "upgrade"))
        return false;
    const auto wanted = values(it, "upgrade");
    const bool plain = wanted.size() == 1 && lowered(wanted[0]) == "websocket" && names(it.lb, "upgrade");
    return !plain || version(it) == "HTTP/1.0" || it.lb.framing.kind != http::BodyKind::none;
}
inline bool tunnel_of_101(const Disagreement& it) {
    return it.aspect == Aspect::upgrade && it.response && it.lb.status == 101 && it.lb.upgrade;
}

// What lb alone refuses is named by the rule, `why` in the parser's own word for it; and the rule must be broken, as it is
// stated above.
inline constexpr Difference all[] = {
    {"no Host", "no Host", no_host},
    {"bad Host", "bad Host", bad_host},
    {"a field of one value twice", " twice", field_twice},
    {"bad host in an absolute target", "bad host in the target", bad_host_in_target},
    {"a target that is no path and no URL", "the target is neither a path nor a URL", odd_target},
    {"asterisk for another method than OPTIONS", "the target '*' is for OPTIONS only", asterisk},
    {"CONNECT", "CONNECT", is_connect},
    {"a fragment, or no version at all", "a byte that no target can hold, or no version after it",
     fragment_or_none},
    {"more than one blank in the request line", {}, blanks_in_line},
    {"HTTP/0.9 and HTTP/2.0", "an HTTP version other than 1.x", other_major},
    {"many empty lines before a request", "too many empty lines before the request", many_empty_lines},
    {"bare LF", "a line ends with a bare LF", bare_lf},
    {"folded field", "a line begins with a blank (folded field)", folded},
    // A value is judged when its own line has ended, before it is known that another one goes on with it.
    {"folded field", "bad Content-Length", folded},
    {"folded field", "bad Transfer-Encoding", folded},
    {"folded field", "a transfer coding other than chunked", folded},
    {"folded field", "bad Host", folded},
    {"a field without a name", "a field without a name", nameless},
    {"a length that is none", "bad Content-Length", bad_length},
    {"malformed Transfer-Encoding", "bad Transfer-Encoding", malformed_coding},
    {"another transfer coding", "a transfer coding other than chunked", other_coding},
    {"Transfer-Encoding in HTTP/1.0", "Transfer-Encoding in HTTP/1.0", coding_in_10},
    {"an expectation lb does not know", "Expect other than 100-continue", other_expectation},
    {"limits of a head", "Connection names too many options", many_options},
    {"limits of a head", "too many fields", many_fields},
    {"status outside 100 to 599", "bad status line", bad_status},
    {"a control byte in a reason", "bad status line", control_in_reason},
    {"bare CR before a request", "a CR without LF", lone_cr_before_line},
    {"an empty line before an answer", {}, empty_line_before_status},
    {"chunk syntax", {}, chunk_refused},
    {"methods llhttp has no name for", {}, other_method},
    {"HTTP/1.2 and later", {}, later_minor},
    {"equal Content-Lengths of an answer", {}, equal_lengths},
    {"framing fields in trailers", {}, framing_in_trailers},
    {"blanks and quotes in chunk extensions", {}, unusual_extension},
    {"a tab behind a value", {}, tab_behind},
    {"answers without a body", {}, bodiless_status},
    {"close and keep-alive together", {}, close_and_keep_alive},
    {"Upgrade that is not taken", {}, other_protocol},
    {"101 without Upgrade", {}, tunnel_of_101},
};

inline bool applies(const Difference& difference, const Disagreement& it) {
    if (!difference.why.empty()) {
        const bool lb_refuses = it.aspect == Aspect::head && it.lb.head == Outcome::refused;
        const bool said = difference.why == it.lb.why ||
                          (difference.why == " twice" && it.lb.why.ends_with(difference.why));
        if (!lb_refuses || !said) return false;
    }
    return difference.holds(it);
}

}  // namespace differences
}  // namespace lb::fuzz
