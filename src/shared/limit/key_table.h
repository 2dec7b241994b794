// shared/limit/key_table.h -- the buckets and places of all limits, for all workers together.
// Owns:   nothing: the sets are in the shared table. One for each process: what it holds is noted in the journal of its column.
// Never:  waits, allocates, or keeps a key: an entry knows a part of its hash only (key_word.h).
//
// Memory is bounded: sets of eight entries. An entry is free for another key when its bucket is full again and nobody holds a
// place of it: then forgetting it changes nothing. When a set has no such entry, the key whose bucket is full soonest is
// forgotten, and may have its burst once more; keys that are far over their limit stay. Nobody can aim at a set: the hash has
// a key made by chance.
#pragma once
#include <atomic>
#include <cstdint>

#include "shared/base/clock.h"
#include "shared/limit/key_word.h"
#include "shared/shm/segment.h"

namespace lb::limit {

class KeyTable {
 public:
    static constexpr std::uint32_t no_entry = UINT32_MAX;
    struct Answer {
        bool refused = false;
        std::uint32_t entry = no_entry;  // not refused, and holds a place of it: to be given back
        std::uint64_t wait =
            0;  // nanoseconds until the rate lets one pass; 0: not known, or not refused by it
        // Keys of this or other limits that were forgotten for this one before their time, and 1 more when this request
        // goes uncounted because no entry could be had.
        std::uint32_t forgotten = 0;
    };

    // The segment must outlive it. `column`: of this process.
    KeyTable(const shm::Segment& segment, std::uint32_t column) noexcept;

    // One request of the key with this hash (siphash.h, with a key of the limit's own).
    Answer ask(std::uint64_t hash, const Terms& terms, Micros now) noexcept;
    void give_back(std::uint32_t entry) noexcept;

 private:
    shm::LimitSet* sets_;
    std::atomic<std::uint32_t>* journal_;
    std::uint32_t mask_;
};

}  // namespace lb::limit
