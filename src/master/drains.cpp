// master/drains.cpp -- see drains.h.
#include "master/drains.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shared/shm/counters.h"

namespace lb {
namespace {

std::string time_text(Micros time) {
    if (time % 1'000'000 == 0) return fmt::format("{}s", time / 1'000'000);
    return fmt::format("{}ms", time / 1000);
}

}  // namespace

void Drains::wait(const CallerPtr& caller, std::string pool, std::string backend, shm::Operator state,
                  Micros patience, Micros now) {
    Wait next;
    next.caller = caller;
    next.pool = std::move(pool);
    next.backend = std::move(backend);
    next.state = state;
    next.since = now;
    next.deadline = patience == 0 ? 0 : now + patience;
    next.epoch = segment_->header().epoch.load(std::memory_order_acquire);
    if (!look(next, now)) waits_.push_back(std::move(next));
}

void Drains::changed(std::string_view pool, std::string_view backend, shm::Operator state) {
    std::erase_if(waits_, [&](const Wait& each) {
        if (each.pool != pool || each.backend != backend || state != shm::Operator::ready) return false;
        each.caller->done(false, fmt::format("pool {}: backend {} was made ready meanwhile", pool, backend));
        return true;
    });
}

void Drains::tick(Micros now) {
    for (std::size_t i = 0; i < waits_.size();) {
        if (look(waits_[i], now)) {
            waits_.erase(waits_.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
            i++;
        }
    }
}

void Drains::end() {
    for (const Wait& each : std::exchange(waits_, {})) each.caller->done(false, "lb is stopping");
}

// Over all slots that have its name: a reload that changed its address leaves the old one behind until it is empty, and
// one that left the pool is retiring.
std::uint64_t Drains::in_flight(Wait& wait) const {
    for (const Generation& generation : generations_->all()) {
        for (const config::Pool& pool : generation.config->pools) {
            if (pool.name != wait.pool) continue;
            for (const config::Backend& each : pool.backends) {
                if (each.name != wait.backend || std::ranges::count(wait.slots, each.slot) != 0) continue;
                wait.slots.push_back(each.slot);
            }
        }
    }
    std::int64_t sum = 0;
    std::erase_if(wait.slots, [&](std::uint32_t i) {
        const shm::BackendSlot& slot = segment_->backend(i);
        const bool ours = slot.state.load(std::memory_order_relaxed) != shm::SlotState::free &&
                          segment_->text(slot.name.load(std::memory_order_relaxed)) == wait.backend &&
                          segment_->text(segment_->pool(slot.pool.load(std::memory_order_relaxed))
                                             .name.load(std::memory_order_relaxed)) == wait.pool;
        if (ours) sum += static_cast<std::int64_t>(shm::sum<"lb_backend_in_flight">(*segment_, i));
        return !ours;
    });
    // Between what one process added and another took away.
    return static_cast<std::uint64_t>(std::max<std::int64_t>(sum, 0));
}

bool Drains::everybody_saw(std::uint64_t epoch) const {
    const auto columns = segment_->header().columns_touched.load(std::memory_order_acquire);
    for (std::uint32_t i = 0; i < columns; i++) {
        const shm::ColumnHead& head = segment_->column(i);
        if (head.state.load(std::memory_order_relaxed) != shm::ColumnState::used) continue;
        if (head.role.load(std::memory_order_relaxed) != shm::Role::worker) continue;
        if (head.epoch.load(std::memory_order_acquire) < epoch) return false;
    }
    return true;
}

// True when it is over.
bool Drains::look(Wait& wait, Micros now) const {
    // In this order: what a process takes up before it says that it saw the list is in its gauge by then.
    const bool seen = everybody_saw(wait.epoch);
    const std::uint64_t open = in_flight(wait);
    if (open == 0 && seen) {
        wait.caller->done(
            true, fmt::format("pool {}: backend {} is in {}, and nothing is in flight", wait.pool,
                              wait.backend, shm::operator_words[static_cast<std::size_t>(wait.state)]));
        return true;
    }
    if (wait.deadline != 0 && now >= wait.deadline) {
        wait.caller->done(false, fmt::format("pool {}: backend {}: still {} in flight after {}", wait.pool,
                                             wait.backend, open, time_text(wait.deadline - wait.since)));
        return true;
    }
    if (open != wait.told && (wait.told_at == 0 || now - wait.told_at >= progress_gap)) {
        wait.caller->info(fmt::format("pool {}: backend {}: {} in flight", wait.pool, wait.backend, open));
        wait.told = open;
        wait.told_at = now;
    }
    return !wait.caller->flush();
}

}  // namespace lb
