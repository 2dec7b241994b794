#include "worker/exchange/failure.h"

namespace lb {

using stream::Failure;

Retry decide_retry(const config::Retries& settings, const Attempt& attempt) noexcept {
    if (attempt.answer_started || !attempt.replayable) return Retry::no;
    const bool another = attempt.tries_left > 0 && attempt.time_left;
    const bool may_repeat = attempt.idempotent || !attempt.anything_sent;
    switch (attempt.how) {
        case Failure::connect:
        case Failure::connect_timeout: return settings.on_connect && another ? Retry::other : Retry::no;
        case Failure::closed:
            if (!may_repeat) return Retry::no;
            if (attempt.reused && attempt.fresh_left) return Retry::same_fresh;
            return settings.on_reset && another ? Retry::other : Retry::no;
        case Failure::response_timeout:
            return settings.on_timeout && may_repeat && another ? Retry::other : Retry::no;
        case Failure::bad_response:
        case Failure::cut:
        case Failure::stalled: return Retry::no;
    }
    return Retry::no;
}

bool retries_status(const config::Retries& settings, std::uint16_t status) noexcept {
    switch (status) {
        case 500: return settings.on_500;
        case 502: return settings.on_502;
        case 503: return settings.on_503;
        case 504: return settings.on_504;
        default: return false;
    }
}

bool may_try_other(const Attempt& attempt) noexcept {
    return !attempt.answer_started && attempt.replayable && attempt.idempotent && attempt.time_left &&
           attempt.tries_left > 0;
}

End end_of(Failure how) noexcept {
    switch (how) {
        case Failure::connect: return End::connect_failed;
        case Failure::connect_timeout: return End::connect_timeout;
        case Failure::closed: return End::backend_closed;
        case Failure::response_timeout: return End::response_timeout;
        case Failure::bad_response: return End::bad_response;
        case Failure::cut: return End::backend_cut;
        case Failure::stalled: return End::backend_stalled;
    }
    return End::bad_response;
}

metrics::FailureLabel label_of(Failure how) noexcept {
    switch (how) {
        case Failure::connect: return metrics::fail_connect;
        case Failure::connect_timeout: return metrics::fail_connect_timeout;
        case Failure::closed: return metrics::fail_reset;
        case Failure::response_timeout: return metrics::fail_response_timeout;
        case Failure::bad_response: return metrics::fail_bad_response;
        case Failure::cut: return metrics::fail_cut;
        case Failure::stalled: return metrics::fail_stalled;
    }
    return metrics::fail_bad_response;
}

std::uint16_t status_of(End end) noexcept {
    switch (end) {
        case End::bad_request: return 400;
        case End::header_timeout:
        case End::body_timeout: return 408;
        case End::header_too_large: return 431;
        case End::body_too_large: return 413;
        case End::no_route: return 404;
        case End::denied: return 403;
        case End::limited: return 429;
        case End::no_backend:
        case End::saturated:
        case End::queue_timeout:
        case End::overload: return 503;
        case End::connect_failed:
        case End::backend_closed:
        case End::bad_response: return 502;
        case End::connect_timeout:
        case End::response_timeout:
        case End::backend_stalled:
        case End::request_timeout: return 504;
        case End::done:
        case End::client_gone:
        case End::client_stalled:
        case End::stopped:
        case End::backend_cut:
        case End::tunnel_timeout: return 0;
    }
    return 0;
}

}  // namespace lb
