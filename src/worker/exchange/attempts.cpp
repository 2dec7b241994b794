// worker/exchange/attempts.cpp -- from the chosen pool to the request sent: a place at a backend, waiting for one, a
// connection, and what is done when an attempt fails.
#include <fmt/format.h>

#include <algorithm>

#include "shared/base/log.h"
#include "shared/net/proxy_protocol.h"
#include "worker/exchange/exchange.h"

namespace lb {

using stream::Failure;
using stream::Flow;

// How the next attempt may use kept connections: what cannot be sent again wants one that surely lives.
Reuse Exchange::reuse() const noexcept {
    return http::idempotent(method_) && request_done_ ? Reuse::any : Reuse::recent;
}

void Exchange::attempt() {
    const Place place = s_.backends.reserve(pool_, prefer_, {tried_.data(), tried_count_}, attempts_ == 0);
    if (place.pick == Pick::yes) {
        if (attempts_ > 0) note_retry();
        try_backend(place, reuse());
        return;
    }
    if (attempts_ > 0) {  // a failure, and nobody else to ask
        answer(end_, status_of(end_), "");
        return;
    }
    if (place.pick == Pick::saturated) {
        if (!copy_ && s_.backends.wait(pool_, *this, prefer_)) return;
        answer(End::saturated, 503, fmt::format("every backend of pool {} is busy", pool().name));
        return;
    }
    s_.column.add<"lb_no_backend_total">(pool().slot);
    const auto count = s_.backends.count(pool_);
    answer(
        End::no_backend, 503,
        fmt::format("{} of {} backends of pool {} are usable", count.usable, count.configured, pool().name));
}

void Exchange::on_place(const Place& place) { try_backend(place, reuse()); }

void Exchange::on_waited_too_long() {
    answer(End::queue_timeout, 503,
           fmt::format("no backend of pool {} became free within {} ms", pool().name,
                       pool().queue.timeout.count()));
}

// Another backend is asked; the present one is still the last one.
void Exchange::note_retry() {
    s_.column.add<"lb_retries_total">(pool().slot);
    if (log_ != config::no_index) extras().backends.append(backend_name()).push_back(',');
}

void Exchange::try_backend(const Place& place, Reuse reuse) {
    place_ = place;
    holds_ = true;
    begin_attempt(reuse);
}

void Exchange::begin_attempt(Reuse reuse) {
    attempts_++;
    gave_up_in_ = State::over;
    attempt_at_ = s_.io.clock.now();
    if (first_attempt_ == 0) first_attempt_ = attempt_at_;
    skip_ = 0;
    if (log::enabled(log::Level::debug)) {
        log::debug("pool {}: chose backend {} for {}, attempt {}", pool().name, backend_name(),
                   client_.origin().text, attempts_);
    }
    connect(reuse);
}

void Exchange::connect(Reuse reuse) {
    sent_ = false;
    const auto lent = s_.backends.lend(pool_, place_.backend, *this, reuse, skip_);
    more_addresses_ = lent.more;
    if (lent.address != nullptr && wants_address()) extras().address = to_string(*lent.address);
    if (lent.stream == nullptr) {
        if (lent.exhausted) {
            // Any other backend would need the same, and none of them is to be suspected for it.
            let_go();
            answer(End::overload, 503, "");
        } else {
            failed(Failure::connect);
        }
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
    s_.backends.reached(place_.backend.slot, skip_);
    send_request();
}

void Exchange::send_request() {
    move_to(Event::ready);
    sent_ = true;
    sent_at_ = s_.io.clock.now();
    stream::RequestRecord request{part(capture_end_, head_end_),
                                  part(head_end_, static_cast<std::uint32_t>(record_.size())), method_,
                                  framing_, request_done_};
    if (extras_) {
        request.trailers = extras_->trailers;
        request.upgrade = !extras_->upgrade.empty();
    }
    std::array<char, proxy_header_room> proxy;
    if (pool().send_proxy != config::SendProxy::off) {
        const auto version = pool().send_proxy == config::SendProxy::v1 ? ProxyVersion::v1 : ProxyVersion::v2;
        const auto size =
            write_proxy_header(version, client_.origin().client, client_.local_address(), proxy.data());
        request.proxy_header = {proxy.data(), size};
    }
    const Flow flow = backend_->send_request(request);
    if (flow == Flow::gone) {
        failed(Failure::closed);
        return;
    }
    backend_->wait_for_response(rules_.response_timeout(), rules_.backend_body_timeout());
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
    const std::uint32_t slot = place_.backend.slot;
    s_.column.add<"lb_backend_failures_total">(slot, label_of(how));
    if (how == Failure::connect || how == Failure::connect_timeout) s_.backends.suspect(slot);
    const Attempt attempted = attempt_facts(how);
    end_ = end_of(how);
    if (answer_started()) {
        s_.backends.attempt_failed(pool_, place_.backend, s_.io.clock.now() - attempt_at_);
        // Only a cut tells the client that there should have been more.
        finish(how == Failure::stalled ? End::backend_stalled : End::backend_cut);
        return;
    }
    const config::Retries& settings = rules_.retries();
    const Retry next = decide_retry(settings, attempted);
    // That a kept connection had ended says nothing about the backend.
    if (next != Retry::same_fresh)
        s_.backends.attempt_failed(pool_, place_.backend, s_.io.clock.now() - attempt_at_);
    if (next == Retry::same_fresh) {
        close_stream();
        fresh_used_ = true;
        s_.column.add<"lb_retries_total">(pool().slot);
        move_to(Event::retry);
        begin_attempt(Reuse::none);
        return;
    }
    let_go();
    // What a backend may have seen costs some of the budget; a connection that never was costs nothing.
    if (next == Retry::no || (attempted.anything_sent && !s_.backends.take_retry(pool_))) {
        answer(end_, status_of(end_), "");
        return;
    }
    tried_[tried_count_++] = slot;
    gave_up_in_ = state_;  // unless somebody else is there
    move_to(Event::retry);
    attempt();
}

Attempt Exchange::attempt_facts(Failure how) const noexcept {
    Attempt attempted;
    attempted.how = how;
    attempted.reused = reused_;
    attempted.anything_sent = sent_;
    attempted.replayable = replayable_;
    attempted.idempotent = http::idempotent(method_);
    attempted.answer_started = answer_started();
    attempted.fresh_left = !fresh_used_;
    const config::Retries& settings = rules_.retries();
    attempted.time_left = s_.io.clock.now() - first_attempt_ < to_micros(settings.total);
    attempted.tries_left = settings.count - std::min<std::uint32_t>(settings.count, tried_count_);
    return attempted;
}

// An answer with a status that the settings send elsewhere. False: it is the client's, because nobody else can be asked.
bool Exchange::try_other_for(std::uint16_t status) {
    const config::Retries& settings = rules_.retries();
    if (!retries_status(settings, status)) return false;
    if (!may_try_other(attempt_facts(Failure::bad_response))) return false;
    tried_[tried_count_] = place_.backend.slot;
    const Place other = s_.backends.reserve(
        pool_, prefer_, {tried_.data(), static_cast<std::size_t>(tried_count_) + 1}, false);
    if (other.pick != Pick::yes) return false;
    if (!s_.backends.take_retry(pool_)) {
        s_.backends.give_back(pool_, other);
        return false;
    }
    tried_count_++;
    note_retry();
    let_go();
    move_to(Event::retry);
    try_backend(other, reuse());
    return true;
}

void Exchange::settle() {
    if (!holds_) return;
    holds_ = false;
    s_.backends.give_back(pool_, place_);
}

void Exchange::close_stream() {
    if (backend_ == nullptr) return;
    stream::BackendStream* backend = backend_;
    backend_ = nullptr;
    backend->release();
}

void Exchange::let_go() {
    close_stream();
    settle();
}

// Whether the log or what the route does to answers names the backend's address.
bool Exchange::wants_address() const noexcept {
    if (log_ != config::no_index && s_.logs.format(log_).wants_address()) return true;
    if (rules_.route == nullptr) return false;
    return std::ranges::any_of(rules_.route->response_edits, [](const config::Edit& edit) {
        return std::ranges::find(edit.value.pieces, config::Variable::backend_addr,
                                 &config::Piece::variable) != edit.value.pieces.end();
    });
}

}  // namespace lb
