// shared/config/variables.h -- the one table of variables: what a template in lb.ini may name with $, and the manual lists.
// Owns:  names and meanings. Never: evaluates one (worker/exchange/variables does).
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace lb::config {

// From when on a value is known. A template is only taken where all of its variables are known.
enum class Known : std::uint8_t {
    request,   // with the request's head
    response,  // with the answer's head
    end,       // at the end of the exchange: access logs
};

enum class Variable : std::uint8_t {
    text,     // a literal piece of a template
    capture,  // $1 ... $9 of a rewrite's pattern
    // request
    client_addr,
    client_port,
    peer_addr,
    country,
    scheme,
    host,
    method,
    request,
    request_uri,
    path,
    query,
    protocol,
    request_id,
    http,
    cookie,
    arg,
    listener,
    route,
    connection_requests,
    pid,
    worker,
    time_local,
    time_iso,
    time_unix,
    // response
    status,
    backend_status,
    response_header,
    pool,
    backend,
    backend_addr,
    // end
    backends,
    attempts,
    end,
    end_side,
    end_phase,
    bytes_sent,
    bytes_received,
    body_bytes,
    request_body_bytes,
    request_time,
    head_time,
    pick_time,
    connect_time,
    response_time,
    transfer_time,
};

struct VariableSpec {
    std::string_view name;  // a trailing '_' takes the rest of the word as its argument: $http_user_agent
    Variable id;
    Known known;
    std::string_view help;
};

inline constexpr VariableSpec variables[] = {
    {"client_addr", Variable::client_addr, Known::request,
     "The client's address: through trusted hops, the one they vouch for."},
    {"client_port", Variable::client_port, Known::request,
     "The client's port; 0 when only a forwarded address is known."},
    {"peer_addr", Variable::peer_addr, Known::request, "The address that the connection came from."},
    {"country", Variable::country, Known::request,
     "The client's country by the database of [zones], two capital letters; empty when it is not known."},
    {"scheme", Variable::scheme, Known::request, "http or https, as the client sees it."},
    {"host", Variable::host, Known::request, "The request's host in lower case, without its port."},
    {"method", Variable::method, Known::request, "The request's method."},
    {"request", Variable::request, Known::request, "The request line as received."},
    {"request_uri", Variable::request_uri, Known::request,
     "Path and query as received; of a rewritten request, as they were before."},
    {"path", Variable::path, Known::request, "The path as received, without the query."},
    {"query", Variable::query, Known::request, "What follows the first ?, without it."},
    {"protocol", Variable::protocol, Known::request, "HTTP/1.0 or HTTP/1.1."},
    {"request_id", Variable::request_id, Known::request,
     "The X-Request-Id that backends get; empty with request_id = off."},
    {"http_", Variable::http, Known::request,
     "A field of the request, _ for -: $http_user_agent. The first of several."},
    {"cookie_", Variable::cookie, Known::request, "A cookie of the request: $cookie_session."},
    {"arg_", Variable::arg, Known::request, "A parameter of the query as received: $arg_version."},
    {"listener", Variable::listener, Known::request, "The listener's name."},
    {"route", Variable::route, Known::request, "The route's name; empty when none matched."},
    {"connection_requests", Variable::connection_requests, Known::request,
     "Which request of its connection this is, from 1 on."},
    {"pid", Variable::pid, Known::request, "The worker's process number."},
    {"worker", Variable::worker, Known::request, "The worker's number in its generation, from 0 on."},
    {"time_local", Variable::time_local, Known::request, "21/Nov/2026:10:00:00 +0000; in a log, of the end."},
    {"time_iso", Variable::time_iso, Known::request, "2026-11-21T10:00:00Z; in a log, of the end."},
    {"time_unix", Variable::time_unix, Known::request,
     "Seconds since 1970 with milliseconds; in a log, of the end."},
    {"status", Variable::status, Known::response, "The status sent to the client; 000 when none was."},
    {"backend_status", Variable::backend_status, Known::response,
     "The status of the backend's answer; 000 when there was none."},
    {"response_", Variable::response_header, Known::response,
     "A field of the backend's answer, _ for -: $response_content_type."},
    {"pool", Variable::pool, Known::response, "The pool's name; empty when none was asked."},
    {"backend", Variable::backend, Known::response, "The backend's name, of the last attempt."},
    {"backend_addr", Variable::backend_addr, Known::response, "The address of the last attempt."},
    {"backends", Variable::backends, Known::end,
     "All backends that were tried, in order, with commas between them."},
    {"attempts", Variable::attempts, Known::end, "How many attempts there were."},
    {"end", Variable::end, Known::end, "How the exchange ended, in one word; see lb-metrics(7)."},
    {"end_side", Variable::end_side, Known::end,
     "Who ended it: client, backend or lb; empty when it was done."},
    {"end_phase", Variable::end_phase, Known::end,
     "The phase in which it ended: head, pick, connect, wait, transfer or done."},
    {"bytes_sent", Variable::bytes_sent, Known::end, "Bytes sent to the client, heads and framing too."},
    {"bytes_received", Variable::bytes_received, Known::end,
     "Bytes received from the client, heads and framing too."},
    {"body_bytes", Variable::body_bytes, Known::end, "Bytes of the answer's body."},
    {"request_body_bytes", Variable::request_body_bytes, Known::end, "Bytes of the request's body."},
    {"request_time", Variable::request_time, Known::end,
     "Seconds, with milliseconds, from the first byte of the request to the end."},
    {"head_time", Variable::head_time, Known::end, "Seconds from the first byte to the whole request head."},
    {"pick_time", Variable::pick_time, Known::end,
     "Seconds from the head to the last attempt: earlier attempts and waiting."},
    {"connect_time", Variable::connect_time, Known::end,
     "Seconds until the last attempt had its connection; 0.000 on a kept one; - when it never stood."},
    {"response_time", Variable::response_time, Known::end,
     "Seconds from the request sent to the answer's head; - when none came."},
    {"transfer_time", Variable::transfer_time, Known::end,
     "Seconds from the answer's head to the end; - when none came."},
};

// The row of a name as written after the $; `argument`: what follows a name that ends in '_'. Null: no such variable.
constexpr const VariableSpec* find_variable(std::string_view name, std::string_view& argument) noexcept {
    for (const VariableSpec& each : variables) {
        if (each.name.back() == '_') {
            if (name.size() <= each.name.size() || !name.starts_with(each.name)) continue;
            // "response_time" is a name of its own: whole names win.
            bool whole = false;
            for (const VariableSpec& other : variables) whole = whole || other.name == name;
            if (whole) continue;
            argument = name.substr(each.name.size());
            return &each;
        }
        if (name == each.name) return &each;
    }
    return nullptr;
}

}  // namespace lb::config
