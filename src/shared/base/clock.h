// shared/base/clock.h -- time as an argument, so that tests move it by hand.
// Owns:  the units. Times inside lb are microseconds of CLOCK_MONOTONIC in a plain integer.
// Never: reads the wall clock for a deadline.
#pragma once
#include <chrono>
#include <cstdint>
#include <ctime>

namespace lb {

using Micros = std::int64_t;  // a point in time or a length of time, in microseconds; 0 means "none"

constexpr Micros to_micros(std::chrono::milliseconds t) noexcept { return t.count() * 1000; }

inline Micros monotonic_now() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<Micros>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000;
}

// The wall clock in milliseconds since 1970, for what people read.
inline std::int64_t unix_millis() noexcept {
    timespec t{};
    clock_gettime(CLOCK_REALTIME, &t);
    return static_cast<std::int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
}

// The clock of an event loop: read at most once a turn, however many events the turn brings.
class TurnClock {
 public:
    Micros now() noexcept {
        if (now_ == 0) now_ = monotonic_now();
        return now_;
    }
    void next_turn() noexcept { now_ = 0; }
    void set_for_test(Micros t) noexcept { now_ = t; }

 private:
    Micros now_ = 0;
};

}  // namespace lb
