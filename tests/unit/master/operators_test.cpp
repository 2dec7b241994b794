// "backend ..." against the table, the members and the state file.
#include "master/operators.h"

#include <algorithm>
#include <filesystem>

#include "operator_world.h"

namespace lb {
namespace {

using shm::MemberOf;
using shm::Operator;

struct OperatorsTest : testing::Test, test::World {};

TEST_F(OperatorsTest, AStateIsInTheTableAtOnceAndInTheFile) {
    operators.load(path, moment);
    start(config({"10.0.0.1:80 name=a", "10.0.0.2:80 name=b/c:1"}));
    EXPECT_EQ(tell("drain\tapp/a\t"), "ok pool app: backend a is in drain");
    EXPECT_EQ(backend("a").operator_state.load(), Operator::drain);
    EXPECT_EQ(tell("maint\tapp/b/c:1\t"), "ok pool app: backend b/c:1 is in maint")
        << "the first / ends the pool";
    EXPECT_EQ(backend("b/c:1").operator_state.load(), Operator::maint);
    EXPECT_EQ(tell("weight\tapp/a\t9"), "ok pool app: backend a has weight 9");
    EXPECT_EQ(backend("a").weight.load(), 9u);

    test::World again;
    again.path = path;
    again.operators.load(path, moment);
    again.start(again.config({"10.0.0.1:80 name=a", "10.0.0.2:80 name=b/c:1"}));
    EXPECT_EQ(again.backend("a").operator_state.load(), Operator::drain);
    EXPECT_EQ(again.backend("a").weight.load(), 9u);

    EXPECT_EQ(tell("weight\tapp/a\tdefault"), "ok pool app: backend a has its configured weight");
    EXPECT_EQ(backend("a").weight.load(), 1u);
    EXPECT_EQ(tell("ready\tapp/a\t"), "ok pool app: backend a is in ready");
    EXPECT_EQ(changes.entries(), 1u);
}

TEST_F(OperatorsTest, UnknownNamesAndWrongValuesAreSaid) {
    EXPECT_EQ(tell("drain\tapp/a\t"), "failed nothing serves yet");
    start(config({"10.0.0.1:80 name=first"}));
    EXPECT_EQ(tell("drain\tapp/frist\t"),
              "failed pool app: there is no backend 'frist'; did you mean 'first'?");
    EXPECT_EQ(tell("drain\tapq/first\t"), "failed there is no pool 'apq'; did you mean 'app'?");
    EXPECT_EQ(tell("drian\tapp/first\t"), "failed unknown command 'backend drian'; did you mean 'drain'?");
    for (const char* bad : {"",
                            "drain",
                            "drain\tapp/first",
                            "drain\tapp\t",
                            "drain\t/first\t",
                            "drain\tapp/\t",
                            "drain\tapp/first\tsoon",
                            "drain\tapp/first\t86400001",
                            "ready\tapp/first\t0",
                            "weight\tapp/first\t0",
                            "weight\tapp/first\t257",
                            "weight\tapp/first\t",
                            "add\tapp\t",
                            "add\tapp\tnowhere",
                            "add\tnone\t10.0.0.9:80",
                            "remove\tapp/none",
                            "register\tapp\ts\t10.0.0.9:80\t1\t999",
                            "register\tapp\ts\t10.0.0.9:80\t0\t1000",
                            "register\tapp\ts\t10.0.0.9:80 backup\t1\t1000",
                            "register\tapp\t\t10.0.0.9:80\t1\t1000",
                            "register\tnone\ts\t10.0.0.9:80\t1\t1000",
                            "deregister\tapp\ts",
                            "export\tall"}) {
        EXPECT_TRUE(tell(bad).starts_with("failed ")) << bad;
    }
    EXPECT_EQ(changes.entries(), 0u);
}

TEST_F(OperatorsTest, AReloadNeverShowsADrainedBackendAsReady) {
    start(config({"10.0.0.1:80 name=a", "10.0.0.2:80 name=b"}));
    tell("drain\tapp/a\t");
    tell("weight\tapp/b\t5");
    const auto before = slot("a");
    auto moved = config({"10.0.0.7:80 name=a", "10.0.0.2:80 name=b weight=3"});
    membership.expect(moved);
    auto configured = membership.fill(moved);
    ASSERT_TRUE(writer.adopt(moved, generations.next_number()).ok());
    Generation& made =
        generations.add(std::make_shared<const config::Config>(std::move(moved)), 1, std::move(configured));
    membership.apply(made);
    const auto& slots = made.config->pools[0].backends;
    ASSERT_NE(slots[0].slot, before) << "another address, another slot";
    EXPECT_EQ(segment.backend(slots[0].slot).operator_state.load(), Operator::drain) << "before it begins";
    writer.begin(made.config, made.number);
    EXPECT_EQ(segment.backend(slots[0].slot).operator_state.load(), Operator::drain);
    EXPECT_EQ(segment.backend(slots[1].slot).weight.load(), 5u);
}

TEST_F(OperatorsTest, AnAddedBackendIsAMemberOverReloadsUntilItIsRemoved) {
    operators.load(path, moment);
    start(config({"10.0.0.1:80 name=a"}));
    EXPECT_EQ(tell("add\tapp\t10.0.0.9:80 name=x weight=2"), "ok pool app: backend x is added");
    ASSERT_TRUE(joins("x"));
    EXPECT_EQ(backend("x").member_of.load(), MemberOf::operators);
    EXPECT_EQ(backend("a").member_of.load(), MemberOf::file);
    tell("drain\tapp/x\t");
    start(config({"10.0.0.1:80 name=a"}));
    ASSERT_NE(slot("x"), shm::no_slot) << "before the first request";
    EXPECT_EQ(backend("x").operator_state.load(), Operator::drain);

    test::World again;
    again.operators.load(path, moment);
    again.start(again.config({"10.0.0.1:80 name=a"}));
    EXPECT_NE(again.slot("x"), shm::no_slot) << "after a restart, too";

    EXPECT_TRUE(tell("add\tapp\t10.0.0.8:80 name=x").starts_with("failed pool app: backend x was added"));
    EXPECT_TRUE(tell("add\tapp\t10.0.0.1:80 name=y").ends_with("is backend a already, which is in the file"));
    EXPECT_TRUE(
        tell("add\tapp\t10.0.0.8:80 name=a").starts_with("failed pool app: backend a is in the file"));
    EXPECT_TRUE(tell("remove\tapp/a").starts_with("failed pool app: backend a is in the file: take it out"));
    EXPECT_EQ(tell("remove\tapp/x"), "ok pool app: backend x is removed");
    EXPECT_TRUE(leaves("x"));
    EXPECT_EQ(changes.entries(), 0u) << "nor is its state kept";
}

TEST_F(OperatorsTest, ADrainedBackendThatIsRemovedIsNotReadyOnItsWayOut) {
    start(config({"10.0.0.1:80 name=a"}));
    tell("add\tapp\t10.0.0.9:80 name=x");
    tell("register\tapp\ty\t10.0.0.8:80\t1\t60000");
    ASSERT_TRUE(joins("x"));
    ASSERT_TRUE(joins("y"));
    for (const char* name : {"x", "y"}) tell(std::string("drain\tapp/") + name + "\t");
    const auto x = slot("x");
    const auto y = slot("y");
    tell("remove\tapp/x");
    tell("deregister\tapp\ty");
    for (const auto each : {x, y}) EXPECT_EQ(segment.backend(each).operator_state.load(), Operator::drain);
    EXPECT_TRUE(leaves("x"));
    EXPECT_TRUE(leaves("y"));
    for (const auto each : {x, y}) EXPECT_EQ(segment.backend(each).operator_state.load(), Operator::drain);
    // Who comes back to the slot begins anew, whether it left or not.
    const auto ready = [&] {
        return slot("x") != shm::no_slot && backend("x").operator_state.load() == Operator::ready;
    };
    tell("add\tapp\t10.0.0.9:80 name=x");
    ASSERT_TRUE(loop.until(ready));
    tell("drain\tapp/x\t");
    tell("remove\tapp/x");
    tell("add\tapp\t10.0.0.9:80 name=x");
    ASSERT_TRUE(loop.until(ready));
}

TEST_F(OperatorsTest, WhatIsRemovedMayBeAddedAgainAtOnce) {
    start(config({"10.0.0.1:80 name=a"}));
    tell("add\tapp\t10.0.0.9:80 name=x");
    ASSERT_TRUE(joins("x"));
    EXPECT_EQ(tell("remove\tapp/x"), "ok pool app: backend x is removed");
    EXPECT_EQ(tell("remove\tapp/x"), "failed pool app: there is no backend 'x'");
    EXPECT_EQ(tell("add\tapp\t10.0.0.8:80 name=x"), "ok pool app: backend x is added");
    ASSERT_TRUE(loop.until([&] {
        const auto& list = generations.serving()->config->pools[0].backends;
        return list.size() == 2 && list[1].host == "10.0.0.8:80";
    }));
    EXPECT_EQ(backend("x").member_of.load(), MemberOf::operators);
}

TEST_F(OperatorsTest, ADrainThatWaitsForItsWriteHearsOfWhatCameMeanwhile) {
    operators.load(path, moment);
    start(config({"10.0.0.1:80 name=a"}));
    pass(1'000'000);
    tell("weight\tapp/a\t2");  // the next write is a while away
    const auto drain = ask("drain\tapp/a\t0");
    EXPECT_EQ(drain->outcome, "");
    const auto ready = ask("ready\tapp/a\t");
    pass(StateKeeper::write_gap);
    EXPECT_TRUE(ready->outcome.starts_with("ok "));
    EXPECT_EQ(drain->outcome, "failed pool app: backend a was made ready or removed meanwhile");
}

TEST_F(OperatorsTest, WhatTheFileHasByNowIsNoChangeAnyMore) {
    operators.load(path, moment);
    start(config({"10.0.0.1:80 name=a"}));
    tell("add\tapp\t10.0.0.9:80 name=x");
    tell("weight\tapp/a\t5");
    start(config({"10.0.0.1:80 name=a weight=5", "10.0.0.9:80 name=x"}));
    EXPECT_EQ(
        std::ranges::count(generations.serving()->config->pools[0].backends, "x", &config::Backend::name), 1);
    pass(200'000);
    EXPECT_EQ(changes.entries(), 0u);
    start(config({"10.0.0.1:80 name=a weight=2"}));
    EXPECT_EQ(slot("x") == shm::no_slot ? 0u : 1u, 1u) << "an older generation has it";
    EXPECT_EQ(generations.serving()->config->pools[0].backends.size(), 1u) << "it does not come back";
    EXPECT_EQ(backend("a").weight.load(), 2u);
}

TEST_F(OperatorsTest, AServiceRegistersRenewsAndRunsOut) {
    start(config({"10.0.0.1:80 name=a"}));
    EXPECT_EQ(tell("register\tapp\ts:1\t10.0.0.7:80\t3\t10000"),
              "ok pool app: backend s:1 is registered for 10000 ms");
    ASSERT_TRUE(joins("s:1"));
    EXPECT_EQ(backend("s:1").member_of.load(), MemberOf::registry);
    EXPECT_EQ(backend("s:1").weight.load(), 3u);
    const auto expires = backend("s:1").expires.load();
    const auto config_before = generations.serving()->config;
    pass(5'000'000);
    EXPECT_TRUE(tell("register\tapp\ts:1\t10.0.0.7:80\t3\t10000").starts_with("ok "));
    EXPECT_EQ(backend("s:1").expires.load(), expires + 5);
    loop.until([] { return false; }, 250'000);
    EXPECT_EQ(generations.serving()->config, config_before) << "a renewal changes no membership";
    EXPECT_TRUE(tell("register\tapp\ta\t10.0.0.8:80\t1\t10000").ends_with("is in the file"));
    EXPECT_TRUE(tell("register\tapp\tt\t10.0.0.7:80\t1\t10000").ends_with("which registered itself"));
    tell("drain\tapp/s:1\t");
    pass(9'800'000);
    EXPECT_NE(changes.member("app", "s:1"), nullptr);
    pass(200'000);
    EXPECT_TRUE(leaves("s:1"));
    tell("register\tapp\ts:1\t10.0.0.7:80\t3\t10000");
    ASSERT_TRUE(loop.until([&] { return generations.serving()->config->pools[0].backends.size() == 2; }));
    EXPECT_EQ(backend("s:1").operator_state.load(), Operator::drain) << "what was said of it stays";
    EXPECT_EQ(tell("deregister\tapp\ts:1"), "ok pool app: backend s:1 is no longer registered");
    EXPECT_TRUE(leaves("s:1"));
}

TEST_F(OperatorsTest, ADrainWaitsUntilNothingIsInFlight) {
    start(config({"10.0.0.1:80 name=a", "10.0.0.2:80 name=b"}));
    const auto claimed = writer.claim_column(shm::Role::worker, 1, 0, *generations.serving()->config);
    ASSERT_TRUE(claimed.ok());
    writer.column_started(claimed.value(), getpid());
    shm::Column worker(segment, claimed.value());
    const auto a = slot("a");
    worker.add<"lb_backend_in_flight">(a, 0, 2);
    const auto told = ask("drain\tapp/a\t60000");
    EXPECT_EQ(told->lines, std::vector<std::string>{"pool app: backend a: 2 in flight"});
    worker.sub<"lb_backend_in_flight">(a);
    worker.quiescent();
    pass(500'000);
    EXPECT_EQ(told->lines.size(), 1u) << "a line a second at most";
    pass(500'000);
    EXPECT_EQ(told->lines.back(), "pool app: backend a: 1 in flight");
    EXPECT_EQ(told->outcome, "");
    worker.sub<"lb_backend_in_flight">(a);
    pass(100'000);
    EXPECT_EQ(told->outcome, "ok pool app: backend a is in drain, and nothing is in flight");

    // One that has not seen the list yet may still choose it.
    const auto unseen = ask("drain\tapp/b\t0");
    EXPECT_EQ(unseen->outcome, "");
    pass(10'000'000);
    EXPECT_EQ(unseen->outcome, "") << "without limit";
    worker.quiescent();
    pass(100'000);
    EXPECT_TRUE(unseen->outcome.starts_with("ok "));

    worker.add<"lb_backend_in_flight">(a, 0, 3);
    const auto late = ask("maint\tapp/a\t2000");
    worker.quiescent();
    pass(1'999'000);
    EXPECT_EQ(late->outcome, "");
    pass(1'000);
    EXPECT_EQ(late->outcome, "failed pool app: backend a: still 3 in flight after 2s");

    const auto crossed = ask("drain\tapp/a\t0");
    tell("ready\tapp/a\t");
    EXPECT_EQ(crossed->outcome, "failed pool app: backend a was made ready meanwhile");
    const auto gone = ask("drain\tapp/a\t0");
    gone->there = false;
    pass(100'000);
    EXPECT_EQ(gone.use_count(), 1) << "nobody waits for it any more";
    const auto last = ask("drain\tapp/a\t0");
    operators.end(moment);
    EXPECT_EQ(last->outcome, "failed lb is stopping");
}

TEST_F(OperatorsTest, ManyChangesShareAWriteAndAllAreAnsweredAfterIt) {
    operators.load(path, moment);
    start(config({"10.0.0.1:80 name=a", "10.0.0.2:80 name=b"}));
    pass(1'000'000);
    EXPECT_NE(ask("drain\tapp/a\t")->outcome, "") << "the first is written at once";
    const auto second = ask("drain\tapp/b\t");
    const auto third = ask("weight\tapp/b\t4");
    EXPECT_EQ(backend("b").operator_state.load(), Operator::drain) << "and all are in force at once";
    EXPECT_EQ(second->outcome + third->outcome, "");
    pass(StateKeeper::write_gap);
    EXPECT_TRUE(second->outcome.starts_with("ok "));
    EXPECT_TRUE(third->outcome.starts_with("ok "));
    operators::Store kept;
    operators::StateFile file;
    file.use(path);
    EXPECT_TRUE(file.load(kept, moment).empty());
    EXPECT_EQ(kept.setting("app", "b").weight, 4u);
}

TEST_F(OperatorsTest, AChangeThatCannotBeKeptHoldsWithAWarning) {
    auto c = config({"10.0.0.1:80 name=a"});
    c.global.state_file = path = directory / "file/state.json";
    discovery::test::write_file(directory / "file", "");
    operators.load(path, moment);
    start(c);
    pass(1'000'000);
    const auto told = ask("drain\tapp/a\t");
    EXPECT_TRUE(told->outcome.starts_with("ok "));
    ASSERT_EQ(told->lines.size(), 1u);
    EXPECT_TRUE(told->lines[0].starts_with("warning: not kept over a restart: state_file " + path))
        << told->lines[0];
    EXPECT_EQ(backend("a").operator_state.load(), Operator::drain);
    // It is tried again by itself.
    std::filesystem::remove(directory / "file");
    std::filesystem::create_directory(directory / "file");
    pass(StateKeeper::expiry_gap);
    EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(OperatorsTest, AnotherStateFileIsWrittenWhenAGenerationServesWithIt) {
    operators.load(path, moment);
    start(config({"10.0.0.1:80 name=a"}));
    tell("drain\tapp/a\t");
    auto next = config({"10.0.0.1:80 name=a"});
    next.global.state_file = directory / "new/state.json";
    start(next);
    pass(1'000'000);
    EXPECT_TRUE(std::filesystem::exists(directory / "new/state.json"));
    EXPECT_TRUE(std::filesystem::exists(path)) << "nobody takes the old one away";
}

TEST_F(OperatorsTest, ExportSaysWhatIsDifferent) {
    start(config({"10.0.0.1:80 name=a"}));
    EXPECT_EQ(tell("export"), "ok nothing is different from the file");
    tell("drain\tapp/a\t");
    tell("add\tapp\t10.0.0.9:80 name=x");
    const auto told = ask("export");
    EXPECT_EQ(told->lines,
              (std::vector<std::string>{"[pool app]", "backend = 10.0.0.9:80 name=x", "# backend a: drain"}));
}

}  // namespace
}  // namespace lb
