// shared/balance/round_robin.h -- weighted round robin over all workers. Pure: list, schedule and cursor in, choice out.
// The cursor belongs to the pool and is shared by all workers: one fetch_add per first attempt gives every attempt a
// place of its own in the published schedule, so that shares are exact while the list does not change.
// Cost: O(1) for a first attempt; it walks past the turns of what is skipped, and after 64 of them through the list.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "shared/balance/walk.h"
#include "shared/shm/layout.h"

namespace lb::balance {

// A schedule may be many times as long as the list: where nearly all are full, walking it would ask about each again
// and again.
inline constexpr std::size_t round_robin_turns = 64;

// `cursor` is the value that this exchange got from its one fetch_add, the same again for its retries: they go on from
// there without taking another's turn. Returns an index into `eligible` that is not skipped; nothing when there is none.
// Every value in `schedule` must be an index into `eligible`.
template <class Skip>
std::optional<std::uint32_t> pick_round_robin(std::span<const shm::Eligible> eligible,
                                              std::span<const std::uint32_t> schedule, std::uint64_t cursor,
                                              Skip skip) noexcept {
    if (schedule.empty()) return std::nullopt;
    auto at = static_cast<std::size_t>(cursor % schedule.size());
    for (std::size_t steps = std::min(schedule.size(), round_robin_turns); steps > 0; steps--) {
        const auto choice = schedule[at];
        if (!skip(eligible[choice])) return choice;
        if (++at == schedule.size()) at = 0;
    }
    return walk_from(eligible, schedule[at], skip);
}

}  // namespace lb::balance
