// master/table/arena.h -- places for blocks in the shared table's arena.
// Owns:   which bytes of the arena are in use, which wait for their readers, and which have memory behind them.
// Never:  writes into a block; gives a block out again while a live process may still read it.
// Errors: no room, or no memory, is an empty optional; nothing has changed then.
//
// Best fit, lowest offset first; neighbours merge when they are released. Both steps cost O(log blocks).
// Memory is given in chunks of 64 KiB before a block is handed out, so that writing into it cannot fail. Chunks that
// became wholly free keep their memory for the next block, up to 4 MiB of them; then all such are punched out.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shared/shm/segment.h"

namespace lb::table {

class Arena {
 public:
    static constexpr std::uint64_t grain = 16;  // blocks are multiples of this, and aligned to it
    static constexpr std::uint64_t chunk = 65536;
    static constexpr std::uint32_t idle_chunks = 64;  // wholly free ones that may keep their memory

    // The segment must outlive it.
    explicit Arena(const shm::Segment& segment);

    // Offset of `bytes` (at least 1) in the segment, contents undefined.
    std::optional<std::uint64_t> allocate(std::uint64_t bytes);
    // Back at once: no other process ever saw this block. 0 is ignored, here and below.
    void release(std::uint64_t offset);
    // Back once every live process has moved on: it was replaced. It waits for the next seal().
    void retire(std::uint64_t offset);
    [[nodiscard]] bool unsealed() const noexcept { return !retired_.empty(); }
    // The header's epoch became `epoch` after the blocks retired so far were replaced.
    void seal(std::uint64_t epoch);
    // Every live process has moved to at least this epoch.
    void reclaim(std::uint64_t reached);

    [[nodiscard]] std::uint64_t bytes_used() const noexcept { return bytes_used_; }
    [[nodiscard]] std::size_t blocks_used() const noexcept { return used_.size(); }
    [[nodiscard]] std::size_t blocks_waiting() const noexcept { return retired_.size() + sealed_.size(); }

 private:
    enum class Chunk : std::uint8_t { hole, busy, idle };

    bool back(std::uint64_t offset, std::uint64_t size);
    void note_idle(std::uint64_t freed, std::uint64_t freed_end, std::uint64_t free, std::uint64_t free_end);
    void punch_idle();
    void insert_free(std::uint64_t offset, std::uint64_t size);
    void erase_free(std::map<std::uint64_t, std::uint64_t>::iterator place);

    const shm::Segment* segment_;
    std::uint64_t begin_, end_;
    std::map<std::uint64_t, std::uint64_t> free_;  // offset to size; no two touch
    std::set<std::pair<std::uint64_t, std::uint64_t>> free_by_size_;
    std::unordered_map<std::uint64_t, std::uint64_t> used_;  // offset to size
    std::vector<std::uint64_t> retired_;
    std::deque<std::pair<std::uint64_t, std::uint64_t>> sealed_;  // epoch, offset; epochs never fall
    std::vector<Chunk> chunks_;
    std::uint32_t idle_ = 0;
    std::uint64_t bytes_used_ = 0;
};

}  // namespace lb::table
