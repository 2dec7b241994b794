// master/table/schedule.cpp -- shares of a cycle, and their order.
#include "master/table/schedule.h"

#include <algorithm>
#include <numeric>

namespace lb::table {
namespace {

struct Reduced {
    std::uint32_t divisor = 1;
    std::uint64_t length = 0;
};

Reduced reduce(std::span<const std::uint32_t> weights) noexcept {
    Reduced r{0, 0};
    for (const auto w : weights) {
        r.divisor = std::gcd(r.divisor, w);
        r.length += w;
    }
    if (r.divisor == 0) r.divisor = 1;
    r.length /= r.divisor;
    return r;
}

// Weights too large for the limit: ascending, those whose share is below one entry get one; what remains is shared
// among the others by largest remainder, ties to the earlier backend.
std::vector<std::uint32_t> scale(std::span<const std::uint32_t> weights, std::size_t limit) {
    std::vector<std::uint32_t> order(weights.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return weights[i]; });

    std::uint64_t entries = limit;
    std::uint64_t weight = std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
    std::vector<std::uint32_t> shares(weights.size(), 1);
    std::size_t lifted = 0;
    while (lifted < order.size() && weights[order[lifted]] * entries < weight) {
        weight -= weights[order[lifted++]];
        entries--;
    }
    const auto rest = std::span(order).subspan(lifted);
    std::uint64_t given = 0;
    for (const auto i : rest) {
        shares[i] = static_cast<std::uint32_t>(weights[i] * entries / weight);
        given += shares[i];
    }
    std::ranges::stable_sort(rest, [&](std::uint32_t a, std::uint32_t b) {
        const auto left = weights[a] * entries % weight;
        const auto right = weights[b] * entries % weight;
        return left != right ? left > right : a < b;
    });
    for (std::size_t i = 0; given < entries; i++, given++) shares[rest[i]]++;
    return shares;
}

constexpr std::uint32_t nobody = UINT32_MAX;

}  // namespace

std::vector<std::uint32_t> schedule_shares(std::span<const std::uint32_t> weights, std::size_t limit) {
    const auto [divisor, length] = reduce(weights);
    if (length > limit) return scale(weights, limit);
    std::vector<std::uint32_t> shares(weights.begin(), weights.end());
    for (auto& s : shares) s /= divisor;
    return shares;
}

std::size_t schedule_length(std::span<const std::uint32_t> weights, std::size_t limit) noexcept {
    return std::min<std::size_t>(reduce(weights).length, limit);
}

std::vector<std::uint32_t> make_schedule(std::span<const std::uint32_t> weights, std::size_t limit) {
    const auto shares = schedule_shares(weights, limit);
    const std::uint64_t length = std::accumulate(shares.begin(), shares.end(), std::uint64_t{0});
    std::vector<std::uint32_t> schedule;
    schedule.reserve(length);
    if (length == shares.size()) {  // one entry each: nothing to order
        schedule.resize(length);
        std::iota(schedule.begin(), schedule.end(), 0u);
        return schedule;
    }

    std::vector<std::uint32_t> taken(shares.size(), 0);
    // Waiting backends by the position from which their next turn may come, as lists: head for each position, then next.
    std::vector<std::uint32_t> waiting(length, nobody);
    std::vector<std::uint32_t> next(shares.size(), nobody);
    // Ready backends as a heap, the earliest deadline (taken+1)/share on top; both sides fit 64 bits as products.
    const auto later = [&](std::uint32_t a, std::uint32_t b) {
        const auto left = (taken[a] + std::uint64_t{1}) * shares[b];
        const auto right = (taken[b] + std::uint64_t{1}) * shares[a];
        return left != right ? left > right : a > b;
    };
    std::vector<std::uint32_t> ready;
    ready.reserve(shares.size());
    const auto make_ready = [&](std::uint32_t i) {
        ready.push_back(i);
        std::ranges::push_heap(ready, later);
    };
    for (std::uint32_t i = 0; i < shares.size(); i++) make_ready(i);

    for (std::uint64_t at = 0; at < length; at++) {
        for (auto i = waiting[at]; i != nobody;) {
            const auto following = next[i];
            make_ready(i);
            i = following;
        }
        // Never empty: the turns taken sum up to `at`, so some backend is at or behind its share and was made ready.
        std::ranges::pop_heap(ready, later);
        const auto chosen = ready.back();
        ready.pop_back();
        schedule.push_back(chosen);
        if (++taken[chosen] == shares[chosen]) continue;
        const auto from = taken[chosen] * length / shares[chosen];
        if (from <= at) {
            make_ready(chosen);
        } else {
            next[chosen] = waiting[from];
            waiting[from] = chosen;
        }
    }
    return schedule;
}

}  // namespace lb::table
