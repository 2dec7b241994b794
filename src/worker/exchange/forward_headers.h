// worker/exchange/forward_headers.h -- which fields pass and which lines lb adds. Pure (RFC 9110 7.6, RFC 9112, RFC 7239).
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "shared/config/model.h"
#include "shared/http/http1_writer.h"
#include "shared/http/message.h"
#include "worker/exchange/edits.h"

namespace lb {

// Whether a field of a response goes on to the client: everything but what concerns this connection alone. In the form
// that stream::FieldRules takes.
bool response_field_passes(const http::Field& field, const void* = nullptr) noexcept;

// What lb signs messages with in Via (RFC 9110 7.6.3): the version of the message as received, and a name.
constexpr std::string_view via_line(std::uint8_t minor) noexcept {
    return minor == 0 ? "Via: 1.0 lb\r\n" : "Via: 1.1 lb\r\n";
}

// Max-Forwards of an OPTIONS or TRACE request (RFC 9110 7.6.2): nothing when the method or the field is another, or when
// its value is no number. 0: lb answers the request itself; write_request_head counts a higher one down.
std::optional<std::uint32_t> max_forwards(const http::RequestHead& head) noexcept;

struct Forwarding {
    config::Forwarded mode = config::Forwarded::x;
    bool sender_trusted = false;   // Hops::sender_trusted
    bool via = false;              // Traffic::via
    bool expect_continue = false;  // the client waits for 100, and so may the backend make it wait
    std::string_view sender;       // ClientOrigin::text, the hop that spoke: not the client it vouches for
    std::string_view scheme = "http";  // of the client's connection
    std::string_view fallback_host;    // Host for a request of HTTP/1.0 that names none
    std::string_view request_id;       // X-Request-Id to write; empty: what came passes
    std::string_view target;           // a rewritten one; empty: as received
    RequestEdits edits;
};

// Room that write_request_head needs at most.
std::size_t request_head_bound(const http::RequestHead& head, const Forwarding& forwarding) noexcept;

// Writes the head of a request as it goes to backends, in the form of stream::RequestRecord: request line, Host, the
// fields that pass in their order, then what lb adds:
// - x, both: X-Forwarded-For: the received list with the sender's address appended (a sender on a unix socket has none to
//   append), whoever sent it. X-Forwarded-Proto and -Host: received ones from a trusted sender, else what this
//   connection says;
// - rfc7239, both: Forwarded: the received list with an element for=;host=;proto= of the sender appended. A received list
//   that breaks the grammar is dropped: nothing can be appended to it safely;
// - of an untrusted sender, the fields of the other family, any other X-Forwarded-... and X-Real-IP are dropped: a backend
//   may believe what nobody vouches for. off passes all of them as they came;
// - Proxy never passes: CGI makes of it HTTP_PROXY, by which a backend's own requests are led elsewhere (CVE-2016-5385);
// - X-Request-Id, Via, Max-Forwards counted down, Content-Length as it was read, Expect, Upgrade, TE: trailers, Transfer-
//   Encoding when the length is not known, and the edits of the route, which win over all but the framing.
void write_request_head(http::Sink& out, const http::RequestHead& head,
                        const Forwarding& forwarding) noexcept;

}  // namespace lb
