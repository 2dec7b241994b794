// master/health/board.h -- active checks: runs the schedule, asks the probes, turns answers into verdicts.
// Owns:   one entry per checked backend slot: schedule, rise and fall counts, at most one probe in flight.
// Never:  writes the shared table (it reports); blocks; starts more than so many probes in one turn.
// Bounds: 64 starts a turn of the loop, 1024 probes in flight. Up to that many new backends have their first
//         verdict within one check timeout; more of them, all silent, need one timeout per 1024.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/clock.h"
#include "shared/config/model.h"
#include "shared/shm/layout.h"

struct event_base;

namespace lb::health {

struct Reports {
    // A verdict changed, or was reached for the first time. `reason` says why a check failed ("" on pass).
    std::function<void(std::uint32_t slot, shm::Health, std::string_view reason)> verdict;
    // Each single check, for the counters.
    std::function<void(std::uint32_t slot, bool passed)> checked;
    // The reason for a backend that has no address: its name does not resolve.
    std::function<std::string(const config::Backend&)> why_unresolved;
};

class Board {
 public:
    Board(event_base* base, Reports reports);
    ~Board();

    // The generations alive, newest first: a backend slot is checked as the newest one that names it says.
    // Slots that stay keep their verdict and their place in the schedule; new ones, and those whose name has
    // other addresses, are checked at once; others are forgotten. A backend without an address is down from
    // within this call on, whatever its pool's check; with the first address it begins anew.
    void configure(const std::vector<std::shared_ptr<const config::Config>>& generations);
    // Slots without a first verdict yet. The master waits until this is 0, or its patience ends, before it
    // forks.
    [[nodiscard]] std::size_t pending() const noexcept;
    // Called once, from the loop, as soon as pending() is 0 (at once from the loop when it already is).
    void when_settled(std::function<void()> done);
    // A worker could not connect: check now, at most once per 100 ms and slot.
    void suspect(std::uint32_t slot);
    // Before a fork's child frees the base, and at the end: drops all probes and timers.
    void stop();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace lb::health
