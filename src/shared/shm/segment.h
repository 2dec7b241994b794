// shared/shm/segment.h -- the mapping of the shared table and typed access to its parts.
// Owns:   the memfd and the mapping. Children inherit both over fork.
// Never:  decides anything; writes a field on its own but at creation.
// Errors: creation returns text with the system's reason. Access by index is not checked in release builds beyond
//         what the caller guarantees: indexes come from the master's configuration or from published blocks.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/result.h"
#include "shared/net/fd.h"
#include "shared/shm/layout.h"

namespace lb::shm {

// How much the table can ever hold. Memory is sparse: only what is reserved or touched costs.
// Limits: columns 2-4096, listeners, routes, limits and pools 1-65536, backends 1-1048576, arena one page to 1 TiB.
struct Capacity {
    std::uint32_t columns = 128;
    std::uint32_t listeners = 1024;
    std::uint32_t routes = 8192;
    std::uint32_t limits = 1024;
    std::uint32_t pools = 4096;
    std::uint32_t backends = 65536;
    std::uint32_t limit_sets = 16384;  // of 8 keys each, over all limits; a power of two
    std::uint64_t arena = 1ull << 30;
};

class Segment {
 public:
    static Result<Segment, std::string> create(const Capacity& capacity);
    Segment(Segment&&) noexcept;
    Segment& operator=(Segment&&) noexcept;
    ~Segment();

    [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }
    Header& header() const noexcept { return *reinterpret_cast<Header*>(base_); }
    ListenerSlot& listener(std::uint32_t i) const noexcept {
        return part<ListenerSlot>(header().listener_slots)[i];
    }
    RouteSlot& route(std::uint32_t i) const noexcept { return part<RouteSlot>(header().route_slots)[i]; }
    LimitSlot& limit(std::uint32_t i) const noexcept { return part<LimitSlot>(header().limit_slots)[i]; }
    PoolSlot& pool(std::uint32_t i) const noexcept { return part<PoolSlot>(header().pool_slots)[i]; }
    BackendSlot& backend(std::uint32_t i) const noexcept {
        return part<BackendSlot>(header().backend_slots)[i];
    }
    BackendCell& backend_cell(std::uint32_t i) const noexcept {
        return part<BackendCell>(header().backend_cells)[i];
    }
    PoolCell& pool_cell(std::uint32_t i) const noexcept { return part<PoolCell>(header().pool_cells)[i]; }
    RouteCell& route_cell(std::uint32_t i) const noexcept { return part<RouteCell>(header().route_cells)[i]; }
    LimitSet& limit_set(std::uint32_t i) const noexcept { return part<LimitSet>(header().limit_table)[i]; }

    ColumnHead& column(std::uint32_t i) const noexcept { return *part<ColumnHead>(column_at(i)); }
    // The words of one row of a column, metrics::row_words(scope) of them.
    Word* row(std::uint32_t column, metrics::Scope scope, std::uint32_t index) const noexcept {
        return part<Word>(row_at(column_at(column), scope, index));
    }
    // The same of the origins.
    Word* origin(metrics::Scope scope, std::uint32_t index) const noexcept {
        return part<Word>(row_at(header().origins, scope, index));
    }
    // What the process of a column holds of the shared in-flight cells, one per backend slot.
    std::atomic<std::uint32_t>* journal(std::uint32_t column) const noexcept {
        return part<std::atomic<std::uint32_t>>(column_at(column) + header().journal);
    }

    // The places that the process of a column holds in limit entries: limit_sets * limit_ways of them.
    std::atomic<std::uint32_t>* limit_journal(std::uint32_t column) const noexcept {
        return part<std::atomic<std::uint32_t>>(column_at(column) + header().limit_journal);
    }
    // The least ticket that waits in the process of a column, for each pool slot; 0: nobody waits.
    Word* tickets(std::uint32_t column) const noexcept {
        return part<Word>(column_at(column) + header().tickets);
    }

    // A block of the arena; valid until the calling process moves its epoch. offset 0 gives null.
    template <class T>
    const T* block(std::uint64_t offset) const noexcept {
        return offset == 0 ? nullptr : part<T>(offset);
    }
    std::string_view text(std::uint64_t offset) const noexcept;
    // Where the master writes a block before it publishes it.
    [[nodiscard]] std::byte* at(std::uint64_t offset) const noexcept { return base_ + offset; }

    // Gives the pages of [offset, offset+size) real memory, so that a machine without room refuses a reload instead of
    // killing a process at its next write. What is there already stays. Returns errno text or "".
    [[nodiscard]] std::string commit(std::uint64_t offset, std::uint64_t size) const;
    // The same for a column's head and process row, and its rows, journal and tickets below the given numbers; with
    // limits (rows.limits > 0) also for the journal of places in the whole limit table, 512 KiB.
    [[nodiscard]] std::string reserve_column(std::uint32_t column, const Rows& rows,
                                             bool backend_detail) const;
    // The same for the slots, cells and origins below the given numbers; detail: rows of backend_detail in the origins.
    // With limits also for the limit table as a whole, 3 MiB.
    [[nodiscard]] std::string reserve_slots(const Rows& rows, std::uint32_t detail) const;
    // Gives memory below [offset, offset+size) back; reads as zero afterwards. Whole pages inside the range only.
    void punch(std::uint64_t offset, std::uint64_t size) const noexcept;
    // The same for rows [first, last) of backends: their counters in one column, detail and journal too, or in the origins.
    void punch_column(std::uint32_t column, std::uint32_t first, std::uint32_t last) const noexcept;
    void punch_origins(std::uint32_t first, std::uint32_t last) const noexcept;
    // A child's first act: the master's part can be read from now on, and only read. False when the kernel refused.
    bool protect_master_part() const noexcept;

 private:
    Segment() = default;
    template <class T>
    T* part(std::uint64_t offset) const noexcept {
        return reinterpret_cast<T*>(base_ + offset);
    }
    [[nodiscard]] std::uint64_t column_at(std::uint32_t i) const noexcept {
        return header().first_column + header().column_size * i;
    }
    // Offset of row `index` of a scope, in the column or origins that begin at `start`.
    [[nodiscard]] std::uint64_t row_at(std::uint64_t start, metrics::Scope scope,
                                       std::uint32_t index) const noexcept {
        return start + header().row_table[static_cast<std::size_t>(scope)] +
               std::uint64_t{index} * metrics::row_words(scope) * sizeof(Word);
    }
    void punch_rows(std::uint64_t start, std::uint32_t first, std::uint32_t last) const noexcept;

    Fd fd_;
    std::byte* base_ = nullptr;
    std::uint64_t size_ = 0;
};

}  // namespace lb::shm
