// master/health/schedule.h -- when to check next: lengths of time, and an agenda of who is due.
// Owns:  the rules of pace. Pure: time and chance are arguments; no timer and no socket.
// Never: knows what a check is, or how many may run at once.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/random.h"

namespace lb::health {

// What a backend's last check left behind.
enum class Pace : std::uint8_t {
    // Its first verdict: the next check falls anywhere in the second half of the interval, so that backends
    // that
    // arrived together do not stay together.
    first,
    // It agrees with the verdict and the backend is up: the interval.
    steady,
    // It disagrees with the verdict: half the interval, at least 100 ms, so that rise and fall are quick.
    transition,
    // It agrees and the backend is down: a quarter of the interval more for each such check, up to twice it.
    down,
};

inline constexpr Micros least_transition = 100'000;

// From the start of one check to the start of the next, in microseconds. All but `first` vary by 10 % both
// ways; `down` stays at or below 2 x interval. `down_checks`: failed checks since the backend went down.
// Never over 2 x interval, never 0 for an interval above 1 us.
Micros delay(Micros interval, Pace pace, std::uint32_t down_checks, Random& random) noexcept;

// Who is due when: a binary heap with an index, so that a due time can be moved or taken back. Every
// operation costs O(log n). Ids are small numbers (slots of the table); memory grows with the greatest one.
class Agenda {
 public:
    // Enters the id, or moves it when it is in already.
    void set(std::uint32_t id, Micros due);
    void remove(std::uint32_t id) noexcept;
    void clear() noexcept;
    [[nodiscard]] bool contains(std::uint32_t id) const noexcept;
    // The earliest id that is due at `now`, taken out; nothing when none is.
    std::optional<std::uint32_t> pop(Micros now) noexcept;
    // The earliest due time; nothing when empty.
    [[nodiscard]] std::optional<Micros> next() const noexcept;
    // The due time of an id; nothing when it is not in.
    [[nodiscard]] std::optional<Micros> due(std::uint32_t id) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }

 private:
    struct Item {
        Micros due;
        std::uint32_t id;
    };
    static constexpr std::uint32_t absent = UINT32_MAX;
    void place(std::size_t at, Item item) noexcept;
    void rise(std::size_t at) noexcept;
    void sink(std::size_t at) noexcept;
    void erase(std::size_t at) noexcept;

    std::vector<Item> heap_;
    std::vector<std::uint32_t> where_;  // by id: its place in heap_, or absent
};

}  // namespace lb::health
