// What operators and services change, by names: states, weights, members, registrations and their ends, bounds.
#include "master/operator/store.h"

#include <gtest/gtest.h>

#include "master/operator/export.h"

namespace lb::operators {
namespace {

using Enrolled = Store::Enrolled;
constexpr Moment start{1'000'000, 1'700'000'000'250};

Moment after(Micros time) { return {start.now + time, start.unix_millis + time / 1000}; }

config::Backend backend(std::string_view text) {
    auto read = read_backend(text);
    EXPECT_TRUE(read.ok()) << read.error();
    return std::move(read).value();
}

TEST(Store, KeepsStatesAndWeightsUntilThereIsNothingToKeep) {
    Store store;
    EXPECT_TRUE(store.setting("app", "a").none());
    ASSERT_TRUE(store.set("app", "a", {shm::Operator::drain, 0}).ok());
    ASSERT_TRUE(store.set("app", "a", {shm::Operator::drain, 7}).ok());
    EXPECT_EQ(store.setting("app", "a"), (Setting{shm::Operator::drain, 7}));
    EXPECT_TRUE(store.setting("other", "a").none());
    EXPECT_EQ(store.entries(), 1u);
    ASSERT_TRUE(store.set("app", "a", {}).ok());
    EXPECT_EQ(store.entries(), 0u);
    EXPECT_TRUE(store.pools().empty());
}

TEST(Store, AddedBackendsAreMembersUntilTheyAreRemoved) {
    Store store;
    EXPECT_EQ(store.members("app"), nullptr);
    ASSERT_TRUE(store.add("app", backend("10.0.0.2:80 name=b weight=3")).ok());
    ASSERT_TRUE(store.add("app", backend("10.0.0.1:80 name=a")).ok());
    EXPECT_FALSE(store.add("app", backend("10.0.0.3:80 name=a")).ok());
    ASSERT_NE(store.members("app"), nullptr);
    ASSERT_EQ(store.members("app")->size(), 2u);
    EXPECT_EQ(store.members("app")->at(1).weight, 3u);
    EXPECT_TRUE(store.remove("app", "a"));
    EXPECT_FALSE(store.remove("app", "a"));
    EXPECT_EQ(store.members("app")->size(), 1u);
    EXPECT_TRUE(store.remove("app", "b"));
    EXPECT_EQ(store.members("app"), nullptr);
    EXPECT_TRUE(store.pools().empty());
}

TEST(Store, ARegistrationLastsAsLongAsItIsRenewed) {
    Store store;
    const auto service = backend("10.0.0.1:80 name=s");
    EXPECT_EQ(store.enroll("app", service, 10'000, start).value(), Enrolled::joined);
    EXPECT_EQ(store.member("app", "s")->expires, 1'700'000'011) << "rounded up";
    EXPECT_EQ(store.enroll("app", service, 10'000, after(6'000'000)).value(), Enrolled::renewed);
    EXPECT_TRUE(store.expire(after(10'000'000).now).empty());
    EXPECT_TRUE(store.expire(after(15'999'999).now).empty());
    const auto over = store.expire(after(16'000'000).now);
    ASSERT_EQ(over.size(), 1u);
    EXPECT_EQ(over[0], (Store::Name{"app", "s"}));
    EXPECT_EQ(store.member("app", "s"), nullptr);
    EXPECT_TRUE(store.expire(after(99'000'000).now).empty());
}

TEST(Store, ARegistrationThatSaysSomethingElseIsAChange) {
    Store store;
    ASSERT_TRUE(store.enroll("app", backend("10.0.0.1:80 name=s"), 10'000, start).ok());
    EXPECT_EQ(store.enroll("app", backend("10.0.0.1:80 name=s weight=2"), 10'000, start).value(),
              Enrolled::changed);
    EXPECT_EQ(store.members("app")->front().weight, 2u);
    ASSERT_TRUE(store.add("app", backend("10.0.0.2:80 name=mine")).ok());
    EXPECT_FALSE(store.enroll("app", backend("10.0.0.3:80 name=mine"), 10'000, start).ok());
    EXPECT_TRUE(store.expire(after(9'000'000).now).empty());
    EXPECT_EQ(store.expire(after(11'000'000).now).size(), 1u) << "what an operator added stays";
    EXPECT_NE(store.member("app", "mine"), nullptr);
}

TEST(Store, ASettingOutlivesItsBackend) {
    Store store;
    ASSERT_TRUE(store.enroll("app", backend("10.0.0.1:80 name=s"), 1'000, start).ok());
    ASSERT_TRUE(store.set("app", "s", {shm::Operator::drain, 0}).ok());
    EXPECT_EQ(store.expire(after(2'000'000).now).size(), 1u);
    EXPECT_EQ(store.setting("app", "s").state, shm::Operator::drain);
}

TEST(Store, TakesOnlySoMuch) {
    Store store;
    for (std::size_t i = 0; i < Store::most_entries; i++) {
        ASSERT_TRUE(store.set("app", "b" + std::to_string(i), {shm::Operator::maint, 0}).ok()) << i;
    }
    EXPECT_FALSE(store.set("app", "more", {shm::Operator::maint, 0}).ok());
    EXPECT_TRUE(store.set("app", "b1", {shm::Operator::drain, 0}).ok()) << "a change of what is there";
    EXPECT_FALSE(store.add("app", backend("10.0.0.1:80")).ok());
    EXPECT_FALSE(store.enroll("app", backend("10.0.0.1:80"), 1'000, start).ok());
    ASSERT_TRUE(store.set("app", "b2", {}).ok());
    EXPECT_TRUE(store.add("app", backend("10.0.0.1:80")).ok());

    Store members;
    for (std::size_t i = 0; i < Store::most_members; i++) {
        auto each = backend("10.0.0.1:80");
        each.name = "b" + std::to_string(i);
        ASSERT_TRUE(members.add("app", each).ok());
    }
    EXPECT_FALSE(members.add("app", backend("10.0.0.1:80 name=more")).ok());
    EXPECT_TRUE(members.add("other", backend("10.0.0.1:80 name=more")).ok());
}

TEST(Store, TakesOnlySoManyBytes) {
    Store store;
    const std::string path = "unix:/" + std::string(100, 'x');
    std::size_t taken = 0;
    for (int p = 0; p < 10; p++) {
        for (int i = 0; i < 9'000; i++) {
            auto each = backend(path);
            each.name = std::string(120, '"') + std::to_string(i);
            if (!store.add("pool" + std::to_string(p), each).ok()) break;
            taken++;
        }
    }
    EXPECT_GT(taken, 10'000u);
    EXPECT_LT(taken, Store::most_entries);
    // What was taken off makes room again.
    EXPECT_TRUE(store.remove("pool0", std::string(120, '"') + "1"));
    auto again = backend(path);
    again.name = std::string(120, '"') + "x";
    EXPECT_TRUE(store.add("pool1", again).ok());
}

TEST(ReadBackend, SaysWhatIsWrong) {
    EXPECT_FALSE(read_backend("10.0.0.1").ok());
    EXPECT_FALSE(read_backend("unix:app.sock").ok());
    EXPECT_TRUE(read_backend("unix:/run/app.sock").ok());
    EXPECT_FALSE(read_backend("10.0.0.1:80 " + std::string(longest_backend, ' ')).ok());
    const auto registered = read_registered("10.0.0.1:80", "a b", 3);
    ASSERT_TRUE(registered.ok());
    EXPECT_EQ(registered.value().name, "a b");
    EXPECT_EQ(registered.value().weight, 3u);
    EXPECT_FALSE(read_registered("10.0.0.1:80 backup", "s", 1).ok()) << "an option is no address";
    EXPECT_FALSE(read_registered("10.0.0.1:80", "s", 0).ok());
    EXPECT_FALSE(read_registered("10.0.0.1:80", "s", 257).ok());
    EXPECT_FALSE(read_registered("10.0.0.1:80", "", 1).ok());
}

TEST(SamePlace, IsTheAddressOrTheNameBehindIt) {
    EXPECT_TRUE(same_place(backend("10.0.0.1:80"), backend("10.0.0.1:80 name=x")));
    EXPECT_FALSE(same_place(backend("10.0.0.1:80"), backend("10.0.0.1:81")));
    EXPECT_TRUE(same_place(backend("db.internal:80"), backend("DB.internal:80 name=x")));
    EXPECT_FALSE(same_place(backend("db.internal:80"), backend("db.internal:81")));
    EXPECT_FALSE(same_place(backend("db.internal:80"), backend("10.0.0.1:80")));
}

TEST(Export, PrintsWhatIsDifferentAsConfiguration) {
    config::Config config;
    config.pools.resize(1);
    config.pools[0].name = "app";
    config.pools[0].backends = {backend("10.0.0.1:80 name=a1 weight=2"), backend("10.0.0.2:80 name=a2")};
    Store store;
    EXPECT_TRUE(export_lines(store, config, start.now).empty());
    ASSERT_TRUE(store.add("app", backend("10.0.0.9:80 name=a9")).ok());
    ASSERT_TRUE(store.set("app", "a9", {shm::Operator::ready, 4}).ok());
    ASSERT_TRUE(store.set("app", "a1", {shm::Operator::maint, 7}).ok());
    ASSERT_TRUE(store.set("app", "gone", {shm::Operator::drain, 3}).ok());
    ASSERT_TRUE(store.enroll("app", backend("10.0.0.7:80 name=s1"), 30'000, start).ok());
    ASSERT_TRUE(store.add("old", backend("10.0.0.8:80")).ok());
    EXPECT_EQ(export_lines(store, config, after(500'000).now),
              (std::vector<std::string>{
                  "[pool app]",
                  "backend = 10.0.0.9:80 weight=4 name=a9",
                  "# registered, for 30 s more: backend = 10.0.0.7:80 name=s1",
                  "# backend a1: maint",
                  "# backend a1: weight 7, not 2: backend = 10.0.0.1:80 weight=7 name=a1",
                  "# backend gone: drain, and not in the pool now",
                  "# backend gone: weight 3, and not in the pool now",
                  "# the configuration has no such pool:",
                  "# [pool old]",
                  "# backend = 10.0.0.8:80",
              }));
}

}  // namespace
}  // namespace lb::operators
