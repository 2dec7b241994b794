// shared/balance/walk.h -- the last resort of every policy: the first backend from a place on that is not skipped. Pure.
//
// `Skip` is a callable bool(const shm::Eligible&): true for what an exchange has tried already, and for what is full. A
// policy may ask it several times about the same backend, so it must be cheap and must change nothing.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "shared/shm/layout.h"

namespace lb::balance {

// From `at` (below the size) once around; nothing when all are skipped. Costs one step for each that is skipped.
template <class Skip>
std::optional<std::uint32_t> walk_from(std::span<const shm::Eligible> eligible, std::uint32_t at,
                                       Skip skip) noexcept {
    const auto count = static_cast<std::uint32_t>(eligible.size());
    for (std::uint32_t steps = 0; steps < count; steps++) {
        if (!skip(eligible[at])) return at;
        if (++at == count) at = 0;
    }
    return std::nullopt;
}

}  // namespace lb::balance
