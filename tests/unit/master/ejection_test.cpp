// Ejections against the table, with a clock moved by hand.
#include "master/ejection.h"

#include "operator_world.h"

namespace lb {
namespace {

constexpr Micros second = 1'000'000;

struct EjectionTest : testing::Test, test::World {
    Ejection ejection{segment, writer, generations};
    Generation& pool_of(int backends, std::uint32_t at_most = 50, std::uint32_t ratio = 0,
                        config::CheckKind check = config::CheckKind::off) {
        std::vector<std::string> list;
        for (int i = 1; i <= backends; i++) {
            list.push_back("10.0.0." + std::to_string(i) + ":80 name=b" + std::to_string(i));
        }
        auto c = config(list);
        c.pools[0].eject = {5, config::Millis(10'000), config::Millis(30'000), at_most, ratio, 20};
        c.pools[0].check.kind = check;
        c.pools[0].check.start_up = true;
        c.pools[0].check.rise = 2;
        c.pools[0].check.interval = c.pools[0].check.timeout = config::Millis(60'000);
        return start(std::move(c));
    }
    void ask(const std::string& name) {
        ejection.ask(slot(name));
        ejection.look(moment.now, moment.unix_millis);
    }
    void wait(Micros time) {
        moment.now += time;
        moment.unix_millis += time / 1000;
        ejection.tick(moment.now, moment.unix_millis);
    }
    bool out(const std::string& name) { return backend(name).ejected_until.load() != 0; }
    std::uint64_t count(const std::string& name) {
        return shm::sum<"lb_backend_ejections_total">(segment, slot(name));
    }
};

TEST_F(EjectionTest, ABackendIsLeftOutForItsTimeAndComesBack) {
    pool_of(4);
    ask("b1");
    EXPECT_EQ(backend("b1").ejected_until.load(), 1'700'000'030);
    EXPECT_EQ(count("b1"), 1u);
    for (int i = 0; i < 1000; i++) ask("b1");
    EXPECT_EQ(count("b1"), 1u) << "what is known is no news";
    wait(30 * second - 1);
    EXPECT_TRUE(out("b1"));
    wait(1);
    EXPECT_FALSE(out("b1"));
    ask("b1");
    wait(59 * second);
    EXPECT_TRUE(out("b1")) << "twice as long the second time";
    wait(1 * second);
    EXPECT_FALSE(out("b1"));
}

TEST_F(EjectionTest, NeverMoreThanTheShareAndNeverTheLast) {
    pool_of(4);
    for (const char* name : {"b1", "b2", "b3", "b4"}) ask(name);
    EXPECT_TRUE(out("b1") && out("b2"));
    EXPECT_FALSE(out("b3") || out("b4")) << "50% of four";
    writer.set_health(slot("b4"), shm::Health::down, "gone");
    wait(31 * second);
    EXPECT_FALSE(out("b1") || out("b2"));
    ask("b1");
    ask("b2");
    ask("b3");
    EXPECT_TRUE(out("b1") && out("b2"));
    EXPECT_FALSE(out("b3")) << "the last one that is usable";
    writer.set_health(slot("b3"), shm::Health::down, "gone, too");
    wait(second);
    EXPECT_FALSE(out("b1") && out("b2")) << "one that fails at times is better than none";
}

TEST_F(EjectionTest, OneOfTwoMayGoAndTheOnlyOneMayNot) {
    pool_of(2, 10);
    segment.backend_cell(slot("b2")).failures.store(5);
    ask("b1");
    EXPECT_TRUE(out("b1"));
    ask("b2");
    EXPECT_FALSE(out("b2"));
    EXPECT_EQ(segment.backend_cell(slot("b2")).failures.load(), 0u) << "it may be asked for again";
}

TEST_F(EjectionTest, WhatIsNotInUseNeedNotBeLeftOut) {
    pool_of(4);
    writer.set_operator(slot("b1"), shm::Operator::drain, 0);
    writer.set_health(slot("b2"), shm::Health::down, "");
    ask("b1");
    ask("b2");
    EXPECT_FALSE(out("b1") || out("b2"));
    ejection.ask(shm::no_slot);
    ejection.ask(60);
    ejection.look(moment.now, moment.unix_millis);
    auto off = config({"10.0.0.1:80 name=b1", "10.0.0.2:80 name=b2", "10.0.0.3:80 name=b3"});
    ask("b3");
    EXPECT_TRUE(out("b3"));
    start(off);
    wait(second);
    EXPECT_FALSE(out("b3")) << "eject = off in the newest generation";
    ask("b3");
    EXPECT_FALSE(out("b3"));
}

TEST_F(EjectionTest, AnHttpCheckThatPassesEndsItAndATcpCheckDoesNot) {
    pool_of(4, 50, 0, config::CheckKind::http);
    ask("b1");
    ejection.checked(slot("b1"), true, moment.now + second);
    ejection.checked(slot("b1"), false, moment.now + 2 * second);
    ejection.checked(slot("b1"), true, moment.now + 3 * second);
    EXPECT_TRUE(out("b1"));
    ejection.checked(slot("b1"), true, moment.now + 4 * second);
    EXPECT_FALSE(out("b1"));
    pool_of(4, 50, 0, config::CheckKind::tcp);
    ask("b2");
    for (int i = 0; i < 5; i++) ejection.checked(slot("b2"), true, moment.now + second);
    EXPECT_TRUE(out("b2"));
}

TEST_F(EjectionTest, AShareOfFailuresWithinTheWindow) {
    pool_of(4, 50, 40);
    const auto claimed = writer.claim_column(shm::Role::worker, 1, 0, *generations.serving()->config);
    ASSERT_TRUE(claimed.ok());
    shm::Column worker(segment, claimed.value());
    const auto b1 = slot("b1");
    worker.add<"lb_backend_requests_total">(b1, 5, 1'000);
    for (int i = 0; i < 20; i++) wait(second / 10);
    EXPECT_FALSE(out("b1")) << "what was before the first sample does not count";
    worker.add<"lb_backend_requests_total">(b1, 2, 12);
    worker.add<"lb_backend_failures_total">(b1, metrics::fail_reset, 7);
    for (int i = 0; i < 10; i++) wait(second / 10);
    EXPECT_FALSE(out("b1")) << "19 requests are too few";
    worker.add<"lb_backend_requests_total">(b1, 5, 1);
    for (int i = 0; i < 10; i++) wait(second / 10);
    EXPECT_TRUE(out("b1")) << "8 of 20";
    EXPECT_FALSE(out("b2"));
    for (int i = 0; i < 310; i++) wait(second / 10);
    EXPECT_FALSE(out("b1")) << "and not again for the same failures";
    EXPECT_EQ(count("b1"), 1u);
}

TEST_F(EjectionTest, AnotherOwnerOfTheSlotIsNotEjected) {
    pool_of(3);
    ask("b1");
    ASSERT_TRUE(out("b1"));
    auto c = config({"10.0.0.2:80 name=b2", "10.0.0.3:80 name=b3"});
    c.pools[0].eject = generations.serving()->config->pools[0].eject;
    start(std::move(c));
    std::erase_if(generations.all(), [](const Generation& each) { return each.number == 1; });
    writer.retire(1);
    for (int i = 0; i < 10; i++) {
        writer.column().quiescent();
        writer.tick(moment.now += second / 10);
        ejection.tick(moment.now, moment.unix_millis);
    }
    auto again = config({"10.0.0.9:80 name=new", "10.0.0.2:80 name=b2", "10.0.0.3:80 name=b3"});
    again.pools[0].eject = generations.serving()->config->pools[0].eject;
    start(std::move(again));
    EXPECT_FALSE(out("new"));
    ask("new");
    EXPECT_EQ(backend("new").ejected_until.load(), (moment.unix_millis + 30'000 + 999) / 1000)
        << "its first time";
}

}  // namespace
}  // namespace lb
