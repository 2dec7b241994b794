// shared/metrics/catalog.h -- the one table of metrics. A row's position is its place in shared memory, a misspelt
// name does not compile, and the exposition and the manual walk the same table.
// Adding one: a row here, and an add<"name">() where it happens. Its words are laid out by the compiler.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "shared/metrics/end_reason.h"
#include "shared/metrics/histogram.h"

namespace lb::metrics {

enum class Kind : std::uint8_t {
    counter,    // one word for each label value, only ever grows
    seconds,    // a counter kept in microseconds and shown in seconds
    gauge,      // one word; cleared by the master when its process is gone
    histogram,  // histogram_words words, microseconds, shown in seconds
    table,      // no words: the exposition reads it from the shared table's slots or derives it
};

// Whose rows: a column has one row per process (itself), per slot of a listener, route, limit, pool and
// backend.
// backend_detail is a separate row, so that pools with many backends need not touch the memory of histograms.
enum class Scope : std::uint8_t { process, listener, route, limit, pool, backend, backend_detail };
inline constexpr std::size_t scope_count = 7;

struct Metric {
    std::string_view name;
    Kind kind;
    Scope scope;
    std::string_view help;  // no backslash, no newline: HELP is not escaped
    std::string_view label{};
    std::span<const std::string_view> values{};
};

inline constexpr std::string_view class_values[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
inline constexpr std::string_view check_values[] = {"pass", "fail"};
inline constexpr std::string_view result_values[] = {"ok", "failed"};
inline constexpr std::string_view death_values[] = {"exit", "signal", "hang"};
inline constexpr std::string_view child_values[] = {"worker", "admin"};
inline constexpr std::string_view failure_values[] = {
    "connect", "connect_timeout", "reset", "response_timeout", "bad_response", "cut", "stalled"};
enum FailureLabel : std::uint32_t {
    fail_connect,
    fail_connect_timeout,
    fail_reset,
    fail_response_timeout,
    fail_bad_response,
    fail_cut,
    fail_stalled
};
inline constexpr std::string_view query_values[] = {"ok", "no_such_name", "failed"};
enum QueryLabel : std::uint32_t { query_ok, query_no_such_name, query_failed };
inline constexpr std::string_view mirror_values[] = {"sent", "dropped"};
enum MirrorLabel : std::uint32_t { mirror_sent, mirror_dropped };
inline constexpr std::string_view change_values[] = {"added", "removed"};
enum ChangeLabel : std::uint32_t { change_added, change_removed };
inline constexpr std::string_view limit_values[] = {"passed", "refused", "would_refuse"};
enum LimitLabel : std::uint32_t { limit_passed, limit_refused, limit_would_refuse };
inline constexpr std::string_view sticky_values[] = {"kept", "new", "moved"};
enum StickyLabel : std::uint32_t { sticky_kept, sticky_new, sticky_moved };
inline constexpr std::string_view refused_values[] = {"limit", "descriptors", "memory"};
enum RefusedLabel : std::uint32_t { refused_limit, refused_descriptors, refused_memory };
inline constexpr std::string_view closed_values[] = {"client",         "half_head", "silent",
                                                     "idle",           "lingering", "room_idle",
                                                     "room_lingering", "room_head", "stopped"};
enum ClosedLabel : std::uint32_t {
    closed_client,          // it ended by itself, between two requests or before the first
    closed_half_head,       // it ended inside a head
    closed_silent,          // not a byte of a request within header_timeout
    closed_idle,            // idle_timeout
    closed_lingering,       // it was still sending, or silent without an end, after its last answer
    closed_room_idle,       // between two requests, when room was needed
    closed_room_lingering,  // after its last answer, when room was needed
    closed_room_head,       // before a whole head, when room was needed
    closed_stopped          // lb ended
};

inline constexpr Metric catalog[] = {
    // the process tree
    {"lb_build_info", Kind::table, Scope::process, "1; the version is a label."},
    {"lb_start_time_seconds", Kind::table, Scope::process, "Unix time at which the master started."},
    {"lb_config_generation", Kind::table, Scope::process,
     "Generation of the configuration in force; 1 at start, one more for each reload."},
    {"lb_workers", Kind::table, Scope::process, "Living worker processes.", "state"},
    {"lb_reloads_total", Kind::counter, Scope::process, "Reloads by result.", "result", result_values},
    {"lb_child_deaths_total", Kind::counter, Scope::process,
     "Children that ended without being told to, by what they were.", "child", child_values},
    {"lb_worker_deaths_total", Kind::counter, Scope::process,
     "Workers that ended without being told to, by cause.", "cause", death_values},
    {"lb_generations_closed_early_total", Kind::counter, Scope::process,
     "Draining generations closed because of max_generations, of columns that ran out, or of drain_timeout."},
    {"lb_log_lines_dropped_total", Kind::counter, Scope::process,
     "Access log lines lost because their destination could not take them."},
    {"lb_log_lines_total", Kind::counter, Scope::process, "Access log lines written."},
    {"lb_resolver_queries_total", Kind::counter, Scope::process,
     "Questions to name servers, by how they were answered.", "result", query_values},
    {"lb_loop_turns_total", Kind::counter, Scope::process, "Turns of the workers' event loops."},
    {"lb_metrics_series_left_out", Kind::table, Scope::process,
     "Series missing from this page because of its limit; the largest families are left out first."},
    // listeners
    {"lb_client_connections_total", Kind::counter, Scope::listener, "Client connections accepted."},
    {"lb_client_connections", Kind::gauge, Scope::listener, "Open client connections."},
    {"lb_accept_pauses_total", Kind::counter, Scope::listener,
     "Times that accepting stopped for a while, new clients waiting in the queue, by what ran out.", "reason",
     refused_values},
    {"lb_client_connections_closed_total", Kind::counter, Scope::listener,
     "Client connections that ended outside of an exchange, by why; room_: closed so that others are let in.",
     "reason", closed_values},
    {"lb_listener_requests_total", Kind::counter, Scope::listener,
     "Requests ended, by class of the status sent.", "class", class_values},
    {"lb_exchanges_total", Kind::counter, Scope::listener, "Exchanges by how they ended.", "end", end_words},
    {"lb_client_received_bytes_total", Kind::counter, Scope::listener, "Bytes received from clients."},
    {"lb_client_sent_bytes_total", Kind::counter, Scope::listener, "Bytes sent to clients."},
    {"lb_listener_request_duration_seconds", Kind::histogram, Scope::listener,
     "Time from the first byte of a request to the last byte of its answer."},
    {"lb_tunnels", Kind::gauge, Scope::listener, "Open tunnels: connections after 101 Switching Protocols."},
    {"lb_proxy_header_errors_total", Kind::counter, Scope::listener,
     "Connections closed because their PROXY header was missing, bad, late or from a sender not trusted."},
    // routes
    {"lb_route_requests_total", Kind::counter, Scope::route, "Requests ended, by class of the status sent.",
     "class", class_values},
    {"lb_route_request_duration_seconds", Kind::histogram, Scope::route,
     "Time from the first byte of a request to the last byte of its answer."},
    {"lb_route_mirrored_total", Kind::counter, Scope::route,
     "Requests chosen to be mirrored: sent, or dropped because their body was too long to keep.", "result",
     mirror_values},
    {"lb_route_gzip_in_bytes_total", Kind::counter, Scope::route,
     "Bytes of answers before they were compressed."},
    {"lb_route_gzip_out_bytes_total", Kind::counter, Scope::route,
     "Bytes of answers after they were compressed."},
    // limits
    {"lb_limit_requests_total", Kind::counter, Scope::limit,
     "Requests by what the limit made of them; would_refuse is said by one with dry_run.", "result",
     limit_values},
    {"lb_limit_evictions_total", Kind::counter, Scope::limit,
     "Keys that were forgotten before their bucket was full again, because the table of keys was full."},
    // pools
    {"lb_requests_total", Kind::counter, Scope::pool, "Requests ended, by class of the status sent.", "class",
     class_values},
    {"lb_retries_total", Kind::counter, Scope::pool, "Requests sent again to another backend or connection."},
    {"lb_no_backend_total", Kind::counter, Scope::pool,
     "Requests answered 503 because no backend was usable."},
    {"lb_retries_refused_total", Kind::counter, Scope::pool,
     "Retries not made because the budget was spent."},
    {"lb_pool_saturated_total", Kind::counter, Scope::pool,
     "Requests that found every usable backend at its max_inflight."},
    {"lb_pool_queued", Kind::gauge, Scope::pool, "Requests waiting for a free place."},
    {"lb_pool_queue_seconds_total", Kind::seconds, Scope::pool,
     "Time that requests waited for a free place, summed over those that waited."},
    {"lb_pool_queue_timeouts_total", Kind::counter, Scope::pool,
     "Requests answered 503 because no place became free in time."},
    {"lb_pool_sticky_total", Kind::counter, Scope::pool,
     "Requests of a pool with a sticky cookie: kept with the backend it names, new without one, or moved "
     "because that "
     "backend takes none.",
     "result", sticky_values},
    {"lb_pool_spilled_total", Kind::counter, Scope::pool,
     "Requests sent to another zone than the one they prefer."},
    {"lb_request_duration_seconds", Kind::histogram, Scope::pool,
     "Time from the first byte of a request to the last byte of its answer."},
    {"lb_pool_membership_changes_total", Kind::counter, Scope::pool,
     "Backends that joined or left while lb ran, found by discovery.", "change", change_values},
    {"lb_pool_backends", Kind::table, Scope::pool, "Backends by health.", "state"},
    {"lb_pool_usable_backends", Kind::table, Scope::pool, "Backends that requests may go to now."},
    {"lb_pool_panic", Kind::table, Scope::pool,
     "1 while all backends are used, up or not, because fewer are usable than panic says."},
    {"lb_pool_retired_requests_total", Kind::table, Scope::pool,
     "Requests answered by backends that are no longer configured."},
    // backends
    {"lb_backend_requests_total", Kind::counter, Scope::backend, "Responses by class of their status.",
     "class", class_values},
    {"lb_backend_in_flight", Kind::gauge, Scope::backend, "Exchanges that hold this backend now."},
    {"lb_backend_connections", Kind::gauge, Scope::backend, "Open connections, idle ones too."},
    {"lb_backend_idle_connections", Kind::gauge, Scope::backend,
     "Idle connections kept for the next request."},
    {"lb_backend_connects_total", Kind::counter, Scope::backend, "Connections opened or tried."},
    {"lb_backend_reuses_total", Kind::counter, Scope::backend,
     "Requests sent on a connection that was kept."},
    {"lb_backend_failures_total", Kind::counter, Scope::backend, "Attempts that failed, by how.", "failure",
     failure_values},
    {"lb_backend_received_bytes_total", Kind::counter, Scope::backend, "Bytes received from the backend."},
    {"lb_backend_sent_bytes_total", Kind::counter, Scope::backend, "Bytes sent to the backend."},
    {"lb_backend_response_seconds_total", Kind::seconds, Scope::backend,
     "Time waited for response heads, summed over the responses."},
    {"lb_backend_checks_total", Kind::counter, Scope::backend, "Health checks by result.", "result",
     check_values},
    {"lb_backend_state_changes_total", Kind::counter, Scope::backend, "Changes between up and down."},
    {"lb_backend_ejections_total", Kind::counter, Scope::backend, "Times left out for failing requests."},
    {"lb_backend_up", Kind::table, Scope::backend, "1 while the backend passes its checks."},
    {"lb_backend_weight", Kind::table, Scope::backend, "Weight, as configured or as an operator set it."},
    {"lb_backend_effective_weight", Kind::table, Scope::backend,
     "Weight that requests are spread by now: 0 when it gets none, less than its part in slow start."},
    {"lb_backend_operator_state", Kind::table, Scope::backend,
     "What an operator wants: 0 ready, 1 drain, 2 maint."},
    {"lb_backend_ejected", Kind::table, Scope::backend, "1 while it is left out for failing requests."},
    {"lb_backend_response_duration_seconds", Kind::histogram, Scope::backend_detail,
     "Time from the request sent to the response head."},
};

constexpr std::size_t words_of(const Metric& m) noexcept {
    switch (m.kind) {
        case Kind::counter:
        case Kind::seconds:
        case Kind::gauge: return m.values.empty() ? 1 : m.values.size();
        case Kind::histogram: return histogram_words;
        case Kind::table: return 0;
    }
    return 0;
}

// First word of a metric in its scope's row.
constexpr std::size_t offset_of(std::size_t index) noexcept {
    std::size_t at = 0;
    for (std::size_t i = 0; i < index; i++) {
        if (catalog[i].scope == catalog[index].scope) at += words_of(catalog[i]);
    }
    return at;
}

// Words in one row of a scope, rounded up to a whole cache line so that rows of hot backends do not share one. A table,
// because the compiler would walk the catalog for every counter that is added to.
inline constexpr auto row_words_of = [] {
    std::array<std::size_t, scope_count> words{};
    for (const Metric& m : catalog) words[static_cast<std::size_t>(m.scope)] += words_of(m);
    for (std::size_t& each : words) each = (each + 7) / 8 * 8;
    return words;
}();
constexpr std::size_t row_words(Scope scope) noexcept {
    return row_words_of[static_cast<std::size_t>(scope)];
}

template <std::size_t N>
struct Name {
    char text[N];
    consteval Name(const char (&s)[N]) {
        for (std::size_t i = 0; i < N; i++) text[i] = s[i];
    }
    [[nodiscard]] constexpr std::string_view view() const { return {text, N - 1}; }
};

// The position of a name in the catalog; a name that is not there does not compile.
template <Name name>
consteval std::size_t index_of() {
    for (std::size_t i = 0; i < std::size(catalog); i++) {
        if (catalog[i].name == name.view()) return i;
    }
    throw "no such metric in shared/metrics/catalog.h";
}

}  // namespace lb::metrics
