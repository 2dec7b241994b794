// shared/balance/least_conn.h -- the backend with the least load for its weight. Pure: list, loads and chance in.
// Cost: all are compared up to 16 backends; above that the best of 8 drawn by chance, so that 10 000 backends do not
// make a request dearer: on average the best of 8 is in the least loaded ninth of the list.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "shared/balance/walk.h"
#include "shared/base/random.h"
#include "shared/shm/layout.h"

namespace lb::balance {

inline constexpr std::size_t least_conn_scan = 16;
inline constexpr std::size_t least_conn_samples = 8;

// load(slot) is the number of exchanges that hold a backend now. The lowest (load + 1) / weight wins: what the load
// would be after this choice, so that of two idle backends the heavier one is taken. Equal ones have equal chances.
// Returns an index into `eligible` that is not skipped; nothing when there is none.
template <class Load, class Skip>
std::optional<std::uint32_t> pick_least_conn(std::span<const shm::Eligible> eligible, Load load, Skip skip,
                                             Random& random) noexcept {
    std::optional<std::uint32_t> best;
    std::uint64_t best_load = 0;  // of `best`, after this choice
    std::uint32_t equals = 0;     // seen so far that are as good as `best`, itself among them
    const auto consider = [&](std::uint32_t i) {
        const auto& candidate = eligible[i];
        if (skip(candidate)) return;
        const std::uint64_t after = std::uint64_t{load(candidate.backend)} + 1;
        if (best) {
            const auto mine = after * eligible[*best].weight;
            const auto its = best_load * candidate.weight;
            if (mine > its) return;
            // The n-th of equals replaces the one kept with a chance of 1/n: each is kept with the same chance.
            if (mine == its && random.below(++equals) != 0) return;
            if (mine < its) equals = 1;
        } else {
            equals = 1;
        }
        best = i;
        best_load = after;
    };

    const auto count = static_cast<std::uint32_t>(eligible.size());
    if (count <= least_conn_scan) {
        for (std::uint32_t i = 0; i < count; i++) consider(i);
        return best;
    }
    for (std::size_t n = 0; n < least_conn_samples; n++) consider(random.below(count));
    if (best) return best;
    return walk_from(eligible, random.below(count), skip);
}

}  // namespace lb::balance
