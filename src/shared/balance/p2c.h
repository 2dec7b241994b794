// shared/balance/p2c.h -- the better of two backends drawn by chance (Mitzenmacher, "The Power of Two Choices in
// Randomized Load Balancing", 2001). Pure: list, schedule, loads and chance in, choice out.
// Two cells are read however long the list is, and two workers that choose at once seldom meet on the same backend, which
// they would if each looked for the very best.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "shared/balance/walk.h"
#include "shared/base/random.h"
#include "shared/shm/layout.h"

namespace lb::balance {

inline constexpr int choice_draws = 8;

struct Choices {
    std::optional<std::uint32_t> one, other;  // different ones; `other` only when there is a `one`
};

// Two backends that are not skipped, drawn by weight: places of the schedule, which holds each as often as its weight
// says. Drawn without weight, a heavy one among many light ones would be looked at too seldom to get its share.
// What is skipped is drawn anew a few times; then the list is walked from a place by chance, so that one that is not
// skipped is always found. `other` may be missing although there is one, when nearly all are skipped.
template <class Skip>
Choices draw_two(std::span<const shm::Eligible> eligible, std::span<const std::uint32_t> schedule, Skip skip,
                 Random& random) noexcept {
    Choices drawn;
    if (eligible.empty() || schedule.empty()) return drawn;
    const auto count = static_cast<std::uint32_t>(eligible.size());
    const auto places = static_cast<std::uint32_t>(schedule.size());
    for (int draws = 0; draws < choice_draws; draws++) {
        const std::uint32_t at = schedule[random.below(places)];
        if (drawn.one == at || skip(eligible[at])) continue;
        if (drawn.one) {
            drawn.other = at;
            return drawn;
        }
        drawn.one = at;
    }
    if (!drawn.one) {
        drawn.one = walk_from(eligible, random.below(count), skip);
    } else if (count > 1) {
        // One that outweighs the rest was drawn again and again: another one regardless of weight.
        const std::uint32_t at = (*drawn.one + 1 + random.below(count - 1)) % count;
        if (!skip(eligible[at])) drawn.other = at;
    }
    return drawn;
}

// load(slot) is the number of exchanges that hold a backend now; the lower (load + 1) / weight wins, as in
// pick_least_conn. Of equal ones the first drawn, which is either with the same chance.
// Returns an index into `eligible` that is not skipped; nothing when there is none.
template <class Load, class Skip>
std::optional<std::uint32_t> pick_p2c(std::span<const shm::Eligible> eligible,
                                      std::span<const std::uint32_t> schedule, Load load, Skip skip,
                                      Random& random) noexcept {
    const Choices drawn = draw_two(eligible, schedule, skip, random);
    if (!drawn.other) return drawn.one;
    const shm::Eligible& one = eligible[*drawn.one];
    const shm::Eligible& other = eligible[*drawn.other];
    const std::uint64_t of_one = (std::uint64_t{load(one.backend)} + 1) * other.weight;
    const std::uint64_t of_other = (std::uint64_t{load(other.backend)} + 1) * one.weight;
    return of_other < of_one ? drawn.other : drawn.one;
}

}  // namespace lb::balance
