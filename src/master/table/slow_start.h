// master/table/slow_start.h -- how much of its weight a backend has that came back. Pure.
//
// From a twentieth of the weight to all of it over the pool's slow_start, in at most 20 steps that are at least 100 ms
// long: each step of any backend is a publication of its pool.
#pragma once
#include <algorithm>
#include <cstdint>

#include "shared/base/clock.h"

namespace lb::table {

inline constexpr std::uint16_t whole_part = 1000;  // parts of a weight are thousandths
inline constexpr std::uint16_t first_part = 50;
inline constexpr Micros most_steps = 20;
inline constexpr Micros shortest_step = 100'000;

// `length` is positive.
constexpr Micros slow_start_step(Micros length) noexcept {
    return std::max(length / most_steps, shortest_step);
}

constexpr std::uint16_t slow_start_part(Micros since, Micros now, Micros length) noexcept {
    const Micros step = slow_start_step(length);
    const Micros steps = std::max<Micros>(length / step, 1);
    const Micros done = std::max<Micros>(now - since, 0) / step;
    if (done >= steps) return whole_part;
    return static_cast<std::uint16_t>(first_part + (whole_part - first_part) * done / steps);
}

// While a backend of a pool starts slowly, all weights of the pool are this many times finer.
constexpr std::uint32_t fine_units(std::size_t members) noexcept { return members <= 100 ? 100 : 10; }

}  // namespace lb::table
