// shared/balance/zones.h -- which group of a pool's backends serves a request: that of its zone, or another one's. Pure.
//
// A zone keeps its own requests while enough of it is healthy, then lets go gradually: with a spill of 70 % and half of its weight
// healthy it keeps 5/7 of them. What a zone does not keep goes to the others, in proportion to their weight.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "shared/shm/layout.h"

namespace lb::balance {

inline constexpr std::uint32_t keep_all = 65536;

// Weights of the zone's usable members and of all its members; spill in per cent, 1-100. What PublishedGroup::keep says.
constexpr std::uint32_t keep_of(std::uint64_t healthy, std::uint64_t all,
                                std::uint32_t spill_percent) noexcept {
    if (all == 0 || spill_percent == 0) return keep_all;
    const std::uint64_t kept = healthy * 100 * keep_all / (all * spill_percent);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(kept, keep_all));
}

struct GroupChoice {
    std::uint32_t group = 0;  // index
    bool spilled = false;     // the request prefers a zone that is there, and does not get it
};
// chance: 0-65535, whether its zone keeps it; among_others: any number far above the sum of the weights, which other one takes it.
// For a policy that keeps keys at a backend both come from the key. A zone that the pool does not have is like none. Groups
// without a backend are left out; nothing when all are.
inline std::optional<GroupChoice> choose_group(std::span<const shm::PublishedGroup> groups,
                                               std::uint32_t zone, std::uint32_t chance,
                                               std::uint64_t among_others) noexcept {
    constexpr auto none = UINT32_MAX;
    std::uint32_t own = none;
    std::uint64_t others = 0;  // weight of all groups but the own one
    for (std::uint32_t i = 0; i < groups.size(); i++) {
        if (zone != 0 && groups[i].zone == zone) {
            own = i;
        } else if (groups[i].count > 0) {
            others += groups[i].weight;
        }
    }
    const bool prefers = own != none;
    if (prefers && groups[own].count > 0 && (others == 0 || chance < groups[own].keep))
        return GroupChoice{own, false};
    if (others == 0) return std::nullopt;
    std::uint64_t left = among_others % others;
    for (std::uint32_t i = 0; i < groups.size(); i++) {
        if (i == own || groups[i].count == 0) continue;
        if (left < groups[i].weight) return GroupChoice{i, prefers};
        left -= groups[i].weight;
    }
    return std::nullopt;
}

}  // namespace lb::balance
