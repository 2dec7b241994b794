// worker/io/wheel.h -- deadlines as plain fields, looked at by a coarse wheel on one 100 ms tick.
// Why:    setting a timer per read costs more than parsing the request; here setting a deadline is one store.
// How:    an entry is filed at most `horizon` ahead, and few deadlines are nearer than `horizon` from the moment of
//         setting. So a deadline can be moved either way without touching the wheel: the entry is looked at in time, and
//         filed again if its deadline is still ahead; only a nearer one is filed at once. A deadline fires up to one
//         tick late, never early.
// Never:  calls back for an entry that was removed.
#pragma once
#include <array>
#include <cstdint>

#include "shared/base/clock.h"

namespace lb::io {

class WheelEntry {
 public:
    WheelEntry() = default;
    WheelEntry(const WheelEntry&) = delete;
    WheelEntry& operator=(const WheelEntry&) = delete;

    // 0: none. Set by Wheel::set; a store is enough for 0 and for what is at least `horizon` (given to Wheel::add) ahead.
    Micros deadline = 0;

 protected:
    ~WheelEntry() { unlink(); }
    virtual void on_deadline() = 0;

 private:
    friend class Wheel;
    void unlink() noexcept {
        if (next_ == nullptr) return;
        next_->previous_ = previous_;
        previous_->next_ = next_;
        next_ = previous_ = nullptr;
    }
    WheelEntry* next_ = nullptr;
    WheelEntry* previous_ = nullptr;
    Micros horizon_ = 0;
};

class Wheel {
 public:
    static constexpr Micros tick = 100'000;
    static constexpr std::size_t buckets = 512;
    static constexpr Micros longest_horizon = 30'000'000;  // within one turn of the wheel

    Wheel();
    // Starts looking at an entry, whatever its deadline. horizon: the nearest deadline that it is usually given.
    void add(WheelEntry& entry, Micros horizon, Micros now) noexcept;
    // Any deadline, however near.
    void set(WheelEntry& entry, Micros deadline, Micros now) noexcept {
        entry.deadline = deadline;
        if (deadline != 0 && deadline - now < entry.horizon_) refile(entry, now);
    }
    static void remove(WheelEntry& entry) noexcept { entry.unlink(); }
    // Calls on_deadline of what is due. Call about every tick; late calls catch up.
    void advance(Micros now);

 private:
    struct Head final : WheelEntry {
        void on_deadline() override {}
    };
    void file(WheelEntry& entry, Micros now) noexcept;
    void refile(WheelEntry& entry, Micros now) noexcept;
    static void insert(WheelEntry& head, WheelEntry& entry) noexcept;
    std::array<Head, buckets> heads_;
    std::int64_t at_ = -1;  // the last tick number looked at
};

}  // namespace lb::io
