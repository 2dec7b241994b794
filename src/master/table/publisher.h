// master/table/publisher.h -- builds blocks of the arena and puts them in place of earlier ones.
// Owns:   the scratch memory it builds in. The blocks belong to the arena, their offsets to the slots.
// Never:  edits a block that was published; decides who is a member or healthy.
// Errors: no room is a value; what was published before stays in force then.
#pragma once
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "master/table/arena.h"
#include "shared/config/model.h"
#include "shared/shm/segment.h"

namespace lb::table {

// Bytes of a pool's block when as many of its backends are usable as can be at once.
std::uint64_t largest_pool_block(std::span<const config::Backend> members);

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
    // Publishes the usable ones of `members`, whose slots hold health, weight and incarnation: primaries, or backups
    // when no primary is up. Nothing happens when that is what is published already.
    Outcome pool(std::uint32_t pool_slot, std::span<const config::Backend> members);

 private:
    const shm::Segment* segment_;
    Arena* arena_;
    std::vector<shm::Eligible> usable_;
    std::vector<std::uint32_t> weights_;
};

}  // namespace lb::table
