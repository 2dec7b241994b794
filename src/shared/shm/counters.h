// shared/shm/counters.h -- add to a column of one's own; sum over all columns.
// Never: writes into another process's column. (Clearing the gauges of a dead one is the master's: clear_gauges.)
// Order: counters are relaxed. A counter has one writer; readers need each word whole, not a snapshot of all. The
//        in-flight journal is ordered against its cell, see take().
#pragma once
#include <cstdint>

#include "shared/shm/segment.h"

namespace lb::shm {

// The calling process's own column. Copyable, cheap; the Segment must outlive it.
class Column {
 public:
    Column(const Segment& segment, std::uint32_t index) noexcept;

    // Adds to a counter, seconds (microseconds given) or gauge (negative as two's complement by sub).
    //   column.add<"lb_retries_total">(pool_slot);  column.add<"lb_requests_total">(pool_slot, class_label);
    template <metrics::Name name>
    void add(std::uint32_t row = 0, std::uint32_t label = 0, std::uint64_t n = 1) noexcept {
        constexpr auto i = metrics::index_of<name>();
        constexpr auto& m = metrics::catalog[i];
        static_assert(m.kind != metrics::Kind::histogram && m.kind != metrics::Kind::table);
        bump(word(m.scope, row, metrics::offset_of(i) + label), n);
    }
    template <metrics::Name name>
    void sub(std::uint32_t row = 0) noexcept {
        static_assert(metrics::catalog[metrics::index_of<name>()].kind == metrics::Kind::gauge);
        add<name>(row, 0, ~std::uint64_t{0});
    }
    // Notes a time in a histogram. Rows of backend_detail that this process does not keep are left alone.
    template <metrics::Name name>
    void observe(std::uint32_t row, std::int64_t micros) noexcept {
        constexpr auto i = metrics::index_of<name>();
        constexpr auto& m = metrics::catalog[i];
        static_assert(m.kind == metrics::Kind::histogram);
        if constexpr (m.scope == metrics::Scope::backend_detail) {
            if (!detail(row)) return;
        }
        Word& first = word(m.scope, row, metrics::offset_of(i));
        bump((&first)[metrics::bucket_of(micros)], 1);
        bump((&first)[metrics::bucket_count], static_cast<std::uint64_t>(micros > 0 ? micros : 0));
    }

    // Takes a place of a backend, and of its pool, in the shared cells and notes it in the journal. Returns the
    // backend's count after taking.
    //
    // take: cells, then journal; give_back: journal, then cells. At every instant the cell holds at least what the
    // journals claim, so a death between the two steps can only leave it too high by one, and the master's slow pass
    // takes that off. The other order could leave it too low, and the next release would carry it below zero.
    // A process dies between two instructions, so the order that counts is that of the instructions: the second step is a
    // release each time, because neither compiler nor processor moves an earlier write behind a release. (A release on
    // the first step would leave the second one free to move ahead of it.) Whoever reads the second step with acquire
    // sees the first.
    std::uint32_t take(std::uint32_t backend, std::uint32_t pool) noexcept {
        pool_cells_[pool].in_flight.fetch_add(1, std::memory_order_relaxed);
        const auto now = cells_[backend].in_flight.fetch_add(1, std::memory_order_relaxed) + 1;
        auto& mine = journal_[backend];
        mine.store(mine.load(std::memory_order_relaxed) + 1, std::memory_order_release);
        return now;
    }
    void give_back(std::uint32_t backend, std::uint32_t pool) noexcept {
        auto& mine = journal_[backend];
        mine.store(mine.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
        cells_[backend].in_flight.fetch_sub(1, std::memory_order_release);
        pool_cells_[pool].in_flight.fetch_sub(1, std::memory_order_release);
    }

    // Between two turns of the event loop; see epochs in layout.h.
    void quiescent() noexcept {
        head_->epoch.store(header_->epoch.load(std::memory_order_acquire), std::memory_order_release);
    }
    void beat(std::int64_t now) noexcept {
        head_->heartbeat.store(static_cast<std::uint64_t>(now), std::memory_order_relaxed);
    }
    // Whether this process keeps the detailed histograms of a backend (backend_histograms; decided by the master).
    [[nodiscard]] bool detail(std::uint32_t backend) const noexcept {
        return head_->detail.load(std::memory_order_relaxed) != 0 &&
               backend < head_->detail_rows.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }

 private:
    Word& word(metrics::Scope scope, std::uint32_t row, std::size_t at) noexcept {
        return rows_[static_cast<std::size_t>(scope)][row * metrics::row_words(scope) + at];
    }
    static void bump(Word& w, std::uint64_t n) noexcept {
        w.store(w.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    Header* header_;
    ColumnHead* head_;
    Word* rows_[metrics::scope_count];
    std::atomic<std::uint32_t>* journal_;
    BackendCell* cells_;
    PoolCell* pool_cells_;
    std::uint32_t index_;
};

// Sum over all columns of one word, less the origin of its slot (process scope: no origin).
std::uint64_t sum(const Segment& segment, metrics::Scope scope, std::uint32_t row, std::size_t word) noexcept;
// The same by name and label.
template <metrics::Name name>
std::uint64_t sum(const Segment& segment, std::uint32_t row = 0, std::uint32_t label = 0) noexcept {
    constexpr auto i = metrics::index_of<name>();
    return sum(segment, metrics::catalog[i].scope, row, metrics::offset_of(i) + label);
}

// What follows is the master's.

// Responses that the owner of a backend slot gave so far, of all classes.
std::uint64_t responses(const Segment& segment, std::uint32_t backend) noexcept;
// Requests that the owner of a pool slot had so far, of all classes.
std::uint64_t requests(const Segment& segment, std::uint32_t pool) noexcept;
// Sets the origins of a row to the present sums: its next owner begins at zero. The slot must be free or unseen.
void set_origin(const Segment& segment, metrics::Scope scope, std::uint32_t row) noexcept;
// Sets the gauges of a column to zero, in its process row and the rows below the given numbers. Its process is dead.
void clear_gauges(const Segment& segment, std::uint32_t column, const Rows& rows) noexcept;
// Whether all gauges in one row of a column are zero: its process holds nothing of that slot.
bool gauges_zero(const Segment& segment, std::uint32_t column, metrics::Scope scope,
                 std::uint32_t row) noexcept;

}  // namespace lb::shm
