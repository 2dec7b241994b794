// master/table/schedule.h -- smooth weighted round robin as a list that workers walk with one shared cursor. Pure.
//
// One cycle of the list holds every backend as often as its weight says, spread out: after any number of entries no
// backend is a whole turn ahead of or behind its share. That is the earliest-deadline rule on the turns' windows (the
// k-th turn of a backend with weight w in a cycle of length N may come from position floor(k*N/w) on and must come
// before ceil((k+1)*N/w); Baruah, Cohen, Plaxton, Varvel, "Proportionate progress", 1996): 3:2:1 gives A B A B A C.
//
// Weights are divided by their greatest common divisor first, so 20:10 costs a cycle of 3. A cycle that would still
// be longer than the limit is scaled to the limit: every backend keeps at least one entry, and the rest is shared by
// largest remainder. Only then shares differ from the weights, by less than one entry each but for those lifted to one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lb::table {

inline constexpr std::size_t schedule_limit = 65536;

// Entries of one cycle for each weight (at least 1). There must not be more weights than `limit`.
std::vector<std::uint32_t> schedule_shares(std::span<const std::uint32_t> weights,
                                           std::size_t limit = schedule_limit);
// Their sum, without memory of its own.
std::size_t schedule_length(std::span<const std::uint32_t> weights,
                            std::size_t limit = schedule_limit) noexcept;
// The cycle: indexes into `weights`. O(length * log weights) by a heap; O(length) when all weights are equal.
std::vector<std::uint32_t> make_schedule(std::span<const std::uint32_t> weights,
                                         std::size_t limit = schedule_limit);

}  // namespace lb::table
