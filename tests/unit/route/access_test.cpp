// tests/unit/route/access_test.cpp -- who an acl lets in, and which zone a client prefers.
#include "shared/route/access.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "shared/route/zone_of.h"
#include "support.h"

namespace lb::test {
namespace {

Address address(std::string_view text) {
    const auto parsed = parse_host(text, 80);
    EXPECT_TRUE(parsed.ok()) << text;
    return parsed ? parsed.value() : Address{};
}

Address local_socket() {
    Address local;
    local.any.un.sun_family = AF_UNIX;
    local.length = sizeof(sa_family_t);
    return local;
}

struct Lists {
    std::uint32_t add(const std::vector<std::string_view>& allow, const std::vector<std::string_view>& deny,
                      bool otherwise) {
        config::Acl& acl = config.acls.emplace_back();
        for (const std::string_view each : allow) acl.allow.push_back(range(each));
        for (const std::string_view each : deny) acl.deny.push_back(range(each));
        acl.otherwise = otherwise;
        return static_cast<std::uint32_t>(config.acls.size() - 1);
    }
    // What decides; with a '!' when the searched form says something else.
    [[nodiscard]] std::string why(std::uint32_t acl, const Address& client) const {
        const route::AclVerdict verdict = route::judge(config.acls[acl], client);
        const bool allowed = route::AccessLists(config).allows(acl, client);
        EXPECT_EQ(verdict.why.ends_with("allowed") || verdict.why.ends_with("allow"), verdict.allowed);
        return verdict.allowed == allowed ? verdict.why : "! " + verdict.why;
    }
    [[nodiscard]] std::string why(std::uint32_t acl, std::string_view client) const {
        return why(acl, address(client));
    }
    config::Config config;
};

TEST(AccessLists, TheLongestPrefixThenTheDenialThenTheDefault) {
    Lists l;
    const auto office =
        l.add({"192.0.2.0/24", "10.0.0.0/8", "10.1.1.1"}, {"192.0.2.66", "10.1.0.0/16"}, false);
    EXPECT_EQ(l.why(office, "192.0.2.1"), "192.0.2.0/24 is allowed");
    EXPECT_EQ(l.why(office, "192.0.2.66"), "192.0.2.66 is denied");
    EXPECT_EQ(l.why(office, "10.2.0.1"), "10.0.0.0/8 is allowed");
    EXPECT_EQ(l.why(office, "10.1.0.1"), "10.1.0.0/16 is denied");
    EXPECT_EQ(l.why(office, "10.1.1.1"), "10.1.1.1 is allowed");
    EXPECT_EQ(l.why(office, "::ffff:10.1.0.1"), "10.1.0.0/16 is denied");
    EXPECT_EQ(l.why(office, "11.0.0.1"), "no prefix holds the client, the default is deny");
    EXPECT_EQ(l.why(office, "2001:db8::1"), "no prefix holds the client, the default is deny");
    const auto both = l.add({"10.0.0.0/8"}, {"10.0.0.0/8"}, true);
    EXPECT_EQ(l.why(both, "10.0.0.1"), "10.0.0.0/8 is denied");
    EXPECT_EQ(l.why(both, "11.0.0.1"), "no prefix holds the client, the default is allow");
}

TEST(AccessLists, AClientWithoutAnAddressGetsTheDefault) {
    Lists l;
    const auto closed = l.add({"0.0.0.0/0", "::/0"}, {}, false);
    const auto open = l.add({}, {"0.0.0.0/0", "::/0"}, true);
    EXPECT_EQ(l.why(closed, local_socket()), "a client on a unix socket has no address, the default is deny");
    EXPECT_EQ(l.why(open, local_socket()), "a client on a unix socket has no address, the default is allow");
}

TEST(AccessLists, TheListenersHoldThenTheRoutes) {
    Lists l;
    const auto most = l.add({}, {"10.6.0.0/16"}, true);
    const auto ten = l.add({"10.0.0.0/8"}, {}, false);
    const auto seven = l.add({"10.7.0.0/16"}, {}, false);
    config::Listener listener;
    config::Route route;
    const route::AccessLists lists(l.config);
    EXPECT_EQ(lists.denied_by(listener, &route, address("1.1.1.1")), std::nullopt) << "no acl at all";
    listener.acls = {most, ten};
    route.acls = {seven};
    EXPECT_EQ(lists.denied_by(listener, &route, address("10.7.0.1")), std::nullopt);
    EXPECT_EQ(lists.denied_by(listener, &route, address("10.6.0.1")), most);
    EXPECT_EQ(lists.denied_by(listener, &route, address("11.0.0.1")), ten);
    EXPECT_EQ(lists.denied_by(listener, &route, address("10.8.0.1")), seven);
    EXPECT_EQ(lists.denied_by(listener, nullptr, address("10.8.0.1")), std::nullopt);
}

TEST(ZoneOf, OfTheCountryElseHere) {
    config::Zones zones;
    zones.here = "us";
    zones.places = {{"eu", {"DE", "FR"}}, {"asia", {"JP", "ZZ", "FR"}}};
    EXPECT_FALSE(route::ZoneOf(zones).asks_country()) << "no database";
    EXPECT_EQ(route::ZoneOf(zones).preferred(address("127.0.1.1")), "us");
    zones.countries = countries();
    const route::ZoneOf zone_of(zones);
    EXPECT_TRUE(zone_of.asks_country());
    EXPECT_EQ(zone_of.preferred(address("127.0.1.1")), "eu");
    EXPECT_EQ(zone_of.preferred(address("127.0.2.1")), "eu") << "the first that names it";
    EXPECT_EQ(zone_of.preferred(address("127.0.3.1")), "us") << "PL is in no zone";
    EXPECT_EQ(zone_of.preferred(address("10.0.0.1")), "us");
    EXPECT_EQ(zone_of.preferred(local_socket()), "us");
    EXPECT_EQ(zone_of.preferred(std::string_view("ZZ")), "asia");
    EXPECT_EQ(zone_of.preferred(std::string_view("zz")), "us");
    EXPECT_EQ(zone_of.preferred(std::string_view("Z")), "us");
    zones.here = "";
    EXPECT_EQ(zone_of.preferred(address("10.0.0.1")), "") << "none is preferred";
}

TEST(ZoneOf, WithoutPlacesNobodyIsAsked) {
    config::Zones zones;
    zones.countries = countries();
    EXPECT_FALSE(route::ZoneOf(zones).asks_country());
    EXPECT_EQ(route::ZoneOf(zones).preferred(address("127.0.1.1")), "");
}

TEST(Countries, ARouteTakesItsClients) {
    Routes routes;
    routes.add("de", country("DE"), country("NL")).add("fr", country("FR"), method("GET")).add("rest");
    const auto from = [&](std::string_view client) { return routes.find("GET /", "h", {}, client); };
    EXPECT_EQ(from("127.0.1.1"), "rest") << "no database";
    routes.config.zones.countries = countries();
    EXPECT_EQ(from("127.0.1.1"), "de");
    EXPECT_EQ(from("::ffff:127.0.1.1"), "de");
    EXPECT_EQ(from("2001:db8:1::1"), "de");
    EXPECT_EQ(from("127.0.2.1"), "fr");
    EXPECT_EQ(from("127.0.3.1"), "rest");
    EXPECT_EQ(from("10.0.0.1"), "rest") << "nobody knows where that is";
    EXPECT_EQ(routes.find("POST /", "h", {}, "127.0.2.1"), "rest");
}

}  // namespace
}  // namespace lb::test
