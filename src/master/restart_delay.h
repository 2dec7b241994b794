// master/restart_delay.h -- how long to wait before a dead child gets a successor. A pure policy with two numbers.
// At once, unless children of that place die within a second of their start again and again: then 100 ms, doubling
// up to 10 s, so that a worker that cannot start does not eat a CPU. A child that lived longer forgives all.
#pragma once
#include <algorithm>
#include <cstdint>

#include "shared/base/clock.h"

namespace lb {

class RestartDelay {
 public:
    static constexpr Micros early = 1'000'000;  // dying sooner than this after the start counts
    static constexpr Micros first = 100'000;
    static constexpr Micros longest = 10'000'000;

    // A child of this place lived from `started` to `died`. Returns the time to wait from `died` on.
    Micros after(Micros started, Micros died) noexcept {
        if (died - started >= early) {
            next_ = 0;
            in_a_row_ = false;
            return 0;
        }
        if (!in_a_row_) {
            in_a_row_ = true;  // one early death can be an accident, such as a kill by hand
            return 0;
        }
        next_ = next_ == 0 ? first : std::min(next_ * 2, longest);
        return next_;
    }

 private:
    Micros next_ = 0;
    bool in_a_row_ = false;
};

}  // namespace lb
