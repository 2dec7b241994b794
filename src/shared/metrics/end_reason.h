// shared/metrics/end_reason.h -- the closed list of ways an exchange can end.
// One value decides status, log word and metric label. Adding one: here, its word, and worker/exchange/failure.cpp.
#pragma once
#include <cstdint>
#include <string_view>

namespace lb {

enum class End : std::uint8_t {
    done,              // the whole answer went to the client, whatever its status
    bad_request,       // client: the request breaks the protocol (400, 405, 417, 501, 505)
    header_timeout,    // client: no whole head in time (408)
    header_too_large,  // client: head over max_header or max_headers (431, 414)
    body_too_large,    // client: body over max_body (413)
    body_timeout,      // client: request body stopped arriving, or came too slowly (408)
    client_gone,       // client: closed before its answer was complete
    client_stalled,    // client: stopped reading its answer, or read it too slowly
    no_route,          // lb: the listener has no pool for it (404)
    no_backend,        // lb: no usable backend in the pool (503)
    denied,            // lb: an acl does not let the client in (403)
    limited,           // lb: the client's key is over a limit (429)
    saturated,         // lb: every usable backend has its max_inflight, and the queue is off or full (503)
    queue_timeout,     // lb: waited in the queue for too long (503)
    overload,          // lb: out of connections, descriptors or memory (503)
    stopped,           // lb: cut by stop, quit_timeout or drain_timeout
    connect_failed,    // backend: refused or unreachable (502)
    connect_timeout,   // backend: no connection in time (504)
    backend_closed,    // backend: ended the connection before an answer byte (502)
    response_timeout,  // backend: no response head in time (504)
    bad_response,      // backend: the response breaks the protocol (502)
    backend_cut,       // backend: ended inside the answer; the client sees a cut
    backend_stalled,   // backend: stopped sending inside the answer, or stopped reading the request
    request_timeout,   // lb: the whole exchange took longer than request_timeout (504 or a cut)
    tunnel_timeout,    // lb: a tunnel without a byte for tunnel_timeout
};
inline constexpr std::string_view end_words[] = {
    "done",         "bad_request",    "header_timeout",  "header_too_large", "body_too_large",
    "body_timeout", "client_gone",    "client_stalled",  "no_route",         "no_backend",
    "denied",       "limited",        "saturated",       "queue_timeout",    "overload",
    "stopped",      "connect_failed", "connect_timeout", "backend_closed",   "response_timeout",
    "bad_response", "backend_cut",    "backend_stalled", "request_timeout",  "tunnel_timeout"};
static_assert(std::size(end_words) == static_cast<std::size_t>(End::tunnel_timeout) + 1);

constexpr std::string_view word(End end) noexcept { return end_words[static_cast<std::size_t>(end)]; }

}  // namespace lb
