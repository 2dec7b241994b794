// master/table/drift.h -- shared cells that stay different from what the living processes say they hold.
// Owns:   what was seen of cells that differ; nothing for those that agree.
// Never:  trusts one look: between the two steps of taking or giving back a cell differs rightly.
//
// A cell that differs by the same sign in `passes` looks is moved by the least difference seen. A look that meets a
// changing sum says nothing. A process stopped between the two steps for that long is repaired wrongly and, once it runs
// on, back again.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <unordered_map>

namespace lb::table {

// Never below zero: a cell repaired meanwhile may hold less than a dead journal claims.
inline void take_off(std::atomic<std::uint32_t>& cell, std::uint32_t n) noexcept {
    auto have = cell.load(std::memory_order_relaxed);
    while (!cell.compare_exchange_weak(have, have - std::min(have, n), std::memory_order_relaxed)) {
    }
}

class Drifts {
 public:
    static constexpr std::uint32_t passes = 10;

    // `sum()` reads with acquire what the processes hold of this cell.
    template <class Sum>
    void look(std::uint32_t index, std::atomic<std::uint32_t>& cell, const Sum& sum) {
        const std::uint32_t before = sum();
        const auto have = cell.load(std::memory_order_acquire);
        if (have == before) {
            if (!seen_.empty()) seen_.erase(index);
            return;
        }
        if (sum() != before) return;  // moving: neither a difference nor none
        const auto difference = static_cast<std::int32_t>(have - before);
        auto& drift = seen_[index];
        if (drift.looks == 0 || (difference > 0) != (drift.least > 0)) {
            drift = {1, difference};
        } else {
            drift.looks++;
            if (std::abs(difference) < std::abs(drift.least)) drift.least = difference;
        }
        if (drift.looks < passes) return;
        if (drift.least > 0) {
            take_off(cell, static_cast<std::uint32_t>(drift.least));
        } else {
            cell.fetch_add(static_cast<std::uint32_t>(-drift.least), std::memory_order_relaxed);
        }
        seen_.erase(index);
    }
    // The cell has a new owner: what was seen of the old one no longer counts.
    void forget(std::uint32_t index) noexcept { seen_.erase(index); }

 private:
    struct Drift {
        std::uint32_t looks = 0;
        std::int32_t least = 0;  // signed; 0: none
    };
    std::unordered_map<std::uint32_t, Drift> seen_;
};

}  // namespace lb::table
