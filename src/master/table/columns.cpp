// master/table/columns.cpp -- claims, ends, and the slow pass over in-flight cells.
#include "master/table/columns.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "shared/shm/counters.h"

namespace lb::table {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// Never below zero: a cell repaired meanwhile may hold less than a dead journal claims.
void take_off(std::atomic<std::uint32_t>& cell, std::uint32_t n) noexcept {
    auto have = cell.load(relaxed);
    while (!cell.compare_exchange_weak(have, have - std::min(have, n), relaxed)) {
    }
}

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
    const Rows want{std::max(rows.listeners, rows_.listeners), std::max(rows.routes, rows_.routes),
                    std::max(rows.pools, rows_.pools), std::max(rows.backends, rows_.backends)};
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
            journal[b].store(0, relaxed);
        }
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
    drift_.resize(std::min<std::size_t>(drift_.size(), first));
    drift_.shrink_to_fit();
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
    if (drift_.size() < last) drift_.resize(last);
    for (auto b = first; b < last; b++) {
        auto& cell = segment_->backend_cell(b).in_flight;
        const auto before = journals(b);
        const auto have = cell.load(std::memory_order_acquire);
        auto& drift = drift_[b];
        if (have == before) {
            drift = {};
            continue;
        }
        if (journals(b) != before) continue;  // moving: neither a difference nor none
        const auto difference = static_cast<std::int32_t>(have - before);
        if (drift.passes == 0 || (difference > 0) != (drift.least > 0)) {
            drift = {1, difference};
        } else {
            drift.passes++;
            if (std::abs(difference) < std::abs(drift.least)) drift.least = difference;
        }
        if (drift.passes < repair_passes) continue;
        if (drift.least > 0) {
            take_off(cell, static_cast<std::uint32_t>(drift.least));
        } else {
            cell.fetch_add(static_cast<std::uint32_t>(-drift.least), relaxed);
        }
        drift = {};
    }
}

void Columns::forget(std::uint32_t backend) noexcept {
    if (backend < drift_.size()) drift_[backend] = {};
}

}  // namespace lb::table
