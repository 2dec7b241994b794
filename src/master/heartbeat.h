// master/heartbeat.h -- whether a worker hangs, judged from its heartbeat in the shared table. Pure.
// A machine that was paused, or a master that did not run, must not make every worker look dead: after a late tick of
// the master itself the clocks of all workers start anew.
#pragma once
#include <algorithm>

#include "shared/base/clock.h"

namespace lb {

enum class Pulse { fine, stale, dead };

class HeartbeatWatch {
 public:
    static constexpr Micros stale_after = 2'000'000;  // steered away, its queue lent
    static constexpr Micros dead_after = 10'000'000;  // killed
    static constexpr Micros late_by = 500'000;        // the master's own tick came this much too late

    // Once per tick of the master, before any judge(). `interval` is the time between ticks.
    void tick(Micros now, Micros interval) noexcept {
        if (last_tick_ != 0 && now - last_tick_ > interval + late_by) floor_ = now;
        last_tick_ = now;
    }
    // `beat` is what the worker last wrote (0: nothing yet), `started` when it was forked.
    [[nodiscard]] Pulse judge(Micros now, Micros beat, Micros started) const noexcept {
        const Micros age = now - std::max({beat, started, floor_});
        if (age > dead_after) return Pulse::dead;
        return age > stale_after ? Pulse::stale : Pulse::fine;
    }

 private:
    Micros last_tick_ = 0;
    Micros floor_ = 0;  // nobody is judged by anything older than this
};

}  // namespace lb
