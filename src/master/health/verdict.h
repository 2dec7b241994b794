// master/health/verdict.h -- from single checks to a verdict: rise and fall. Pure.
// Never: knows time, sockets or the table.
//
//   checking --pass--> up --`fall` failures in a row--> down --`rise` passes in a row--> up
//      |                                                  ^
//      +------------------------fail----------------------+
//
// The first check of a new backend decides alone, either way: `rise` and `fall` are about changing a verdict
// that stands. So a start or a reload waits for one check of each new backend, and not for `fall` of them.
#pragma once
#include <cstdint>

#include "master/health/schedule.h"
#include "shared/shm/layout.h"

namespace lb::health {

struct Rules {
    std::uint32_t rise = 1;  // passes in a row after which a backend that is down is up; at least 1
    std::uint32_t fall = 1;  // failures in a row after which a backend that is up is down; at least 1
};

class Verdict {
 public:
    explicit Verdict(shm::Health start = shm::Health::checking) noexcept : health_(start) {}

    // Takes one check into account; true when the health changed by it.
    bool add(bool passed, Rules rules) noexcept;

    [[nodiscard]] shm::Health health() const noexcept { return health_; }
    // Where the last check leaves the schedule.
    [[nodiscard]] Pace pace() const noexcept { return pace_; }
    // Failed checks since the backend went down, the one that took it down not counted.
    [[nodiscard]] std::uint32_t down_checks() const noexcept { return down_checks_; }

 private:
    shm::Health health_;
    Pace pace_ = Pace::first;
    std::uint32_t against_ = 0;  // checks in a row that disagree with health_
    std::uint32_t down_checks_ = 0;
};

}  // namespace lb::health
