// Every order of steps that chance finds: processes of one thread each that stop before each access to shared memory, a
// scheduler that says who goes on, and a check of the set between any two steps. A process may also die there.
#include <gtest/gtest.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>

#include "shared/base/random.h"
#include "shared/limit/key_set.h"
#include "support.h"

namespace lb::limit {
namespace {

using test::noon;
using test::second;

constexpr std::size_t stack_size = 64 * 1024;

struct Actor {
    ucontext_t context{};
    std::unique_ptr<std::array<char, stack_size>> stack =
        std::make_unique_for_overwrite<std::array<char, stack_size>>();
    std::function<void()> body;
    bool done = true;
};
ucontext_t scheduler;
Actor* running = nullptr;

struct Pause {
    static void step() noexcept {
        if (running != nullptr) swapcontext(&running->context, &scheduler);
    }
};
using Set = KeySet<Pause>;

void enter_body() {
    running->body();
    running->done = true;
    swapcontext(&running->context, &scheduler);
}

class World {
 public:
    explicit World(std::uint64_t seed) : random(seed) {}

    void start(std::size_t number, std::function<void()> body) {
        Actor& actor = actors.at(number);
        getcontext(&actor.context);
        actor.context.uc_stack.ss_sp = actor.stack->data();
        actor.context.uc_stack.ss_size = stack_size;
        actor.body = std::move(body);
        actor.done = false;
        makecontext(&actor.context, enter_body, 0);
    }
    // Until all are done or dead; `die`: of 10 000 steps, before how many the process dies. Gives the deaths.
    int run(std::uint32_t die = 0) {
        int deaths = 0;
        Actor* last = nullptr;
        while (true) {
            std::array<Actor*, 4> alive;
            std::uint32_t count = 0;
            for (Actor& actor : actors) {
                if (!actor.done) alive[count++] = &actor;
            }
            if (count == 0) return deaths;
            // Long runs of one and quick changes are both wanted.
            if (last == nullptr || last->done || random.below(4) == 0) {
                last = alive[random.below(count)];
            }
            if (random.below(10'000) < die) {
                last->done = true;  // it never comes back
                deaths++;
                continue;
            }
            running = last;
            swapcontext(&scheduler, &running->context);
            running = nullptr;
            const std::string wrong = test::duplicate_in(set);
            if (!wrong.empty()) {
                ADD_FAILURE() << wrong;
                return deaths;
            }
        }
    }
    // All requests of all actors so far, by key.
    struct Tally {
        std::uint32_t passed = 0, refused = 0, forgotten = 0;
    };
    void ask(std::size_t actor, std::uint64_t key, const Terms& terms, Micros now) {
        const auto answer = Set(set, key, units_of(now)).ask(terms, journals.at(actor).data());
        Tally& tally = tallies[key];
        (answer.refused ? tally.refused : tally.passed)++;
        tally.forgotten += answer.forgotten;
    }

    Random random;
    std::array<Actor, 4> actors;
    shm::LimitSet set{};
    std::array<std::array<std::atomic<std::uint32_t>, shm::limit_ways>, 5> journals{};
    std::map<std::uint64_t, Tally> tallies;
};

// LB_SCHEDULES=N: N times as many.
int schedules(int wanted) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0 *
           wanted;  // they do not know stacks that are changed by hand; one thread has nothing to race with
#else
    const char* const times = std::getenv("LB_SCHEDULES");
    return times == nullptr ? wanted : wanted * std::max(1, std::atoi(times));
#endif
}

TEST(Steps, OneKeyInAnEmptySetPassesExactlyTheBurst) {
    const Terms terms = Terms::of(second, 3, 0);
    for (int seed = 1; seed <= schedules(400); seed++) {
        SCOPED_TRACE(seed);
        World world(static_cast<std::uint64_t>(seed));
        for (std::size_t a = 0; a < 4; a++) {
            world.start(a, [&world, &terms, a] {
                for (int i = 0; i < 2; i++) world.ask(a, 7, terms, noon);
            });
        }
        world.run();
        ASSERT_EQ(world.tallies[7].passed, 3u);
        ASSERT_EQ(world.tallies[7].forgotten, 0u);
        if (HasFailure()) return;
    }
}

// The entries of old keys are full again: newcomers take them while the old keys come back for theirs.
TEST(Steps, EntriesThatAreTakenWhileTheirKeysReturnLoseNothing) {
    const Terms terms = Terms::of(second, 2, 0);
    for (int seed = 1; seed <= schedules(600); seed++) {
        SCOPED_TRACE(seed);
        World world(static_cast<std::uint64_t>(seed));
        for (std::uint64_t key = 1; key <= 8; key++) world.ask(4, key, terms, noon - 60'000'000);
        world.tallies.clear();
        for (std::size_t a = 0; a < 4; a++) {
            world.start(a, [&world, &terms, a] {
                for (int i = 0; i < 6; i++) world.ask(a, 1 + world.random.below(3) * 7, terms, noon);
            });
        }
        world.run();
        for (const auto& [key, tally] : world.tallies) {
            ASSERT_EQ(tally.passed, std::min(2u, tally.passed + tally.refused)) << key;
            ASSERT_EQ(tally.forgotten, 0u) << key;
        }
        if (HasFailure()) return;
    }
}

// As many keys as entries: none is forgotten, whoever enters the last one.
TEST(Steps, EightKeysHaveRoom) {
    const Terms terms = Terms::of(second, 3, 0);
    for (int seed = 1; seed <= schedules(400); seed++) {
        SCOPED_TRACE(seed);
        World world(static_cast<std::uint64_t>(seed));
        for (std::uint64_t key = 1; key <= 2; key++) world.ask(4, key, terms, noon - 60'000'000);
        for (std::uint64_t key = 3; key <= 8; key++) world.ask(4, key, terms, noon);
        for (std::size_t a = 0; a < 4; a++) {
            world.start(a, [&world, &terms, a] {
                for (std::uint64_t i = 0; i < 3; i++) world.ask(a, 9 + (a + i) % 2, terms, noon);
            });
        }
        world.run();
        for (std::uint64_t key = 3; key <= 8; key++) {
            for (int i = 0; i < 3; i++) world.ask(4, key, terms, noon);
        }
        for (std::uint64_t key = 3; key <= 10; key++) {
            ASSERT_EQ(world.tallies[key].passed, 3u) << key;
            ASSERT_EQ(world.tallies[key].forgotten, 0u) << key;
        }
        if (HasFailure()) return;
    }
}

// Deaths at any step. What is left must still let every key in, and never more than the burst pass.
TEST(Steps, ADeathLeavesNothingStuck) {
    const Terms terms = Terms::of(second, 3, 0);
    int deaths = 0;
    for (int seed = 1; seed <= schedules(600); seed++) {
        SCOPED_TRACE(seed);
        World world(static_cast<std::uint64_t>(seed));
        for (std::uint64_t key = 1; key <= 8; key++) world.ask(4, key, terms, noon - 60'000'000);
        world.tallies.clear();
        for (std::size_t a = 0; a < 4; a++) {
            world.start(a, [&world, &terms, a] {
                for (int i = 0; i < 4; i++) world.ask(a, 1 + world.random.below(3) * 7, terms, noon);
            });
        }
        const int died = world.run(100);
        deaths += died;
        for (const std::uint64_t key : {1U, 8U, 15U}) {
            for (int i = 0; i < 4; i++) world.ask(4, key, terms, noon);
            const auto& tally = world.tallies[key];
            ASSERT_LE(tally.passed, 3u) << key;
            ASSERT_GE(tally.passed + static_cast<unsigned>(died), 3u) << key;
            ASSERT_EQ(tally.forgotten, 0u) << key;
        }
        // All eight entries can be had, once the buckets are full again.
        for (std::uint64_t key = 101; key <= 108; key++) world.ask(4, key, terms, noon + 60'000'000);
        for (std::uint64_t key = 101; key <= 108; key++) {
            for (int i = 0; i < 5; i++) world.ask(4, key, terms, noon + 60'000'000);
            ASSERT_EQ(world.tallies[key].passed, 3u);
            ASSERT_EQ(world.tallies[key].forgotten, 0u);
        }
        if (HasFailure()) return;
    }
    EXPECT_GE(deaths, schedules(1));
}

// More keys than entries, and places: never more than the limit, all given back, and the journals know of each.
TEST(Steps, PlacesAreNeverMoreThanTheLimitAndAllComeBack) {
    const Terms terms = Terms::of(0, 0, 2);
    const Terms rate = Terms::of(second, 1, 0);
    for (int seed = 1; seed <= schedules(400); seed++) {
        SCOPED_TRACE(seed);
        World world(static_cast<std::uint64_t>(seed));
        for (std::uint64_t key = 1; key <= 8; key++) world.ask(4, key, rate, noon - 60'000'000);
        std::map<std::uint64_t, int> served;
        for (std::size_t a = 0; a < 4; a++) {
            world.start(a, [&world, &terms, &rate, &served, a] {
                for (int i = 0; i < 4; i++) {
                    const std::uint64_t key = 5 + world.random.below(6);
                    world.ask(a, 20 + world.random.below(4), rate, noon);
                    auto* journal = world.journals.at(a).data();
                    const auto answer = Set(world.set, key, units_of(noon)).ask(terms, journal);
                    if (answer.place == Set::nowhere) continue;
                    EXPECT_LE(++served[key], 2) << key;
                    EXPECT_EQ(tag_of(world.set.entries[answer.place].key.load()), key);
                    Pause::step();
                    EXPECT_EQ(tag_of(world.set.entries[answer.place].key.load()), key);
                    served[key]--;
                    Set::give_back(world.set, answer.place, journal);
                }
            });
        }
        world.run();
        for (const auto& entry : world.set.entries) ASSERT_EQ(entry.places.load(), 0u);
        for (const auto& journal : world.journals) {
            for (const auto& mine : journal) ASSERT_EQ(mine.load(), 0u);
        }
        if (HasFailure()) return;
    }
}

// Twelve keys fight for eight entries: one may be forgotten and then has its burst again, never without being counted.
TEST(Steps, WhatPassesTwiceWasCountedAsForgotten) {
    const Terms terms = Terms::of(second, 1, 0);
    for (int seed = 1; seed <= schedules(300); seed++) {
        SCOPED_TRACE(seed);
        World world(static_cast<std::uint64_t>(seed));
        for (std::size_t a = 0; a < 4; a++) {
            world.start(a, [&world, &terms, a] {
                for (int i = 0; i < 8; i++) world.ask(a, 1 + world.random.below(12), terms, noon);
            });
        }
        world.run();
        std::uint32_t passed = 0;
        std::uint32_t forgotten = 0;
        for (const auto& [key, tally] : world.tallies) {
            passed += tally.passed;
            forgotten += tally.forgotten;
        }
        ASSERT_LE(passed, world.tallies.size() + forgotten);
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace lb::limit
