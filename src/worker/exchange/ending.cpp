// worker/exchange/ending.cpp -- how an exchange ends: once, in the figures, in the log.
#include "worker/exchange/exchange.h"

namespace lb {

void Exchange::finish(End why, bool whole) {
    if (state_ == State::over) return;
    const std::string_view ended_in = phase();
    move_to(Event::ended);
    end_ = why;
    s_.backends.leave(*this);
    let_go();
    s_.limits.leave(held_);
    answer_pump_.end(s_.io.pipes);
    request_pump_.end(s_.io.pipes);
    const Micros now = s_.io.clock.now();
    count(now);
    if (log_ != config::no_index) write_log(now, why == End::done ? "done" : ended_in);
    s_.exchanges.retire(*this);
    if (whole) {
        client_.exchange_over();
    } else {
        client_.cut();
    }
}

// Where an exchange that ends now ends. Of one that lb answered itself: where it came to that.
std::string_view Exchange::phase() const noexcept {
    switch (gave_up_in_ == State::over ? state_ : gave_up_in_) {
        case State::picking: return attempts_ > 0 ? "connect" : headed_ < 0 ? "head" : "pick";
        case State::connecting: return "connect";
        case State::waiting: return "wait";
        case State::relaying:
        case State::answering:
        case State::flushing: return "transfer";
        case State::over: break;
    }
    return "done";
}

void Exchange::count(Micros now) {
    const std::uint32_t klass = status_ / 100u;
    const Micros duration = now - started_;
    if (!copy_) {
        const std::uint32_t slot = listener().slot;
        s_.column.add<"lb_listener_requests_total">(slot, klass);
        s_.column.add<"lb_exchanges_total">(slot, static_cast<std::uint32_t>(end_));
        s_.column.add<"lb_client_received_bytes_total">(slot, 0, client_.bytes_received());
        s_.column.add<"lb_client_sent_bytes_total">(slot, 0, client_.bytes_sent());
        s_.column.observe<"lb_listener_request_duration_seconds">(slot, duration);
        if (rules_.route != nullptr) {
            s_.column.add<"lb_route_requests_total">(rules_.route->slot, klass);
            s_.column.observe<"lb_route_request_duration_seconds">(rules_.route->slot, duration);
        }
    }
    if (rules_.pool == nullptr) return;
    s_.column.add<"lb_requests_total">(pool().slot, klass);
    s_.column.observe<"lb_request_duration_seconds">(pool().slot, duration);
}

std::string_view Exchange::backend_name() const noexcept {
    return s_.table.text(s_.table.backend(place_.backend.slot).name.load(std::memory_order_acquire));
}

void Exchange::write_log(Micros now, std::string_view ended_in) {
    const stream::ClientOrigin origin = client_.origin();
    RequestFacts request;
    std::string peer;
    request.peer = origin.text;
    if (&origin.peer != &origin.client) {
        append_host(peer, origin.peer);
        request.peer = peer;
    }
    request.connection_request = origin.request;
    add_names(request);
    if (s_.logs.format(log_).wants_unix_time()) request.unix_millis = unix_millis();
    const AnswerFacts answer = answer_facts(nullptr);
    EndFacts end;
    end.end = end_;
    end.phase = ended_in;
    std::string backends;
    if (extras_ && !extras_->backends.empty()) {
        backends = extras_->backends;
        backends += backend_name();
        end.backends = backends;
    } else {
        end.backends = answer.backend;
    }
    end.attempts = attempts_;
    end.bytes_sent = client_.bytes_sent();
    end.bytes_received = client_.bytes_received();
    end.body_bytes = response_bytes_;
    end.request_body_bytes = request_bytes_;
    end.total = now - started_;
    if (headed_ >= 0) end.head = headed_ - started_;
    if (headed_ >= 0 && attempts_ > 0) end.pick = attempt_at_ - headed_;
    end.connect = connect_time_;
    end.response = response_time_;
    if (response_time_ >= 0) end.transfer = now - sent_at_ - response_time_;
    s_.logs.write(log_, part(0, capture_end_), extras_ ? std::string_view{extras_->answer_capture} : "",
                  request, answer, end);
}

}  // namespace lb
