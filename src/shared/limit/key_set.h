// shared/limit/key_set.h -- eight entries of the limit table, used by all workers at once and without a lock.
// Owns:   nothing: a view of one shm::LimitSet, made for one request. All its atomics are in their one total order (seq_cst).
// Never:  waits for another process. Each step may be a process's last: what it leaves can be finished, or taken, by any other.
// Errors: after `most_tries` lost races, or when all entries have places, there is no entry: the request goes uncounted.
//
// An entry's life:  free -> tentative(K) -> live(K) <-> leaving(K) -> tentative(L) -> ...;  tentative(K) -> free | tentative(L)
//
// 1. A key never has two entries that are live or leaving. To enter K, an entry is made tentative(K); then whoever wants to
//    make it live (its process, or another one that found it) looks at all other entries of the set, and
//      live(K) or leaving(K):      frees the tentative one;
//      tentative(K), lower number: frees the tentative one;
//      tentative(K), higher:       frees that one first; when that fails looks again;
//    and only then makes it live. Say that i and j both became live and were so at one time, and that i became tentative
//    first. Who made j live looked at i after j was tentative, so after i was. It cannot have found i free or of another key:
//    i's time was over then. Had it found i live or leaving, or tentative below j, it would have freed j. Had it found i
//    tentative above j, it would have freed i first, or seen it become live and then freed j. Contradiction; and it does
//    not matter who does a step, how often, or who died in between. `change` makes each word new, so that a swap which
//    comes late fails.
// 2. Nobody loses an entry that he has just used. A user writes (time or places), then reads the key; he who wants the entry
//    for another key marks it `leaving`, then reads time and places. In the one order, one of the two sees the other: the user
//    finds the mark, and takes it off or begins again; or the taker finds what was written, and takes the mark off. The key
//    stays in the word meanwhile, so that nobody enters it a second time.
//    A place is taken in the cell, then in the journal, and given back in the other order, for the reasons of Column::take
//    (counters.h): the cell holds at least what the journals claim, and the master takes off what a death left.
// 3. Requests that lost their entry between two steps begin again, with the entry that their key has then. What they wrote
//    before does not count: of a time the owner is wrong, a place is given back (until then, for some nanoseconds, the next
//    owner has one place less).
#pragma once
#include <atomic>
#include <cstdint>
#include <limits>

#include "shared/limit/key_word.h"
#include "shared/shm/layout.h"

namespace lb::limit {

// Called before each access to shared memory: tests stop there, and let others go first.
struct NoSteps {
    static void step() noexcept {}
};

template <class Steps = NoSteps>
class KeySet {
 public:
    static constexpr unsigned most_tries = 64;
    static constexpr std::uint32_t nowhere = shm::limit_ways;

    KeySet(shm::LimitSet& set, std::uint64_t tag, std::uint64_t now) noexcept
        : set_(&set), tag_(tag), now_(now) {}

    struct Answer {
        bool refused = false;
        std::uint32_t place = nowhere;  // the entry whose place is held; nowhere: none
        std::uint64_t wait = 0;         // units until the rate lets one pass; 0: not refused by it
        // Keys that were forgotten before their buckets were full; 1 more when there was no entry for this one.
        std::uint32_t forgotten = 0;
    };

    // One request. `journal`: of these eight entries, written by this process alone. The place is taken first, so that a
    // request that gets none costs no part of the rate.
    Answer ask(const Terms& terms, std::atomic<std::uint32_t>* journal) noexcept {
        Answer answer;
        for (Found at = find(); at.way != nowhere; at = find()) {
            answer.forgotten = forgotten_;
            if (terms.connections != 0) {
                const Result taken = take(at, terms.connections);
                if (taken == Result::moved) continue;
                answer.refused = taken == Result::refused;
                if (answer.refused) return answer;
                answer.place = at.way;
                Steps::step();
                auto& mine = journal[at.way];
                mine.store(mine.load(std::memory_order_relaxed) + 1, std::memory_order_release);
            }
            const Result charged = terms.interval == 0 ? Result::passed : charge(at, terms, answer.wait);
            if (charged == Result::passed) return answer;
            if (answer.place != nowhere) give_back(*set_, answer.place, journal);
            answer.place = nowhere;
            answer.refused = charged == Result::refused;
            if (answer.refused) return answer;
        }
        answer.forgotten = forgotten_ + 1;
        return answer;
    }
    static void give_back(shm::LimitSet& set, std::uint32_t way,
                          std::atomic<std::uint32_t>* journal) noexcept {
        Steps::step();
        auto& mine = journal[way];
        mine.store(mine.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
        Steps::step();
        set.entries[way].places.fetch_sub(1);
    }

 private:
    struct Found {
        std::uint32_t way = nowhere;  // nowhere: there is none
        std::uint64_t word = 0;       // live
    };
    // moved: the entry went to another key meanwhile; ask find() again.
    enum class Result : std::uint8_t { passed, refused, moved };
    enum Rank : std::uint8_t { unused, full, unsettled, in_use, no_victim };

    // The key's entry, which is entered when there is none.
    Found find() noexcept {
        while (spend()) {
            Found tentative;
            bool again = false;
            for (std::uint32_t way = 0; way < shm::limit_ways && !again; way++) {
                const std::uint64_t word = load(way);
                if (!mine(word)) continue;
                if (state_of(word) == State::live) return {way, word};
                if (state_of(word) == State::tentative) {
                    if (tentative.way == nowhere) tentative = {way, word};
                } else if (const Found kept = keep(way, word); kept.way != nowhere) {
                    return kept;
                } else {
                    again = true;
                }
            }
            if (again) continue;
            if (tentative.way == nowhere && !claim(tentative)) return {};
            if (tentative.way == nowhere) continue;
            if (const Found settled = settle(tentative); settled.way != nowhere) return settled;
        }
        return {};
    }

    // GCRA (ITU-T I.371): passes when the bucket, which is full at `arrival` <= now, has one request left. `wait`: units until
    // the next one would pass.
    Result charge(const Found& at, const Terms& terms, std::uint64_t& wait) noexcept {
        do {
            std::uint64_t seen = 0;
            if (!read_time(at, seen)) return Result::moved;
            std::uint64_t ahead = ahead_of(seen, at.word);
            // More than the bucket can hold was written under other settings. Workers read the clock once a turn, so one may
            // be behind another, but not by this much.
            if (ahead > terms.tolerance + terms.interval + units_of(10'000'000)) ahead = 0;
            if (ahead > terms.tolerance) {
                wait = ahead - terms.tolerance;
                return Result::refused;
            }
            const std::uint64_t next = time_word(now_ + ahead + terms.interval, at.word);
            Steps::step();
            if (set_->entries[at.way].time.compare_exchange_strong(seen, next)) {
                return still_mine(at) ? Result::passed : Result::moved;
            }
        } while (spend());
        return Result::moved;
    }

    // A place of the key, at most `most` of them; given back by a fetch_sub of `places`.
    Result take(const Found& at, std::uint32_t most) noexcept {
        auto& entry = set_->entries[at.way];
        claim_time(at);
        Steps::step();
        std::uint32_t held = entry.places.load();
        while (true) {
            if (held >= most) return still_mine(at) ? Result::refused : Result::moved;
            Steps::step();
            if (entry.places.compare_exchange_strong(held, held + 1)) break;
            if (!spend()) return Result::moved;
        }
        if (still_mine(at)) return Result::passed;
        Steps::step();
        entry.places.fetch_sub(1);
        return Result::moved;
    }

    bool spend() noexcept { return tries_ != 0 && tries_-- != 0; }
    std::uint64_t load(std::uint32_t way) const noexcept {
        Steps::step();
        return set_->entries[way].key.load();
    }
    bool swap(std::uint32_t way, std::uint64_t from, std::uint64_t to) noexcept {
        Steps::step();
        return set_->entries[way].key.compare_exchange_strong(from, to);
    }
    [[nodiscard]] bool mine(std::uint64_t word) const noexcept {
        return state_of(word) != State::free && tag_of(word) == tag_;
    }
    // Units until a bucket is full.
    [[nodiscard]] std::uint64_t ahead_of(std::uint64_t time, std::uint64_t word) const noexcept {
        const std::uint64_t arrival = arrival_of(time, word);
        return arrival > now_ ? arrival - now_ : 0;
    }

    // leaving -> live.
    Found keep(std::uint32_t way, std::uint64_t word) noexcept {
        const std::uint64_t kept = changed(word, State::live);
        return swap(way, word, kept) ? Found{way, kept} : Found{};
    }
    // Whether the entry is still the key's, and nobody is about to take it without looking at it again.
    bool still_mine(const Found& at) noexcept {
        do {
            const std::uint64_t word = load(at.way);
            if (!same_owner(word, at.word)) return false;
            if (state_of(word) == State::live) return true;
            if (state_of(word) != State::leaving) return false;
            if (keep(at.way, word).way != nowhere) return true;
        } while (spend());
        return false;
    }
    // The time word, to be changed by a swap. One of another owner is of an earlier one when the key is still ours after it
    // was read; else it may be the next one's bucket, which is not to be touched. False: the entry went to another key.
    bool read_time(const Found& at, std::uint64_t& seen) noexcept {
        Steps::step();
        seen = set_->entries[at.way].time.load();
        return same_time_owner(seen, at.word) || same_owner(load(at.way), at.word);
    }
    // Entries whose limit has no rate would leave the time of an earlier owner as it is, and after 256 owners it would be
    // taken for that of the new one.
    void claim_time(const Found& at) noexcept {
        std::uint64_t seen = 0;
        if (!read_time(at, seen) || same_time_owner(seen, at.word)) return;
        Steps::step();
        set_->entries[at.way].time.compare_exchange_strong(seen, time_word(0, at.word));
    }

    // Step 1 of the proof, on behalf of whoever made the entry tentative.
    Found settle(const Found& at) noexcept {
        for (std::uint32_t way = 0; way < shm::limit_ways; way++) {
            if (way == at.way) continue;
            for (std::uint64_t word = load(way); mine(word); word = load(way)) {
                const bool gives_way = state_of(word) == State::tentative && way > at.way;
                if (!gives_way) {
                    swap(at.way, at.word, changed(at.word, State::free));
                    return {};
                }
                if (swap(way, word, changed(word, State::free))) break;
                if (!spend()) return {};
            }
        }
        const std::uint64_t live = changed(at.word, State::live);
        return swap(at.way, at.word, live) ? Found{at.way, live} : Found{};
    }

    Rank rank_of(std::uint32_t way, std::uint64_t word, std::uint64_t& ahead) noexcept {
        ahead = 0;
        if (state_of(word) == State::free) return unused;
        // Abandoned by one that died, or its process is just about to use it; nothing was counted in it yet.
        if (state_of(word) == State::tentative) return unsettled;
        Steps::step();
        if (set_->entries[way].places.load() != 0) return no_victim;
        Steps::step();
        ahead = ahead_of(set_->entries[way].time.load(), word);
        return ahead == 0 ? full : in_use;
    }

    // Makes an entry tentative for the key: a free one, else one whose bucket is full again, else the one that is full
    // soonest. False: all have places. `to` stays nowhere when another was faster. While a set has room for all its keys none is
    // forgotten: eight entries that were seen in use are eight other keys.
    bool claim(Found& to) noexcept {
        Rank best = no_victim;
        std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
        Found victim;
        for (std::uint32_t way = 0; way < shm::limit_ways && best != unused; way++) {
            const std::uint64_t word = load(way);
            if (mine(word)) return true;  // somebody entered it since find() looked: no other key has to go
            std::uint64_t ahead = 0;
            const Rank rank = rank_of(way, word, ahead);
            if (rank == no_victim || rank > best || (rank == best && ahead >= least)) continue;
            best = rank;
            least = ahead;
            victim = {way, word};
        }
        if (victim.way == nowhere) return false;
        std::uint64_t word = victim.word;
        if (best == full || best == in_use) {
            const std::uint64_t marked = changed(word, State::leaving);
            if (!swap(victim.way, word, marked)) return true;
            word = marked;
            std::uint64_t ahead = 0;
            const Rank now = rank_of(victim.way, word, ahead);  // step 2 of the proof
            if (now > best) {
                keep(victim.way, word);
                return true;
            }
            best = now;
        }
        const std::uint64_t mine = handed_over(word, tag_);
        if (!swap(victim.way, word, mine)) return true;
        if (best == in_use) forgotten_++;
        to = {victim.way, mine};
        return true;
    }

    shm::LimitSet* set_;
    std::uint64_t tag_;
    std::uint64_t now_;
    unsigned tries_ = most_tries;
    unsigned forgotten_ = 0;
};

}  // namespace lb::limit
