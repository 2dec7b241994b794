// tests/unit/master/policies_test.cpp -- the pure decisions: restart delays, heartbeats, generations, loans, limits.
#include <gtest/gtest.h>

#include "master/accepting.h"
#include "master/backend_names.h"
#include "master/generations.h"
#include "master/heartbeat.h"
#include "master/restart_delay.h"
#include "master/startup.h"

namespace lb {
namespace {

constexpr Micros second = 1'000'000;

TEST(RestartDelay, IsNothingForTheFirstDeath) {
    RestartDelay delay;
    EXPECT_EQ(delay.after(0, 500'000), 0);
}

TEST(RestartDelay, GrowsWhileChildrenDieEarlyAndStopsAtTenSeconds) {
    RestartDelay delay;
    std::vector<Micros> waits;
    waits.reserve(10);
    for (int i = 0; i < 10; i++) waits.push_back(delay.after(0, second - 1));
    const std::vector<Micros> wanted{0,         100'000,   200'000,   400'000,    800'000,
                                     1'600'000, 3'200'000, 6'400'000, 10'000'000, 10'000'000};
    EXPECT_EQ(waits, wanted);
}

TEST(RestartDelay, ForgetsAfterAChildThatLived) {
    RestartDelay delay;
    for (int i = 0; i < 5; i++) delay.after(0, 1);
    EXPECT_EQ(delay.after(0, second), 0);
    EXPECT_EQ(delay.after(0, 1), 0);
    EXPECT_EQ(delay.after(0, 1), 100'000);
}

TEST(Heartbeat, IsStaleAfterTwoSecondsAndDeadAfterTen) {
    const HeartbeatWatch watch;
    const Micros start = 100 * second;
    EXPECT_EQ(watch.judge(start + 2 * second, start, 0), Pulse::fine);
    EXPECT_EQ(watch.judge(start + 2 * second + 1, start, 0), Pulse::stale);
    EXPECT_EQ(watch.judge(start + 10 * second, start, 0), Pulse::stale);
    EXPECT_EQ(watch.judge(start + 10 * second + 1, start, 0), Pulse::dead);
}

TEST(Heartbeat, CountsFromTheForkWhileThereIsNoneYet) {
    const HeartbeatWatch watch;
    EXPECT_EQ(watch.judge(100 * second, 0, 99 * second), Pulse::fine);
    EXPECT_EQ(watch.judge(100 * second, 0, 80 * second), Pulse::dead);
}

TEST(Heartbeat, NobodyIsJudgedAfterAPauseOfTheMasterItself) {
    HeartbeatWatch watch;
    Micros now = 1000 * second;
    for (int i = 0; i < 20; i++) watch.tick(now += 100'000, 100'000);
    const Micros beat = now;  // all workers beat until here, and then the machine was paused for a minute
    now += 60 * second;
    watch.tick(now, 100'000);
    EXPECT_EQ(watch.judge(now, beat, 0), Pulse::fine);
    for (int i = 0; i < 25; i++) watch.tick(now += 100'000, 100'000);
    EXPECT_EQ(watch.judge(now, beat, 0), Pulse::stale)
        << "one that does not come back is noticed from then on";
}

TEST(Heartbeat, ATickThatIsOnlyALittleLateChangesNothing) {
    HeartbeatWatch watch;
    const Micros start = 1000 * second;
    watch.tick(start, 100'000);
    watch.tick(start + 600'000, 100'000);
    EXPECT_EQ(watch.judge(start + 2'100'000, start, 0), Pulse::stale);
    watch.tick(start + 1'200'001, 100'000);
    EXPECT_EQ(watch.judge(start + 2'100'000, start, 0), Pulse::fine);
}

ConfigPtr some_config() { return std::make_shared<const config::Config>(); }

TEST(Generations, NumbersAreNeverUsedTwice) {
    Generations all;
    EXPECT_EQ(all.next_number(), 1U);
    EXPECT_EQ(all.add(some_config(), 2).number, 1U);
    all.find(1)->phase = Generation::Phase::closing;
    EXPECT_EQ(all.take_ended(), std::vector<std::uint32_t>{1});
    EXPECT_EQ(all.add(some_config(), 2).number, 2U);
    EXPECT_EQ(all.find(1), nullptr);
}

TEST(Generations, EndOnlyWhenToldToAndWithoutWorkers) {
    Generations all;
    all.add(some_config(), 1).phase = Generation::Phase::serving;  // its only worker just died
    all.add(some_config(), 1);                                     // nothing forked yet
    auto& draining = all.add(some_config(), 1);
    draining.phase = Generation::Phase::draining;
    draining.living = 1;
    EXPECT_TRUE(all.take_ended().empty());
    all.find(3)->living = 0;
    EXPECT_EQ(all.take_ended(), std::vector<std::uint32_t>{3});
    EXPECT_EQ(all.all().size(), 2U);
}

TEST(Generations, TheOldestDrainingOneIsClosedFirstAndClosingOnesNoLongerCount) {
    Generations all;
    for (const auto phase : {Generation::Phase::draining, Generation::Phase::draining,
                             Generation::Phase::serving, Generation::Phase::starting}) {
        all.add(some_config(), 1).phase = phase;
    }
    EXPECT_EQ(all.running(), 4U);
    ASSERT_NE(all.oldest_draining(), nullptr);
    EXPECT_EQ(all.oldest_draining()->number, 1U);
    all.oldest_draining()->phase = Generation::Phase::closing;
    EXPECT_EQ(all.running(), 3U);
    EXPECT_EQ(all.oldest_draining()->number, 2U);
    EXPECT_EQ(all.serving()->number, 3U);
}

TEST(Generations, ConfigurationsComeNewestFirstAndFailedOnesLast) {
    Generations all;
    const ConfigPtr a = some_config();
    const ConfigPtr b = some_config();
    const ConfigPtr c = some_config();
    all.add(a, 1).phase = Generation::Phase::draining;
    all.add(b, 1).phase = Generation::Phase::serving;
    all.add(c, 1);
    EXPECT_EQ(all.configs(), (std::vector{c, b, a}));
    all.find(3)->phase = Generation::Phase::closing;
    EXPECT_EQ(all.configs(), (std::vector{b, a, c}));
}

TEST(Neighbour, IsTheNextWorkerAndWrapsAround) {
    Child zero;
    Child two;
    Child three;
    zero.number = 0;
    two.number = 2;
    three.number = 3;
    const std::vector<Child*> list{&three, &zero, &two};
    EXPECT_EQ(choose_neighbour(list, 1), &two);
    EXPECT_EQ(choose_neighbour(list, 2), &three);
    EXPECT_EQ(choose_neighbour(list, 3), &zero);
    EXPECT_EQ(choose_neighbour({}, 0), nullptr);
}

config::Config two_listeners() {
    config::Config config;
    config.listeners.resize(2);
    config.listeners[0].binds.resize(2);
    config.listeners[0].binds[0].address = parse_address("127.0.0.1:8080").value();
    config.listeners[0].binds[1].inherited_fd = 5;
    config.listeners[1].binds.resize(1);
    config.listeners[1].binds[0].address = parse_address("[::1]:8080").value();
    config.admin.binds.resize(1);
    config.admin.binds[0].address = parse_address("127.0.0.1:9145").value();
    return config;
}

TEST(Sockets, AreOnePerWorkerAndAddressButForInheritedOnes) {
    const config::Config config = two_listeners();
    const std::vector<SocketId> wanted{{"127.0.0.1:8080", 0}, {"127.0.0.1:8080", 1}, {"fd:5", 0},
                                       {"[::1]:8080", 0},     {"[::1]:8080", 1},     {"127.0.0.1:9145", 0}};
    EXPECT_EQ(sockets_of(config, 2), wanted);
    const std::vector<std::pair<std::uint32_t, SocketId>> second_worker{
        {0, {"127.0.0.1:8080", 1}}, {0, {"fd:5", 0}}, {1, {"[::1]:8080", 1}}};
    EXPECT_EQ(sockets_of_worker(config, 2, 1), second_worker);
}

TEST(Sockets, AreSharedByAllWorkersWhenConfiguredSo) {
    config::Config config = two_listeners();
    config.global.accept = config::AcceptMode::shared;
    EXPECT_EQ(sockets_of(config, 4).size(), 4U);
    EXPECT_EQ(sockets_of_worker(config, 4, 3)[0].second, (SocketId{"127.0.0.1:8080", 0}));
}

TEST(ConnectionsThatFit, LeaveRoomForBackendsAndTheRest) {
    EXPECT_EQ(startup::connections_that_fit(1'000'000, 65536, 10), 65536U);
    EXPECT_EQ(startup::connections_that_fit(20000, 65536, 4), (20000U - 1024 - 4) / 2);
    EXPECT_EQ(startup::connections_that_fit(1024, 65536, 2), (1024U - 128 - 2) / 2);
    EXPECT_EQ(startup::connections_that_fit(1024, 100, 2), 100U) << "never more than asked for";
    EXPECT_EQ(startup::connections_that_fit(16, 65536, 2), 1U) << "and never none";
}

TEST(Cpus, AreAtLeastOne) { EXPECT_GE(startup::cpus(), 1U); }

ConfigPtr with_backend(const std::string& name, std::uint32_t slot, bool start_up = false,
                       bool resolved = true) {
    config::Config config;
    config.pools.resize(1);
    config.pools[0].name = "app";
    config.pools[0].check.start_up = start_up;
    config.pools[0].backends.resize(1);
    config.pools[0].backends[0].name = name;
    config.pools[0].backends[0].slot = slot;
    if (resolved) config.pools[0].backends[0].addresses.emplace_back();
    return std::make_shared<const config::Config>(std::move(config));
}

TEST(BackendNames, CountOnlyChangesBetweenUpAndDown) {
    BackendNames names;
    names.learn({with_backend("a1", 3)});
    EXPECT_EQ(names.of(3), "pool app: backend a1");
    EXPECT_FALSE(names.log_verdict(3, shm::Health::up, "")) << "the first verdict";
    EXPECT_TRUE(names.log_verdict(3, shm::Health::down, "refused"));
    EXPECT_FALSE(names.log_verdict(3, shm::Health::down, "timeout"));
    names.learn({with_backend("a1", 3)});
    EXPECT_TRUE(names.log_verdict(3, shm::Health::up, "")) << "a reload forgets nothing";
}

TEST(BackendNames, ForgetASlotThatGotAnotherOwner) {
    BackendNames names;
    names.learn({with_backend("a1", 3)});
    names.log_verdict(3, shm::Health::up, "");
    names.learn({with_backend("a2", 3)});
    EXPECT_EQ(names.of(3), "pool app: backend a2");
    EXPECT_FALSE(names.log_verdict(3, shm::Health::down, "refused"));
    names.learn({});
    EXPECT_EQ(names.of(3), "backend slot 3");
}

TEST(BackendNames, OneThatStartsUpCanGoDown) {
    BackendNames names;
    names.learn({with_backend("a1", 0, true)});
    EXPECT_TRUE(names.log_verdict(0, shm::Health::down, "refused"));
}

TEST(BackendNames, OneThatNeverHadAnAddressDoesNotGoDown) {
    BackendNames names;
    names.learn({with_backend("db.example:80", 0, true, false)});
    EXPECT_FALSE(names.log_verdict(0, shm::Health::down, "cannot resolve db.example"));
    EXPECT_TRUE(names.log_verdict(0, shm::Health::up, ""));
}

}  // namespace
}  // namespace lb
