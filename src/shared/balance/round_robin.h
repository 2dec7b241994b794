// shared/balance/round_robin.h -- weighted round robin over all workers. Pure: list, schedule and cursor in, choice out.
// The cursor belongs to the pool and is shared by all workers: one fetch_add per first attempt gives every attempt a
// place of its own in the published schedule, so that shares are exact while the list does not change.
// Cost: O(1) for a first attempt; a retry walks past the turns of what was tried.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "shared/balance/tried.h"
#include "shared/shm/layout.h"

namespace lb::balance {

// `cursor` is the value that this exchange got from its one fetch_add, the same again for its retries: they go on from
// there without taking another's turn. Returns an index into `eligible` that is not in `tried`; nothing when there is none.
// Every value in `schedule` must be an index into `eligible`.
inline std::optional<std::uint32_t> pick_round_robin(std::span<const shm::Eligible> eligible,
                                                     std::span<const std::uint32_t> schedule,
                                                     std::uint64_t cursor, Tried tried) noexcept {
    if (schedule.empty()) return std::nullopt;
    auto at = static_cast<std::size_t>(cursor % schedule.size());
    for (std::size_t steps = 0; steps < schedule.size(); steps++) {
        const auto choice = schedule[at];
        if (!was_tried(tried, eligible[choice].backend)) return choice;
        if (++at == schedule.size()) at = 0;
    }
    return std::nullopt;
}

}  // namespace lb::balance
