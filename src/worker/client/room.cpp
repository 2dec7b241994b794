// worker/client/room.cpp -- the order in which connections that rest are given up.
#include "worker/client/room.h"

#include <algorithm>
#include <tuple>

namespace lb {

std::size_t choose_for_room(std::span<Resting> all, std::size_t wanted, Micros now) {
    if (wanted >= all.size()) return all.size();
    const auto worth = [now](const Resting& each) {
        return std::tuple(now - each.since < fair_chance, each.what, each.since);
    };
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(wanted), all.end(),
                     [&](const Resting& a, const Resting& b) { return worth(a) < worth(b); });
    return wanted;
}

}  // namespace lb
