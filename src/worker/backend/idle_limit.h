// worker/backend/idle_limit.h -- how long a backend lets a connection rest, learned from the connections it closed.
// Why:    a request sent on a connection that the backend closes at that moment is lost, or must be sent again. A backend
//         that closes after 2 s of rest does so each time; kept for 90 % of that, its connections are never met closing.
// How:    two closes in a row at about the same age, but not at about the same time: those of a backend that ends or is
//         restarted come together, at any ages. A connection that rested longer and was still good refutes it.
// Never:  asks the clock; says more than it saw: what was learned is forgotten after `lifetime`, and seen anew.
#pragma once
#include <algorithm>

#include "shared/base/clock.h"

namespace lb {

class IdleLimit {
 public:
    static constexpr Micros lifetime = 300'000'000;  // five minutes
    static constexpr Micros least = 100'000;  // shorter rests are not told from the network's own delays

    // The backend closed a connection that had rested for `age`.
    void closed(Micros age, Micros now) noexcept {
        if (age < least) {  // no timeout is that short: it ends, or it is restarted
            seen_ = 0;
            return;
        }
        const Micros about = tolerance(age);
        if (seen_ != 0 && distance(age, seen_) <= about) {
            if (now - at_ <= about) return;  // the same moment: one event, not two
            learned_ = std::min(age, seen_) / 10 * 9;
            until_ = now + lifetime;
        }
        seen_ = age;
        at_ = now;
    }
    // One that had rested for `age` was of use.
    void survived(Micros age) noexcept {
        if (seen_ != 0 && age > seen_ + tolerance(seen_)) seen_ = 0;
        if (learned_ != 0 && age > learned_ + tolerance(learned_)) learned_ = 0;
    }
    // How long to keep one; `otherwise` when nothing shorter is known.
    [[nodiscard]] Micros limit(Micros otherwise, Micros now) const noexcept {
        return learned_ != 0 && now < until_ ? std::min(learned_, otherwise) : otherwise;
    }

 private:
    static constexpr Micros tolerance(Micros age) noexcept { return std::max(age / 10, least); }
    static constexpr Micros distance(Micros a, Micros b) noexcept { return a > b ? a - b : b - a; }

    Micros seen_ = 0;     // the age of the last close; 0: none that counts
    Micros at_ = 0;       // and when it was
    Micros learned_ = 0;  // 0: nothing
    Micros until_ = 0;
};

}  // namespace lb
