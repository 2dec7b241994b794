// Sets of backends: merged and compared; and how records become them.
#include "master/discovery/merge.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "master/discovery/dns_source.h"
#include "master/discovery/line_limit.h"
#include "packets.h"

namespace lb::discovery {
namespace {

config::Backend literal(const std::string& place, const std::string& name = {}) {
    config::Backend out;
    out.host = place;
    out.name = name.empty() ? place : name;
    out.addresses = {parse_address(place).value()};
    return out;
}
config::Backend named(const std::string& name, std::uint16_t port,
                      const std::vector<const char*>& addresses = {}) {
    config::Backend out;
    out.name = out.host = fmt::format("{}:{}", name, port);
    out.dns_name = name;
    out.port = port;
    for (const char* each : addresses) out.addresses.push_back(parse_host(each, port).value());
    return out;
}
std::string names(const Members& members) {
    std::string out;
    for (const auto& each : members) {
        out += (out.empty() ? "" : " ") + each.name;
        if (each.weight != 1) out += fmt::format("*{}", each.weight);
        if (each.backup) out += "(backup)";
    }
    return out;
}
std::string text(const Changes& changes) {
    std::string out;
    for (const auto* each : changes.joined) out += "+" + each->name + " ";
    for (const auto* each : changes.left) out += "-" + each->name + " ";
    for (const auto& pair : changes.moved) out += "@" + pair.after->name + " ";
    for (const auto& pair : changes.altered) out += "~" + pair.after->name + " ";
    return out;
}

TEST(Merge, TheFilesOwnComeFirstAndNobodyTwice) {
    const Members own = {literal("10.0.0.1:80", "a"), named("db.x", 80)};
    const Members one = {literal("10.0.0.1:80"), literal("10.0.0.2:80"), literal("10.0.0.3:80", "a")};
    const Members two = {literal("10.0.0.2:80", "again"), named("db.x", 80), literal("10.0.0.4:80")};
    const Members* const sets[] = {&one, nullptr, &two};
    EXPECT_EQ(names(merge(own, sets)), "a db.x:80 10.0.0.2:80 10.0.0.4:80");
}

TEST(Merge, TwoOfTheFilesOwnMayShareAPlace) {
    const Members own = {literal("10.0.0.1:80", "a"), literal("10.0.0.1:80", "b")};
    EXPECT_EQ(names(merge(own, {})), "a b");
}

TEST(Merge, WhatIsFoundIsBounded) {
    Members many;
    for (std::uint32_t i = 0; i < most_found + 5; i++) {
        many.push_back(literal(fmt::format("10.{}.{}.{}:80", i >> 16, (i >> 8) & 255, i & 255)));
    }
    const Members* const sets[] = {&many};
    EXPECT_EQ(merge({}, sets).size(), most_found);
}

TEST(Compare, JoinedLeftMovedAndAltered) {
    auto heavier = literal("10.0.0.3:80");
    heavier.weight = 5;
    const Members before = {literal("10.0.0.1:80"), literal("10.0.0.2:80"), literal("10.0.0.3:80"),
                            named("db", 80, {"10.1.0.1"})};
    const Members after = {heavier, literal("10.0.0.2:80"), named("db", 80, {"10.1.0.2"}),
                           literal("10.0.0.9:80")};
    EXPECT_EQ(text(compare(before, after)), "+10.0.0.9:80 -10.0.0.1:80 @db:80 ~10.0.0.3:80 ");
    EXPECT_TRUE(compare(before, before).none());
}

TEST(Compare, OrderAndSlotsDoNotCount) {
    auto a = literal("10.0.0.1:80");
    const auto b = literal("10.0.0.2:80");
    const Members before = {a, b};
    a.slot = 7;
    EXPECT_TRUE(compare(before, Members{b, a}).none());
}

TEST(Compare, TheSameNameAtAnotherPlaceIsAnotherBackend) {
    EXPECT_EQ(text(compare(Members{literal("10.0.0.1:80", "a")}, Members{literal("10.0.0.2:80", "a")})),
              "+a -a ");
    auto renamed = named("db", 80, {"10.0.0.1"});
    renamed.dns_name = "other";
    EXPECT_EQ(text(compare(Members{named("db", 80, {"10.0.0.1"})}, Members{renamed})), "+db:80 -db:80 ");
}

TEST(Records, AddressesBecomeBackendsWithThePort) {
    const std::vector<Address> addresses = {parse_host("10.0.0.1", 0).value(),
                                            parse_host("2001:db8::1", 0).value()};
    const auto members = members_of(addresses, 8080);
    EXPECT_EQ(names(members), "10.0.0.1:8080 [2001:db8::1]:8080");
    EXPECT_EQ(to_string(members[1].addresses[0]), "[2001:db8::1]:8080");
}

TEST(Records, TheLowestPriorityIsPrimaryAndWeightsAreScaledInEachGroup) {
    const std::vector<SrvRecord> records = {
        {10, 65535, 80, "big.x"}, {10, 32768, 80, "half.x"}, {10, 0, 80, "none.x"},
        {20, 3, 81, "b1.x"},      {30, 6, 81, "b2.x"},
    };
    EXPECT_EQ(names(members_of(records)),
              "b1.x:81*3(backup) b2.x:81*6(backup) big.x:80*256 half.x:80*128 none.x:80");
    EXPECT_EQ(names(members_of(std::vector<SrvRecord>{{5, 0, 80, "a.x"}, {5, 0, 80, "b.x"}})),
              "a.x:80 b.x:80");
    EXPECT_EQ(names(members_of(std::vector<SrvRecord>{{5, 256, 80, "a.x"}, {5, 7, 80, "b.x"}})),
              "a.x:80*256 b.x:80*7");
    EXPECT_TRUE(members_of(std::vector<SrvRecord>{}).empty());
}

TEST(Records, APlaceNamedTwiceCountsAsItsMoreImportantRecordSays) {
    EXPECT_EQ(
        names(members_of(std::vector<SrvRecord>{{20, 9, 80, "a.x"}, {10, 2, 80, "a.x"}, {10, 2, 81, "a.x"}})),
        "a.x:80*2 a.x:81*2");
}

TEST(LineLimit, SaysHowManyWereLeftOutOnceTheSecondIsOver) {
    LineLimit limit(2);
    constexpr Micros t = 5'000'000;
    EXPECT_TRUE(limit.allows(t));
    EXPECT_TRUE(limit.allows(t));
    EXPECT_FALSE(limit.allows(t + 1));
    EXPECT_FALSE(limit.allows(t + 999'999));
    EXPECT_EQ(limit.take_left_out(t + 999'999), 0u);
    EXPECT_EQ(limit.take_left_out(t + 1'000'000), 2u);
    EXPECT_EQ(limit.take_left_out(t + 1'000'000), 0u);
    EXPECT_TRUE(limit.allows(t + 1'000'000));
}

}  // namespace
}  // namespace lb::discovery
