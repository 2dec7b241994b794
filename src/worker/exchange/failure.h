// worker/exchange/failure.h -- what went wrong, what the client is told, and whether to try again. Pure.
#pragma once
#include <cstdint>

#include "shared/config/model.h"
#include "shared/metrics/catalog.h"
#include "shared/metrics/end_reason.h"
#include "worker/stream/backend_stream.h"

namespace lb {

// What is known about an attempt that failed.
struct Attempt {
    stream::Failure how{};
    bool reused = false;          // the connection had carried another request before
    bool anything_sent = false;   // a byte of the request may have reached the backend
    bool replayable = false;      // all that was taken from the client is still here
    bool idempotent = false;      // RFC 9110 9.2.2
    bool answer_started = false;  // a byte of the answer went to the client
    bool fresh_left = false;      // the one free try on a new connection was not used yet
    bool time_left = false;       // retries total=
    unsigned tries_left = 0;      // retries N
};

enum class Retry : std::uint8_t {
    no,
    same_fresh,  // the same backend on a new connection: the kept one had ended before it saw the request
    other,       // another backend
};

// ARCHITECTURE.md section 6. Nothing is sent twice that a backend may have acted upon, unless the method allows it.
Retry decide_retry(const config::Retries& settings, const Attempt& attempt) noexcept;
// Whether answers with that status are sent elsewhere while that is possible.
bool retries_status(const config::Retries& settings, std::uint16_t status) noexcept;
// Whether a request that a backend has answered may be sent to another one.
bool may_try_other(const Attempt& attempt) noexcept;

// How an exchange ends when this failure is final.
End end_of(stream::Failure how) noexcept;
metrics::FailureLabel label_of(stream::Failure how) noexcept;
// The status lb answers with for a way to end; 0: no answer is possible or fitting.
std::uint16_t status_of(End end) noexcept;

}  // namespace lb
