// master/admin/manual.cpp -- see manual.h.
#include "master/admin/manual.h"

#include <fmt/format.h>

#include <iterator>

#include "shared/metrics/catalog.h"
#include "shared/shm/layout.h"

namespace lb::admin {
namespace {

using metrics::Kind;
using metrics::Metric;
using metrics::Scope;

constexpr EndText ends[] = {
    {End::done, "-", "-", "The whole answer went to the client, whatever its status."},
    {End::bad_request, "client", "400, 405, 417, 501, 505", "The request breaks the protocol."},
    {End::header_timeout, "client", "408", "No whole request head within header_timeout."},
    {End::header_too_large, "client", "431, 414",
     "The request head is longer than max_header or max_headers allow."},
    {End::body_too_large, "client", "413", "The request body is longer than max_body."},
    {End::body_timeout, "client", "408",
     "The request body stopped arriving for body_timeout, or came slower than min_rate."},
    {End::client_gone, "client", "-", "The client closed its connection before its answer was complete."},
    {End::client_stalled, "client", "-",
     "The client did not read its answer for body_timeout, or read it slower than min_rate."},
    {End::no_route, "lb", "404", "No route holds, and the listener has no pool."},
    {End::no_backend, "lb", "503", "No backend of the pool is usable."},
    {End::denied, "lb", "403", "An acl of the listener or of the route does not let the client in."},
    {End::limited, "lb", "429",
     "The client, or whatever the limit tells requests apart by, is over a limit. The limit's "
     "status may say another."},
    {End::saturated, "lb", "503",
     "Every usable backend had its max_inflight, and the queue is off or was full."},
    {End::queue_timeout, "lb", "503", "The request waited in the pool's queue for longer than its timeout."},
    {End::overload, "lb", "503", "lb ran out of connections, descriptors or memory."},
    {End::stopped, "lb", "-", "Cut by stop, quit_timeout or drain_timeout."},
    {End::connect_failed, "backend", "502", "The backend refused the connection or cannot be reached."},
    {End::connect_timeout, "backend", "504", "No connection to the backend within connect_timeout."},
    {End::backend_closed, "backend", "502",
     "The backend ended the connection before the first byte of its answer."},
    {End::response_timeout, "backend", "504", "No response head within response_timeout."},
    {End::bad_response, "backend", "502", "The response breaks the protocol."},
    {End::backend_cut, "backend", "-", "The backend ended inside its answer; the client sees a cut."},
    {End::backend_stalled, "backend", "504",
     "The backend stopped reading the request or sending its answer for body_timeout."},
    {End::request_timeout, "lb", "504", "The whole exchange took longer than request_timeout."},
    {End::tunnel_timeout, "lb", "-", "No byte went through a tunnel for tunnel_timeout."},
};
constexpr bool in_order() {
    if (std::size(ends) != std::size(end_words)) return false;
    for (std::size_t i = 0; i < std::size(ends); i++) {
        if (static_cast<std::size_t>(ends[i].end) != i) return false;
    }
    return true;
}
static_assert(in_order(), "every way to end has its line above, in the order of the enum");

struct ScopeText {
    Scope scope;
    std::string_view title, text;
};
constexpr ScopeText scopes[] = {
    {Scope::process, "lb itself", ""},
    {Scope::listener, "Listeners", "Label listener."},
    {Scope::route, "Routes", "Label route. Only requests that a route took are counted here."},
    {Scope::limit, "Limits", "Label limit."},
    {Scope::pool, "Pools", "Label pool."},
    {Scope::backend, "Backends", "Labels pool and backend."},
    {Scope::backend_detail, "Backends, where backend_histograms says so", "Labels pool and backend."},
};
static_assert(std::size(scopes) == metrics::scope_count);

// A dash that stays a dash; one sentence a line.
std::string roff(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] == '-') {
            out += "\\-";
        } else if (text[i] == ' ' && i > 0 && text[i - 1] == '.') {
            out += '\n';
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string_view type_of(const Metric& m) {
    if (m.kind == Kind::histogram) return "histogram";
    return m.name.ends_with("_total") ? "counter" : "gauge";
}

// What a metric of Kind::table is labelled with, when its values are no list of the catalog.
std::string values_of(const Metric& m) {
    std::string out;
    const auto add = [&](std::string_view value) {
        out += fmt::format("{}{}", out.empty() ? "" : ", ", value);
    };
    for (const std::string_view value : m.values) add(value);
    if (m.name == "lb_workers") {
        for (const char* value : {"serving", "draining"}) add(value);
    }
    if (m.name == "lb_pool_backends") {
        for (const char* value : shm::health_words) add(value);
    }
    return out;
}

void append_metric(std::string& out, const Metric& m) {
    out += fmt::format(".TP\n.BR {} \" ({})\"\n{}\n", roff(m.name), type_of(m), roff(m.help));
    if (m.name == "lb_build_info") {
        out += "Label\n.IR version .\n";
    } else if (!m.label.empty()) {
        out += fmt::format("Label\n.IR {} :\n{}.\n", m.label, roff(values_of(m)));
    }
}

}  // namespace

std::span<const EndText> end_texts() { return ends; }

std::string manual_metrics() {
    std::string out = ".SH METRICS\n";
    for (const ScopeText& scope : scopes) {
        out += fmt::format(".SS {}\n", roff(scope.title));
        if (!scope.text.empty()) out += roff(scope.text) + "\n";
        for (const Metric& m : metrics::catalog) {
            if (m.scope == scope.scope) append_metric(out, m);
        }
    }
    out +=
        ".SH ENDS\nHow an exchange can end: the values of the label end of lb_exchanges_total, and of $end "
        "in logs.\n"
        "In brackets who ended it, and the status lb answers with as long as no answer has begun.\n";
    for (const EndText& one : ends) {
        const std::string status = one.status == "-" ? "" : fmt::format(", {}", one.status);
        const std::string note =
            one.side == "-" ? std::string("the good end") : fmt::format("{}{}", one.side, status);
        out += fmt::format(".TP\n.BR {} \" ({})\"\n{}\n", word(one.end), note, roff(one.text));
    }
    return out;
}

}  // namespace lb::admin
