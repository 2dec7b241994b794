// master/config/keys_traffic.cpp -- the rows of [defaults], which listeners and pools inherit.
#include "master/config/fields.h"

namespace lb::config {
namespace {

constexpr Kinds client_side = in(Kind::defaults, Kind::listener);
constexpr Kinds backend_side = in(Kind::defaults, Kind::pool);
constexpr Kinds both_sides = in(Kind::defaults, Kind::listener, Kind::pool);

using T = Traffic;

constexpr KeySpec table[] = {
    {"header_timeout", client_side, once, duration<&T::header_timeout, 10 * milli, hour>(), "10s",
     has_default, "A client sends a whole request head within this time, or gets 408."},
    {"body_timeout", both_sides, once, duration<&T::body_timeout, 10 * milli, 24 * hour>(), "30s",
     has_default,
     "The longest time between two reads of a body, or two writes: in a listener those of the client, in a "
     "pool those of the backend. A client that takes no more of its answer is cut after one to two such "
     "times: it is looked at once in each."},
    {"min_rate", client_side, once, rate_or_off<&T::min_rate, 1, gib>(), "250", has_default,
     "The least that a client sends of its request body, or takes of its answer: bytes per second, as in 250 "
     "or "
     "1k, over each `body_timeout` during which lb waits for the client and for nothing else. A slower "
     "upload "
     "gets 408, a slower reader is cut. What takes no longer than one `body_timeout` is never too slow, time "
     "in "
     "which lb waits for the backend never counts, and tunnels have no such limit. Of an upload its payload "
     "counts, without the framing of chunks; while the answer is taken already, both count together. Clients "
     "that send rare events in a request body need `min_rate = off`, best in a [route] of their own; rare "
     "events "
     "in an answer do not."},
    {"idle_timeout", client_side, once, duration<&T::idle_timeout, 10 * milli, 24 * hour>(), "75s",
     has_default, "A client connection without a request is closed after this time."},
    {"connect_timeout", backend_side, once, duration<&T::connect_timeout, milli, minute>(), "3s", has_default,
     "A connection to a backend stands within this time; else `retries` applies, and at last the answer is "
     "504."},
    {"response_timeout", backend_side, once, duration<&T::response_timeout, 10 * milli, 24 * hour>(), "60s",
     has_default,
     "A backend sends a whole response head within this time after it has the request; else `retries` "
     "applies where it names timeout, and at last the answer is 504."},
    {"tunnel_timeout", client_side, once, duration<&T::tunnel_timeout, 10 * milli, 168 * hour>(), "1h",
     has_default,
     "An upgraded connection (WebSocket) ends after this time without a byte in either direction."},
    {"request_timeout", client_side, once,
     duration<&T::request_timeout, 10 * milli, 24 * hour, Off::allowed>(), "off", has_default,
     "The whole of a request and its answer, retries included, takes no longer. Tunnels have their own "
     "limit."},
    {"max_header", both_sides, once, size<&T::max_header, kib, mib>(), "32k", has_default,
     "The largest head: in a listener of a request, which else gets 431 or 414, in a pool of a response, "
     "which else becomes 502."},
    {"max_headers", both_sides, once, number<&T::max_headers, 8, 10'000>(), "128", has_default,
     "The most fields in a head."},
    {"max_body", client_side, once, size<&T::max_body, 0, 1024 * (1024 * gib), Off::allowed>(), "1g",
     has_default, "The largest request body; a larger one gets 413. `off` sets no limit."},
    {"keepalive_requests", client_side, once,
     number<&T::keepalive_requests, 1, 1'000'000'000, Off::allowed>(), "1000", has_default,
     "Requests on one client connection; `off` sets no limit."},
    {"forwarded", client_side, once, choice<&T::forwarded, forwarded_names>(), "x", has_default,
     "What backends are told about the client: `x` sends X-Forwarded-For, X-Forwarded-Proto and "
     "X-Forwarded-Host, `rfc7239` sends Forwarded, `both` all of them. A list that came is kept, and the "
     "sender is appended: the last entry is what lb says, those before it what the sender says. From "
     "senders in `trusted` alone are kept: X-Forwarded-Proto, X-Forwarded-Host, any other X-Forwarded- "
     "field, X-Real-IP, and the list of the kind that is not sent. `off` adds and drops none of these. A "
     "field named Proxy never passes."},
    {"request_id", client_side, once, choice<&T::request_id, switch_names>(), "on", has_default,
     "Gives each request an X-Request-Id for backends and logs. The one that came is kept from a sender in "
     "`trusted`, if there is one alone, of 1 to 128 letters, digits and `._~+/=-`. `off` passes what came."},
    {"via", client_side, once, choice<&T::via, switch_names>(), "off", has_default,
     "Adds a Via field to requests and answers."},
};

}  // namespace

std::span<const KeySpec> traffic_keys() noexcept { return table; }

}  // namespace lb::config
