// Real processes and threads on one table: exact counts, no key twice, and kill -9 at any moment.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "shared/base/random.h"
#include "shared/limit/key_table.h"
#include "support.h"

namespace lb::limit {
namespace {

using test::eventually;
using test::hash_of;
using test::noon;
using test::Process;
using test::second;
using test::table_of;

// Numbers that processes share: the backend cells of the table are free for that.
std::atomic<std::uint32_t>& shared_number(const shm::Segment& segment) {
    return segment.backend_cell(0).in_flight;
}
std::atomic<std::uint32_t>& second_number(const shm::Segment& segment) {
    return segment.backend_cell(0).failures;
}

std::atomic<std::uint32_t>& failed(const shm::Segment& segment) { return segment.pool_cell(0).in_flight; }

void check_sets(const shm::Segment& segment) {
    for (std::uint32_t s = 0; s < segment.header().limit_sets; s++) {
        ASSERT_EQ(test::duplicate_in(segment.limit_set(s)), "");
    }
}

TEST(Processes, OneKeyPassesExactlyItsBurst) {
    const auto segment = table_of(1);
    const Terms terms = Terms::of(100 * second, 5000, 0);
    std::vector<Process> workers;
    for (std::uint32_t w = 1; w <= 4; w++) {
        workers.emplace_back([&segment, &terms, w] {
            KeyTable table(segment, w);
            std::uint32_t passed = 0;
            for (int i = 0; i < 20'000; i++) passed += table.ask(hash_of(1), terms, noon).refused ? 0u : 1u;
            shared_number(segment).fetch_add(passed);
            return 0;
        });
    }
    for (auto& worker : workers) EXPECT_EQ(worker.result(), 0);
    EXPECT_EQ(shared_number(segment).load(), 5000u);
}

// Time goes on in rounds, all buckets are full again at the start of each, and eight of a hundred keys a round want in.
TEST(Processes, KeysThatTakeEachOthersEntriesPassExactlyTheirBursts) {
    const auto segment = table_of(2, 8);
    constexpr std::uint32_t rounds = 2000;
    constexpr std::uint32_t burst = 2;
    const Terms terms = Terms::of(second, burst, 0);
    std::vector<Process> workers;
    for (std::uint32_t w = 1; w <= 4; w++) {
        workers.emplace_back([&segment, &terms, w] {
            KeyTable table(segment, w);
            for (std::uint32_t round = 0; round < rounds; round++) {
                // All begin a round together: the second number counts arrivals.
                second_number(segment).fetch_add(1);
                if (!eventually(
                        [&] { return failed(segment) != 0 || second_number(segment) >= 4 * (round + 1); })) {
                    return 1;
                }
                if (failed(segment) != 0) return 0;
                const Micros now = noon + Micros{round} * 10'000'000;
                for (std::uint32_t i = 0; i < 16 * 2; i++) {
                    const std::uint64_t key = 1 + (round * 5 + i * 3 + w) % 8 + (round % 13) * 8;
                    for (std::uint32_t set = 0; set < 2; set++) {
                        const auto answer = table.ask(hash_of(key, set), terms, now);
                        if (answer.forgotten != 0) {
                            failed(segment) = 1;
                            return 2;
                        }
                        if (!answer.refused) shared_number(segment).fetch_add(1);
                    }
                }
            }
            return 0;
        });
    }
    EXPECT_TRUE(eventually([&] {
        check_sets(segment);
        return HasFailure() || failed(segment) != 0 || second_number(segment) == 4 * rounds;
    }));
    for (auto& worker : workers) EXPECT_EQ(worker.result(), 0);
    EXPECT_EQ(shared_number(segment).load(), rounds * 8 * 2 * burst);
    check_sets(segment);
}

TEST(Processes, PlacesAreExactAndComeBack) {
    const auto segment = table_of(1);
    std::vector<Process> workers;
    for (std::uint32_t w = 1; w <= 4; w++) {
        workers.emplace_back([&segment, w] {
            KeyTable table(segment, w);
            const Terms terms = Terms::of(0, 0, 2);
            const Terms rate = Terms::of(second, 1, 0);
            Random random(w);
            for (std::uint32_t i = 0; i < 50'000; i++) {
                const auto answer = table.ask(hash_of(1), terms, noon);
                // Others want entries meanwhile.
                table.ask(hash_of(2 + random.below(20)), rate, noon + Micros{i} * 2'000'000);
                if (answer.entry == KeyTable::no_entry) continue;
                if (shared_number(segment).fetch_add(1) >= 2) return 1;
                shared_number(segment).fetch_sub(1);
                table.give_back(answer.entry);
            }
            return 0;
        });
    }
    for (auto& worker : workers) EXPECT_EQ(worker.result(), 0);
    EXPECT_EQ(test::places_in(segment), 0u);
    for (std::uint32_t w = 1; w <= 4; w++) {
        for (std::uint32_t e = 0; e < shm::limit_ways; e++) EXPECT_EQ(segment.limit_journal(w)[e].load(), 0u);
    }
}

TEST(Processes, KilledAtAnyMomentTheyLeaveNothingStuck) {
    const auto segment = table_of(2, 8);
    const Terms terms = Terms::of(1, 1, 0);  // full again at once: entries change hands all the time
    Random random(1);
    Micros now = noon;
    for (int round = 0; round < 60; round++) {
        std::vector<Process> workers;
        for (std::uint32_t w = 1; w <= 4; w++) {
            workers.emplace_back([&segment, &terms, w, round, now] {
                KeyTable table(segment, w);
                Random mine(static_cast<std::uint64_t>(round) * 4 + w);
                for (Micros t = now;; t++) {
                    const std::uint32_t key = mine.below(40);
                    table.ask(hash_of(1 + key / 2, key % 2), terms, t);
                }
                return 0;
            });
        }
        const Micros until = monotonic_now() + random.below(4000);
        while (monotonic_now() < until) check_sets(segment);
        workers.clear();  // kill -9, and waits
        check_sets(segment);
        now += 60'000'000;
        KeyTable table(segment, 5);
        const Terms slow = Terms::of(second, 2, 0);
        for (std::uint64_t key = 1; key <= 8; key++) {
            for (std::uint32_t set = 0; set < 2; set++) {
                int passed = 0;
                for (int i = 0; i < 5; i++) {
                    const auto answer = table.ask(hash_of(100 + key, set), slow, now);
                    ASSERT_EQ(answer.forgotten, 0u);
                    passed += answer.refused ? 0 : 1;
                }
                ASSERT_EQ(passed, 2);
            }
        }
        check_sets(segment);
        now += 60'000'000;
    }
}

// What the master does after a death: takes the journal of the column off the entries.
TEST(Processes, AJournalSaysWhichPlacesADeadProcessHeld) {
    const auto segment = table_of(4);
    const Terms terms = Terms::of(0, 0, 100);
    Process worker([&segment, &terms] {
        KeyTable table(segment, 1);
        for (std::uint64_t i = 0; i < 30; i++) {
            const auto answer = table.ask(hash_of(1 + i % 5, static_cast<std::uint32_t>(i % 4)), terms, noon);
            if (i % 3 == 0) table.give_back(answer.entry);
        }
        shared_number(segment).store(1);
        while (true) pause();
        return 0;
    });
    ASSERT_TRUE(eventually([&] { return shared_number(segment).load() == 1; }));
    worker.send(SIGKILL);
    worker.wait();
    EXPECT_EQ(test::places_in(segment), 20u);
    for (std::uint32_t e = 0; e < 4 * shm::limit_ways; e++) {
        EXPECT_EQ(segment.limit_set(e / shm::limit_ways).entries[e % shm::limit_ways].places.load(),
                  segment.limit_journal(1)[e].load());
    }
}

TEST(Threads, ShareATableAsProcessesDo) {
    const auto segment = table_of(1);
    const Terms terms = Terms::of(100 * second, 50, 0);
    const Terms places = Terms::of(0, 0, 3);
    const Terms fast = Terms::of(1000, 1, 0);
    std::atomic<int> passed{0};
    std::atomic<int> served{0};
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    for (std::uint32_t w = 1; w <= 4; w++) {
        threads.emplace_back([&, w] {
            KeyTable table(segment, w);
            Random random(w);
            for (std::uint32_t i = 0; i < 5000; i++) {
                passed += table.ask(hash_of(1), terms, noon).refused ? 0 : 1;
                const auto answer = table.ask(hash_of(2), places, noon);
                // Their buckets are full again before the next turn, so they take one another's entries.
                table.ask(hash_of(3 + random.below(20)), fast, noon + Micros{i} * 10);
                if (answer.entry == KeyTable::no_entry) continue;
                if (served.fetch_add(1) >= 3) over = true;
                served--;
                table.give_back(answer.entry);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(passed, 50);
    EXPECT_FALSE(over);
    EXPECT_EQ(test::places_in(segment), 0u);
    check_sets(segment);
}

}  // namespace
}  // namespace lb::limit
