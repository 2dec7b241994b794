// master/table/columns.h -- the columns of the shared table: who has which, and what a dead process leaves behind.
// Owns:   the columns' free list, the heads' fields, and the agreement of shared cells with the journals.
// Never:  writes a counter; takes a column away from a process that may still live.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "master/table/drift.h"
#include "master/table/slot_ids.h"
#include "shared/base/result.h"
#include "shared/shm/segment.h"

namespace lb::table {

using shm::Rows;  // what columns must have memory for: the marks of the slots in use

class Columns {
 public:
    // Claims column 0 for the master. The segment must outlive it.
    explicit Columns(const shm::Segment& segment);

    // The lowest free column, with memory for `rows`; `detail`: for histograms per backend as well.
    Result<std::uint32_t, std::string> claim(shm::Role role, std::uint32_t generation, std::uint32_t worker,
                                             const Rows& rows, bool detail);
    void started(std::uint32_t column, std::int32_t pid) noexcept;
    void draining(std::uint32_t column) noexcept;
    // The process was reaped: its journal comes off the cells of backends and pools, its places off the limit entries,
    // who waited in it off the queues; its gauges and tickets become zero, and the column is free.
    void ended(std::uint32_t column);

    // Memory for `rows` in every column that was ever used: an old worker may meet new backends, and sums read all
    // columns. Returns errno text or "".
    std::string extend(const Rows& rows);
    // Rows of backends from `first` on are free for good: their memory goes back, here and in the origins.
    void shrink(std::uint32_t first);

    // The least epoch of the live columns, the master's left out: it keeps nothing over a turn. All ones when alone.
    [[nodiscard]] std::uint64_t reached() const noexcept;
    // Whether no live process holds anything of a slot: its gauges, and the journal of a backend.
    [[nodiscard]] bool released(metrics::Scope scope, std::uint32_t slot) const noexcept;
    // What every column ever used has memory for.
    [[nodiscard]] const Rows& rows() const noexcept { return rows_; }
    // Rows of backend_detail that have memory in some column.
    [[nodiscard]] std::uint32_t detail_rows() const noexcept { return detail_rows_; }

    // Passes over shared cells, see drift.h: in-flight cells of backends [first, last); the in-flight and the queue cell
    // of a pool, `backends` being all slots that belong to it, retiring ones too; places in limit entries [first, last).
    // A pool's sums cost backends times living columns, and nothing while its cells are zero.
    void repair(std::uint32_t first, std::uint32_t last);
    void repair_pool(std::uint32_t pool, std::span<const std::uint32_t> backends);
    void repair_limits(std::uint32_t first, std::uint32_t last);
    // 0 while there are no limits.
    [[nodiscard]] std::uint32_t limit_entries() const noexcept;
    // A slot has a new owner: what was seen of the old one no longer counts.
    void forget(std::uint32_t backend) noexcept;
    void forget_pool(std::uint32_t pool) noexcept;

 private:
    [[nodiscard]] std::uint32_t journals(std::uint32_t backend) const noexcept;

    const shm::Segment* segment_;
    SlotIds ids_;
    std::vector<std::uint32_t> live_;  // the master's own among them
    Rows rows_;                        // what every touched column has memory for
    std::uint32_t detail_rows_ = 0;
    Drifts backend_drifts_, pool_drifts_, queue_drifts_, limit_drifts_;
};

}  // namespace lb::table
