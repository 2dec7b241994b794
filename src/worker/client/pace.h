// worker/client/pace.h -- whether a client that lb waits for keeps moving, and fast enough: body_timeout and min_rate.
// Owns:  the time that lb waited for the client in the present stretch, and what the client moved meanwhile.
// Never: reads a clock or a socket; knows whether the client sends or takes.
//
// Time counts only between waits() and rests(). When as much of it as a stretch is long has gone by, the client must
// have moved its share, and the next stretch begins with nothing. So what is over within the first stretch is never
// judged, and pauses that the client has no part in are never held against it. Independent of that, no silence while
// lb waits is longer than a stretch.
#pragma once
#include <algorithm>
#include <cstdint>

#include "shared/base/clock.h"

namespace lb {

class Pace {
 public:
    struct Limits {
        Micros stretch;      // body_timeout
        std::uint64_t rate;  // bytes per second; no_rate: only silence ends it
    };
    static constexpr std::uint64_t no_rate = UINT64_MAX;

    // Whatever was before says nothing any more; lb does not wait.
    void begin() noexcept { *this = {}; }
    // lb waits for the client; again is the same.
    void waits(Micros now) noexcept {
        if (since_ != 0) return;
        since_ = last_ = now;
    }
    // It waits for something else, or for nothing; again is the same.
    void rests(Micros now) noexcept {
        if (since_ == 0) return;
        waited_ += now - since_;
        since_ = 0;
    }
    // The client moved that much of what counts; 0: it did something, which ends its silence.
    void moved(std::uint64_t bytes, Micros now) noexcept {
        moved_ += bytes;
        last_ = now;
    }
    // While lb waits: when the client is to be judged next, if it does nothing until then.
    [[nodiscard]] Micros due(const Limits& limits) const noexcept {
        const Micros silent = last_ + limits.stretch;
        return limits.rate == no_rate ? silent : std::min(silent, since_ + limits.stretch - waited_);
    }
    // Whether the client that lb waits for was too slow, or silent for too long. At the end of a stretch that was good
    // enough the next one begins.
    [[nodiscard]] bool too_slow(const Limits& limits, Micros now) noexcept {
        if (since_ == 0) return false;
        if (now - last_ >= limits.stretch) return true;
        if (limits.rate == no_rate || waited_ + now - since_ < limits.stretch) return false;
        if (moved_ < share(limits)) return true;
        since_ = now;
        waited_ = 0;
        moved_ = 0;
        return false;
    }

 private:
    // Of a stretch. It may have been judged late; more than this is never asked for. In milliseconds, so that the
    // largest settings do not overflow.
    static std::uint64_t share(const Limits& limits) noexcept {
        return limits.rate * static_cast<std::uint64_t>(limits.stretch / 1000) / 1000;
    }

    Micros since_ = 0;   // the present wait began; 0: none
    Micros waited_ = 0;  // in this stretch, before the present wait
    Micros last_ = 0;    // the client did something, or the wait began
    std::uint64_t moved_ = 0;
};

}  // namespace lb
