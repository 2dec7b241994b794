// master/table/publisher.h -- builds blocks of the arena and puts them in place of earlier ones.
// Owns:   the scratch memory it builds in. The blocks belong to the arena, their offsets to the slots.
// Never:  edits a block that was published; decides who is a member, healthy, ready or ejected.
// Errors: no room is a value; what was published before stays in force then.
#pragma once
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "master/table/arena.h"
#include "shared/config/model.h"
#include "shared/shm/segment.h"

namespace lb::table {

// Bytes of a pool's block when it is as large as it can become: all members listed, with maglev tables and sticky entries
// if the settings ask for them, in the finer weights of a slow start. `weights`: of the members, as they are in force.
std::uint64_t largest_pool_block(const config::Pool& pool, std::span<const std::uint32_t> weights);

// Whether requests may be sent to a member: up, ready, not ejected, with an address.
bool usable(const shm::BackendSlot& slot, const config::Backend& backend) noexcept;

// What a pool is published by, besides its members' slots: they hold health, operator's state, ejection, the weight in
// force, incarnation and sticky_id.
struct PoolView {
    const config::Pool* settings = nullptr;  // null: no generation names it; an empty list
    std::uint32_t spill = 0;                 // per cent, of [zones]; 0: zones keep all they can serve
    // Of each member, thousandths of its weight; empty: nobody starts slowly.
    std::span<const std::uint16_t> parts{};
};

class Publisher {
 public:
    // Both must outlive it.
    Publisher(const shm::Segment& segment, Arena& arena) noexcept : segment_(&segment), arena_(&arena) {}

    // Blocks that no slot names yet. The empty text needs none: offset 0.
    std::optional<std::uint64_t> text(std::string_view text);
    std::optional<std::uint64_t> addresses(std::span<const Address> addresses);
    std::optional<std::uint64_t> empty_pool();

    // Stores a block's offset where readers find it and retires the one that was there.
    void replace(std::atomic<std::uint64_t>& place, std::uint64_t offset);

    enum class Outcome : std::uint8_t { same, published, no_room };
    // Publishes the usable members, a group for each zone that has members, usable or not: primaries, then backups.
    // With fewer usable primaries than `panic` says, all that are ready and have an address count as usable; the log
    // says so when that begins and ends. Nothing happens when all that is what is published already. Schedules and
    // maglev tables of groups that did not change are copied.
    Outcome pool(std::uint32_t pool_slot, const PoolView& view);

 private:
    struct Group {
        std::uint32_t zone = 0;
        bool backup = false;
        std::uint64_t weight = 0;   // of all its members
        std::uint32_t members = 0;  // usable or not
        std::uint32_t count = 0;    // listed
    };
    enum class Use : std::uint8_t { none, drained, listed };

    void find_groups(std::span<const config::Backend> members);
    void find_uses(const config::Pool& settings);
    void list(const PoolView& view);
    void describe_groups(const PoolView& view);
    void list_sticky(const PoolView& view);
    std::uint64_t place_parts() noexcept;
    [[nodiscard]] bool same(const shm::PublishedPool* now) const noexcept;
    void write(std::byte* at, const shm::PublishedPool* now, const config::Pool* settings);
    void note_weights(const PoolView& view) noexcept;
    void tell_panic(shm::PoolSlot& slot, const config::Pool* settings) const;

    const shm::Segment* segment_;
    Arena* arena_;
    // Of one call of pool().
    shm::PublishedPool head_{};
    std::uint32_t possible_ = 0;          // primaries that are ready
    std::uint32_t usable_primaries_ = 0;  // of these, without panic
    std::uint32_t units_ = 1;             // see fine_units()
    std::vector<Group> groups_;
    std::unordered_map<std::uint64_t, std::uint32_t> group_by_key_;
    std::vector<std::uint32_t> group_of_;  // by member
    std::vector<Use> use_;                 // by member
    std::vector<shm::PublishedGroup> published_;
    std::vector<shm::Eligible> eligible_;  // of all groups, in their order
    std::vector<std::uint32_t> weights_;   // of these
    std::vector<std::uint32_t> listed_;    // the member of each
    std::vector<shm::StickyEntry> sticky_;
    std::vector<std::uint32_t> next_;  // by group, while the list is filled
};

}  // namespace lb::table
