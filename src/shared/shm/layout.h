// shared/shm/layout.h -- the shared table as a file format. Offsets and indexes only: no pointers, no std::string.
//
//   | Header | listener, route, pool and backend slots | origins | arena | shared cells | columns ... |
//   +------------- the master's part: read-only in children -----------+-- written by many --------+
//
//   part             written by          read by          how
//   Header           master              all              once before the first fork, but for its atomics
//   *Slot            master              all              fields are atomics; text and addresses by offset into the arena
//   origins          master              admin            what the columns' sums were when a slot's last owner left it
//   arena            master              all              published blocks: replaced, never edited (see epochs)
//   BackendCell,     any worker          workers, master  one atomic operation; each alone on its cache line
//   PoolCell, RouteCell
//   Column           its process         master, admin    one per process instance; readers sum over all columns
//
// Epochs (quiescent-state reclamation; McKenney, Slingwine 1998): the master stores a new offset with release order,
// then increments Header::epoch. A process copies Header::epoch into its column between two turns of its event loop
// (acquire, then release) and keeps no pointer into the arena over that point. A block that was replaced when the epoch
// became E may be used again when every live column shows at least E.
//
// Reading a slot that may change hands (admin): incarnation and state (acquire), then the fields (acquire), then
// incarnation and state again; what changed meanwhile is read anew or left out. The master changes the incarnation before
// the fields and sets `used` last. A process whose own generation names a slot needs none of that: it cannot change hands.
//
// Every part begins on a page of its own, and so does every scope's table in a column and in the origins, at the same
// distance from the start: a range of rows can be backed with memory, or given back, in all of them alike.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "shared/metrics/catalog.h"
#include "shared/net/address.h"

namespace lb::shm {

inline constexpr std::uint64_t magic = 0x31656c626174'626cULL;  // "lbtable1", little endian
inline constexpr std::uint32_t layout_version = 2;
inline constexpr std::uint64_t page = 4096;
inline constexpr std::uint32_t no_slot = UINT32_MAX;

using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8, "a hidden lock would live in one process only");
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

enum class SlotState : std::uint32_t { free, used, retiring };
enum class Health : std::uint32_t { checking, up, down };
inline constexpr const char* health_words[] = {"checking", "up", "down"};

// A piece of text in the arena: 4 bytes of length, then the bytes. Offset 0 is the empty text.
struct TextBlock {
    std::uint32_t length;
    [[nodiscard]] const char* data() const noexcept { return reinterpret_cast<const char*>(this + 1); }
};

// What has a name and rows of counters, and nothing else that a reader of the table needs.
struct alignas(64) NamedSlot {
    std::atomic<SlotState> state;
    std::atomic<std::uint32_t> incarnation;  // changes when the slot gets another owner
    std::atomic<std::uint64_t> name;         // TextBlock
};
using ListenerSlot = NamedSlot;
using RouteSlot = NamedSlot;

struct alignas(64) PoolSlot {
    std::atomic<SlotState> state;
    std::atomic<std::uint32_t> incarnation;
    std::atomic<std::uint64_t> name;              // TextBlock
    std::atomic<std::uint64_t> published;         // PublishedPool; 0 only while the slot is free
    std::atomic<std::uint64_t> retired_requests;  // answered by backends that left the pool
};

struct alignas(64) BackendSlot {
    std::atomic<SlotState> state;
    std::atomic<std::uint32_t>
        incarnation;                  // changes with the owner, and when a name lost one of its addresses
    std::atomic<std::uint32_t> pool;  // slot of its pool
    std::atomic<Health> health;
    std::atomic<std::uint16_t> weight;
    std::atomic<std::uint16_t> backup;        // 1 for a backup
    std::atomic<std::uint32_t> member;        // 1 while the pool's newest list has it, usable or not
    std::atomic<std::uint64_t> name;          // TextBlock
    std::atomic<std::uint64_t> addresses;     // AddressBlock
    std::atomic<std::int64_t> changed;        // unix seconds of the last change of health
    std::atomic<std::uint64_t> check_reason;  // TextBlock: why the last check failed; 0: passed, or none
};

struct AddressBlock {
    std::uint32_t count;
    std::uint32_t padding;
    [[nodiscard]] const Address* data() const noexcept { return reinterpret_cast<const Address*>(this + 1); }
};
static_assert(sizeof(AddressBlock) % alignof(Address) == 0);

// What workers pick from: the usable backends of a pool, primaries or, when no primary is usable, backups.
// Followed in memory by Eligible[count], then uint32_t[schedule_length] of indexes into them.
struct Eligible {
    std::uint32_t backend;  // slot
    std::uint32_t
        incarnation;  // of that slot, so that an idle connection to an earlier owner or address is noticed
    std::uint32_t weight;
    std::uint32_t padding;
};
struct PublishedPool {
    std::uint32_t count;            // usable backends; 0: none
    std::uint32_t schedule_length;  // smooth weighted round robin; 0 only when count is 0
    std::uint32_t configured;       // backends of the pool, usable or not: "0 of 3 usable"
    std::uint32_t padding;
    [[nodiscard]] std::span<const Eligible> eligible() const noexcept {
        return {reinterpret_cast<const Eligible*>(this + 1), count};
    }
    [[nodiscard]] std::span<const std::uint32_t> schedule() const noexcept {
        return {reinterpret_cast<const std::uint32_t*>(reinterpret_cast<const Eligible*>(this + 1) + count),
                schedule_length};
    }
};

struct alignas(64) BackendCell {
    std::atomic<std::uint32_t> in_flight;  // over all workers, kept for pools that need it
};
struct alignas(64) PoolCell {
    Word cursor;  // round robin: one fetch_add per first attempt
};
struct alignas(64) RouteCell {
    Word cursor;  // the weighted split between a route's pools: one fetch_add per request
};

// How many of each kind: capacities, or the rows and slots below which there is memory.
struct Rows {
    std::uint32_t listeners = 0;
    std::uint32_t routes = 0;
    std::uint32_t pools = 0;
    std::uint32_t backends = 0;
    bool operator==(const Rows&) const = default;
};

enum class ColumnState : std::uint32_t { free, used };
enum class Role : std::uint32_t { master, worker, admin };

// The head of a column. Rows of words follow, one table per scope (see Segment::row), then the journal.
// Its two writers each have a cache line of their own, hence the padding.
struct alignas(64) ColumnHead {              // NOLINT(clang-analyzer-optin.performance.Padding)
    std::atomic<ColumnState> state;          // master
    std::atomic<Role> role;                  // master
    std::atomic<std::int32_t> pid;           // master
    std::atomic<std::uint32_t> generation;   // master
    std::atomic<std::uint32_t> worker;       // master: number of the worker in its generation
    std::atomic<std::uint32_t> draining;     // master: 1 once it was told to drain
    std::atomic<std::uint32_t> detail;       // master: 1 when this process keeps the rows of backend_detail
    std::atomic<std::uint32_t> detail_rows;  // master: rows of backend_detail with memory; outlive `detail`
    alignas(64) Word epoch;                  // the process, between turns (the master before the fork)
    Word heartbeat;  // the process, each tick: CLOCK_MONOTONIC in microseconds; 0: none yet
};

struct alignas(64) Header {
    std::uint64_t magic;  // first: after an upgrade the other binary must be able to read this and refuse
    std::uint32_t version;
    std::uint32_t columns;  // capacities
    std::uint32_t listeners;
    std::uint32_t routes;
    std::uint32_t pools;
    std::uint32_t backends;
    std::uint32_t catalog_rows;
    std::uint64_t listener_slots, route_slots, pool_slots, backend_slots;  // offsets
    std::uint64_t origins;  // rows like a column's: listener, route, pool, backend, backend_detail
    std::uint64_t arena, arena_size;
    std::uint64_t backend_cells, pool_cells, route_cells;
    std::uint64_t first_column, column_size;
    std::uint64_t row_table[metrics::scope_count];  // from the start of a column, or of the origins, to rows
    std::uint64_t journal;  // from the start of a column to its std::atomic<uint32_t>[backends]
    std::uint64_t total_size;
    std::int64_t start_time;                // unix seconds
    alignas(64) Word epoch;                 // the master, after each publication
    std::atomic<std::uint32_t> generation;  // the newest that has begun
    // Columns from here on were never used and hold zeros: sums leave them out, because reading a hole of a memfd
    // through a mapping gives it memory.
    std::atomic<std::uint32_t> columns_touched;
    std::atomic<std::uint32_t> stopping;  // master: 1 from stop or quit on; /readyz fails
};

static_assert(offsetof(Header, magic) == 0 && offsetof(Header, version) == 8);
static_assert(sizeof(Header) <= page);
static_assert(sizeof(NamedSlot) == 64 && sizeof(PoolSlot) == 64 && sizeof(BackendSlot) == 64);
static_assert(sizeof(BackendCell) == 64 && sizeof(PoolCell) == 64 && sizeof(RouteCell) == 64);
static_assert(sizeof(ColumnHead) == 128 && offsetof(ColumnHead, epoch) == 64);
static_assert(sizeof(PublishedPool) == 16 && sizeof(Eligible) == 16);
static_assert(std::is_standard_layout_v<Header> && std::is_standard_layout_v<BackendSlot>);
static_assert(std::is_trivially_copyable_v<Address> && alignof(Address) <= 8);

}  // namespace lb::shm
