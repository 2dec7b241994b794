// shared/balance/tried.h -- the backends that an exchange has tried already, as every policy sees them. Pure.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

namespace lb::balance {

// Slots, at most six (the first attempt and five retries): a scan is cheaper than anything clever.
using Tried = std::span<const std::uint32_t>;

inline bool was_tried(Tried tried, std::uint32_t backend) noexcept {
    return std::ranges::find(tried, backend) != tried.end();
}

}  // namespace lb::balance
