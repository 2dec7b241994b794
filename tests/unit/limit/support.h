// A table of limits, keys of one set, and what must hold in a set at every moment.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "../shm/processes.h"
#include "shared/limit/key_table.h"

namespace lb::test {

inline constexpr std::uint64_t second = 1'000'000'000;  // nanoseconds
inline constexpr Micros noon = 1'000'000'000'000;

inline shm::Segment table_of(std::uint32_t sets, std::uint32_t columns = 8) {
    return make_segment({.columns = columns,
                         .listeners = 1,
                         .routes = 1,
                         .limits = 4,
                         .pools = 1,
                         .backends = 1,
                         .limit_sets = sets,
                         .arena = 4096});
}

// A hash whose set (of a small table) and tag are these.
constexpr std::uint64_t hash_of(std::uint64_t tag, std::uint32_t set = 0) {
    return tag << (64 - limit::tag_bits) | set;
}

// "" or what is wrong: a key with two entries. Others may write meanwhile: a word does not come twice, so two entries of one
// key were there at the same time when the first is unchanged after the second was read.
inline std::string duplicate_in(const shm::LimitSet& set) {
    std::uint64_t words[shm::limit_ways];
    for (std::uint32_t i = 0; i < shm::limit_ways; i++) {
        words[i] = set.entries[i].key.load();
        const auto state = limit::state_of(words[i]);
        if (state != limit::State::live && state != limit::State::leaving) words[i] = 0;
        for (std::uint32_t j = 0; j < i && words[i] != 0; j++) {
            if (words[j] == 0 || limit::tag_of(words[j]) != limit::tag_of(words[i])) continue;
            if (set.entries[j].key.load() == words[j]) {
                return "two entries of key " + std::to_string(limit::tag_of(words[i]));
            }
        }
    }
    return {};
}

inline std::uint32_t places_in(const shm::Segment& segment) {
    std::uint32_t sum = 0;
    for (std::uint32_t s = 0; s < segment.header().limit_sets; s++) {
        for (const auto& entry : segment.limit_set(s).entries) sum += entry.places.load();
    }
    return sum;
}

}  // namespace lb::test
