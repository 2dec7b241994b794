// worker/backend/retry_budget.h -- retries of a pool within a share of its requests, over all workers: arithmetic and one
// compare-and-swap.
// Why:    when backends fail, each retry is more load for the others; without a bound a storm of retries ends them all.
// How:    the allowance only grows: a share of all requests so far, and so much for each second. Spent are thousandths
//         of retries. What was not spent is kept for about a second: over any time there are at most as many retries as
//         the allowance grew by, and `most_saved` more.
// Never:  reads the clock or the table itself.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>

#include "shared/base/clock.h"

namespace lb::retry_budget {

inline constexpr std::int64_t one_retry = 1000;

// In thousandths of retries. percent: of the requests; floor: a second. `now` may begin anywhere, if all who share a
// budget have the same clock.
constexpr std::int64_t allowance(std::uint32_t percent, std::uint64_t requests, std::uint32_t floor,
                                 Micros now) noexcept {
    return static_cast<std::int64_t>(requests) * percent * (one_retry / 100) +
           static_cast<std::int64_t>(floor) * (now / (1'000'000 / one_retry));
}
// A second's worth of it, but a whole retry at least: a share of few requests must come to one at some time.
constexpr std::int64_t most_saved(std::uint32_t percent, std::uint32_t request_rate,
                                  std::uint32_t floor) noexcept {
    return std::max(one_retry, std::int64_t{request_rate} * percent * (one_retry / 100) +
                                   std::int64_t{floor} * one_retry);
}

// Takes one retry. False: the budget is spent. allowed() gives the allowance as it is when called.
// It is asked after `spent` was read, and so is never behind that of who spent last. What was spent above it was spent
// under other settings, or by the slot's earlier owner: counting begins at this allowance, with nothing saved.
template <class Allowed>
bool spend(std::atomic<std::int64_t>& spent, Allowed allowed, std::int64_t saved) noexcept {
    auto seen = spent.load(std::memory_order_acquire);
    for (;;) {
        const std::int64_t allowance = allowed();
        const auto from = seen > allowance ? allowance : std::max(seen, allowance - saved);
        const bool enough = from + one_retry <= allowance;
        if (!enough && seen <= allowance) return false;
        if (spent.compare_exchange_weak(seen, enough ? from + one_retry : from, std::memory_order_acq_rel,
                                        std::memory_order_acquire))
            return enough;
    }
}

}  // namespace lb::retry_budget
