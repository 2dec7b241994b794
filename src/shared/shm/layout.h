// shared/shm/layout.h -- the shared table as a file format. Offsets and indexes only: no pointers, no std::string.
//
//   | Header | listener, route, limit, pool and backend slots | origins | arena | shared cells | columns ... |
//   +------------- the master's part: read-only in children -----------+-- written by many --------+
//
//   part             written by          read by          how
//   Header           master              all              once before the first fork, but for its atomics
//   *Slot            master              all              fields are atomics; text and addresses by offset into the arena
//   origins          master              admin            what the columns' sums were when a slot's last owner left it
//   arena            master              all              published blocks: replaced, never edited (see epochs)
//   BackendCell,     any worker          workers, master  one atomic operation; each alone on its cache line
//   PoolCell, RouteCell,
//   limit sets
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
#include <string_view>
#include <type_traits>

#include "shared/metrics/catalog.h"
#include "shared/net/address.h"

namespace lb::shm {

inline constexpr std::uint64_t magic = 0x31656c626174'626cULL;  // "lbtable1", little endian
inline constexpr std::uint32_t layout_version = 3;
inline constexpr std::uint64_t page = 4096;
inline constexpr std::uint32_t no_slot = UINT32_MAX;

using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8, "a hidden lock would live in one process only");
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

enum class SlotState : std::uint32_t { free, used, retiring };
enum class Health : std::uint32_t { checking, up, down };
inline constexpr const char* health_words[] = {"checking", "up", "down"};
enum class Operator : std::uint32_t { ready, drain, maint };
inline constexpr const char* operator_words[] = {"ready", "drain", "maint"};
// Where a member of a pool comes from: the file, discovery, `lb backend add`, or a service that registered itself.
enum class MemberOf : std::uint32_t { file, discovery, operators, registry };
inline constexpr const char* member_words[] = {"file", "discovery", "operator", "registry"};

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
using LimitSlot = NamedSlot;

struct alignas(64) PoolSlot {
    std::atomic<SlotState> state;
    std::atomic<std::uint32_t> incarnation;
    std::atomic<std::uint64_t> name;              // TextBlock
    std::atomic<std::uint64_t> published;         // PublishedPool; 0 only while the slot is free
    std::atomic<std::uint64_t> retired_requests;  // answered by backends that left the pool
    std::atomic<std::uint32_t> panic;             // 1 while all members are used because too few are up
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
    std::atomic<std::uint64_t> zone;          // TextBlock
    std::atomic<std::uint64_t>
        sticky_id;  // what the pool's sticky cookie says for this backend; 0: no such cookie
    std::atomic<std::int64_t> ejected_until;  // unix seconds; 0: not ejected
    std::atomic<std::int64_t> expires;        // unix seconds at which a registration ends; 0: never
    std::atomic<Operator> operator_state;
    std::atomic<MemberOf> member_of;
    std::atomic<std::uint32_t> max_inflight;  // 0: no limit
    std::atomic<std::uint32_t>
        effective_weight;  // as published: 0 when not listed, less than weight in slow start
};

struct AddressBlock {
    std::uint32_t count;
    std::uint32_t padding;
    [[nodiscard]] const Address* data() const noexcept { return reinterpret_cast<const Address*>(this + 1); }
};
static_assert(sizeof(AddressBlock) % alignof(Address) == 0);

// What workers pick from. A usable backend is up (or all are used in panic), ready, not ejected, and has an address.
struct Eligible {
    std::uint32_t backend;  // slot
    std::uint32_t
        incarnation;  // of that slot, so that an idle connection to an earlier owner or address is noticed
    std::uint32_t weight;        // with slow start, the weights of a whole pool are in finer units
    std::uint32_t max_inflight;  // 0: no limit
};
// The usable backends of one zone, primaries or backups. Parts lie behind the PublishedPool, `*_at` bytes from its start.
struct PublishedGroup {
    std::uint32_t zone;             // zone_id() of its name; 0: none
    std::uint32_t keep;             // of 65536 requests that prefer this zone, how many stay in it
    std::uint32_t weight;           // sum of the weights: its part of what other zones do not keep
    std::uint32_t capacity;         // sum of max_inflight; 0: some backend has no limit
    std::uint32_t count;            // Eligible
    std::uint32_t schedule_length;  // indexes into them: smooth weighted round robin; 0 only when count is 0
    std::uint32_t maglev_length;    // indexes into them; 0: the pool needs none
    std::uint32_t eligible_at, schedule_at, maglev_at;
};
// Whose cookie a value is: usable backends, and those that are drained and serve the sessions they have.
struct StickyEntry {
    std::uint64_t id;  // BackendSlot::sticky_id; entries are sorted by it
    std::uint32_t backend;
    std::uint32_t incarnation;
    std::uint32_t max_inflight;
    std::uint32_t draining;
};
// Followed in memory by its groups, primaries first; then what they name. Backups are for when no primary is usable, or
// none is left to try.
struct PublishedPool {
    std::uint32_t configured;  // members of the pool, usable or not: "0 of 3 usable"
    std::uint32_t usable;      // of all groups
    std::uint32_t primary_groups;
    std::uint32_t backup_groups;
    std::uint32_t sticky_count;
    std::uint32_t sticky_at;
    std::uint32_t panic;  // 1: all members are listed, up or not
    std::uint32_t padding;

    [[nodiscard]] std::span<const PublishedGroup> primaries() const noexcept {
        return {reinterpret_cast<const PublishedGroup*>(this + 1), primary_groups};
    }
    [[nodiscard]] std::span<const PublishedGroup> backups() const noexcept {
        return {reinterpret_cast<const PublishedGroup*>(this + 1) + primary_groups, backup_groups};
    }
    [[nodiscard]] std::span<const Eligible> eligible(const PublishedGroup& group) const noexcept {
        return {part<Eligible>(group.eligible_at), group.count};
    }
    [[nodiscard]] std::span<const std::uint32_t> schedule(const PublishedGroup& group) const noexcept {
        return {part<std::uint32_t>(group.schedule_at), group.schedule_length};
    }
    [[nodiscard]] std::span<const std::uint32_t> maglev(const PublishedGroup& group) const noexcept {
        return {part<std::uint32_t>(group.maglev_at), group.maglev_length};
    }
    [[nodiscard]] std::span<const StickyEntry> sticky() const noexcept {
        return {part<StickyEntry>(sticky_at), sticky_count};
    }

 private:
    template <class T>
    [[nodiscard]] const T* part(std::uint32_t at) const noexcept {
        return reinterpret_cast<const T*>(reinterpret_cast<const std::byte*>(this) + at);
    }
};

// A zone as numbers compare it: FNV-1a of its name, never 0 for a name; 0 for none.
constexpr std::uint32_t zone_id(std::string_view name) noexcept {
    if (name.empty()) return 0;
    std::uint32_t hash = 2166136261u;
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    return hash == 0 ? 1 : hash;
}

struct alignas(64) BackendCell {
    std::atomic<std::uint32_t> in_flight;     // over all workers, kept for pools that need it
    std::atomic<std::uint32_t> failures;      // in a row over all workers, kept for pools with `eject`
    std::atomic<std::int64_t> failing_since;  // CLOCK_MONOTONIC in microseconds: the first of them
    Word latency;                             // balance/peak_ewma.h
};
inline constexpr std::uint32_t group_cursors = 8;
struct alignas(64) PoolCell {
    // Round robin: one fetch_add per first attempt, on the cursor of the group's number modulo 8.
    Word cursor[group_cursors];
    alignas(
        64) std::atomic<std::uint32_t> in_flight;  // sum of its backends' cells, for pools that need the sum
    std::atomic<std::uint32_t> queued;             // waiting over all workers, never over the queue's size
    Word tickets;                                  // given to who waits; the first is 1
    std::atomic<std::int64_t> budget_spent;        // thousandths of retries, worker/backend/retry_budget.h
    std::atomic<std::uint32_t> request_rate;       // of the last whole second; written by the master
};
// A bucket of a limit for one key, and how many of its requests are being served; shared/limit/key_table.h.
struct LimitEntry {
    Word key;  // 0: free
    Word time;
    std::atomic<std::uint32_t> places;
    std::uint32_t padding;
};
inline constexpr std::uint32_t limit_ways = 8;
struct alignas(64) LimitSet {
    LimitEntry entries[limit_ways];
};
struct alignas(64) RouteCell {
    Word cursor;  // the weighted split between a route's pools: one fetch_add per request
};

// How many of each kind: capacities, or the rows and slots below which there is memory.
struct Rows {
    std::uint32_t listeners = 0;
    std::uint32_t routes = 0;
    std::uint32_t limits = 0;
    std::uint32_t pools = 0;
    std::uint32_t backends = 0;
    bool operator==(const Rows&) const = default;
};

enum class ColumnState : std::uint32_t { free, used };
enum class Role : std::uint32_t { master, worker, admin };

// The head of a column. Rows of words follow, one table per scope (see Segment::row), then the journal, the places
// held in limit entries, and the tickets of who waits longest in each pool's queue.
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
    std::uint32_t limits;
    std::uint32_t pools;
    std::uint32_t backends;
    std::uint32_t limit_sets;  // a power of two
    std::uint32_t catalog_rows;
    std::uint64_t listener_slots, route_slots, limit_slots, pool_slots, backend_slots;  // offsets
    std::uint64_t origins;  // rows like a column's: listener, route, limit, pool, backend, backend_detail
    std::uint64_t arena, arena_size;
    std::uint64_t backend_cells, pool_cells, route_cells;
    std::uint64_t limit_table;   // LimitSet[limit_sets]
    std::uint64_t limit_key[2];  // of SipHash, by chance at the start: nobody outside can aim at a set
    std::uint64_t first_column, column_size;
    std::uint64_t row_table[metrics::scope_count];  // from the start of a column, or of the origins, to rows
    std::uint64_t journal;        // from the start of a column to its std::atomic<uint32_t>[backends]
    std::uint64_t limit_journal;  // the same, [limit_sets * limit_ways]: places held in limit entries
    std::uint64_t
        tickets;  // the same, Word[pools]: the least ticket that waits in this process; 0: nobody waits
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
static_assert(sizeof(NamedSlot) == 64 && sizeof(PoolSlot) == 64 && sizeof(BackendSlot) == 128);
static_assert(sizeof(BackendCell) == 64 && sizeof(PoolCell) == 128 && sizeof(RouteCell) == 64);
static_assert(sizeof(LimitEntry) == 24 && sizeof(LimitSet) == 192);
static_assert(sizeof(ColumnHead) == 128 && offsetof(ColumnHead, epoch) == 64);
static_assert(sizeof(PublishedPool) == 32 && sizeof(PublishedGroup) == 40 && sizeof(Eligible) == 16);
static_assert(sizeof(StickyEntry) == 24);
static_assert(std::is_standard_layout_v<Header> && std::is_standard_layout_v<BackendSlot>);
static_assert(std::is_trivially_copyable_v<Address> && alignof(Address) <= 8);

}  // namespace lb::shm
