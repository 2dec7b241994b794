#include "worker/backend/outcomes.h"

#include <algorithm>

#include "shared/balance/peak_ewma.h"
#include "worker/backend/retry_budget.h"

namespace lb {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr Micros tell_every = 100'000;  // of one backend
constexpr int most_swaps = 3;           // of a latency that others change too: one sample of many may be lost

// 501 and 505 are about the request: any other backend would say the same.
bool is_failure(std::uint16_t status) noexcept { return status >= 500 && status != 501 && status != 505; }

}  // namespace

void Outcomes::answered(std::uint32_t pool, BackendId backend, std::uint16_t status, Micros latency,
                        Micros now) noexcept {
    const config::Pool& settings = config_.pools[pool];
    const bool failure = is_failure(status);
    if (settings.balance.policy == config::Policy::peak_ewma)
        learn_latency(backend.slot, latency, failure ? Came::error : Came::answer, now);
    if (failure && settings.eject.errors != 0) count_failure(settings.eject, backend.slot, now);
}

void Outcomes::completed(std::uint32_t pool, BackendId backend, std::uint16_t status) noexcept {
    if (config_.pools[pool].eject.errors == 0 || is_failure(status)) return;
    auto& failures = table_.backend_cell(backend.slot).failures;
    if (failures.load(relaxed) != 0) failures.store(0, relaxed);
}

void Outcomes::failed(std::uint32_t pool, BackendId backend, Micros elapsed, Micros now) noexcept {
    const config::Pool& settings = config_.pools[pool];
    if (settings.balance.policy == config::Policy::peak_ewma)
        learn_latency(backend.slot, elapsed, Came::nothing, now);
    if (settings.eject.errors != 0) count_failure(settings.eject, backend.slot, now);
}

void Outcomes::learn_latency(std::uint32_t slot, Micros latency, Came came, Micros now) noexcept {
    auto& word = table_.backend_cell(slot).latency;
    auto seen = word.load(relaxed);
    for (int i = 0; i < most_swaps; i++) {
        std::uint64_t next = 0;
        switch (came) {
            case Came::answer: next = balance::observed(seen, latency, now); break;
            case Came::nothing: next = balance::penalized(seen, latency, now); break;
            case Came::error: {
                // Errors come fast. They must not make a backend look better, nor a single one much worse: it stays as
                // slow as it was.
                const std::uint64_t before =
                    seen == 0 ? balance::ewma::least_penalty : seen & balance::ewma::most;
                next = balance::ewma::pack(
                    std::max(before, static_cast<std::uint64_t>(std::max<Micros>(latency, 0))), now);
                break;
            }
        }
        if (word.compare_exchange_weak(seen, next, relaxed)) return;
    }
}

// In a row, the first of them at most `within` ago: when it is older, counting begins again with this one.
void Outcomes::count_failure(const config::Eject& eject, std::uint32_t slot, Micros now) noexcept {
    shm::BackendCell& cell = table_.backend_cell(slot);
    std::uint32_t in_a_row = cell.failures.fetch_add(1, relaxed) + 1;
    if (in_a_row == 1) {
        cell.failing_since.store(now, relaxed);
    } else if (now - cell.failing_since.load(relaxed) > to_micros(eject.within)) {
        cell.failing_since.store(now, relaxed);
        cell.failures.store(1, relaxed);
        in_a_row = 1;
    }
    if (in_a_row < eject.errors) return;
    if (slot >= told_.size()) told_.resize(std::max<std::size_t>(slot + 1, told_.size() * 2));
    if (told_[slot] != 0 && now - told_[slot] < tell_every) return;
    told_[slot] = now;
    (void)master_.send({MessageKind::eject, 0, slot});  // it hears of the next failure otherwise
}

bool Outcomes::take_retry(std::uint32_t pool) noexcept {
    const config::Pool& settings = config_.pools[pool];
    const config::Retries& retries = settings.retries;
    shm::PoolCell& cell = table_.pool_cell(settings.slot);
    const auto allowed = [&] {
        std::uint64_t requests = 0;
        for (std::uint32_t klass = 0; klass < std::size(metrics::class_values); klass++)
            requests += shm::sum<"lb_requests_total">(table_, settings.slot, klass);
        return retry_budget::allowance(retries.budget, requests, retries.floor, monotonic_now());
    };
    const auto saved =
        retry_budget::most_saved(retries.budget, cell.request_rate.load(relaxed), retries.floor);
    const bool some = retries.budget != 0 || retries.floor != 0;
    if (some && retry_budget::spend(cell.budget_spent, allowed, saved)) return true;
    column_.add<"lb_retries_refused_total">(settings.slot);
    return false;
}

}  // namespace lb
