// master/health/verdict.cpp -- see verdict.h.
#include "master/health/verdict.h"

namespace lb::health {

using shm::Health;

bool Verdict::add(bool passed, Rules rules) noexcept {
    const Health seen = passed ? Health::up : Health::down;
    if (health_ == Health::checking) {
        health_ = seen;
        pace_ = Pace::first;
        return true;
    }
    if (seen == health_) {
        against_ = 0;
        if (passed) {
            pace_ = Pace::steady;
        } else {
            pace_ = Pace::down;
            if (down_checks_ < UINT32_MAX) down_checks_++;
        }
        return false;
    }
    against_++;
    if (against_ < (passed ? rules.rise : rules.fall)) {
        pace_ = Pace::transition;
        return false;
    }
    health_ = seen;
    against_ = 0;
    down_checks_ = 0;
    pace_ = passed ? Pace::steady : Pace::down;
    return true;
}

}  // namespace lb::health
