// What is told to others of how attempts went.
#include "worker/backend/outcomes.h"

#include <gtest/gtest.h>

#include "node.h"
#include "shared/balance/peak_ewma.h"

namespace lb {
namespace {

constexpr Micros start = 100'000'000;

struct Rig {
    Rig() {
        auto [ours, theirs] = std::move(Channel::pair()).value();
        master = std::move(theirs);
        channel = std::move(ours);
        node.pool().eject = {.errors = 3, .within = config::Millis(10'000), .duration = {}};
    }
    // Slots of `eject` messages that came.
    std::vector<std::uint64_t> told() {
        std::vector<std::uint64_t> slots;
        for (;;) {
            const auto got = master.receive();
            if (got.got != Channel::Got::message) return slots;
            EXPECT_EQ(got.message.kind, MessageKind::eject);
            slots.push_back(got.message.value);
        }
    }
    void answer(std::uint16_t status, Micros now) {
        outcomes.answered(0, {5, 1}, status, 1000, now);
        outcomes.completed(0, {5, 1}, status);
    }
    void fail(Micros now) { outcomes.failed(0, {5, 1}, 1000, now); }
    std::uint32_t failures() { return node.segment.backend_cell(5).failures.load(); }

    Node node;
    Channel channel, master;
    shm::Column column{node.segment, 1};
    Outcomes outcomes{node.segment, column, node.config, channel};
};

TEST(Outcomes, FailuresInARowAreToldAtTheThreshold) {
    Rig rig;
    rig.fail(start);
    rig.answer(500, start + 1);
    EXPECT_TRUE(rig.told().empty());
    rig.answer(503, start + 2);
    EXPECT_EQ(rig.told(), std::vector<std::uint64_t>{5});
}

TEST(Outcomes, ASuccessBeginsAnew) {
    Rig rig;
    for (int i = 0; i < 10; i++) {
        rig.fail(start);
        rig.fail(start);
        rig.answer(i % 2 == 0 ? 404 : 200, start);
        EXPECT_EQ(rig.failures(), 0U);
    }
    EXPECT_TRUE(rig.told().empty());
}

// A head with 200 and a cut behind it: the row goes on.
TEST(Outcomes, ACutAnswerIsNoSuccess) {
    Rig rig;
    for (int i = 0; i < 4; i++) {
        rig.outcomes.answered(0, {5, 1}, 200, 1000, start);
        rig.fail(start);
    }
    EXPECT_EQ(rig.node.segment.backend_cell(5).failures.load(), 4U);
    rig.answer(200, start);
    EXPECT_EQ(rig.node.segment.backend_cell(5).failures.load(), 0U);
}

TEST(Outcomes, WhatAnyBackendWouldSayIsNoFailure) {
    Rig rig;
    for (int i = 0; i < 10; i++) rig.answer(i % 2 == 0 ? 501 : 505, start);
    EXPECT_EQ(rig.failures(), 0U);
}

TEST(Outcomes, TheyMustComeWithinTheWindow) {
    Rig rig;
    rig.fail(start);
    rig.fail(start + 9'000'000);
    rig.fail(start + 10'000'001);  // the first one is too old
    EXPECT_TRUE(rig.told().empty());
    EXPECT_EQ(rig.failures(), 1U);
    rig.fail(start + 10'000'002);
    rig.fail(start + 10'000'003);
    EXPECT_EQ(rig.told().size(), 1U);
}

TEST(Outcomes, TheMasterIsToldAtMostEvery100Ms) {
    Rig rig;
    for (int i = 0; i < 1000; i++) rig.fail(start + i * 1000);
    EXPECT_EQ(rig.told().size(), 10U);
}

TEST(Outcomes, WithoutEjectNothingIsCounted) {
    Rig rig;
    rig.node.pool().eject = {};
    for (int i = 0; i < 10; i++) rig.fail(start);
    EXPECT_EQ(rig.failures(), 0U);
}

TEST(Outcomes, LatencyIsKeptForItsPolicyAlone) {
    Rig rig;
    rig.answer(200, start);
    EXPECT_EQ(rig.node.segment.backend_cell(5).latency.load(), 0U);
    rig.node.pool().balance.policy = config::Policy::peak_ewma;
    rig.answer(200, start);
    EXPECT_EQ(rig.node.segment.backend_cell(5).latency.load(), balance::observed(0, 1000, start));
}

TEST(Outcomes, FastErrorsDoNotMakeABackendLookFast) {
    Rig rig;
    rig.node.pool().balance.policy = config::Policy::peak_ewma;
    const auto cost = [&](Micros now) {
        return balance::cost(rig.node.segment.backend_cell(5).latency.load(), 0, now);
    };
    rig.answer(500, start);
    EXPECT_GE(cost(start), 100'000U) << "never measured";
    rig.outcomes.answered(0, {5, 1}, 200, 400'000, start);
    for (Micros now = start; now < start + 60'000'000; now += 1'000'000) {
        rig.answer(500, now);
        EXPECT_GE(cost(now), 390'000U);
    }
    rig.fail(start + 60'000'000);
    EXPECT_GE(cost(start + 60'000'000), 700'000U);
}

TEST(Outcomes, RetriesAreTakenFromThePoolsBudget) {
    Rig rig;
    rig.node.pool().retries.budget = 20;
    rig.column.add<"lb_requests_total">(0, 2, 100);
    int granted = 0;
    for (int i = 0; i < 50; i++) granted += rig.outcomes.take_retry(0) ? 1 : 0;
    EXPECT_EQ(granted, 1) << "of the past nothing but one is saved";
    for (int i = 0; i < 50; i++) {
        rig.column.add<"lb_requests_total">(0, 5, 1);
        granted += rig.outcomes.take_retry(0) ? 1 : 0;
    }
    EXPECT_EQ(granted, 11);
    EXPECT_EQ(total<"lb_retries_refused_total">(rig.node), 89U);
    rig.node.pool().retries.budget = 0;
    EXPECT_FALSE(rig.outcomes.take_retry(0));
}

}  // namespace
}  // namespace lb
