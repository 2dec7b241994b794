// master/table/tick.cpp -- what happens from time to time: steps of slow starts, slots and blocks back, passes over shared
// cells, rates. Each of it is bounded.
#include <algorithm>

#include "master/table/state.h"

namespace lb {

void TableWriter::State::tick(Micros time) {
    now = time;
    next_steps();
    flush();
    take_back_slots();
    arena.reclaim(columns.reached());
    if (last_pass != 0 && now - last_pass < pass_interval) return;
    last_pass = now;
    repair_cells();
    count_requests();
}

void TableWriter::State::next_steps() {
    std::erase_if(starting, [&](std::uint32_t pool) {
        if (!pools.has(pool) || pools[pool].next_step == 0) return true;
        if (now >= pools[pool].next_step) mark_dirty(pool);
        return false;
    });
}

void TableWriter::State::repair_cells() {
    const auto batch = [](std::uint32_t& next, std::uint32_t end, const auto& repair) {
        if (next >= end) next = 0;
        const auto first = next;
        next = std::min(end, first + repair_batch);
        if (first < next) repair(first, next);
    };
    batch(next_backend, backends.ids().mark(),
          [&](std::uint32_t first, std::uint32_t last) { columns.repair(first, last); });
    batch(next_limit_entry, columns.limit_entries(),
          [&](std::uint32_t first, std::uint32_t last) { columns.repair_limits(first, last); });

    const auto mark = pools.ids().mark();
    std::size_t looked = 0;
    for (std::uint32_t n = std::min(mark, pool_batch); n > 0 && looked < repair_batch; n--) {
        if (next_pool >= mark) next_pool = 0;
        const auto pool = next_pool++;
        if (!pools.has(pool)) continue;
        columns.repair_pool(pool, pools[pool].slots);
        looked += pools[pool].slots.size();
    }
}

// Requests of a pool over the last second, or as long as it took to come round to it.
void TableWriter::State::count_requests() {
    const auto mark = pools.ids().mark();
    for (std::uint32_t n = std::min(mark, pool_batch); n > 0; n--) {
        if (next_counted >= mark) next_counted = 0;
        const auto pool = next_counted++;
        if (!pools.has(pool)) continue;
        auto& record = pools[pool];
        const auto elapsed = static_cast<std::uint64_t>(now - record.counted);
        if (record.counted != 0 && elapsed < rate_interval) continue;
        const auto total = shm::requests(*segment, pool);
        if (record.counted != 0) {
            const auto rate = ((total - record.requests) * 1'000'000 + elapsed / 2) / elapsed;
            segment->pool_cell(pool).request_rate.store(
                static_cast<std::uint32_t>(std::min<std::uint64_t>(rate, UINT32_MAX)),
                std::memory_order_relaxed);
        }
        record.requests = total;
        record.counted = now;
    }
}

}  // namespace lb
