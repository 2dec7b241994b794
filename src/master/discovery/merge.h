// master/discovery/merge.h -- sets of backends: several become one, and two are compared. Pure.
#pragma once
#include <span>
#include <vector>

#include "master/discovery/source.h"

namespace lb::discovery {

inline constexpr std::size_t most_found = 10'000;  // of one pool

// The members of a pool: those of the configuration first, as they are, then those found, source by source. Whoever has a
// name or a place that was there before is left out; so is what is found beyond `most_found`.
Members merge(std::span<const config::Backend> configured, std::span<const Members* const> found);

struct Changes {
    struct Pair {
        const config::Backend* before;
        const config::Backend* after;
    };
    std::vector<const config::Backend*> joined, left;
    std::vector<Pair> moved;    // a name with other addresses
    std::vector<Pair> altered;  // another weight, or backup and primary
    [[nodiscard]] bool none() const noexcept {
        return joined.empty() && left.empty() && moved.empty() && altered.empty();
    }
};
// What makes `after` of `before`. A backend is the same one by its name, and what is written behind it: the addresses, or
// a name whose addresses come and go. The pointers are into the two sets. Slots do not count.
Changes compare(std::span<const config::Backend> before, std::span<const config::Backend> after);

}  // namespace lb::discovery
