// worker/exchange/split.h -- which of a route's pools a request goes to. Pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "shared/config/model.h"

namespace lb {

// The index into `shares` for a cursor that goes up by one from request to request (and may wrap). In every run of as many
// requests as the weights' sum, each pool gets exactly its weight of them, spread evenly: at each step the rest of the
// shares gets its Bresenham share, and what goes to the rest is split among it in the same way. No table, no allocation;
// a step is one division for each pool. A weight of 0 gets nothing; shares must not be empty.
constexpr std::size_t choose_share(std::span<const config::Share> shares, std::uint64_t cursor) noexcept {
    if (shares.size() == 1) return 0;
    std::uint64_t total = 0;
    for (const config::Share& share : shares) total += share.weight;
    if (total == 0) return 0;
    cursor %= total;
    for (std::size_t i = 0; i + 1 < shares.size(); i++) {
        const std::uint64_t rest = total - shares[i].weight;
        // How many of the cursors before this one, and before the next, went to the rest.
        const std::uint64_t before = cursor * rest / total;
        const std::uint64_t after = (cursor + 1) * rest / total;
        if (before == after) return i;
        cursor = before;
        total = rest;
    }
    return shares.size() - 1;
}

}  // namespace lb
