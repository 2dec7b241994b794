// master/drains.h -- those who asked for a drain and wait until nothing is in flight any more.
// Owns:  who waits, for which backend and until when.
// Never: changes a state; blocks. It looks when the tick calls it.
//
// Nothing in flight counts only when every process has seen the list that was published without the backend: one that has
// not may pick it in this very turn.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "master/caller.h"
#include "master/generations.h"
#include "shared/shm/segment.h"

namespace lb {

class Drains {
 public:
    static constexpr Micros progress_gap = 1'000'000;  // between two lines of progress

    Drains(const shm::Segment& segment, Generations& generations)
        : segment_(&segment), generations_(&generations) {}

    // Of a backend that is out of the list since the last flush(). `state`: as it was asked for. `patience` 0: without
    // limit.
    void wait(const CallerPtr& caller, std::string pool, std::string backend, shm::Operator state,
              Micros patience, Micros now);
    // Somebody says something else about a backend: whoever waits for `state` no longer gets it.
    void changed(std::string_view pool, std::string_view backend, shm::Operator state);
    void tick(Micros now);
    // lb ends.
    void end();
    [[nodiscard]] std::size_t waiting() const noexcept { return waits_.size(); }

 private:
    struct Wait {
        CallerPtr caller;
        std::string pool, backend;
        shm::Operator state = shm::Operator::drain;
        Micros since = 0, deadline = 0;  // 0: none
        std::uint64_t epoch = 0;         // what every process must have reached
        std::vector<std::uint32_t> slots;
        std::uint64_t told = UINT64_MAX;  // the number of the last line
        Micros told_at = 0;
    };
    [[nodiscard]] std::uint64_t in_flight(Wait& wait) const;
    [[nodiscard]] bool everybody_saw(std::uint64_t epoch) const;
    bool look(Wait& wait, Micros now) const;

    const shm::Segment* segment_;
    Generations* generations_;
    std::vector<Wait> waits_;
};

}  // namespace lb
