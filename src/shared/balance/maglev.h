// shared/balance/maglev.h -- consistent hashing by a table, as in Maglev (Eisenbud et al., "Maglev: A Fast and Reliable
// Software Network Load Balancer", NSDI 2016): a key has an entry, an entry names a backend. Lookups, also with bounded loads
// (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016). Pure. The master makes tables, workers read.
//
// The table depends on the members' identities and weights alone, not on their order: every node makes the same one.
//
// The table is not filled as in that paper. There each member takes its next free entry in turn, which makes all shares equal
// to one entry, but one member that leaves changes the turns of all: with 100 members and 163 entries each 2.4 times as many keys
// move as must, with 1 000 and 262 each 6 times (measured). Here a member draws entries by a sequence of its own, at times that
// follow from its weight, and the earliest draw has the entry. What others hold does not depend on who left: 1.03 times as
// many move. Shares spread instead, with a standard deviation of 5 % at 250 entries each and 10 % at 52; where that matters a
// bound evens it out.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shared/balance/walk.h"
#include "shared/shm/layout.h"

namespace lb::balance {

struct MaglevMember {
    std::uint64_t identity;  // identity_of(pool, name); different ones
    std::uint32_t weight;    // at least 1
};

// Entries for so many members: at least 250 for each of up to 1 048, at most 524 287 (52 for each of 10 000). In few steps, because
// another size moves nearly every key. Primes, so that no pattern in keys falls in step with them.
std::size_t maglev_size(std::size_t members) noexcept;
// Indexes into `members`, each about as often as its weight says; one with a share of less than an entry may have none. Empty for
// no members, and for more of them than `size`. O(size), however many members: 524 287 entries take about 15 ms.
std::vector<std::uint32_t> make_maglev(std::span<const MaglevMember> members, std::size_t size);

// How many entries a pick looks at before it walks through the list instead: with a bound of 125 % at most four fifths are at
// the bound, and 64 of them in a row are one in 1.6 million.
inline constexpr int maglev_others = 64;    // that name another backend than the one before
inline constexpr int maglev_entries = 512;  // all

// The backend of the key's entry; of the next entries if it is skipped, so that a key's second choice is always the same too.
// Every value in `maglev` must be an index into `eligible`. Returns such an index that is not skipped; nothing when there is
// none.
template <class Skip>
std::optional<std::uint32_t> pick_maglev(std::span<const shm::Eligible> eligible,
                                         std::span<const std::uint32_t> maglev, std::uint64_t key,
                                         Skip skip) noexcept {
    if (maglev.empty() || eligible.empty()) return std::nullopt;
    auto at = static_cast<std::size_t>(key % maglev.size());
    std::uint32_t last = UINT32_MAX;
    for (int entries = 0, others = 0; entries < maglev_entries && others < maglev_others; entries++) {
        const std::uint32_t choice = maglev[at];
        if (choice != last) {
            if (!skip(eligible[choice])) return choice;
            last = choice;
            others++;
        }
        if (++at == maglev.size()) at = 0;
    }
    return walk_from(eligible, static_cast<std::uint32_t>(key % eligible.size()), skip);
}

// How many exchanges a backend may have, the next one counted in, so that none has more than `bound_percent` (at least 100) of
// its part of them all. At least 1. Rounded up: together the capacities are more than `total_in_flight`, so that somebody is
// always below. over(eligible) is in_flight >= bounded_capacity(...).
constexpr std::uint64_t bounded_capacity(std::uint64_t total_in_flight, std::uint64_t weight,
                                         std::uint64_t total_weight, std::uint64_t bound_percent) noexcept {
    if (total_weight == 0) return 1;
    using Wide = unsigned __int128;  // weights in fine units and large totals: more than 64 bits
    const Wide parts = Wide{total_weight} * 100;
    return static_cast<std::uint64_t>(((Wide{total_in_flight} + 1) * weight * bound_percent + parts - 1) /
                                      parts);
}

// The first from the key's place on that is not over(eligible): over its bound. When all look full, because loads change while
// they are read or the others were tried, the bound gives way: the first that is not skipped.
template <class Over, class Skip>
std::optional<std::uint32_t> pick_bounded(std::span<const shm::Eligible> eligible,
                                          std::span<const std::uint32_t> maglev, std::uint64_t key, Over over,
                                          Skip skip) noexcept {
    const auto found = pick_maglev(eligible, maglev, key,
                                   [&](const shm::Eligible& each) { return over(each) || skip(each); });
    return found ? found : pick_maglev(eligible, maglev, key, skip);
}

}  // namespace lb::balance
