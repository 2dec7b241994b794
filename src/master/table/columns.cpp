// master/table/columns.cpp -- claims, ends, and the slow pass over in-flight cells.
#include "master/table/columns.h"

#include <algorithm>
#include <limits>

#include "shared/shm/counters.h"

namespace lb::table {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// Word of the gauge of waiting requests in a pool's row.
constexpr auto queued_word = metrics::offset_of(metrics::index_of<"lb_pool_queued">());

}  // namespace

Columns::Columns(const shm::Segment& segment) : segment_(&segment), ids_(segment.header().columns) {
    ids_.take();
    live_.push_back(0);
    auto& head = segment.column(0);
    head.role.store(shm::Role::master, relaxed);
    head.state.store(shm::ColumnState::used, std::memory_order_release);
    segment.header().columns_touched.store(1, std::memory_order_release);
}

std::string Columns::extend(const Rows& rows) {
    const Rows want{.listeners = std::max(rows.listeners, rows_.listeners),
                    .routes = std::max(rows.routes, rows_.routes),
                    .limits = std::max(rows.limits, rows_.limits),
                    .pools = std::max(rows.pools, rows_.pools),
                    .backends = std::max(rows.backends, rows_.backends)};
    if (want == rows_) return {};
    const auto touched = segment_->header().columns_touched.load(relaxed);
    for (std::uint32_t c = 0; c < touched; c++) {
        // Detail is not extended: a process that keeps it leaves rows out that have no memory (Column::detail).
        if (auto error = segment_->reserve_column(c, want, false); !error.empty()) return error;
    }
    rows_ = want;
    return {};
}

Result<std::uint32_t, std::string> Columns::claim(shm::Role role, std::uint32_t generation,
                                                  std::uint32_t worker, const Rows& rows, bool detail) {
    if (auto error = extend(rows); !error.empty()) return Failed{"no memory for the shared table: " + error};
    const auto column = ids_.take();
    if (!column) {
        return Failed{"no free column in the shared table: all " +
                      std::to_string(segment_->header().columns) + " belong to living processes"};
    }
    auto error = segment_->reserve_column(*column, rows_, detail);
    if (error.empty() && detail) error = segment_->reserve_slots({}, rows_.backends);
    if (!error.empty()) {
        ids_.give(*column);
        return Failed{"no memory for the shared table: " + error};
    }

    auto& header = segment_->header();
    auto& head = segment_->column(*column);
    head.role.store(role, relaxed);
    head.pid.store(0, relaxed);
    head.generation.store(generation, relaxed);
    head.worker.store(worker, relaxed);
    head.draining.store(0, relaxed);
    head.detail.store(detail ? 1 : 0, relaxed);
    if (detail) {
        const auto have = std::max(head.detail_rows.load(relaxed), rows_.backends);
        head.detail_rows.store(have, relaxed);
        detail_rows_ = std::max(detail_rows_, have);
    }
    head.heartbeat.store(0, relaxed);
    head.epoch.store(header.epoch.load(relaxed), relaxed);
    head.state.store(shm::ColumnState::used, std::memory_order_release);
    if (header.columns_touched.load(relaxed) <= *column) {
        header.columns_touched.store(*column + 1, std::memory_order_release);
    }
    live_.push_back(*column);
    return *column;
}

void Columns::started(std::uint32_t column, std::int32_t pid) noexcept {
    segment_->column(column).pid.store(pid, std::memory_order_release);
}

void Columns::draining(std::uint32_t column) noexcept {
    segment_->column(column).draining.store(1, std::memory_order_release);
}

void Columns::ended(std::uint32_t column) {
    const auto place = std::ranges::find(live_, column);
    if (column == 0 || place == live_.end()) return;
    live_.erase(place);
    auto* journal = segment_->journal(column);
    for (std::uint32_t b = 0; b < rows_.backends; b++) {
        if (const auto held = journal[b].load(relaxed); held != 0) {
            take_off(segment_->backend_cell(b).in_flight, held);
            take_off(segment_->pool_cell(segment_->backend(b).pool.load(relaxed)).in_flight, held);
            journal[b].store(0, relaxed);
        }
    }
    auto* places = segment_->limit_journal(column);
    for (std::uint32_t i = 0; i < limit_entries(); i++) {
        if (const auto held = places[i].load(relaxed); held != 0) {
            take_off(segment_->limit_set(i / shm::limit_ways).entries[i % shm::limit_ways].places, held);
            places[i].store(0, relaxed);
        }
    }
    for (std::uint32_t p = 0; p < rows_.pools; p++) {
        const auto waited = segment_->row(column, metrics::Scope::pool, p)[queued_word].load(relaxed);
        if (waited != 0) take_off(segment_->pool_cell(p).queued, static_cast<std::uint32_t>(waited));
        segment_->tickets(column)[p].store(0, relaxed);
    }
    shm::clear_gauges(*segment_, column, rows_);
    auto& head = segment_->column(column);
    head.detail.store(0, relaxed);
    head.pid.store(0, relaxed);
    head.state.store(shm::ColumnState::free, std::memory_order_release);
    ids_.give(column);
}

void Columns::shrink(std::uint32_t first) {
    if (first >= rows_.backends) return;
    const auto last = std::max(rows_.backends, detail_rows_);
    segment_->punch_origins(first, last);
    const auto touched = segment_->header().columns_touched.load(relaxed);
    for (std::uint32_t c = 0; c < touched; c++) {
        auto& rows = segment_->column(c).detail_rows;
        if (rows.load(relaxed) > first) rows.store(first, relaxed);
        segment_->punch_column(c, first, last);
    }
    rows_.backends = first;
    detail_rows_ = std::min(detail_rows_, first);
}

std::uint64_t Columns::reached() const noexcept {
    auto least = std::numeric_limits<std::uint64_t>::max();
    for (const auto c : live_) {
        // Acquire: what the process read before it moved on is read before we write over it.
        if (c != 0) least = std::min(least, segment_->column(c).epoch.load(std::memory_order_acquire));
    }
    return least;
}

bool Columns::released(metrics::Scope scope, std::uint32_t slot) const noexcept {
    return std::ranges::all_of(live_, [&](std::uint32_t c) {
        if (scope == metrics::Scope::backend && segment_->journal(c)[slot].load(relaxed) != 0) return false;
        return shm::gauges_zero(*segment_, c, scope, slot);
    });
}

std::uint32_t Columns::journals(std::uint32_t backend) const noexcept {
    std::uint32_t total = 0;
    for (const auto c : live_) total += segment_->journal(c)[backend].load(std::memory_order_acquire);
    return total;
}

void Columns::repair(std::uint32_t first, std::uint32_t last) {
    last = std::min(last, rows_.backends);
    for (auto b = first; b < last; b++) {
        backend_drifts_.look(b, segment_->backend_cell(b).in_flight, [&] { return journals(b); });
    }
}

void Columns::repair_pool(std::uint32_t pool, std::span<const std::uint32_t> backends) {
    auto& cell = segment_->pool_cell(pool);
    // One at zero is not too high, and one that was carried below it holds a large number.
    if (cell.in_flight.load(relaxed) != 0) {
        pool_drifts_.look(pool, cell.in_flight, [&] {
            std::uint32_t total = 0;
            for (const auto c : live_) {
                const auto* journal = segment_->journal(c);
                for (const auto b : backends) total += journal[b].load(std::memory_order_acquire);
            }
            return total;
        });
    } else {
        pool_drifts_.forget(pool);
    }
    if (cell.queued.load(relaxed) != 0) {
        queue_drifts_.look(pool, cell.queued, [&] {
            std::uint64_t total = 0;
            for (const auto c : live_) {
                total +=
                    segment_->row(c, metrics::Scope::pool, pool)[queued_word].load(std::memory_order_acquire);
            }
            return static_cast<std::uint32_t>(total);
        });
    } else {
        queue_drifts_.forget(pool);
    }
}

void Columns::repair_limits(std::uint32_t first, std::uint32_t last) {
    if (rows_.limits == 0) return;
    last = std::min(last, limit_entries());
    for (auto i = first; i < last; i++) {
        auto& entry = segment_->limit_set(i / shm::limit_ways).entries[i % shm::limit_ways];
        limit_drifts_.look(i, entry.places, [&] {
            std::uint32_t total = 0;
            for (const auto c : live_) total += segment_->limit_journal(c)[i].load(std::memory_order_acquire);
            return total;
        });
    }
}

std::uint32_t Columns::limit_entries() const noexcept {
    return rows_.limits == 0 ? 0 : segment_->header().limit_sets * shm::limit_ways;
}

void Columns::forget(std::uint32_t backend) noexcept { backend_drifts_.forget(backend); }

void Columns::forget_pool(std::uint32_t pool) noexcept {
    pool_drifts_.forget(pool);
    queue_drifts_.forget(pool);
}

}  // namespace lb::table
