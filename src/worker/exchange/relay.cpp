// worker/exchange/relay.cpp -- what passes between client and backend: bodies both ways, interim answers, trailers,
// tunnels, and long bodies inside the kernel.
#include <algorithm>

#include "shared/base/text.h"
#include "shared/http/field_values.h"
#include "worker/exchange/admission.h"
#include "worker/exchange/edits.h"
#include "worker/exchange/exchange.h"
#include "worker/exchange/forward_headers.h"
#include "worker/exchange/named_trailers.h"

namespace lb {
namespace {

// Bodies up to this size are kept for another try.
constexpr std::size_t replay_limit = 16384;

// Whether each protocol of `chosen`, at least one, is among those of `asked`: comma-separated lists, any case.
bool among(std::string_view chosen, std::string_view asked) {
    const auto next = [](std::string_view& list) {
        const std::size_t comma = std::min(list.find(','), list.size());
        const std::string_view word = text::trim(list.substr(0, comma));
        list.remove_prefix(std::min(comma + 1, list.size()));
        return word;
    };
    const auto same = [](char a, char b) { return text::lower(a) == text::lower(b); };
    if (chosen.empty()) return false;
    while (!chosen.empty()) {
        const std::string_view word = next(chosen);
        bool found = false;
        for (std::string_view rest = asked; !rest.empty() && !found;)
            found = std::ranges::equal(word, next(rest), same);
        if (word.empty() || !found) return false;
    }
    return true;
}

}  // namespace

using stream::Failure;
using stream::Flow;

// --- from the client ---

void Exchange::on_request_trailers(std::string_view lines) {
    if (framing_.kind != http::BodyKind::chunked) return;
    if (extras_) lines = without_named(extras_->request_named, lines);
    if (rules_.route != nullptr) lines = keep_trailers(s_.edits, lines, rules_.route->request_edits, false);
    if (backend_ != nullptr && sent_) backend_->set_trailers(lines);
    if (replayable_) extras().trailers = lines;
}

Flow Exchange::on_request_body(std::string_view payload, bool fin) {
    request_bytes_ += payload.size();
    request_done_ = fin;
    if (!tunnel_ && request_bytes_ > rules_.max_body()) {
        on_client_failed(End::body_too_large);
        return Flow::full;
    }
    switch (state_) {
        case State::picking:
        case State::connecting:
            // Nothing is sent yet: it leaves together with the head.
            if (!record_.append(s_.io.buffers, payload)) {
                on_client_failed(End::overload);
            } else if (fin && mirrors_) {
                mirror();
            }
            return Flow::full;
        case State::waiting:
        case State::relaying: break;
        case State::answering:
        case State::flushing:
        case State::over: return Flow::full;
    }
    if (tunnel_ && fin) {
        if (!payload.empty() && backend_ != nullptr) (void)backend_->send_body(payload, false);
        client_ended_tunnel();
        return Flow::ok;
    }
    if (backend_ == nullptr) return Flow::full;
    if (replayable_) {
        const std::size_t kept = record_.size() - head_end_;
        replayable_ = kept + payload.size() <= replay_limit && record_.append(s_.io.buffers, payload);
    }
    const Flow flow = backend_->send_body(payload, fin);
    if (fin && mirrors_) mirror();
    return flow;
}

void Exchange::on_backend_drained() {
    if (request_pump_.active() && pump_request() == io::Raw::full) return;
    if (!request_done_ && state_ != State::over) client_.body_wanted();
}

void Exchange::on_client_failed(End why) {
    if (state_ == State::over) return;
    const std::uint16_t status = status_of(why);
    if (status != 0 && !answer_started()) {
        answer(why, status, "");
    } else {
        finish(why);
    }
}

// --- from the backend ---

void Exchange::on_interim(const http::ResponseHead& head) {
    // An answer to an Expect that nobody sent, or that was answered already by an earlier backend, says nothing.
    if (head.status == 100 && !std::exchange(expects_, false)) return;
    const auto rules = AnswerRules::interim(response_edits());
    if (client_.send_interim(head, rules.rules()) == Flow::gone) finish(End::client_gone);
}

void Exchange::on_response(const http::ResponseHead& head, std::string_view payload, bool fin) {
    const Micros now = s_.io.clock.now();
    response_time_ = now - sent_at_;
    backend_status_ = head.status;
    end_ = End::done;
    s_.column.add<"lb_backend_requests_total">(place_.backend.slot, head.status / 100u);
    s_.column.add<"lb_backend_response_seconds_total">(place_.backend.slot, 0,
                                                       static_cast<std::uint64_t>(response_time_));
    if (s_.backend_histograms)
        s_.column.observe<"lb_backend_response_duration_seconds">(place_.backend.slot, response_time_);
    s_.backends.answered(pool_, place_.backend, head.status, response_time_);
    if (try_other_for(head.status)) return;
    if (head.status == 101) {
        begin_tunnel(head, payload);
        return;
    }
    status_ = head.status;
    if (fin) settle();
    send_answer_head(head, payload, fin);
}

AnswerFacts Exchange::answer_facts(const http::ResponseHead* head) const noexcept {
    AnswerFacts facts;
    facts.status = status_;
    facts.backend_status = backend_status_;
    facts.head = head;
    if (rules_.pool != nullptr) facts.pool = pool().name;
    if (attempts_ > 0) facts.backend = backend_name();
    if (extras_) facts.backend_address = extras_->address;
    return facts;
}

void Exchange::note_for_log(const AnswerFacts& answer) {
    if (log_ != config::no_index && s_.logs.format(log_).captures_answer())
        s_.logs.format(log_).capture_answer(extras().answer_capture, answer);
}

void Exchange::send_answer_head(const http::ResponseHead& head, std::string_view payload, bool fin) {
    const config::Route* route = rules_.route;
    AnswerChanges changes;
    changes.via = listener().traffic.via;
    changes.edits = response_edits();
    std::string cookie;
    if (sets_cookie())
        changes.extra = cookie = sticky_cookie(pool().sticky, s_.backends.sticky_id(place_.backend));
    if (route != nullptr && route->gzip) changes.gzip = plan_gzip(head, method_, gzip_accepted_);
    if (changes.gzip == Gzip::yes && method_ != http::Method::head) {
        extras().gzip = s_.compressors.take();
        if (!compressing()) changes.gzip = Gzip::vary;
    }
    const RequestFacts none;
    const AnswerFacts known = answer_facts(&head);
    note_for_log(known);
    const AnswerRules rules(s_.edits, head, changes, {none, &known}, s_.io.wall.date_line());
    if (!fits(head, rules.rules().added)) {
        answer(End::bad_response, 502, "its head and what the route adds to it are too long");
        return;
    }
    move_to(Event::head);
    if (!fin && head.body.kind == http::BodyKind::chunked)
        note_named_trailers(head.fields, &Extras::answer_named);
    response_bytes_ += payload.size();
    if (!compressing()) {
        relayed(client_.send_head(head, rules.rules(), payload, fin, !request_done_), fin);
        return;
    }
    http::ResponseHead coded = head;
    coded.body = {http::BodyKind::chunked, 0};
    relayed(client_.send_head(coded, rules.rules(), compress(payload, fin), fin, !request_done_), fin);
}

// Whether the head can be written. Only what is added may be too much: the rest was within its own limit.
bool Exchange::fits(const http::ResponseHead& head, std::string_view added) const noexcept {
    if (added.size() <= head_reserve / 2) return true;
    std::size_t size = head_reserve + added.size() + head.reason.size();
    for (const http::Field& field : head.fields) size += field.line.size();
    return size <= s_.io.head_room;
}

std::string_view Exchange::compress(std::string_view payload, bool fin) {
    const std::string_view coded = extras_->gzip->feed(payload, fin);
    s_.column.add<"lb_route_gzip_in_bytes_total">(rules_.route->slot, 0, payload.size());
    s_.column.add<"lb_route_gzip_out_bytes_total">(rules_.route->slot, 0, coded.size());
    return coded;
}

void Exchange::on_response_trailers(std::string_view lines) {
    if (extras_) lines = without_named(extras_->answer_named, lines);
    client_.set_trailers(keep_trailers(s_.edits, lines, response_edits(), compressing()));
}

void Exchange::on_response_body(std::string_view payload, bool fin) {
    response_bytes_ += payload.size();
    if (tunnel_) {
        const Flow flow = payload.empty() ? Flow::ok : client_.send_body(payload, false);
        if (flow == Flow::gone) {
            finish(End::client_gone);
        } else if (fin) {
            backend_ended_tunnel();
        } else if (flow == Flow::full) {
            backend_->pause();
        }
        return;
    }
    if (fin) settle();
    relayed(client_.send_body(compressing() ? compress(payload, fin) : payload, fin), fin);
}

void Exchange::relayed(Flow flow, bool fin) {
    if (flow == Flow::gone) {
        finish(End::client_gone);
    } else if (fin) {
        s_.backends.completed(pool_, place_.backend, backend_status_);
        let_go();  // first, so that the next request may use the connection
        given(flow);
    } else if (flow == Flow::full) {
        backend_->pause();
    }
}

// The whole answer is with the client's stream.
void Exchange::given(Flow flow) {
    move_to(Event::whole);
    if (flow == Flow::ok) finish(end_, true);
}

void Exchange::on_client_drained() {
    if (state_ == State::flushing) {
        finish(end_, true);
    } else if (answer_pump_.active()) {
        if (pump_answer() != io::Raw::full && backend_ != nullptr) backend_->resume();
    } else if (backend_ != nullptr && answer_started()) {
        backend_->resume();
    }
}

// --- tunnels ---

// RFC 9110 7.8. The backend may only choose what was asked for, and Connection must say that it means this connection.
void Exchange::begin_tunnel(const http::ResponseHead& head, std::string_view payload) {
    std::string chosen;
    bool connection = false;
    for (const http::Field& field : head.fields) {
        if (field.id == http::FieldId::connection)
            connection = connection || http::list_has(field.value, "upgrade");
        if (field.id == http::FieldId::upgrade) chosen.append(chosen.empty() ? "" : ", ").append(field.value);
    }
    if (!extras_ || !connection || !among(chosen, extras_->upgrade)) {
        stream::BackendStream* backend = backend_;
        backend_ = nullptr;
        backend->release();
        failed(Failure::bad_response);
        return;
    }
    status_ = 101;
    std::string lines = "Connection: Upgrade\r\nUpgrade: ";
    lines.append(chosen).append("\r\n");
    if (sets_cookie()) lines += sticky_cookie(pool().sticky, s_.backends.sticky_id(place_.backend));
    AnswerChanges changes;
    changes.via = listener().traffic.via;
    changes.edits = response_edits();
    changes.extra = lines;
    const RequestFacts none;
    const AnswerFacts known = answer_facts(&head);
    note_for_log(known);
    const AnswerRules rules(s_.edits, head, changes, {none, &known}, s_.io.wall.date_line());
    if (!fits(head, rules.rules().added)) {
        answer(End::bad_response, 502, "its head and what the route adds to it are too long");
        return;
    }
    s_.backends.completed(pool_, place_.backend, 101);
    move_to(Event::head);
    tunnel_ = true;
    replayable_ = false;
    request_done_ = false;
    response_bytes_ += payload.size();
    const Flow flow = client_.send_head(head, rules.rules(), payload, false, false);
    if (flow == Flow::gone) {
        finish(End::client_gone);
        return;
    }
    client_.set_times(rules_.tunnel_timeout(), UINT64_MAX, 0);
    if (flow == Flow::full) backend_->pause();
    client_.body_wanted();
}

// One side has nothing more to say; the other may finish, but a peer that stays silent is not waited for long.
void Exchange::backend_ended_tunnel() {
    answer_over_ = true;
    if (request_done_) {
        finish(End::done, true);
        return;
    }
    client_.set_times(rules_.client_body_timeout(), UINT64_MAX, 0);
    if (client_.send_body({}, true) == Flow::gone) finish(End::done, true);
}

void Exchange::client_ended_tunnel() {
    request_done_ = true;
    if (answer_over_ || backend_ == nullptr || backend_->send_body({}, true) == Flow::gone) {
        finish(End::done, true);
        return;
    }
    client_.set_times(rules_.client_body_timeout(), UINT64_MAX, 0);
}

// --- inside the kernel ---

io::Raw Exchange::on_response_raw() {
    if (compressing()) return io::Raw::refused;
    if (!answer_pump_.active() && (client_.raw_sink() < 0 || !answer_pump_.begin(s_.io.pipes)))
        return io::Raw::refused;
    return pump_answer();
}

io::Raw Exchange::pump_answer() {
    std::uint64_t left = 0;
    const int source = backend_ != nullptr ? backend_->raw_source(left) : -1;
    const auto moved = answer_pump_.move(source, client_.raw_sink(), left, s_.io.share);
    if (left != stream::RawEnd::endless) left -= moved.taken;
    if (moved.taken > 0) backend_->raw_taken(moved.taken);
    response_bytes_ += moved.sent;
    const bool fin = left == 0 && answer_pump_.held() == 0;
    if (moved.sent > 0) client_.raw_sent(moved.sent, fin);
    if (left == 0) {  // all of the answer is here: the connection is free for others
        if (backend_ != nullptr) s_.backends.completed(pool_, place_.backend, backend_status_);
        let_go();
    }
    switch (moved.step) {
        case Pump::Step::finished:
            answer_pump_.end(s_.io.pipes);
            given(Flow::ok);
            return io::Raw::moved;
        case Pump::Step::source_empty:
            if (source >= 0) backend_->raw_source_empty();
            if (tunnel_) answer_pump_.end(s_.io.pipes);  // which may rest for long
            return io::Raw::moved;
        case Pump::Step::source_ended:
            if (tunnel_) {
                answer_pump_.end(s_.io.pipes);
                return io::Raw::refused;
            }
            [[fallthrough]];
        case Pump::Step::source_failed:
            s_.column.add<"lb_backend_failures_total">(place_.backend.slot, metrics::fail_cut);
            s_.backends.attempt_failed(pool_, place_.backend, s_.io.clock.now() - attempt_at_);
            finish(End::backend_cut);
            return io::Raw::moved;
        case Pump::Step::sink_full: client_.raw_sink_full(); return io::Raw::full;
        case Pump::Step::sink_failed: finish(End::client_gone); return io::Raw::moved;
        case Pump::Step::turn_over: return io::Raw::moved;
    }
    return io::Raw::moved;
}

io::Raw Exchange::on_request_raw() {
    if (state_ != State::waiting && state_ != State::relaying) return io::Raw::refused;
    if (!request_pump_.active()) {
        if (backend_ == nullptr || backend_->raw_sink() < 0 || !request_pump_.begin(s_.io.pipes))
            return io::Raw::refused;
        replayable_ = false;
    }
    return pump_request();
}

io::Raw Exchange::pump_request() {
    if (backend_ == nullptr) return io::Raw::full;
    std::uint64_t left = 0;
    const int source = client_.raw_source(left);
    const auto moved = request_pump_.move(source, backend_->raw_sink(), left, s_.io.share);
    if (left != stream::RawEnd::endless) left -= moved.taken;
    request_bytes_ += moved.taken;
    if (moved.taken > 0) client_.raw_taken(moved.taken);
    request_done_ = left == 0 && request_pump_.held() == 0;
    if (moved.sent > 0) backend_->raw_sent(moved.sent, request_done_);
    switch (moved.step) {
        case Pump::Step::finished:
            request_pump_.end(s_.io.pipes);
            if (mirrors_) mirror();  // which only counts that the body was not kept
            return io::Raw::moved;
        case Pump::Step::source_empty:
            if (source >= 0) client_.raw_source_empty();
            if (tunnel_) request_pump_.end(s_.io.pipes);
            return io::Raw::moved;
        case Pump::Step::source_ended:
            if (tunnel_) {
                request_pump_.end(s_.io.pipes);
                return io::Raw::refused;
            }
            [[fallthrough]];
        case Pump::Step::source_failed: finish(End::client_gone); return io::Raw::moved;
        case Pump::Step::sink_full: backend_->raw_sink_full(); return io::Raw::full;
        case Pump::Step::sink_failed: backend_->sink_failed(); return io::Raw::full;
        case Pump::Step::turn_over: return io::Raw::moved;
    }
    return io::Raw::moved;
}

}  // namespace lb
