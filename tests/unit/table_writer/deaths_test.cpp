// In-flight counts and what a death in the middle leaves: real processes, killed for real.
#include <gtest/gtest.h>

#include <cstdio>

#include "support.h"

namespace lb::test {
namespace {

struct Pool3 : ::testing::Test {
    Table t;
    std::shared_ptr<const config::Config> c = t.start(config({pool("app", {{"a"}, {"b"}, {"c"}})}), 1);
    std::uint32_t slot(std::size_t i) const { return c->pools[0].backends[i].slot; }
};
using Deaths = Pool3;
using Repair = Pool3;

TEST_F(Deaths, AKilledProcessLeavesNothingInFlight) {
    auto w = t.worker();
    auto other = t.worker();
    other.take(slot(0), 0);
    Process child([&] {
        t.segment.protect_master_part();
        for (int i = 0; i < 5; i++) w.take(slot(0), 0);
        for (int i = 0; i < 3; i++) w.take(slot(1), 0);
        w.give_back(slot(1), 0);
        w.add<"lb_backend_in_flight">(slot(0), 0, 5);
        w.add<"lb_backend_requests_total">(slot(0), 2, 17);
        w.beat(1);
        for (;;) pause();
        return 0;
    });
    ASSERT_TRUE(eventually([&] { return t.segment.column(w.index()).heartbeat.load() == 1; }));
    EXPECT_EQ(t.in_flight(slot(0)), 6u);
    EXPECT_EQ(t.in_flight(slot(1)), 2u);
    child.send(SIGKILL);
    EXPECT_EQ(child.result(), 1000 + SIGKILL);
    t.writer->column_ended(w.index());
    EXPECT_EQ(t.in_flight(slot(0)), 1u);  // what the other one holds
    EXPECT_EQ(t.in_flight(slot(1)), 0u);
    EXPECT_EQ(t.segment.journal(w.index())[slot(0)].load(), 0u);
    EXPECT_EQ(shm::sum<"lb_backend_in_flight">(t.segment, slot(0)), 0u);
    EXPECT_EQ(shm::responses(t.segment, slot(0)), 17u);
}

// Killed at any instruction: whatever step it was at, the cells come back to zero, at most one repair later.
// Killed at any instruction: whatever step it was at, the cells hold at least what the living one holds, at most one
// more, and exactly that one repair later.
TEST_F(Deaths, AtAnyInstructionLeaveCellsThatComeBack) {
    auto other = t.worker();
    for (std::size_t i = 0; i < 3; i++) {
        other.take(slot(i), 0);
        other.take(slot(i), 0);
    }
    int between = 0;
    for (int round = 0; round < 40; round++) {
        auto w = t.worker();
        Process child([&] {
            for (std::uint64_t i = 0;; i++) {
                w.take(slot(i % 3), 0);
                w.take(slot(i % 2), 0);
                w.give_back(slot(i % 3), 0);
                w.give_back(slot(i % 2), 0);
                w.beat(static_cast<std::int64_t>(i + 1));
            }
            return 0;
        });
        const auto beats = 500 + 37 * static_cast<std::uint64_t>(round);
        ASSERT_TRUE(eventually([&] { return t.segment.column(w.index()).heartbeat.load() >= beats; }));
        child.send(SIGKILL);
        child.wait();
        t.writer->column_ended(w.index());
        std::uint32_t left = 0;
        for (std::size_t i = 0; i < 3; i++) {
            ASSERT_GE(t.in_flight(slot(i)), 2u);
            left += t.in_flight(slot(i)) - 2;
        }
        ASSERT_LE(left, 1u);  // one step of one take or give_back
        if (left == 1) between++;
        t.tick(10);
        for (std::size_t i = 0; i < 3; i++) ASSERT_EQ(t.in_flight(slot(i)), 2u);
    }
    std::printf("killed between the steps: %d of 40\n", between);
}

TEST_F(Repair, TakesOffWhatADeathBetweenTheStepsLeft) {
    auto w = t.worker();
    auto dead = t.worker();
    w.take(slot(0), 0);
    dead.take(slot(0), 0);
    t.segment.backend_cell(slot(0)).in_flight.fetch_add(1);  // died after the first step of take
    dead.take(slot(1), 0);
    auto& journal = t.segment.journal(dead.index())[slot(1)];
    journal.store(journal.load() - 1);  // died after the first step of give_back
    t.writer->column_ended(dead.index());
    EXPECT_EQ(t.in_flight(slot(0)), 2u);
    EXPECT_EQ(t.in_flight(slot(1)), 1u);
    t.tick(9);
    EXPECT_EQ(t.in_flight(slot(0)), 2u);  // not yet: it could be a process between the steps
    t.tick();
    EXPECT_EQ(t.in_flight(slot(0)), 1u);
    EXPECT_EQ(t.in_flight(slot(1)), 0u);
    t.tick(30);
    EXPECT_EQ(t.in_flight(slot(0)), 1u);
}

TEST_F(Repair, TakesTheLeastOfTenDifferences) {
    auto& cell = t.segment.backend_cell(slot(0)).in_flight;
    cell.store(3);
    t.tick(4);
    cell.store(1);  // two of them were on their way
    t.tick();
    cell.store(3);
    t.tick(5);
    EXPECT_EQ(cell.load(), 2u);
}

TEST_F(Repair, LeavesADifferenceThatComesAndGoesAlone) {
    auto w = t.worker();
    auto& cell = t.segment.backend_cell(slot(0)).in_flight;
    for (int i = 0; i < 10; i++) {
        cell.store(1);
        t.tick(5);
        cell.store(0);
        t.tick();
    }
    cell.store(1);
    t.tick(9);
    EXPECT_EQ(cell.load(), 1u);
    cell.store(0);
    t.tick();
    // A change of sign begins anew.
    w.take(slot(1), 0);
    w.take(slot(1), 0);
    auto& other = t.segment.backend_cell(slot(1)).in_flight;
    other.store(5);
    t.tick(9);
    other.store(1);
    t.tick(9);
    EXPECT_EQ(other.load(), 1u);
    t.tick();
    EXPECT_EQ(other.load(), 2u);  // too low is put right as well
}

TEST_F(Repair, PassesKeepTheirDistance) {
    t.segment.backend_cell(slot(0)).in_flight.store(1);
    t.tick();
    for (int i = 0; i < 100; i++) t.writer->tick(t.now += 100);  // a busy loop
    EXPECT_EQ(t.in_flight(slot(0)), 1u);
    t.tick(9);
    EXPECT_EQ(t.in_flight(slot(0)), 0u);
}

TEST_F(Repair, ACellIsNeverCarriedBelowZero) {
    auto w = t.worker();
    w.take(slot(0), 0);
    w.take(slot(0), 0);
    t.segment.backend_cell(slot(0)).in_flight.store(1);  // less than the journal says
    t.writer->column_ended(w.index());
    EXPECT_EQ(t.in_flight(slot(0)), 0u);
    auto& cell = t.segment.backend_cell(slot(1)).in_flight;
    cell.store(UINT32_MAX);  // a release after a wrong repair
    t.tick(10);
    EXPECT_EQ(cell.load(), 0u);
}

TEST(RepairOfMany, ComesToEveryCell) {
    Table t({.columns = 4, .listeners = 1, .pools = 1, .backends = 10'000, .arena = 16 << 20});
    const auto c = t.start(config({pool("app", many(10'000))}), 1);
    for (const auto i : {0u, 4'096u, 9'999u}) t.segment.backend_cell(i).in_flight.store(1);
    t.tick(3 * 10);
    for (const auto i : {0u, 4'096u, 9'999u}) EXPECT_EQ(t.in_flight(i), 0u);
}

// A list of real processes, each picking and counting, while reloads and deaths go on around them.
TEST(Processes, WorkersComeAndGoUnderReloads) {
    Table t;
    std::uint32_t generation = 1;
    auto names = std::vector<BackendSpec>{{"a"}, {"b"}, {"c"}};
    auto current = t.start(config({pool("app", names)}), generation);
    const auto app = current->pools[0].slot;
    struct Worker {
        shm::Column column;
        Process process;
    };
    std::vector<Worker> workers;
    const auto spawn = [&] {
        auto column = t.worker(*current, generation);
        workers.push_back({column, Process([&t, app, column]() mutable {
                               t.segment.protect_master_part();
                               for (std::int64_t turn = 1;; turn++) {
                                   column.quiescent();
                                   const auto list = t.primaries(app);
                                   if (list.empty()) return 1;
                                   const auto& e = list[static_cast<std::size_t>(turn) % list.size()];
                                   const auto& slot = t.segment.backend(e.backend);
                                   if (slot.incarnation.load() != e.incarnation) return 2;
                                   column.take(e.backend, 0);
                                   column.add<"lb_backend_requests_total">(e.backend, 2);
                                   column.give_back(e.backend, 0);
                                   column.beat(turn);
                               }
                           })});
    };
    for (int i = 0; i < 3; i++) spawn();
    std::uint64_t total_before = 0;
    for (int round = 0; round < 15; round++) {
        // The third backend is another one each time; its slot is used again and again.
        names[2] = {"c" + std::to_string(round), 1, false, 10u + static_cast<std::uint32_t>(round)};
        current = t.start(config({pool("app", names)}), ++generation);
        t.writer->retire(generation - 1);
        ASSERT_TRUE(eventually([&] {
            t.tick();
            return t.writer->usage().retiring == 0 && t.writer->usage().blocks_waiting == 0;
        })) << round;
        ASSERT_LE(t.writer->usage().backends, 4u);
        auto& victim = workers.front();
        ASSERT_TRUE(
            eventually([&] { return t.segment.column(victim.column.index()).heartbeat.load() > 10; }));
        victim.process.send(SIGKILL);
        ASSERT_EQ(victim.process.result(), 1000 + SIGKILL);
        t.writer->column_ended(victim.column.index());
        workers.erase(workers.begin());
        spawn();
        const auto total = shm::responses(t.segment, current->pools[0].backends[0].slot);
        ASSERT_GE(total, total_before);
        total_before = total;
    }
    for (auto& w : workers) {
        w.process.send(SIGKILL);
        EXPECT_EQ(w.process.result(), 1000 + SIGKILL);  // none found an empty list or a wrong incarnation
        t.writer->column_ended(w.column.index());
    }
    // Twice the passes of one repair: a second leak in the middle of a run leaves its difference to the next run,
    // because a run takes off only the least it saw.
    t.tick(20);
    for (std::uint32_t b = 0; b < 8; b++) EXPECT_EQ(t.in_flight(b), 0u);
}

}  // namespace
}  // namespace lb::test
