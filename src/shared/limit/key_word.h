// shared/limit/key_word.h -- the two words of a limit entry: whose it is, and how much of its bucket is used. Pure.
//
//   key    38 bits of the key's hash | 8 bits owner | 16 bits change | 2 bits state
//   time   56 bits of time           | 8 bits owner
//
// `owner` grows by one each time the entry gets another key, `change` with every change of the word, so that a word which a
// slow process still has in hand does not come again before 65 536 changes of this one entry, and then only with the same
// key: a compare-and-swap that succeeds found the very entry that was looked at.
// `time` is the theoretical arrival time of GCRA in units of 8 ns of CLOCK_MONOTONIC: 2^55 of them are nine years since the
// machine started. It counts only while its owner is that of the key; with another owner the bucket is full. So an entry that
// changes hands needs no second write, and a late write of an earlier owner means nothing to the next one.
// Two keys with the same 38 bits in one set would share a bucket: one in 2^35 for a set that is full.
#pragma once
#include <algorithm>
#include <cstdint>

#include "shared/base/clock.h"

namespace lb::limit {

enum class State : std::uint8_t {
    free,       // of nobody; no hash
    tentative,  // its key may have another entry: not used until that is settled
    live,       // its key's only one
    leaving     // live, but somebody is about to give it to another key; whoever needs it makes it live again
};

inline constexpr unsigned state_bits = 2, change_bits = 16, owner_bits = 8, tag_bits = 38;
static_assert(state_bits + change_bits + owner_bits + tag_bits == 64);

constexpr State state_of(std::uint64_t word) noexcept { return static_cast<State>(word & 3); }
constexpr std::uint64_t tag_of(std::uint64_t word) noexcept { return word >> (64 - tag_bits); }
constexpr std::uint64_t owner_of(std::uint64_t word) noexcept {
    return (word >> (state_bits + change_bits)) & ((1u << owner_bits) - 1);
}
constexpr bool same_owner(std::uint64_t a, std::uint64_t b) noexcept {
    return (a ^ b) >> (state_bits + change_bits) == 0;
}
// The part of a hash that the word keeps; the set is found by the lowest bits.
constexpr std::uint64_t tag_of_hash(std::uint64_t hash) noexcept { return hash >> (64 - tag_bits); }

namespace word_parts {
constexpr std::uint64_t join(std::uint64_t tag, std::uint64_t owner, std::uint64_t before,
                             State state) noexcept {
    const std::uint64_t change = ((before >> state_bits) + 1) & ((1u << change_bits) - 1);
    return tag << (64 - tag_bits) | (owner & ((1u << owner_bits) - 1)) << (state_bits + change_bits) |
           change << state_bits | static_cast<std::uint64_t>(state);
}
}  // namespace word_parts

// The word after `word`, in another state; a free one has no tag.
constexpr std::uint64_t changed(std::uint64_t word, State state) noexcept {
    return word_parts::join(state == State::free ? 0 : tag_of(word), owner_of(word), word, state);
}
// The same, tentative for another key.
constexpr std::uint64_t handed_over(std::uint64_t word, std::uint64_t tag) noexcept {
    return word_parts::join(tag, owner_of(word) + 1, word, State::tentative);
}

inline constexpr std::uint64_t unit_nanos = 8;
inline constexpr std::uint64_t most_units = std::uint64_t{1} << 53;  // of one length of time: two years
constexpr std::uint64_t units_of(Micros t) noexcept {
    return t <= 0 ? 0 : static_cast<std::uint64_t>(t) * (1000 / unit_nanos);
}

constexpr std::uint64_t time_word(std::uint64_t units, std::uint64_t key_word) noexcept {
    return units << owner_bits | owner_of(key_word);
}
constexpr bool same_time_owner(std::uint64_t time, std::uint64_t key_word) noexcept {
    return (time & ((1u << owner_bits) - 1)) == owner_of(key_word);
}
// The arrival time in a time word, as the key word's owner sees it; 0: never used.
constexpr std::uint64_t arrival_of(std::uint64_t time, std::uint64_t key_word) noexcept {
    return same_time_owner(time, key_word) ? time >> owner_bits : 0;
}

// How much of a limit one key may have.
struct Terms {
    std::uint64_t interval = 0;     // units; 0: no rate
    std::uint64_t tolerance = 0;    // units: (burst - 1) * interval
    std::uint32_t connections = 0;  // 0: any number

    // The interval in nanoseconds is rounded up to units: a limit never lets more pass than it says.
    static constexpr Terms of(std::uint64_t interval, std::uint32_t burst,
                              std::uint32_t connections) noexcept {
        Terms terms;
        terms.connections = connections;
        if (interval == 0) return terms;
        terms.interval = std::min(interval / unit_nanos + (interval % unit_nanos != 0 ? 1 : 0), most_units);
        const std::uint64_t more = burst == 0 ? 0 : burst - 1;
        terms.tolerance = more > most_units / terms.interval ? most_units : more * terms.interval;
        return terms;
    }
};

}  // namespace lb::limit
