// Who goes when all places are taken.
#include "worker/client/room.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace lb {
namespace {

constexpr Micros now = 100 * fair_chance;
constexpr Micros old = now - 50 * fair_chance;

// `since` names them.
std::vector<Micros> chosen(std::vector<Resting> all, std::size_t wanted) {
    const std::size_t count = choose_for_room(all, wanted, now);
    std::vector<Micros> out;
    for (std::size_t i = 0; i < count; i++) out.push_back(all[i].since);
    std::sort(out.begin(), out.end());
    return out;
}

Resting resting(Rest what, Micros since) { return {since, nullptr, what}; }

TEST(Room, LingeringBeforeIdleBeforeHeads) {
    const std::vector<Resting> all{resting(Rest::head, old), resting(Rest::idle, old + 1),
                                   resting(Rest::lingering, old + 2)};
    EXPECT_EQ(chosen(all, 1), std::vector<Micros>({old + 2}));
    EXPECT_EQ(chosen(all, 2), std::vector<Micros>({old + 1, old + 2}));
    EXPECT_EQ(chosen(all, 3), std::vector<Micros>({old, old + 1, old + 2}));
}

TEST(Room, TheLongestFirst) {
    for (const Rest what : {Rest::lingering, Rest::idle, Rest::head}) {
        const std::vector<Resting> all{resting(what, old + 3), resting(what, old), resting(what, old + 1),
                                       resting(what, old + 2)};
        EXPECT_EQ(chosen(all, 2), std::vector<Micros>({old, old + 1}));
    }
}

TEST(Room, NobodyYoungWhileSomebodyOldIsThere) {
    const Micros just = now - fair_chance;  // old enough
    const std::vector<Resting> all{resting(Rest::lingering, just + 1), resting(Rest::idle, now),
                                   resting(Rest::head, just)};
    EXPECT_EQ(chosen(all, 1), std::vector<Micros>({just}));
    EXPECT_EQ(chosen(all, 2), std::vector<Micros>({just, just + 1}));
}

TEST(Room, TheYoungWhenNothingElseIsThere) {
    const std::vector<Resting> all{resting(Rest::head, now - 1), resting(Rest::head, now - 3),
                                   resting(Rest::head, now - 2)};
    EXPECT_EQ(chosen(all, 1), std::vector<Micros>({now - 3}));
}

TEST(Room, NoMoreThanThereAre) {
    EXPECT_EQ(chosen({}, 3).size(), 0U);
    EXPECT_EQ(chosen({resting(Rest::idle, old)}, 3).size(), 1U);
    EXPECT_EQ(chosen({resting(Rest::idle, old)}, 0).size(), 0U);
}

}  // namespace
}  // namespace lb
