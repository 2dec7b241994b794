// worker/client/room.h -- who goes when all places are taken: a choice among connections that rest.
// Owns:  the order of their worth.
// Never: closes one; hears of one with an exchange.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "shared/base/clock.h"

namespace lb {

class ClientConn;

// What a connection without an exchange does. In the order in which they go: one had its last answer, one was served
// and may come back on another connection, one was never served.
enum class Rest : std::uint8_t { lingering, idle, head };

struct Resting {
    Micros since;
    ClientConn* conn;
    Rest what;
};

// The first of them go only when nothing else is there: a request is on its way on many of them, whoever floods.
inline constexpr Micros fair_chance = 1'000'000;

// Brings the `wanted` that are worth least to the front, in any order; returns how many these are. Those that rest for
// less than fair_chance come last; each of the two parts is ordered by what they do, then by how long.
std::size_t choose_for_room(std::span<Resting> all, std::size_t wanted, Micros now);

}  // namespace lb
