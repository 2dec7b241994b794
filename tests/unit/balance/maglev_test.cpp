// Tables: even, by weight, the same everywhere, and few keys move. Lookups: second choices, bounds, bounded work.
#include "shared/balance/maglev.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>

#include "shared/balance/key.h"
#include "support.h"

namespace lb::balance {
namespace {

std::vector<MaglevMember> members(std::size_t count, std::uint32_t weight = 1) {
    std::vector<MaglevMember> all;
    for (std::size_t i = 0; i < count; i++)
        all.push_back({identity_of("app", "s" + std::to_string(i)), weight});
    return all;
}

std::vector<std::uint64_t> owners(const std::vector<MaglevMember>& all, std::size_t size) {
    std::vector<std::uint64_t> who;
    for (const auto i : make_maglev(all, size)) who.push_back(all.at(i).identity);
    return who;
}

std::vector<std::size_t> entries(const std::vector<MaglevMember>& all, std::size_t size) {
    std::vector<std::size_t> n(all.size());
    for (const auto i : make_maglev(all, size)) n.at(i)++;
    return n;
}

TEST(Maglev, SizesArePrimesWithRoomForAll) {
    std::size_t before = 0;
    for (std::size_t count = 1; count <= 10'000; count++) {
        const auto size = maglev_size(count);
        EXPECT_GE(size, before);
        EXPECT_GE(size, std::min<std::size_t>(250 * count, 524'287));
        if (size != before) {
            for (std::size_t d = 2; d * d <= size; d++) ASSERT_NE(size % d, 0u) << size;
        }
        before = size;
    }
}

TEST(Maglev, SharesAreEven) {
    for (const std::size_t count : {1U, 2U, 5U, 10U, 100U, 1000U}) {
        const auto size = maglev_size(count);
        const double mean = static_cast<double>(size) / static_cast<double>(count);
        // A share is a sum of draws that half of the time find an entry taken: 4.5 times its deviation.
        const double most = 4.5 * std::sqrt(mean / 2) + 1;
        for (const auto n : entries(members(count), size)) EXPECT_NEAR(static_cast<double>(n), mean, most);
    }
}

TEST(Maglev, SharesFollowWeights) {
    auto all = members(4);
    all[1].weight = 2;
    all[2].weight = 5;
    all[3].weight = 8;
    const auto n = entries(all, 16'381);
    const double unit = 16'381 / 16.0;
    for (std::size_t i = 0; i < all.size(); i++) {
        const double share = unit * all[i].weight;
        EXPECT_NEAR(static_cast<double>(n[i]), share, 4.5 * std::sqrt(share)) << i;
    }
    // One that outweighs a thousand together.
    auto many = members(1001);
    many[500].weight = 1000;
    EXPECT_NEAR(static_cast<double>(entries(many, 262'147)[500]), 131'073, 1200);
}

// Slow start puts the weights of a whole pool into finer units: nothing may move for that.
TEST(Maglev, TheUnitOfWeightsDoesNotMatter) {
    for (const std::uint32_t units : {2u, 100u, 1'000'000u}) {
        auto all = members(10);
        for (std::size_t i = 0; i < all.size(); i++) all[i].weight = i < 5 ? 1 : 3;
        const auto before = owners(all, 16'381);
        for (auto& each : all) each.weight *= units;
        const auto after = owners(all, 16'381);
        std::size_t moved = 0;
        for (std::size_t i = 0; i < before.size(); i++) moved += before[i] != after[i] ? 1 : 0;
        EXPECT_LE(moved, 2u) << units;  // rounding
    }
}

TEST(Maglev, TheOrderOfMembersDoesNotMatter) {
    auto all = members(30);
    for (std::size_t i = 0; i < all.size(); i++) all[i].weight = static_cast<std::uint32_t>(1 + i % 4);
    const auto before = owners(all, 16'381);
    Random random(1);
    for (std::uint32_t i = 29; i > 0; i--) std::swap(all[i], all[random.below(i + 1)]);
    EXPECT_EQ(owners(all, 16'381), before);
}

// A table must be the same on every node and in every version.
TEST(Maglev, TheTableIsWhatItAlwaysWas) {
    const auto table = make_maglev(members(5), 16'381);
    const std::vector<std::uint32_t> first(table.begin(), table.begin() + 16);
    EXPECT_EQ(first, (std::vector<std::uint32_t>{1, 4, 4, 0, 2, 2, 1, 1, 4, 1, 4, 0, 0, 1, 2, 2}));
    std::uint64_t sum = 0;
    for (const auto i : table) sum = sum * 31 + i;
    EXPECT_EQ(sum, 9799483264054636980u);
}

// At most 1.2 x 1/N of the keys move when one of N leaves; the other way round it is the same two tables.
TEST(Maglev, FewKeysMove) {
    for (const std::size_t count : {5U, 10U, 100U, 128U, 513U, 1000U}) {
        const auto size = maglev_size(count);
        const auto all = members(count);
        const auto before = owners(all, size);
        for (const std::size_t gone : {std::size_t{0}, count / 3, count / 2, count - 1}) {
            auto rest = all;
            rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(gone));
            const auto after = owners(rest, size);
            std::size_t moved = 0;
            std::size_t needless = 0;  // of a member that is still there
            for (std::size_t i = 0; i < size; i++) {
                moved += before[i] != after[i] ? 1 : 0;
                needless += before[i] != after[i] && before[i] != all[gone].identity ? 1 : 0;
            }
            EXPECT_LE(static_cast<double>(moved) * static_cast<double>(count),
                      1.2 * static_cast<double>(size))
                << count << " without " << gone;
            EXPECT_LE(static_cast<double>(needless) * static_cast<double>(count),
                      0.12 * static_cast<double>(size))
                << count << " without " << gone;
        }
    }
}

TEST(Maglev, NoMembersAreNoTable) {
    EXPECT_TRUE(make_maglev({}, 16'381).empty());
    EXPECT_TRUE(make_maglev(members(3), 2).empty());
}

struct Hashed : List {
    explicit Hashed(std::uint32_t count)
        : List(equal(count)), maglev(make_maglev(members(count), maglev_size(count))) {}
    std::vector<std::uint32_t> maglev;
};

TEST(MaglevPick, AKeyStaysAndItsSecondChoiceToo) {
    const Hashed h(20);
    for (std::uint64_t i = 0; i < 1000; i++) {
        const auto key = hash_key(std::to_string(i));
        const auto one = pick_maglev(h.eligible, h.maglev, key, nobody).value();
        EXPECT_EQ(one, h.maglev[key % h.maglev.size()]);
        const auto two = pick_maglev(h.eligible, h.maglev, key, slots({100 + one})).value();
        EXPECT_NE(two, one);
        EXPECT_EQ(pick_maglev(h.eligible, h.maglev, key, slots({100 + one})), two);
        EXPECT_EQ(pick_maglev(h.eligible, h.maglev, key, slots({100 + two})), one);
    }
}

// What a backend leaves is shared by the others, and not the neighbour's alone.
TEST(MaglevPick, SecondChoicesAreSpread) {
    const Hashed h(10);
    std::vector<int> n(10);
    for (std::uint64_t i = 0; i < 100'000; i++) {
        const auto key = hash_key(std::to_string(i));
        if (pick_maglev(h.eligible, h.maglev, key, nobody) == 3u)
            n[pick_maglev(h.eligible, h.maglev, key, slots({103})).value()]++;
    }
    const int all = std::accumulate(n.begin(), n.end(), 0);
    for (std::size_t i = 0; i < 10; i++) {
        if (i == 3) continue;
        EXPECT_NEAR(n[i], all / 9, all / 30) << i;
    }
}

TEST(MaglevPick, WorkIsBoundedAndTheLastOneIsFound) {
    const Hashed h(10'000);
    int asked = 0;
    const auto but = [&](const shm::Eligible& each) {
        asked++;
        return each.backend != 100 + 7777;
    };
    EXPECT_EQ(pick_maglev(h.eligible, h.maglev, 5, but), 7777u);
    EXPECT_LE(asked, 64 + 10'000);
    EXPECT_EQ(pick_maglev(h.eligible, h.maglev, 5, everybody), std::nullopt);

    const List lone(equal(1));
    const std::vector<std::uint32_t> same(16'381, 0);
    EXPECT_EQ(pick_maglev(lone.eligible, same, 5, everybody), std::nullopt);
    EXPECT_EQ(pick_maglev(lone.eligible, {}, 5, nobody), std::nullopt);
    EXPECT_EQ(pick_maglev({}, {}, 5, nobody), std::nullopt);
}

TEST(MaglevPick, AnEntryOfTheSameOneIsNoStep) {
    const List two(equal(2));
    std::vector<std::uint32_t> table(400, 0);
    table.push_back(1);
    int asked = 0;
    const auto first = [&](const shm::Eligible& each) {
        asked++;
        return each.backend == 100;
    };
    EXPECT_EQ(pick_maglev(two.eligible, table, 0, first), 1u);
    EXPECT_EQ(asked, 2);
}

TEST(MaglevPick, KeysSpreadAsTheTableDoes) {
    const Hashed h(5);
    const auto table = entries(members(5), h.maglev.size());
    std::vector<int> n(5);
    for (std::uint64_t i = 0; i < 100'000; i++)
        n[pick_maglev(h.eligible, h.maglev, hash_key("/item/" + std::to_string(i)), nobody).value()]++;
    for (std::size_t i = 0; i < 5; i++)
        EXPECT_NEAR(n[i], 100'000.0 * static_cast<double>(table[i]) / static_cast<double>(h.maglev.size()),
                    600);
}

TEST(Bounded, CapacityIsTheShareTimesTheBoundRoundedUp) {
    EXPECT_EQ(bounded_capacity(0, 1, 5, 125), 1u);
    EXPECT_EQ(bounded_capacity(99, 1, 5, 125), 25u);
    EXPECT_EQ(bounded_capacity(100, 1, 5, 125), 26u);
    EXPECT_EQ(bounded_capacity(99, 3, 6, 100), 50u);
    EXPECT_EQ(bounded_capacity(UINT32_MAX, UINT32_MAX, UINT32_MAX, 10'000), std::uint64_t{100} << 32);
    for (std::uint64_t total = 0; total < 200; total++) {
        EXPECT_GT(bounded_capacity(total, 3, 10, 100) + bounded_capacity(total, 7, 10, 100), total);
    }
}

// Skewed keys and requests that end in any order: nobody is ever over its bound, and keys stay while there is room.
TEST(Bounded, NobodyIsEverOverItsBound) {
    const std::vector<std::uint32_t> weights{1, 1, 2, 4, 1, 3};
    const List list(weights);
    auto who = members(6);
    for (std::size_t i = 0; i < 6; i++) who[i].weight = weights[i];
    const auto maglev = make_maglev(who, 16'381);
    for (const std::uint64_t percent : {100U, 110U, 150U}) {
        std::vector<std::uint64_t> load(6);
        std::vector<std::uint32_t> open;
        Random random(percent);
        int at_home = 0;
        for (int i = 0; i < 20'000; i++) {
            if (!open.empty() && (open.size() > 300 || random.below(100) < 48)) {
                const auto end = random.below(static_cast<std::uint32_t>(open.size()));
                load[open[end]]--;
                open[end] = open.back();
                open.pop_back();
                continue;
            }
            // Half of the requests have one of three keys.
            const auto key =
                hash_key(std::to_string(random.below(2) == 0 ? random.below(3) : random.below(100'000)));
            const auto total = open.size();
            const auto capacity = [&](const shm::Eligible& each) {
                return bounded_capacity(total, each.weight, 12, percent);
            };
            const auto over = [&](const shm::Eligible& each) {
                return load[each.backend - 100] >= capacity(each);
            };
            const auto chosen = pick_bounded(list.eligible, maglev, key, over, nobody).value();
            ASSERT_LT(load[chosen], capacity(list.eligible[chosen])) << percent;
            at_home += chosen == maglev[key % maglev.size()] ? 1 : 0;
            load[chosen]++;
            open.push_back(chosen);
        }
        EXPECT_GT(at_home, 3000) << percent;
    }
}

TEST(Bounded, WithoutRoomTheBoundGivesWayButNotTheSkipped) {
    const Hashed h(5);
    const auto own = pick_maglev(h.eligible, h.maglev, 77, nobody).value();
    EXPECT_EQ(pick_bounded(h.eligible, h.maglev, 77, everybody, nobody), own);
    EXPECT_NE(pick_bounded(h.eligible, h.maglev, 77, everybody, slots({100 + own})), own);
    EXPECT_EQ(pick_bounded(h.eligible, h.maglev, 77, nobody, everybody), std::nullopt);
}

}  // namespace
}  // namespace lb::balance
