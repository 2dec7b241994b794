// Rates and places with a clock moved by hand, one process.
#include "shared/limit/key_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "shared/base/random.h"
#include "support.h"

namespace lb::limit {
namespace {

using test::hash_of;
using test::noon;
using test::second;
using test::table_of;

int passes(KeyTable& table, std::uint64_t hash, const Terms& terms, Micros now, int requests) {
    int passed = 0;
    for (int i = 0; i < requests; i++) passed += table.ask(hash, terms, now).refused ? 0 : 1;
    return passed;
}

TEST(Rate, AFullBucketLetsExactlyTheBurstPassThenOneEveryInterval) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    const Terms terms = Terms::of(second, 5, 0);
    EXPECT_EQ(passes(table, hash_of(1), terms, noon, 20), 5);
    for (int i = 1; i <= 3; i++) {
        EXPECT_EQ(passes(table, hash_of(1), terms, noon + i * 1'000'000 - 1, 5), 0);
        EXPECT_EQ(passes(table, hash_of(1), terms, noon + i * 1'000'000, 5), 1);
    }
    EXPECT_EQ(passes(table, hash_of(1), terms, noon + 5'500'000, 5), 2);
    EXPECT_EQ(passes(table, hash_of(1), terms, noon + 60'000'000, 20), 5);  // never more than full
}

TEST(Rate, ABurstOfOneIsOneEachInterval) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    const Terms terms = Terms::of(second / 10, 1, 0);
    EXPECT_EQ(passes(table, hash_of(1), terms, noon, 3), 1);
    EXPECT_EQ(passes(table, hash_of(1), terms, noon + 99'999, 3), 0);
    EXPECT_EQ(passes(table, hash_of(1), terms, noon + 100'000, 3), 1);
}

TEST(Rate, SaysHowLongToWait) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    const Terms terms = Terms::of(10 * second, 2, 0);
    EXPECT_EQ(passes(table, hash_of(1), terms, noon, 2), 2);
    const auto answer = table.ask(hash_of(1), terms, noon + 4'000'000);
    EXPECT_TRUE(answer.refused);
    EXPECT_EQ(answer.wait, 6 * second);
    EXPECT_FALSE(table.ask(hash_of(1), terms, noon + 10'000'000).refused);
}

TEST(Rate, AClockThatIsATurnBehindLetsNoMorePass) {
    const auto segment = table_of(1);
    KeyTable ahead(segment, 1);
    KeyTable behind(segment, 2);
    const Terms terms = Terms::of(second, 3, 0);
    EXPECT_EQ(passes(ahead, hash_of(1), terms, noon, 2), 2);
    EXPECT_EQ(passes(behind, hash_of(1), terms, noon - 20'000, 9), 0);
    EXPECT_EQ(passes(ahead, hash_of(1), terms, noon, 9), 1);
}

TEST(Rate, ABucketOfSlowerSettingsDoesNotOutliveThem) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    EXPECT_EQ(passes(table, hash_of(1), Terms::of(3600 * second, 3, 0), noon, 9), 3);
    EXPECT_EQ(passes(table, hash_of(1), Terms::of(second, 2, 0), noon, 9), 2);
}

TEST(Rate, ExtremesDoNotOverflow) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    const Terms most = Terms::of(UINT64_MAX, UINT32_MAX, 0);
    EXPECT_EQ(passes(table, hash_of(1), most, Micros{8} * 365 * 86400 * 1'000'000, 3), 2);
    const Terms least = Terms::of(1, UINT32_MAX, 0);
    EXPECT_EQ(passes(table, hash_of(2), least, noon, 1000), 1000);
}

TEST(Keys, OfOneSetAreApartAndFoundAgain) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    const Terms terms = Terms::of(100 * second, 3, 0);
    for (std::uint64_t key = 1; key <= 8; key++) EXPECT_EQ(passes(table, hash_of(key), terms, noon, 9), 3);
    for (std::uint64_t key = 1; key <= 8; key++) EXPECT_EQ(passes(table, hash_of(key), terms, noon, 9), 0);
    EXPECT_EQ(test::duplicate_in(segment.limit_set(0)), "");
}

TEST(Keys, ABucketThatIsFullAgainIsTakenBeforeAnyOther) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    for (std::uint64_t key = 1; key <= 8; key++) {
        const Terms terms = Terms::of(key == 5 ? second : 100 * second, 1, 0);
        EXPECT_EQ(table.ask(hash_of(key), terms, noon).forgotten, 0u);
    }
    const Terms slow = Terms::of(100 * second, 1, 0);
    EXPECT_EQ(table.ask(hash_of(9), slow, noon + 1'000'000).forgotten, 0u);
    for (std::uint64_t key = 1; key <= 9; key++) {
        if (key == 5) continue;
        EXPECT_TRUE(table.ask(hash_of(key), slow, noon + 1'000'000).refused) << key;
    }
}

TEST(Keys, WithoutOneTheNearestToFullIsForgottenAndCounted) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    for (std::uint64_t key = 1; key <= 8; key++) {
        table.ask(hash_of(key), Terms::of((key == 3 ? 50 : 100) * second, 1, 0), noon);
    }
    const Terms slow = Terms::of(100 * second, 1, 0);
    EXPECT_EQ(table.ask(hash_of(9), slow, noon).forgotten, 1u);
    for (std::uint64_t key = 1; key <= 9; key++) {
        if (key == 3) continue;
        EXPECT_TRUE(table.ask(hash_of(key), slow, noon).refused) << key;
    }
    EXPECT_FALSE(table.ask(hash_of(3), slow, noon).refused);
}

TEST(Keys, AFloodDoesNotMakeAKeyForgottenThatIsOverItsLimit) {
    const auto segment = table_of(4);
    KeyTable table(segment, 1);
    const Terms terms = Terms::of(second / 10, 50, 0);
    Micros now = noon;
    const std::uint64_t victim = hash_of((std::uint64_t{1} << 37) + 1, 2);
    EXPECT_EQ(passes(table, victim, terms, now, 100), 50);
    std::uint64_t forgotten = 0;
    int passed = 0;
    for (std::uint32_t key = 1; key <= 1'000'000; key++) {
        now += 1;  // a million a second
        forgotten += table.ask(hash_of(key, key % 4), terms, now).forgotten;
        if (key % 1000 == 0) passed += passes(table, victim, terms, now, 3);
    }
    EXPECT_EQ(passed, 10);  // what a second brings back
    EXPECT_GT(forgotten, 900'000u);
}

TEST(Places, AreCountedRefusedAndGivenBack) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    const Terms terms = Terms::of(0, 0, 2);
    const auto first = table.ask(hash_of(1), terms, noon);
    const auto second_one = table.ask(hash_of(1), terms, noon);
    ASSERT_NE(first.entry, KeyTable::no_entry);
    EXPECT_EQ(first.entry, second_one.entry);
    EXPECT_EQ(segment.limit_journal(1)[first.entry].load(), 2u);
    const auto third = table.ask(hash_of(1), terms, noon);
    EXPECT_TRUE(third.refused);
    EXPECT_EQ(third.entry, KeyTable::no_entry);
    EXPECT_EQ(third.wait, 0u);
    EXPECT_FALSE(table.ask(hash_of(2), terms, noon).refused);
    table.give_back(first.entry);
    EXPECT_FALSE(table.ask(hash_of(1), terms, noon).refused);
    EXPECT_TRUE(table.ask(hash_of(1), terms, noon).refused);
    EXPECT_EQ(segment.limit_journal(1)[first.entry].load(), 2u);
}

TEST(Places, ARequestThatTheRateRefusesHoldsNoneAndOneWithoutAPlaceCostsNoRate) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    const Terms terms = Terms::of(second, 2, 1);
    const auto first = table.ask(hash_of(1), terms, noon);
    EXPECT_TRUE(table.ask(hash_of(1), terms, noon).refused);  // no place
    table.give_back(first.entry);
    const auto again = table.ask(hash_of(1), terms, noon);
    EXPECT_FALSE(again.refused);
    table.give_back(again.entry);
    const auto over = table.ask(hash_of(1), terms, noon);
    EXPECT_TRUE(over.refused);
    EXPECT_EQ(over.wait, second);
    EXPECT_EQ(test::places_in(segment), 0u);
    EXPECT_EQ(segment.limit_journal(1)[first.entry].load(), 0u);
}

TEST(Places, AKeyWithPlacesIsNeverForgotten) {
    const auto segment = table_of(1);
    KeyTable table(segment, 1);
    const Terms one = Terms::of(0, 0, 1);
    const Terms rate = Terms::of(100 * second, 1, 0);
    std::vector<std::uint32_t> held;
    for (std::uint64_t key = 1; key <= 7; key++) held.push_back(table.ask(hash_of(key), one, noon).entry);
    for (std::uint64_t key = 100; key < 200; key++) {
        EXPECT_EQ(table.ask(hash_of(key), rate, noon).forgotten, key == 100 ? 0u : 1u);
    }
    for (std::uint64_t key = 1; key <= 7; key++) EXPECT_TRUE(table.ask(hash_of(key), one, noon).refused);
    // All eight: there is no entry, so the request passes and is counted as one that nobody remembers.
    held.push_back(table.ask(hash_of(8), one, noon).entry);
    const auto uncounted = table.ask(hash_of(9), one, noon);
    EXPECT_FALSE(uncounted.refused);
    EXPECT_EQ(uncounted.entry, KeyTable::no_entry);
    EXPECT_EQ(uncounted.forgotten, 1u);
    for (const auto entry : held) table.give_back(entry);
    EXPECT_EQ(test::places_in(segment), 0u);
    EXPECT_EQ(table.ask(hash_of(9), one, noon).forgotten, 0u);
}

// The plain form of the same rules: a map without bounds. Few keys, so that nothing is forgotten.
TEST(Property, AsANaiveModel) {
    struct Model {
        std::int64_t full_at = 0;  // microseconds
        std::vector<std::uint32_t> held;
    };
    for (std::uint64_t seed = 1; seed <= 200; seed++) {
        SCOPED_TRACE(seed);
        Random random(seed);
        const auto segment = table_of(2);
        KeyTable tables[2] = {{segment, 1}, {segment, 2}};
        const std::int64_t interval = 1 + random.below(1000);
        const std::uint32_t burst = 1 + random.below(6);
        const std::uint32_t most = random.below(4);
        const Terms terms = Terms::of(static_cast<std::uint64_t>(interval) * 1000, burst, most);
        std::vector<Model> models(8);
        Micros now = noon;
        for (int step = 0; step < 2000; step++) {
            now += random.below(static_cast<std::uint32_t>(interval));
            const std::uint32_t key = random.below(8);
            Model& model = models[key];
            KeyTable& table = tables[model.held.size() % 2];  // given back by the one that took
            if (random.below(3) == 0 && !model.held.empty()) {
                tables[(model.held.size() - 1) % 2].give_back(model.held.back());
                model.held.pop_back();
                continue;
            }
            const std::int64_t ahead = std::max<std::int64_t>(model.full_at - now, 0);
            const bool place = most == 0 || model.held.size() < most;
            const bool passes = place && ahead <= (burst - 1) * interval;
            const auto answer = table.ask(hash_of(key + 1, key % 2), terms, now);
            ASSERT_EQ(answer.refused, !passes) << step;
            ASSERT_EQ(answer.forgotten, 0u);
            const bool by_rate = place && !passes;
            ASSERT_EQ(answer.wait,
                      by_rate ? static_cast<std::uint64_t>(ahead - (burst - 1) * interval) * 1000 : 0u);
            ASSERT_EQ(answer.entry != KeyTable::no_entry, passes && most != 0);
            if (passes) model.full_at = now + ahead + interval;
            if (answer.entry != KeyTable::no_entry) model.held.push_back(answer.entry);
        }
    }
}

}  // namespace
}  // namespace lb::limit
