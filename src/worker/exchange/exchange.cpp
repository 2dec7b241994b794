#include "worker/exchange/exchange.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/base/log.h"
#include "worker/exchange/error_page.h"
#include "worker/exchange/forward_headers.h"

namespace lb {
namespace {

// Bodies up to this size are kept for another try.
constexpr std::size_t replay_limit = 16384;

}  // namespace

using stream::Failure;
using stream::Flow;

void Exchange::begin(const http::RequestHead& head, std::string_view payload, bool fin) {
    method_ = head.method;
    framing_ = head.body;
    request_done_ = fin;
    request_bytes_ = payload.size();
    pool_ = listener().pool;
    record(head, payload);
    if (record_.capacity() == 0) {
        answer(End::header_too_large, 431, "");
    } else if (method_ == http::Method::trace) {
        answer(End::bad_request, 405, "TRACE is not served");
    } else if (head.body.kind == http::BodyKind::length && head.body.length > listener().traffic.max_body) {
        answer(End::body_too_large, 413, "");
    } else if (request_bytes_ > listener().traffic.max_body) {
        answer(End::body_too_large, 413, "");
    } else if (pool_ == config::no_index) {
        answer(End::no_route, 404, "");
    } else {
        if (head.expect_continue && !fin && head.minor > 0 && client_.send_continue() == Flow::gone) {
            finish(End::client_gone);
            return;
        }
        attempt(http::idempotent(method_) && fin ? Reuse::any : Reuse::recent);
    }
}

void Exchange::refuse(End why, std::uint16_t status, std::string_view detail, std::string_view line) {
    request_done_ = false;
    if (listener().access_log != config::no_index) {
        // Enough to recognise it by; the rest of a head that is over its limits is not worth memory.
        (void)record_.append(s_.io.buffers, line.substr(0, 1024));
        line_end_ = referer_end_ = agent_end_ = static_cast<std::uint32_t>(record_.size());
    }
    answer(why, status, detail);
}

// [request line][referer][user agent][head][payload]: the log's texts first, so that the payload lies right behind
// the head and both leave in one send.
void Exchange::record(const http::RequestHead& head, std::string_view payload) {
    const bool logged = listener().access_log != config::no_index;
    Forwarding forwarding;
    forwarding.mode = listener().traffic.forwarded;
    forwarding.client_address = client_.client_address();
    if (pool_ != config::no_index) forwarding.fallback_host = pool().backends.front().host;
    const std::size_t most = (logged ? 2 : 1) * head.bytes + 2 * head.host.size() +
                             forwarding.fallback_host.size() + forwarding.client_address.size() + 256;
    record_ = s_.io.buffers.take(most + payload.size());
    if (record_.capacity() == 0) return;
    const auto mark = [this] { return static_cast<std::uint32_t>(record_.size()); };
    if (logged) {
        std::string_view referer, agent;
        for (const http::Field& field : head.fields) {
            if (field.id == http::FieldId::referer) referer = field.value;
            if (field.id == http::FieldId::user_agent) agent = field.value;
        }
        (void)record_.append(s_.io.buffers, head.line);
        line_end_ = mark();
        (void)record_.append(s_.io.buffers, referer);
        referer_end_ = mark();
        (void)record_.append(s_.io.buffers, agent);
        agent_end_ = mark();
    }
    http::Sink out(record_.tail(), record_.room());
    write_request_head(out, head, forwarding);
    record_.produced(out.size());
    head_end_ = mark();
    (void)record_.append(s_.io.buffers, payload);
}

void Exchange::attempt(Reuse reuse) {
    const auto chosen = s_.backends.pick(pool_, {tried_.data(), tried_count_}, attempts_ == 0);
    if (chosen) {
        try_backend(*chosen, reuse);
        return;
    }
    if (attempts_ > 0) {  // a failure, and nobody else to ask
        answer(end_, status_of(end_), "");
        return;
    }
    s_.column.add<"lb_no_backend_total">(pool().slot);
    const auto count = s_.backends.count(pool_);
    answer(
        End::no_backend, 503,
        fmt::format("{} of {} backends of pool {} are usable", count.usable, count.configured, pool().name));
}

void Exchange::try_backend(BackendId backend, Reuse reuse) {
    current_ = backend;
    attempts_++;
    attempt_at_ = s_.io.clock.now();
    if (first_attempt_ == 0) first_attempt_ = attempt_at_;
    skip_ = 0;
    holds_ = true;
    s_.column.add<"lb_backend_in_flight">(current_.slot);
    if (pool().policy == config::Policy::least_conn) (void)s_.column.take(current_.slot);
    if (log::enabled(log::Level::debug)) {
        log::debug("pool {}: chose backend {} for {}, attempt {}", pool().name, backend_name(),
                   client_.client_address(), attempts_);
    }
    connect(reuse);
}

void Exchange::connect(Reuse reuse) {
    sent_ = false;
    const auto lent = s_.backends.lend(pool_, current_, *this, reuse, skip_);
    more_addresses_ = lent.more;
    if (lent.stream == nullptr) {
        failed(Failure::connect);
        return;
    }
    backend_ = lent.stream;
    reused_ = lent.reused;
    connect_time_ = lent.ready ? 0 : -1;
    if (lent.ready) {
        send_request();
    } else {
        move_to(Event::lent);
    }
}

void Exchange::on_backend_ready() {
    connect_time_ = s_.io.clock.now() - attempt_at_;
    s_.backends.reached(current_.slot, skip_);
    send_request();
}

void Exchange::send_request() {
    move_to(Event::ready);
    sent_ = true;
    sent_at_ = s_.io.clock.now();
    const stream::RequestRecord request{part(agent_end_, head_end_),
                                        part(head_end_, static_cast<std::uint32_t>(record_.size())), method_,
                                        framing_, request_done_};
    const Flow flow = backend_->send_request(request);
    if (flow == Flow::gone) {
        failed(Failure::closed);
        return;
    }
    backend_->wait_for_response(to_micros(pool().traffic.response_timeout),
                                to_micros(pool().traffic.body_timeout));
    if (!request_done_ && flow == Flow::ok) client_.body_wanted();
}

void Exchange::on_backend_failed(Failure how) {
    backend_ = nullptr;  // it is gone already
    failed(how);
}

void Exchange::failed(Failure how) {
    if ((how == Failure::connect || how == Failure::connect_timeout) && more_addresses_) {
        skip_++;  // the same backend by its next address
        move_to(Event::retry);
        connect(Reuse::none);
        return;
    }
    s_.column.add<"lb_backend_failures_total">(current_.slot, label_of(how));
    if (how == Failure::connect || how == Failure::connect_timeout) s_.backends.suspect(current_.slot);
    let_go();
    end_ = end_of(how);
    if (answer_started()) {
        // Only a cut tells the client that there should have been more.
        finish(how == Failure::stalled ? End::backend_stalled : End::backend_cut);
        return;
    }
    const config::Retries& settings = pool().retries;
    Attempt attempted;
    attempted.how = how;
    attempted.reused = reused_;
    attempted.anything_sent = sent_;
    attempted.replayable = replayable_;
    attempted.idempotent = http::idempotent(method_);
    attempted.fresh_left = !fresh_used_;
    attempted.time_left = s_.io.clock.now() - first_attempt_ < to_micros(settings.total);
    attempted.tries_left = settings.count - std::min<std::uint32_t>(settings.count, tried_count_);
    switch (decide_retry(settings, attempted)) {
        case Retry::no: answer(end_, status_of(end_), ""); return;
        case Retry::same_fresh:
            fresh_used_ = true;
            s_.column.add<"lb_retries_total">(pool().slot);
            move_to(Event::retry);
            try_backend(current_, Reuse::none);
            return;
        case Retry::other:
            tried_[tried_count_++] = current_.slot;
            s_.column.add<"lb_retries_total">(pool().slot);
            move_to(Event::retry);
            attempt(http::idempotent(method_) && request_done_ ? Reuse::any : Reuse::recent);
            return;
    }
}

void Exchange::let_go() {
    if (backend_ != nullptr) {
        stream::BackendStream* backend = backend_;
        backend_ = nullptr;
        backend->release();
    }
    if (holds_) {
        holds_ = false;
        s_.column.sub<"lb_backend_in_flight">(current_.slot);
        if (pool().policy == config::Policy::least_conn) s_.column.give_back(current_.slot);
    }
}

Flow Exchange::on_request_body(std::string_view payload, bool fin) {
    request_bytes_ += payload.size();
    request_done_ = fin;
    if (request_bytes_ > listener().traffic.max_body) {
        on_client_failed(End::body_too_large);
        return Flow::full;
    }
    switch (state_) {
        case State::picking:
        case State::connecting:
            // Nothing is sent yet: it leaves together with the head.
            if (!record_.append(s_.io.buffers, payload)) on_client_failed(End::overload);
            return Flow::full;
        case State::waiting:
        case State::relaying: break;
        case State::answering:
        case State::flushing:
        case State::over: return Flow::full;
    }
    if (backend_ == nullptr) return Flow::full;
    if (replayable_) {
        const std::size_t kept = record_.size() - head_end_;
        replayable_ = kept + payload.size() <= replay_limit && record_.append(s_.io.buffers, payload);
    }
    return backend_->send_body(payload, fin);
}

void Exchange::on_backend_drained() {
    if (request_pump_.active() && pump_request() == io::Raw::full) return;
    if (!request_done_ && state_ != State::over) client_.body_wanted();
}

void Exchange::on_response(const http::ResponseHead& head, std::string_view payload, bool fin) {
    const Micros now = s_.io.clock.now();
    response_time_ = now - sent_at_;
    status_ = head.status;
    end_ = End::done;
    s_.column.add<"lb_backend_requests_total">(current_.slot, head.status / 100u);
    s_.column.add<"lb_backend_response_seconds_total">(current_.slot, 0,
                                                       static_cast<std::uint64_t>(response_time_));
    if (s_.backend_histograms)
        s_.column.observe<"lb_backend_response_duration_seconds">(current_.slot, response_time_);
    move_to(Event::head);
    const bool dated = std::any_of(head.fields.begin(), head.fields.end(),
                                   [](const http::Field& field) { return field.id == http::FieldId::date; });
    const stream::FieldRules rules{response_field_passes,
                                   dated ? std::string_view{} : s_.io.wall.date_line()};
    response_bytes_ += payload.size();
    relayed(client_.send_head(head, rules, payload, fin, !request_done_), fin);
}

void Exchange::on_response_body(std::string_view payload, bool fin) {
    response_bytes_ += payload.size();
    relayed(client_.send_body(payload, fin), fin);
}

void Exchange::relayed(Flow flow, bool fin) {
    if (flow == Flow::gone) {
        finish(End::client_gone);
    } else if (fin) {
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
    } else if (backend_ != nullptr) {
        backend_->resume();
    }
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

void Exchange::answer(End why, std::uint16_t status, std::string_view detail) {
    move_to(Event::give_up);
    end_ = why;
    status_ = status;
    let_go();
    const ErrorPage page = error_page(status, why, detail, s_.io.wall.date_line());
    http::ResponseHead head;
    head.status = status;
    const std::string_view body =
        method_ == http::Method::head ? std::string_view{} : std::string_view{page.body};
    if (!body.empty()) head.body = {http::BodyKind::length, body.size()};
    response_bytes_ = body.size();
    // After a request that breaks the rules nothing on its connection can be trusted.
    const bool close = !request_done_ || why == End::bad_request;
    const Flow flow = client_.send_head(head, {nullptr, page.fields}, body, true, close);
    if (flow == Flow::gone) {
        finish(End::client_gone);
    } else {
        given(flow);
    }
}

io::Raw Exchange::on_response_raw() {
    if (!answer_pump_.active() && (client_.raw_sink() < 0 || !answer_pump_.begin(s_.io.pipes)))
        return io::Raw::refused;
    return pump_answer();
}

io::Raw Exchange::pump_answer() {
    std::uint64_t left = 0;
    const int source = backend_ != nullptr ? backend_->raw_source(left) : -1;
    const auto moved = answer_pump_.move(source, client_.raw_sink(), left);
    left -= moved.taken;
    if (moved.taken > 0) backend_->raw_taken(moved.taken);
    response_bytes_ += moved.sent;
    const bool fin = left == 0 && answer_pump_.held() == 0;
    if (moved.sent > 0) client_.raw_sent(moved.sent, fin);
    if (left == 0) let_go();  // all of the answer is here: the connection is free for others
    switch (moved.step) {
        case Pump::Step::finished:
            answer_pump_.end(s_.io.pipes);
            given(Flow::ok);
            return io::Raw::moved;
        case Pump::Step::source_empty:
            if (source >= 0) backend_->raw_source_empty();
            return io::Raw::moved;
        case Pump::Step::source_ended:
            s_.column.add<"lb_backend_failures_total">(current_.slot, metrics::fail_cut);
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
    const auto moved = request_pump_.move(source, backend_->raw_sink(), left);
    left -= moved.taken;
    request_bytes_ += moved.taken;
    if (moved.taken > 0) client_.raw_taken(moved.taken);
    request_done_ = left == 0 && request_pump_.held() == 0;
    if (moved.sent > 0) backend_->raw_sent(moved.sent, request_done_);
    switch (moved.step) {
        case Pump::Step::finished: request_pump_.end(s_.io.pipes); return io::Raw::moved;
        case Pump::Step::source_empty:
            if (source >= 0) client_.raw_source_empty();
            return io::Raw::moved;
        case Pump::Step::source_ended: finish(End::client_gone); return io::Raw::moved;
        case Pump::Step::sink_full: backend_->raw_sink_full(); return io::Raw::full;
        case Pump::Step::sink_failed: backend_->sink_failed(); return io::Raw::full;
        case Pump::Step::turn_over: return io::Raw::moved;
    }
    return io::Raw::moved;
}

void Exchange::finish(End why, bool whole) {
    if (state_ == State::over) return;
    move_to(Event::ended);
    end_ = why;
    let_go();
    answer_pump_.end(s_.io.pipes);
    request_pump_.end(s_.io.pipes);
    const Micros now = s_.io.clock.now();
    count(now);
    if (listener().access_log != config::no_index) write_log(now);
    s_.exchanges.retire(*this);
    if (whole) {
        client_.exchange_over();
    } else {
        client_.cut();
    }
}

void Exchange::count(Micros now) {
    const std::uint32_t klass = status_ / 100u;
    const Micros duration = now - started_;
    s_.column.add<"lb_listener_requests_total">(listener().slot, klass);
    s_.column.add<"lb_exchanges_total">(listener().slot, static_cast<std::uint32_t>(end_));
    s_.column.add<"lb_client_received_bytes_total">(listener().slot, 0, client_.bytes_received());
    s_.column.add<"lb_client_sent_bytes_total">(listener().slot, 0, client_.bytes_sent());
    s_.column.observe<"lb_listener_request_duration_seconds">(listener().slot, duration);
    if (pool_ == config::no_index) return;
    s_.column.add<"lb_requests_total">(pool().slot, klass);
    s_.column.observe<"lb_request_duration_seconds">(pool().slot, duration);
}

std::string_view Exchange::backend_name() const noexcept {
    return s_.table.text(s_.table.backend(current_.slot).name.load(std::memory_order_acquire));
}

void Exchange::write_log(Micros now) {
    AccessEntry entry;
    entry.local_time = s_.io.wall.log_time();
    entry.iso_time = s_.io.wall.iso_time();
    entry.client = client_.client_address();
    entry.listener = listener().name;
    if (pool_ != config::no_index) entry.pool = pool().name;
    if (attempts_ > 0) entry.backend = backend_name();
    entry.request_line = part(0, line_end_);
    entry.referer = part(line_end_, referer_end_);
    entry.user_agent = part(referer_end_, agent_end_);
    entry.status = status_;
    entry.bytes_sent = client_.bytes_sent();
    entry.body_bytes = response_bytes_;
    entry.bytes_received = client_.bytes_received();
    entry.attempts = attempts_;
    entry.end = end_;
    entry.duration = now - started_;
    entry.connect = connect_time_;
    entry.response = response_time_;
    s_.logs.write(listener().access_log, entry);
}

}  // namespace lb
