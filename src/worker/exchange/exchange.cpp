#include "worker/exchange/exchange.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/geo/countries.h"
#include "worker/exchange/admission.h"
#include "worker/exchange/edits.h"
#include "worker/exchange/error_page.h"
#include "worker/exchange/forward_headers.h"
#include "worker/exchange/local_answer.h"
#include "worker/exchange/mirror.h"
#include "worker/exchange/named_trailers.h"
#include "worker/exchange/request_id.h"
#include "worker/exchange/rewrite.h"
#include "worker/exchange/split.h"
#include "worker/exchange/trusted_hops.h"

namespace lb {
namespace {

// The other end of the socket, where a PROXY header named somebody else as the client.
std::string_view peer_text(const stream::ClientOrigin& origin, std::string& room) {
    if (&origin.peer == &origin.client) return origin.text;
    append_host(room, origin.peer);
    return room;
}

// The Host of a request that names none (HTTP/1.0): something a backend can read as a host.
std::string_view host_of(const config::Pool& pool) noexcept {
    const bool named = !pool.backends.empty() && !pool.backends.front().host.starts_with("unix:");
    return named ? std::string_view{pool.backends.front().host} : "localhost";
}

}  // namespace

using stream::Flow;

void Exchange::begin(const http::RequestHead& head, std::string_view payload, bool fin) {
    headed_ = s_.io.clock.now();
    method_ = head.method;
    framing_ = head.body;
    request_done_ = fin;
    request_bytes_ = payload.size();
    expects_ = head.expect_continue && !fin && head.minor > 0;
    const stream::ClientOrigin origin = client_.origin();
    const Hops hops(origin, listener(), head);
    choose_route(head, hops);
    const Admission admission = admit(s_, rules_, head, hops, held_);
    if (admission.refused()) use_pool(config::no_index);
    if (rules_.own_times())
        client_.set_times(rules_.client_body_timeout(), rules_.client_min_rate(), rules_.request_timeout());

    RequestIdRoom id_room;
    RequestFacts known;
    known.head = &head;
    known.client = hops.text();
    known.client_port = hops.port();
    std::string peer;
    known.peer = peer_text(origin, peer);
    known.scheme = hops.scheme();
    if (const auto& countries = s_.config.zones.countries)
        known.country = countries->country_of(hops.address());
    if (listener().traffic.request_id)
        known.request_id = request_id_of(head, hops.sender_trusted(), s_.io.random, id_room);
    known.connection_request = origin.request;
    add_names(known);
    if (rules_.route != nullptr) known.unix_millis = unix_millis();

    Rewritten rewritten = Rewritten::no;
    if (rules_.route != nullptr && rules_.route->rewrite)
        rewritten = rewrite_target(s_.target, *rules_.route->rewrite, {known});
    if (!record(head, payload, hops, known, rewritten == Rewritten::yes)) {
        answer(End::header_too_large, 431, "");
    } else if (admission.refused()) {
        answer(admission.why, admission.status, admission.detail, admission.retry_after);
    } else if (rewritten == Rewritten::too_long) {
        answer(End::header_too_large, 414, "the rewritten path is too long");
    } else if (!refused(head) && !answered_here(known)) {
        if (!fin && framing_.kind == http::BodyKind::chunked)
            note_named_trailers(head.fields, &Extras::request_named);
        prefer_ = preference_of(s_, pool(), head, hops, known.country, known.route);
        attempt();
        if (mirrors_ && request_done_) mirror();
    }
}

void Exchange::choose_route(const http::RequestHead& head, const Hops& hops) {
    std::uint32_t route = config::no_index;
    if (!s_.config.routes.empty()) route = s_.matcher.find({listener_, head, hops.address()});
    if (route == config::no_index) {
        use_pool(listener().pool);
    } else {
        rules_.route = &s_.config.routes[route];
        const config::Route& chosen = *rules_.route;
        if (chosen.pools.size() == 1) {
            use_pool(chosen.pools.front().pool);
        } else if (!chosen.pools.empty()) {
            auto& cursor = s_.table.route_cell(chosen.slot).cursor;
            const auto at = cursor.fetch_add(1, std::memory_order_relaxed);
            use_pool(chosen.pools[choose_share(chosen.pools, at)].pool);
        }
        mirrors_ = chosen.mirror && head.upgrade.empty() && is_chosen(chosen.mirror->share, s_.io.random);
    }
    log_ = rules_.access_log();
    if (log_ != config::no_index && !s_.logs.wanted(log_, s_.io.random)) log_ = config::no_index;
}

void Exchange::add_names(RequestFacts& facts) const noexcept {
    facts.listener = listener().name;
    if (rules_.route != nullptr) facts.route = rules_.route->name;
    facts.worker = s_.worker;
    facts.pid = s_.pid;
    facts.time_local = s_.io.wall.log_time();
    facts.time_iso = s_.io.wall.iso_time();
}

void Exchange::refuse(End why, std::uint16_t status, std::string_view detail, std::string_view line) {
    request_done_ = false;
    log_ = rules_.access_log();
    if (log_ != config::no_index && !s_.logs.wanted(log_, s_.io.random)) log_ = config::no_index;
    if (log_ != config::no_index) {
        const stream::ClientOrigin origin = client_.origin();
        RequestFacts known;
        std::string peer;
        known.client = origin.text;
        known.peer = peer_text(origin, peer);
        known.client_port = origin.client.port();
        const LineFormat& format = s_.logs.format(log_);
        // Enough to recognise it by; the rest of a head that is over its limits is not worth memory.
        line = line.substr(0, 1024);
        record_ = s_.io.buffers.take(format.capture_bound(known, line));
        http::Sink out(record_.tail(), record_.room());
        format.capture_request(out, known, line);
        record_.produced(out.size());
        capture_end_ = static_cast<std::uint32_t>(record_.size());
    }
    answer(why, status, detail);
}

// [what the log captures][head][payload]: the payload lies right behind the head, and both leave in one send.
// False: more than a buffer holds.
bool Exchange::record(const http::RequestHead& head, std::string_view payload, const Hops& hops,
                      const RequestFacts& known, bool rewritten) {
    const LineFormat* format = log_ == config::no_index ? nullptr : &s_.logs.format(log_);
    std::size_t most = payload.size() + 1;
    if (format != nullptr) most += format->capture_bound(known);
    Forwarding forwarding;
    if (rules_.pool != nullptr) {
        const config::Traffic& traffic = listener().traffic;
        forwarding.mode = traffic.forwarded;
        forwarding.sender_trusted = hops.sender_trusted();
        forwarding.via = traffic.via;
        forwarding.expect_continue = expects_;
        forwarding.sender = client_.origin().text;
        forwarding.fallback_host = host_of(pool());
        forwarding.request_id = known.request_id;
        if (rewritten) forwarding.target = s_.target;
        if (rules_.route != nullptr && !rules_.route->request_edits.empty())
            forwarding.edits = make_request_edits(s_.edits, rules_.route->request_edits, {known});
        most += request_head_bound(head, forwarding);
        if (!head.upgrade.empty()) extras().upgrade = head.upgrade;
    }
    record_ = s_.io.buffers.take(most);
    if (record_.capacity() == 0) return false;
    http::Sink out(record_.tail(), record_.room());
    if (format != nullptr) format->capture_request(out, known);
    capture_end_ = static_cast<std::uint32_t>(out.size());
    if (rules_.pool != nullptr) write_request_head(out, head, forwarding);
    if (out.overflow()) return false;
    record_.produced(out.size());
    head_end_ = static_cast<std::uint32_t>(out.size());
    if (rules_.route != nullptr) {
        gzip_accepted_ = rules_.route->gzip && gzip_accepted(head);
        const auto& edits = rules_.route->response_edits;
        if (!edits.empty() && needs_request(edits))
            extras().response_edits = with_request_values(edits, {known});
    }
    return record_.append(s_.io.buffers, payload);
}

void Exchange::note_named_trailers(const std::vector<http::Field>& fields, std::string Extras::*into) {
    std::string named;
    note_named(named, fields);
    if (!named.empty()) extras().*into = std::move(named);
}

// Whether lb refuses a request that it could read.
bool Exchange::refused(const http::RequestHead& head) {
    if (method_ == http::Method::trace) {
        answer(End::bad_request, 405, "TRACE is not served");
        return true;
    }
    const bool too_large = head.body.kind == http::BodyKind::length && head.body.length > rules_.max_body();
    if (too_large || request_bytes_ > rules_.max_body()) {
        answer(End::body_too_large, 413, "");
        return true;
    }
    return false;
}

// Whether the answer is lb's own because the configuration, or the request, says so.
bool Exchange::answered_here(const RequestFacts& known) {
    const std::string_view date = s_.io.wall.date_line();
    const config::Route* route = rules_.route;
    if (route != nullptr && (route->redirect || route->respond)) {
        const Facts facts{known};
        LocalAnswer local = route->redirect ? redirect_answer(*route->redirect, facts, date)
                                            : respond_answer(*route->respond, date);
        if (local.too_long) {
            answer(End::header_too_large, 414, "the location is too long");
            return true;
        }
        AnswerFacts told;
        told.status = local.status;
        edit_lines(local.fields, route->response_edits, {known, &told});
        answer_with(local.status, local.fields, local.body(method_), End::done);
        return true;
    }
    if (rules_.pool == nullptr) {
        answer(End::no_route, 404, "");
        return true;
    }
    if (max_forwards(*known.head) == 0u) {
        const std::string fields =
            std::string(date) +
            "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\nContent-Length: 0\r\n";
        answer_with(200, fields, {}, End::done);
        return true;
    }
    return false;
}

// A copy of the request as the backend of the original got it. Last of what its caller does: see mirror.h.
void Exchange::mirror() {
    mirrors_ = false;
    const config::Route& route = *rules_.route;
    const Address local = s_.config.pools[route.mirror->pool].send_proxy == config::SendProxy::off
                              ? Address{}
                              : client_.local_address();
    Mirror* shadow =
        replayable_ ? s_.mirrors.make(client_.origin(), local, rules_.request_timeout()) : nullptr;
    s_.column.add<"lb_route_mirrored_total">(
        route.slot, shadow != nullptr ? metrics::mirror_sent : metrics::mirror_dropped);
    if (shadow == nullptr) return;
    Exchange& copy = s_.exchanges.make(s_, *shadow, listener_, s_.io.clock.now());
    shadow->serve(copy);
    copy.begin_copy(*this, route.mirror->pool);
}

void Exchange::begin_copy(const Exchange& of, std::uint32_t pool) {
    copy_ = true;
    headed_ = started_;
    method_ = of.method_;
    framing_ = of.framing_;
    request_done_ = true;
    request_bytes_ = of.request_bytes_;
    use_pool(pool);
    if (of.extras_ && !of.extras_->trailers.empty()) extras().trailers = of.extras_->trailers;
    const std::string_view request = of.record_.view().substr(of.capture_end_);
    record_ = s_.io.buffers.take(request.size());
    if (!record_.append(s_.io.buffers, request)) {
        answer(End::overload, 503, "");
        return;
    }
    head_end_ = of.head_end_ - of.capture_end_;
    attempt();
}

void Exchange::answer(End why, std::uint16_t status, std::string_view detail, std::uint32_t retry_after) {
    ErrorPage page = error_page(status, why, detail, s_.io.wall.date_line(), retry_after);
    if (rules_.route != nullptr && !rules_.route->response_edits.empty()) {
        const RequestFacts none;
        status_ = status;
        const AnswerFacts known = answer_facts(nullptr);
        edit_lines(page.fields, response_edits(), {none, &known});
    }
    answer_with(status, page.fields,
                method_ == http::Method::head ? std::string_view{} : std::string_view{page.body}, why);
}

void Exchange::answer_with(std::uint16_t status, std::string_view fields, std::string_view body, End why) {
    if (fields.size() + head_reserve > s_.io.head_room) {
        // A location or edits of enormous length: the client must hear that rather than nothing.
        answer_with(414, "Content-Length: 0\r\n", {}, End::header_too_large);
        return;
    }
    if (gave_up_in_ == State::over) gave_up_in_ = state_;
    move_to(Event::give_up);
    end_ = why;
    status_ = status;
    s_.backends.leave(*this);
    let_go();
    http::ResponseHead head;
    head.status = status;
    if (!body.empty()) head.body = {http::BodyKind::length, body.size()};
    response_bytes_ = body.size();
    // After a request that breaks the rules nothing on its connection can be trusted.
    const bool close = !request_done_ || why == End::bad_request;
    const Flow flow = client_.send_head(head, {nullptr, nullptr, fields}, body, true, close);
    if (flow == Flow::gone) {
        finish(End::client_gone);
    } else {
        given(flow);
    }
}

}  // namespace lb
