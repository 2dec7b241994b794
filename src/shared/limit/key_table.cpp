// shared/limit/key_table.cpp -- see key_table.h; what happens inside a set is key_set.h.
#include "shared/limit/key_table.h"

#include "shared/limit/key_set.h"

namespace lb::limit {

KeyTable::KeyTable(const shm::Segment& segment, std::uint32_t column) noexcept
    : sets_(&segment.limit_set(0)),
      journal_(segment.limit_journal(column)),
      mask_(segment.header().limit_sets - 1) {}

KeyTable::Answer KeyTable::ask(std::uint64_t hash, const Terms& terms, Micros now) noexcept {
    const auto number = static_cast<std::uint32_t>(hash) & mask_;
    const std::uint32_t first = number * shm::limit_ways;
    const auto said = KeySet<>(sets_[number], tag_of_hash(hash), units_of(now)).ask(terms, journal_ + first);
    Answer answer;
    answer.refused = said.refused;
    if (said.place != KeySet<>::nowhere) answer.entry = first + said.place;
    answer.wait = said.wait * unit_nanos;
    answer.forgotten = said.forgotten;
    return answer;
}

void KeyTable::give_back(std::uint32_t entry) noexcept {
    const std::uint32_t number = entry / shm::limit_ways;
    KeySet<>::give_back(sets_[number], entry % shm::limit_ways,
                        journal_ + std::size_t{number} * shm::limit_ways);
}

}  // namespace lb::limit
