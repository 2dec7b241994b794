// Which backend a request gets, and that no backend ever has more than its max_inflight.
#include "worker/backend/places.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <map>
#include <set>

#include "node.h"

namespace lb {
namespace {

using config::Policy;

std::map<std::uint32_t, int> shares(Process& process, int requests, const Preference& preference = {}) {
    std::map<std::uint32_t, int> count;
    for (int i = 0; i < requests; i++) {
        const Place place = process.take(preference);
        EXPECT_EQ(place.pick, Pick::yes);
        count[place.backend.slot]++;
        process.places.give_back(0, place);
    }
    return count;
}

TEST(Places, RoundRobinIsExactOverProcessesAndFollowsTheSchedule) {
    Node node;
    auto list = members(0, 3);
    list[0].weight = 2;
    node.publish({{list}});
    Process one(node, 1), other(node, 2);
    std::map<std::uint32_t, int> count;
    for (int i = 0; i < 400; i++) {
        Process& process = i % 3 == 0 ? one : other;
        count[process.take().backend.slot]++;
    }
    EXPECT_EQ(count, (std::map<std::uint32_t, int>{{0, 200}, {1, 100}, {2, 100}}));
    EXPECT_EQ(total<"lb_backend_in_flight">(node, 1), 100U);
    EXPECT_EQ(node.in_flight(1), 0U) << "round robin without a bound does not pay for the shared cell";
}

TEST(Places, RetriesGoElsewhereWithoutATurn) {
    Node node;
    node.publish({{members(0, 3)}});
    Process process(node, 1);
    const std::uint32_t tried[] = {0, 2};
    EXPECT_EQ(process.take({}, tried, false).backend.slot, 1U);
    const std::uint32_t all[] = {0, 1, 2};
    EXPECT_EQ(process.take({}, all, false).pick, Pick::no_backend);
    EXPECT_EQ(node.cell().cursor[0].load(), 0U);
    EXPECT_EQ(process.take({}, {}, true).backend.incarnation, 1U);
    EXPECT_EQ(node.cell().cursor[0].load(), 1U);
}

TEST(Places, EveryPolicyServesAndCountsWhereItMust) {
    for (const auto policy : {Policy::round_robin, Policy::least_conn, Policy::p2c, Policy::peak_ewma,
                              Policy::random, Policy::ip_hash, Policy::hash}) {
        for (const std::uint32_t bound : {0U, 125U}) {
            Node node;
            node.pool().balance.policy = policy;
            node.pool().balance.bound = bound;
            node.publish({{members(0, 5)}});
            Process process(node, 1);
            const Place place = process.take({.key = 12345, .has_key = true});
            ASSERT_EQ(place.pick, Pick::yes);
            const bool hash = policy == Policy::hash || policy == Policy::ip_hash;
            const bool counts = policy == Policy::least_conn || policy == Policy::p2c ||
                                policy == Policy::peak_ewma || (hash && bound != 0);
            EXPECT_EQ(place.counted, counts) << static_cast<int>(policy);
            EXPECT_EQ(node.in_flight(place.backend.slot), counts ? 1U : 0U);
            process.places.give_back(0, place);
            EXPECT_EQ(node.in_flight(place.backend.slot), 0U);
            EXPECT_EQ(node.cell().in_flight.load(), 0U);
            EXPECT_EQ(total<"lb_backend_in_flight">(node, place.backend.slot), 0U);
        }
    }
}

TEST(Places, LoadDecides) {
    for (const auto policy : {Policy::least_conn, Policy::p2c}) {
        Node node;
        node.pool().balance.policy = policy;
        node.publish({{members(0, 2)}});
        Process process(node, 1);
        std::set<std::uint32_t> taken{process.take().backend.slot, process.take().backend.slot};
        EXPECT_EQ(taken.size(), 2U) << "the second goes to the idle one";
    }
}

TEST(Places, LatencyDecides) {
    Node node;
    node.pool().balance.policy = Policy::peak_ewma;
    node.publish({{members(0, 2)}});
    Process process(node, 1);
    node.segment.backend_cell(0).latency.store(50'000);
    node.segment.backend_cell(1).latency.store(5'000);
    EXPECT_EQ(shares(process, 100), (std::map<std::uint32_t, int>{{1, 100}}));
}

TEST(Places, AKeyStaysWithItsBackendAndWithItsSecondOne) {
    Node node;
    node.pool().balance.policy = Policy::hash;
    node.publish({{members(0, 10)}});
    Process one(node, 1), other(node, 2);
    for (std::uint64_t key = 1; key < 200; key++) {
        const Preference preference{.key = key * 0x9e3779b97f4a7c15ULL, .has_key = true};
        const std::uint32_t first = one.take(preference).backend.slot;
        EXPECT_EQ(other.take(preference).backend.slot, first);
        const std::uint32_t tried[] = {first};
        const std::uint32_t second = one.take(preference, tried, false).backend.slot;
        EXPECT_NE(second, first);
        EXPECT_EQ(other.take(preference, tried, false).backend.slot, second);
    }
    const auto without = shares(one, 100);
    EXPECT_EQ(without.size(), 10U) << "no key: round robin";
    EXPECT_EQ(without.at(3), 10);
}

TEST(Places, StickyByHeaderIsStrongerThanThePolicy) {
    Node node;
    node.pool().balance.policy = Policy::least_conn;
    node.pool().sticky.kind = config::StickyKind::header;
    node.publish({{members(0, 10)}});
    Process process(node, 1);
    const Preference preference{.key = 77, .has_key = true};
    const std::uint32_t first = process.take(preference).backend.slot;
    for (int i = 0; i < 20; i++) EXPECT_EQ(process.take(preference).backend.slot, first);
    EXPECT_NE(process.take().backend.slot, first) << "without the header: the least loaded";
}

TEST(Places, ABoundedHashGoesOnWhenItsBackendHasMoreThanItsPart) {
    Node node;
    node.pool().balance = {.policy = Policy::hash, .key = {}, .bound = 125};
    node.publish({{members(0, 4)}});
    Process process(node, 1);
    const Preference preference{.key = 5, .has_key = true};
    std::map<std::uint32_t, int> held;
    for (int i = 0; i < 40; i++) held[process.take(preference).backend.slot]++;
    for (const auto& [slot, count] : held) EXPECT_LE(count, 13) << "of 40 at most 125 % of 10";
    EXPECT_EQ(held.size(), 4U);
}

TEST(Places, FullBackendsArePassedOverByEveryPolicy) {
    for (const auto policy : {Policy::round_robin, Policy::least_conn, Policy::p2c, Policy::peak_ewma,
                              Policy::random, Policy::hash}) {
        Node node;
        node.pool().balance.policy = policy;
        node.publish({{members(0, 4, 3)}});
        Process process(node, 1);
        std::vector<Place> held;
        for (int i = 0; i < 12; i++) {
            held.push_back(process.take({.key = 9, .has_key = true}));
            ASSERT_EQ(held.back().pick, Pick::yes) << static_cast<int>(policy) << " " << i;
        }
        for (std::uint32_t b = 0; b < 4; b++) EXPECT_EQ(node.in_flight(b), 3U);
        EXPECT_EQ(process.take().pick, Pick::saturated);
        EXPECT_FALSE(process.places.maybe_room(0));
        process.places.give_back(0, held[7]);
        EXPECT_TRUE(process.places.maybe_room(0));
        EXPECT_EQ(process.take().backend.slot, held[7].backend.slot);
        EXPECT_EQ(node.cell().in_flight.load(), 12U);
    }
}

TEST(Places, OneWithoutALimitTakesWhatTheOthersDoNot) {
    Node node;
    auto list = members(0, 3, 1);
    list[2].max_inflight = 0;
    node.publish({{list}});
    Process process(node, 1);
    std::map<std::uint32_t, int> count;
    for (int i = 0; i < 20; i++) count[process.take().backend.slot]++;
    EXPECT_EQ(count, (std::map<std::uint32_t, int>{{0, 1}, {1, 1}, {2, 18}}));
}

TEST(Places, WhatDrainedBackendsHoldDoesNotMakeAPoolLookFull) {
    Node node;
    node.publish({{members(0, 4, 2)}});
    Process process(node, 1);
    for (int i = 0; i < 8; i++) ASSERT_EQ(process.take().pick, Pick::yes);
    node.publish({{members(4, 4, 2)}});  // others take over, the old ones still hold 8
    for (int i = 0; i < 8; i++) {
        EXPECT_TRUE(process.places.maybe_room(0));
        EXPECT_EQ(process.take().pick, Pick::yes);
    }
    EXPECT_FALSE(process.places.maybe_room(0));
    EXPECT_EQ(process.take().pick, Pick::saturated);
}

TEST(Places, TheLastFreePlaceOfTenThousandIsFound) {
    for (const auto policy : {Policy::round_robin, Policy::least_conn, Policy::p2c, Policy::random}) {
        Node node(10'000);
        node.pool().balance.policy = policy;
        node.publish({{members(0, 10'000, 1)}});
        Process process(node, 1);
        for (std::uint32_t b = 0; b < 10'000; b++) (void)process.column.take(b, 0);
        EXPECT_EQ(process.take().pick, Pick::saturated);
        process.column.give_back(6789, 0);
        EXPECT_EQ(process.take().backend.slot, 6789U);
    }
}

TEST(Places, ARequestStaysInItsZoneAsFarAsItKeepsIt) {
    Node node;
    node.publish({{members(0, 2), 11, 65536}, {members(2, 2), 22, 32768}});
    Process process(node, 1);
    for (const auto& [slot, count] : shares(process, 100, {.zone = 11})) EXPECT_LT(slot, 2U);
    EXPECT_EQ(total<"lb_pool_spilled_total">(node), 0U);
    const auto half = shares(process, 1000, {.zone = 22});
    EXPECT_NEAR(half.at(0) + half.at(1), 500, 80);
    EXPECT_EQ(total<"lb_pool_spilled_total">(node), static_cast<std::uint64_t>(half.at(0) + half.at(1)));
    EXPECT_EQ(shares(process, 1000).size(), 4U) << "without a preference: all";
}

TEST(Places, AFullZoneLendsFromTheOthers) {
    Node node;
    node.publish({{members(0, 2, 1), 11}, {members(2, 2, 1), 22}});
    Process process(node, 1);
    for (int i = 0; i < 4; i++) EXPECT_EQ(process.take({.zone = 11}).pick, Pick::yes);
    EXPECT_EQ(process.take({.zone = 11}).pick, Pick::saturated);
    EXPECT_EQ(total<"lb_pool_spilled_total">(node), 2U);
}

TEST(Places, AKeyStaysInItsZone) {
    Node node;
    node.pool().balance.policy = Policy::hash;
    node.publish({{members(0, 3), 11, 30000}, {members(3, 3), 22, 65536}});
    Process process(node, 1);
    for (std::uint64_t i = 1; i < 50; i++) {
        const Preference preference{.key = i * 0x9e3779b97f4a7c15ULL, .has_key = true, .zone = 11};
        const auto first = process.take(preference).backend.slot;
        for (int n = 0; n < 5; n++) EXPECT_EQ(process.take(preference).backend.slot, first);
    }
}

TEST(Places, APoolWithoutZonesSpillsNothing) {
    Node node;
    node.publish({{members(0, 2)}});
    Process process(node, 1);
    (void)shares(process, 10, {.zone = 11});
    EXPECT_EQ(total<"lb_pool_spilled_total">(node), 0U);
}

TEST(Places, BackupsAreForWhenNoPrimaryIsLeft) {
    Node node;
    node.publish({{members(0, 1, 1)}}, {{members(1, 1)}});
    Process process(node, 1);
    EXPECT_EQ(process.take().backend.slot, 0U);
    EXPECT_EQ(process.take().pick, Pick::saturated) << "a full primary is no reason";
    const std::uint32_t tried[] = {0};
    EXPECT_EQ(process.take({}, tried, false).backend.slot, 1U);
    node.publish({}, {{members(1, 1)}});
    EXPECT_EQ(process.take().backend.slot, 1U);
    node.publish({}, {});
    EXPECT_EQ(process.take().pick, Pick::no_backend);
}

TEST(Places, ACookieIsServedByItsBackendEvenADrainedOne) {
    Node node;
    node.pool().sticky.kind = config::StickyKind::cookie;
    node.publish({{members(0, 3)}}, {},
                 {{500, 0, 1, 0, 0}, {400, 1, 1, 0, 0}, {300, 2, 1, 0, 0}, {200, 9, 7, 1, 1}});
    Process process(node, 1);
    const Place mine = process.take({.sticky = 400});
    EXPECT_EQ(mine.backend.slot, 1U);
    EXPECT_TRUE(mine.by_cookie);
    const Place drained = process.take({.sticky = 200});
    EXPECT_EQ(drained.backend.slot, 9U);
    EXPECT_EQ(drained.backend.incarnation, 7U);
    EXPECT_TRUE(drained.counted);
    EXPECT_EQ(total<"lb_pool_sticky_total">(node, 0, metrics::sticky_kept), 2U);
    const Place moved = process.take({.sticky = 200});  // it has its one already
    EXPECT_LT(moved.backend.slot, 3U);
    EXPECT_FALSE(moved.by_cookie);
    EXPECT_LT(process.take({.sticky = 999}).backend.slot, 3U);
    EXPECT_EQ(total<"lb_pool_sticky_total">(node, 0, metrics::sticky_moved), 2U);
    (void)process.take();
    EXPECT_EQ(total<"lb_pool_sticky_total">(node, 0, metrics::sticky_new), 1U);
    const std::uint32_t tried[] = {1};
    EXPECT_NE(process.take({.sticky = 400}, tried, false).backend.slot, 1U);
    EXPECT_EQ(total<"lb_pool_sticky_total">(node, 0, metrics::sticky_moved), 2U) << "first attempts count";
}

// The most that were held at once, as those who hold them count it.
struct Held {
    std::array<std::atomic<int>, 4> now{}, most{};
};

TEST(Places, NoBackendIsOverItsLimitWithFourProcesses) {
    // The fewer places, the more often two processes reach for the same last one.
    for (const std::uint32_t backends : {1U, 4U}) {
        const std::uint32_t limit = backends == 1 ? 1 : 3;
        Node node;
        node.publish({{members(0, backends, limit)}});
        void* memory = mmap(nullptr, sizeof(Held), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(memory, MAP_FAILED);
        auto& held = *new (memory) Held;
        std::vector<pid_t> children;
        for (std::uint32_t p = 1; p <= 4; p++) {
            const pid_t pid = fork();
            if (pid == 0) {
                Process process(node, p);
                std::vector<Place> mine;
                for (int i = 0; i < 150'000; i++) {
                    if (mine.size() < 4) {
                        const Place place = process.take();
                        if (place.pick == Pick::yes) {
                            const int now = ++held.now[place.backend.slot];
                            int most = held.most[place.backend.slot].load();
                            while (now > most &&
                                   !held.most[place.backend.slot].compare_exchange_weak(most, now)) {
                            }
                            mine.push_back(place);
                            continue;
                        }
                    }
                    if (mine.empty()) continue;
                    held.now[mine.back().backend.slot]--;
                    process.places.give_back(0, mine.back());
                    mine.pop_back();
                }
                for (const Place& place : mine) {
                    held.now[place.backend.slot]--;
                    process.places.give_back(0, place);
                }
                _exit(0);
            }
            children.push_back(pid);
        }
        for (const pid_t pid : children) {
            int status = 0;
            ASSERT_EQ(waitpid(pid, &status, 0), pid);
            EXPECT_EQ(status, 0);
        }
        for (std::uint32_t b = 0; b < backends; b++) {
            EXPECT_EQ(held.most[b].load(), static_cast<int>(limit));
            EXPECT_EQ(node.in_flight(b), 0U);
        }
        EXPECT_EQ(node.cell().in_flight.load(), 0U);
        munmap(memory, sizeof(Held));
    }
}

}  // namespace
}  // namespace lb
