// shared/balance/random_pick.h -- a backend by chance, in proportion to weights. Pure. Cost: O(1); after a few draws of
// what is skipped, a walk.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "shared/balance/walk.h"
#include "shared/base/random.h"
#include "shared/shm/layout.h"

namespace lb::balance {

inline constexpr int random_draws = 8;

// A place of the schedule, which holds each backend as often as its weight says. Drawing anew what is skipped leaves the
// others their shares of each other. Returns an index into `eligible` that is not skipped; nothing when there is none.
template <class Skip>
std::optional<std::uint32_t> pick_random(std::span<const shm::Eligible> eligible,
                                         std::span<const std::uint32_t> schedule, Skip skip,
                                         Random& random) noexcept {
    if (eligible.empty() || schedule.empty()) return std::nullopt;
    const auto places = static_cast<std::uint32_t>(schedule.size());
    for (int draws = 0; draws < random_draws; draws++) {
        const std::uint32_t at = schedule[random.below(places)];
        if (!skip(eligible[at])) return at;
    }
    return walk_from(eligible, schedule[random.below(places)], skip);
}

}  // namespace lb::balance
