// master/ejection_rule.h -- whether a failing backend is left out, and for how long. Pure: times and counts come as
// arguments.
//
//   in use --asked, and there is room--> ejected --its time is over, or `rise` checks passed--> in use
//
// The time grows with each ejection in a row, at most tenfold. The row ends once a backend was in use for as long as its
// last ejection lasted.
#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>

#include "shared/base/clock.h"
#include "shared/config/model.h"

namespace lb::ejection {

// A pool at this moment.
struct Room {
    std::size_t members = 0;
    std::size_t usable = 0;  // up, ready and not ejected
    std::size_t ejected = 0;
};
// Never the last usable one; at most the pool's share, but one of two.
constexpr bool may_eject(const Room& room, std::uint32_t at_most) noexcept {
    const std::size_t share = std::max<std::size_t>(room.members * at_most / 100, 1);
    return room.usable >= 2 && room.ejected < share;
}

class Record {
 public:
    static constexpr std::uint32_t most_growth = 10;

    // Returns how long it will be left out. Not while it is.
    Micros begin(Micros duration, Micros now) noexcept {
        const bool over = row_ == 0 || now - ended_ >= lasted_;
        row_ = over ? 1 : std::min(row_ + 1, most_growth);
        began_ = now;
        until_ = now + duration * row_;
        passes_ = 0;
        return until_ - now;
    }
    void end(Micros now) noexcept {
        lasted_ = now - began_;
        ended_ = now;
        until_ = 0;
    }
    // A check while it is ejected. True: enough of them passed in a row.
    bool checked(bool passed, std::uint32_t rise) noexcept {
        passes_ = passed ? passes_ + 1 : 0;
        return passes_ >= rise;
    }
    [[nodiscard]] bool ejected() const noexcept { return until_ != 0; }
    [[nodiscard]] bool time_is_over(Micros now) const noexcept { return now >= until_; }
    [[nodiscard]] std::uint32_t row() const noexcept { return row_; }
    [[nodiscard]] std::uint32_t passes() const noexcept { return passes_; }
    [[nodiscard]] Micros lasted() const noexcept { return lasted_; }
    // Nothing that a later ejection would look at.
    [[nodiscard]] bool stale(Micros now) const noexcept { return !ejected() && now - ended_ >= lasted_; }

 private:
    std::uint32_t row_ = 0, passes_ = 0;
    Micros began_ = 0, until_ = 0, ended_ = 0, lasted_ = 0;
};

// Requests and failures of the last while, from counters that only grow. At most 60 samples, whatever the window.
class Window {
 public:
    static constexpr std::size_t most_samples = 60;
    struct Counts {
        std::uint64_t requests = 0, failures = 0;
    };
    // Takes a sample and returns what came since the oldest one that is within the window.
    Counts add(const Counts& total, Micros within, Micros now) {
        const Micros step = std::max<Micros>(within / static_cast<Micros>(most_samples), 0);
        while (!samples_.empty() && now - samples_.front().at > within) samples_.pop_front();
        const Counts since = samples_.empty() ? Counts{} : difference(total, samples_.front().total);
        if (samples_.empty() || now - samples_.back().at >= step) samples_.push_back({now, total});
        return since;
    }
    void clear() noexcept { samples_.clear(); }
    [[nodiscard]] std::size_t samples() const noexcept { return samples_.size(); }

 private:
    struct Sample {
        Micros at;
        Counts total;
    };
    // A reader of other processes' counters may see one word later than the other.
    static Counts difference(const Counts& now, const Counts& before) noexcept {
        const Counts out{now.requests - before.requests, now.failures - before.failures};
        return {out.requests, std::min(out.requests, out.failures)};
    }
    std::deque<Sample> samples_;
};

constexpr bool fails_too_often(const Window::Counts& counts, const config::Eject& rule) noexcept {
    return rule.ratio != 0 && counts.requests >= std::max<std::uint64_t>(rule.requests, 1) &&
           counts.failures * 100 >= counts.requests * rule.ratio;
}

}  // namespace lb::ejection
