// Waiting for a place: in order over all processes, within the queue's size, and nobody for ever.
#include "worker/backend/queue.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <new>

#include "node.h"

namespace lb {
namespace {

struct One final : Waiter {
    void on_place(const Place& given) override {
        place = given;
        if (then) then();
    }
    void on_waited_too_long() override { late = true; }
    [[nodiscard]] bool served() const { return place.pick == Pick::yes; }
    Place place;
    bool late = false;
    std::function<void()> then;
};

constexpr Micros start = 1'000'000;

// One place, held by the first process.
struct Full {
    explicit Full(std::uint32_t size = 10) {
        node.pool().queue.size = size;
        node.publish({{members(0, 1, 1)}});
        held = one.take();
        EXPECT_EQ(held.pick, Pick::yes);
        for (auto* process : {&one, &two}) process->column.beat(start);
    }
    // Frees the place and lets both processes have turns, until nobody finds anything to do.
    void free(const Place& place) {
        one.places.give_back(0, place);
        one.queues.freed(0, start);
        turns();
    }
    void turns() {
        for (int i = 0; i < 4; i++) {
            for (auto* process : {&one, &two}) {
                pollfd ready{process->queues.descriptor(), POLLIN, 0};
                if (poll(&ready, 1, 0) == 1) process->queues.wake(start);
                process->queues.end_of_turn(start);
            }
        }
    }
    Node node;
    Process one{node, 1}, two{node, 2};
    Place held;
};

TEST(Queue, ServesInOrderOverProcesses) {
    Full t;
    std::array<One, 6> waiting;
    for (std::size_t i = 0; i < waiting.size(); i++)
        ASSERT_TRUE((i % 2 == 0 ? t.two : t.one).queues.wait(0, waiting[i], {}, start));
    t.turns();
    EXPECT_EQ(t.node.cell().queued.load(), 6U);
    EXPECT_EQ(total<"lb_pool_queued">(t.node), 6U);
    Place last = t.held;
    for (std::size_t i = 0; i < waiting.size(); i++) {
        EXPECT_FALSE(waiting[i].served());
        t.free(last);
        EXPECT_TRUE(waiting[i].served()) << i;
        EXPECT_FALSE(waiting[i].waiting());
        last = waiting[i].place;
        EXPECT_TRUE(i + 1 == waiting.size() || !waiting[i + 1].served());
    }
    EXPECT_EQ(t.node.cell().queued.load(), 0U);
    EXPECT_EQ(t.node.segment.tickets(1)[0].load(), 0U);
    EXPECT_EQ(t.node.segment.tickets(2)[0].load(), 0U);
}

TEST(Queue, HoldsNoMoreThanItsSizeOverAll) {
    Full t(3);
    std::array<One, 4> waiting;
    EXPECT_TRUE(t.one.queues.wait(0, waiting[0], {}, start));
    EXPECT_TRUE(t.two.queues.wait(0, waiting[1], {}, start));
    EXPECT_TRUE(t.two.queues.wait(0, waiting[2], {}, start));
    EXPECT_FALSE(t.one.queues.wait(0, waiting[3], {}, start));
    EXPECT_FALSE(waiting[3].waiting());
    t.two.queues.leave(waiting[1], start);
    EXPECT_TRUE(t.one.queues.wait(0, waiting[3], {}, start));
    for (auto& each : waiting) t.one.queues.leave(each, start);
}

TEST(Queue, APoolWithoutOneRefuses) {
    Full t(0);
    One waiting;
    EXPECT_FALSE(t.one.queues.wait(0, waiting, {}, start));
}

TEST(Queue, NothingIsCalledInsideGivingBackOrWaiting) {
    Full t;
    One waiting;
    ASSERT_TRUE(t.one.queues.wait(0, waiting, {}, start));
    t.one.places.give_back(0, t.held);
    t.one.queues.freed(0, start);
    EXPECT_FALSE(waiting.served());
    t.one.queues.end_of_turn(start);
    EXPECT_TRUE(waiting.served());
}

TEST(Queue, APlaceFreedBeforeTheTicketWasShownIsFound) {
    Full t;
    One waiting;
    t.one.places.give_back(0, t.held);  // nobody was queued: nobody was told
    ASSERT_TRUE(t.two.queues.wait(0, waiting, {}, start));
    t.two.queues.end_of_turn(start);
    EXPECT_TRUE(waiting.served());
}

TEST(Queue, WhoLeavesHandsItsTurnOn) {
    Full t;
    One first, second;
    ASSERT_TRUE(t.one.queues.wait(0, first, {}, start));
    ASSERT_TRUE(t.two.queues.wait(0, second, {}, start));
    t.turns();
    t.one.places.give_back(0, t.held);
    t.one.queues.freed(0, start);          // meant for the first one
    t.one.queues.leave(first, start + 7);  // whose client has left
    pollfd woken{t.two.queues.descriptor(), POLLIN, 0};
    ASSERT_EQ(poll(&woken, 1, 0), 1) << "the first one's process has nothing more to do with it";
    t.two.queues.wake(start);
    EXPECT_FALSE(first.served());
    EXPECT_TRUE(second.served());
    EXPECT_EQ(total<"lb_pool_queue_seconds_total">(t.node), 7U);
    t.one.queues.leave(first, start);  // harmless
}

TEST(Queue, SeveralFreedPlacesServeSeveralProcesses) {
    Full t;
    t.node.publish({{members(0, 3, 1)}});
    std::array<Place, 2> more{t.one.take(), t.one.take()};
    std::array<One, 3> waiting;
    ASSERT_TRUE(t.one.queues.wait(0, waiting[0], {}, start));
    ASSERT_TRUE(t.two.queues.wait(0, waiting[1], {}, start));
    ASSERT_TRUE(t.one.queues.wait(0, waiting[2], {}, start));
    t.turns();
    for (const Place& place : {t.held, more[0], more[1]}) t.one.places.give_back(0, place);
    t.one.queues.freed(0, start);
    t.turns();
    for (const One& each : waiting) EXPECT_TRUE(each.served());
}

TEST(Queue, WaitsAsLongAsItsTimeout) {
    Full t;
    One first, second;
    ASSERT_TRUE(t.one.queues.wait(0, first, {}, start));
    ASSERT_TRUE(t.one.queues.wait(0, second, {}, start + 500'000));
    t.one.queues.tick(start + 999'999);
    EXPECT_FALSE(first.late);
    t.one.queues.tick(start + 1'000'000);
    EXPECT_TRUE(first.late);
    EXPECT_FALSE(first.waiting());
    EXPECT_FALSE(second.late);
    t.one.queues.tick(start + 1'500'000);
    EXPECT_TRUE(second.late);
    EXPECT_EQ(total<"lb_pool_queue_timeouts_total">(t.node), 2U);
    EXPECT_EQ(total<"lb_pool_queue_seconds_total">(t.node), 2'000'000U);
    EXPECT_EQ(t.node.cell().queued.load(), 0U);
}

TEST(Queue, ABackendThatBecomesUsableServesAtTheNextTick) {
    Full t;
    One waiting;
    ASSERT_TRUE(t.two.queues.wait(0, waiting, {}, start));
    t.turns();
    t.node.publish({{members(0, 2, 1)}});
    t.two.queues.tick(start);
    EXPECT_TRUE(waiting.served());
    EXPECT_EQ(waiting.place.backend.slot, 1U);
}

TEST(Queue, AHungProcessIsPassedOver) {
    Full t;
    One hung, live;
    ASSERT_TRUE(t.two.queues.wait(0, hung, {}, start));
    ASSERT_TRUE(t.one.queues.wait(0, live, {}, start));
    t.one.queues.end_of_turn(start);
    t.one.places.give_back(0, t.held);
    t.one.queues.freed(0, start);
    t.one.queues.tick(start);
    EXPECT_FALSE(live.served()) << "its turn is the other's";
    t.one.column.beat(start + 2'000'000);
    t.one.queues.tick(start + 900'000);
    EXPECT_FALSE(live.served());
    t.one.queues.wake(start + 1'000'001);  // no heartbeat for over a second
    EXPECT_TRUE(live.served());
    t.two.queues.leave(hung, start);
}

TEST(Queue, WhoIsServedMayFreeItsPlaceAtOnce) {
    Full t;
    std::array<One, 5> waiting;
    for (One& each : waiting) {
        ASSERT_TRUE(t.one.queues.wait(0, each, {}, start));
        each.then = [&t, &each] {
            t.one.places.give_back(0, each.place);
            t.one.queues.freed(0, start);
        };
    }
    t.one.places.give_back(0, t.held);
    t.one.queues.freed(0, start);
    t.one.queues.end_of_turn(start);
    for (const One& each : waiting) EXPECT_TRUE(each.served());
}

// --- four processes for real

struct Log {
    std::atomic<std::uint32_t> served{0}, direct{0}, late{0}, refused{0}, ready{0};
    std::atomic<int> holders{0}, most{0};
    std::array<std::atomic<std::uint64_t>, 65536> order{};
};

// Sends `requests`, `at_once` of them at a time, each of which holds its place for some turns; returns when all are over.
void work(Node& node, std::uint32_t index, Log& log, int requests, std::size_t at_once) {
    Process process(node, index);
    struct Request final : Waiter {
        void on_place(const Place& given) override {
            place = given;
            log->order[log->served++].store(ticket());
            held();
        }
        void on_waited_too_long() override {
            log->late++;
            idle = true;
        }
        void held() {
            const int now = ++log->holders;
            int most = log->most.load();
            while (now > most && !log->most.compare_exchange_weak(most, now)) {
            }
        }
        Log* log = nullptr;
        Place place;
        int turns = 0;
        bool idle = true;
    };
    std::vector<Request> all(at_once);
    log.ready++;
    int left = requests;
    std::size_t busy = 0;
    Micros ticked = 0;
    while (left > 0 || busy > 0) {
        // A machine that is short of processors must not make anybody look hung.
        process.column.beat(monotonic_now() + 3'600'000'000);
        const Micros now = monotonic_now();
        bool waits_only = true;
        busy = 0;
        for (Request& each : all) {
            each.log = &log;
            if (each.place.pick == Pick::yes && each.turns-- <= 0) {
                log.holders--;
                process.places.give_back(0, each.place);
                process.queues.freed(0, now);
                each.place = {};
                each.idle = true;
            }
            if (each.idle && left > 0) {
                left--;
                each.turns = static_cast<int>(process.random.below(3));
                each.idle = false;
                Place place;
                if (node.cell().queued.load() == 0) place = process.take();
                if (place.pick == Pick::yes) {
                    each.place = place;
                    log.direct++;
                    each.held();
                } else if (!process.queues.wait(0, each, {}, now)) {
                    log.refused++;
                    each.idle = true;
                }
            }
            if (!each.idle) busy++;
        }
        process.queues.end_of_turn(now);
        for (const Request& each : all) waits_only = waits_only && each.waiting();
        pollfd ready{process.queues.descriptor(), POLLIN, 0};
        if (poll(&ready, 1, waits_only ? 100 : 0) == 1) process.queues.wake(monotonic_now());
        if (monotonic_now() - ticked >= 100'000) {
            ticked = monotonic_now();
            process.queues.tick(ticked);
        }
    }
}

struct Shared {
    Shared()
        : log(*new (mmap(nullptr, sizeof(Log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
                  Log) {}
    ~Shared() { munmap(&log, sizeof(Log)); }
    Log& log;
};

TEST(QueueProcesses, InOrderAndNeverOverTheLimit) {
    Node node;
    Shared shared;
    Log& log = shared.log;
    node.pool().queue = {1000, config::Millis(60'000)};
    node.publish({{members(0, 1, 1)}});
    constexpr int each = 1000;
    std::vector<pid_t> children;
    const Micros began = monotonic_now();
    for (std::uint32_t p = 1; p <= 4; p++) {
        const pid_t pid = fork();
        if (pid == 0) {
            work(node, p, log, each, 8);
            _exit(0);
        }
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = 0;
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(log.most.load(), 1);
    EXPECT_EQ(log.direct + log.served, 4U * each);
    EXPECT_GT(log.served.load(), 2U * each) << "most had to wait";
    EXPECT_EQ(log.late + log.refused, 0U);
    for (std::uint32_t i = 1; i < log.served; i++) ASSERT_GT(log.order[i], log.order[i - 1]) << i;
    EXPECT_EQ(node.cell().queued.load(), 0U);
    EXPECT_EQ(node.cell().in_flight.load(), 0U);
    EXPECT_LT(monotonic_now() - began, 60'000'000) << "4000 hand-overs by ticks alone would take 400 s";
}

TEST(QueueProcesses, AKilledOneDoesNotStopTheOthers) {
    Node node;
    Shared shared;
    Log& log = shared.log;
    node.pool().queue = {1000, config::Millis(60'000)};
    node.publish({{members(0, 2, 2)}});
    std::vector<pid_t> children;
    for (std::uint32_t p = 1; p <= 4; p++) {
        const pid_t pid = fork();
        if (pid == 0) {
            work(node, p, log, p == 1 ? 1'000'000 : 1000, 8);
            _exit(0);
        }
        children.push_back(pid);
    }
    while (log.ready < 4 || log.served < 200) usleep(1000);
    kill(children[0], SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(children[0], &status, 0), children[0]);
    node.bury(1);
    for (std::size_t p = 1; p < 4; p++) {
        ASSERT_EQ(waitpid(children[p], &status, 0), children[p]);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(log.late + log.refused, 0U);
    // Killed between two steps it may leave the sums one too high, never too low.
    EXPECT_LE(node.cell().queued.load(), 1U);
    EXPECT_LE(node.cell().in_flight.load(), 1U);
}

}  // namespace
}  // namespace lb
