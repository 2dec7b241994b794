// shared/http/message.h -- a request or response head as the parser leaves it: views into another's bytes.
// Owns:   the list of fields, reused from head to head. The bytes belong to the caller's buffer.
// Never:  copies or rewrites; holds a view longer than its buffer lives.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace lb::http {

// Fields that lb itself looks at. Everything else is `other` and passes by.
enum class FieldId : std::uint8_t {
    other,
    connection,
    content_length,
    expect,
    host,
    keep_alive,
    proxy_authenticate,
    proxy_authorization,
    proxy_connection,
    te,
    trailer,
    transfer_encoding,
    upgrade,
    http2_settings,
    x_forwarded_for,
    x_forwarded_host,
    x_forwarded_proto,
    forwarded,
    x_request_id,
    via,
    user_agent,
    referer,
    date,
    server,
    retry_after,
    max_forwards,
    content_type,
    content_encoding,
    cache_control,
    accept_encoding,
    cookie,
    etag,
    vary,
    authorization,
    content_range,
    range,
    if_range,
    if_modified_since,
    if_unmodified_since,
    x_real_ip,
    x_forwarded,  // X-Forwarded- and anything but For, Host and Proto
    proxy,        // no field of HTTP, but CGI makes of it a variable that redirects a backend's own requests
};
inline constexpr unsigned field_ids = static_cast<unsigned>(FieldId::proxy) + 1;
// The id of a field name, any case. `name` must be a token (RFC 9110 5.6.2), which every parser here has
// checked: the comparison folds case by one bit and would take some control bytes for digits or a hyphen.
FieldId field_id(std::string_view name) noexcept;

struct Field {
    std::string_view name;   // as received
    std::string_view value;  // without the optional blanks around it
    std::string_view line;   // name to CRLF as received; empty when it never was a line (HTTP/2)
    FieldId id = FieldId::other;
    // Never forwarded, for a reason that the id alone does not tell:
    // - Connection names it (RFC 9110 7.6.1);
    // - in a request, its name holds an underscore, which CGI-like servers read as "-", so as another field;
    // - in a response, a Content-Length that repeats another or that its status forbids (RFC 9110 8.6).
    bool ends_here = false;
};

enum class Method : std::uint8_t { get, head, post, put, del, options, patch, connect, trace, other };
// RFC 9110 9.2.2: may be sent again after a failure even if the backend may have seen it.
constexpr bool idempotent(Method m) noexcept {
    return m == Method::get || m == Method::head || m == Method::put || m == Method::del ||
           m == Method::options || m == Method::trace;
}

enum class BodyKind : std::uint8_t { none, length, chunked, until_close };
struct Framing {
    BodyKind kind = BodyKind::none;
    std::uint64_t length = 0;  // for BodyKind::length, above 0
};

enum class TargetForm : std::uint8_t { origin, absolute, asterisk };

struct RequestHead {
    Method method = Method::other;
    std::string_view method_text;
    std::string_view target;  // what is forwarded: origin form ("/a?b") or "*"; never empty
    // Of "http://h?x", whose path is empty: target is "?x", and what is forwarded is "/" and then target.
    bool target_needs_slash = false;
    // Host, or the authority of an absolute target, which wins (RFC 9112 3.2.2). May be empty in HTTP/1.0.
    std::string_view host;
    std::string_view line;  // the request line as received, without CRLF, for the log
    std::size_t bytes = 0;  // size of the head as received, leading empty lines too
    TargetForm form = TargetForm::origin;
    std::uint8_t minor = 1;  // 0: HTTP/1.0, 1: HTTP/1.1 or a higher minor version
    bool keep_alive = true;  // what the client asked for (RFC 9112 9.3)
    bool expect_continue = false;
    bool te_trailers = false;  // "TE: trailers": the client reads trailers
    // The value of Upgrade, when Connection names it, the version is 1.1 and there is no body (RFC 9110 7.8); without
    // the protocols lb never switches to (h2c). Empty otherwise. The value as received; empty when there are several lines:
    // one of them is not what was asked for (RFC 9110 5.3), and a request without Upgrade is always a good one.
    std::string_view upgrade;
    Framing body;
    std::vector<Field> fields;  // in order, all of them, hop-by-hop ones too
};

struct ResponseHead {
    std::uint16_t status = 0;
    std::string_view reason;
    std::uint8_t minor = 1;
    bool keep_alive = true;                // whether the connection may carry another response
    Framing body;                          // given the method of the request it answers (RFC 9112 6.3)
    std::uint32_t keep_alive_timeout = 0;  // seconds of "Keep-Alive: timeout=N"; 0: not given
    std::vector<Field> fields;
};

}  // namespace lb::http
