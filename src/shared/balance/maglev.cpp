#include "shared/balance/maglev.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "shared/base/random.h"

namespace lb::balance {
namespace {

// While a table is made an entry holds when it was drawn first, in steps from the beginning to the end, above as many bits as
// number all members in the order of their identities; and these of who drew it. So the least of all draws has the entry,
// in whatever order they are made. 10 000 members leave 18 bits, 1 000 steps for the time from one draw to a member's next.
constexpr std::uint32_t nobody = UINT32_MAX;

// Few entries are left that nobody drew. Each is given to who has another one, which is drawn by the entry.
std::uint32_t drawn_by_entry(const std::vector<std::uint32_t>& table, std::uint32_t at) noexcept {
    Random chance(at);
    std::uint32_t other = nobody;
    while (other == nobody) other = table[chance.below(static_cast<std::uint32_t>(table.size()))];
    return other;
}

}  // namespace

std::size_t maglev_size(std::size_t members) noexcept {
    constexpr std::size_t each = 250;
    for (const std::size_t size : {16381U, 65537U, 262147U}) {
        if (members * each <= size) return size;
    }
    return 524'287;
}

std::vector<std::uint32_t> make_maglev(std::span<const MaglevMember> members, std::size_t size) {
    if (members.empty() || size < members.size()) return {};
    std::vector<std::uint32_t> order(members.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::sort(order, {}, [&](std::uint32_t i) { return members[i].identity; });
    double weights = 0;
    for (const MaglevMember& each : members) weights += std::max(each.weight, 1u);

    // A member draws at equal times that are the shorter the more it weighs, until all together have drawn 5 times for each
    // entry. When one leaves, the others go on a little longer, and only what nobody had drawn, 0.7 % of the entries, can change
    // by that. Times are steps with 32 more bits behind the point.
    constexpr double draws = 5;
    const auto bits = static_cast<int>(std::bit_width(members.size()));
    const std::uint64_t end = std::uint64_t{nobody >> bits} << 32;
    const double mean = static_cast<double>(end) / (draws * static_cast<double>(size));
    std::vector<std::uint32_t> table(size, nobody);
    for (std::uint32_t who = 0; who < order.size(); who++) {
        const MaglevMember& member = members[order[who]];
        const auto between = static_cast<std::uint64_t>(mean * (weights / std::max(member.weight, 1u)));
        Random chance(member.identity);
        for (std::uint64_t when = between; when < end; when += between) {
            std::uint32_t& entry = table[chance.below(static_cast<std::uint32_t>(size))];
            entry = std::min(entry, static_cast<std::uint32_t>(when >> 32) << bits | who);
        }
    }
    std::vector<std::pair<std::uint32_t, std::uint32_t>> given;
    for (std::uint32_t at = 0; at < size; at++) {
        if (table[at] == nobody) given.emplace_back(at, drawn_by_entry(table, at));
    }
    for (const auto& [at, entry] : given) table[at] = entry;
    const std::uint32_t below = (1u << bits) - 1;
    for (std::uint32_t& entry : table) entry = order[entry & below];
    return table;
}

}  // namespace lb::balance
