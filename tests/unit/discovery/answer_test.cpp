// What is believed of an answer, and what is not.
#include "master/discovery/answer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "packets.h"

namespace lb::discovery {
namespace {

using test::Packet;
using test::text_of;

std::string addresses(const Packet& packet, const char* name = "app.example", int family = AF_INET) {
    const auto answer = read_addresses(packet.bytes, name, family);
    if (!answer) return "error: " + answer.error();
    return text_of(answer.value().addresses) + " ttl " + std::to_string(answer.value().ttl);
}

TEST(Addresses, AreSortedSoThatARotatedAnswerIsTheSame) {
    const auto one = Packet("app.example").a("app.example", 30, "10.0.0.2").a("app.example", 30, "10.0.0.1");
    const auto two = Packet("app.example").a("app.example", 30, "10.0.0.1").a("app.example", 30, "10.0.0.2");
    EXPECT_EQ(addresses(one), "10.0.0.1 10.0.0.2 ttl 30");
    EXPECT_EQ(addresses(one), addresses(two));
}

TEST(Addresses, OfBothFamiliesAreReadApart) {
    const auto both =
        Packet("app.example").a("app.example", 30, "10.0.0.2").aaaa("app.example", 20, "2001:db8::1");
    EXPECT_EQ(addresses(both), "10.0.0.2 ttl 30");
    EXPECT_EQ(addresses(both, "app.example", AF_INET6), "2001:db8::1 ttl 20");
}

TEST(Addresses, TheShortestTtlOnTheWayCounts) {
    EXPECT_EQ(
        addresses(Packet("app.example").a("app.example", 30, "10.0.0.1").a("app.example", 7, "10.0.0.2")),
        "10.0.0.1 10.0.0.2 ttl 7");
    EXPECT_EQ(
        addresses(
            Packet("app.example").alias("app.example", 5, "real.example").a("real.example", 30, "10.0.0.1")),
        "10.0.0.1 ttl 5");
    EXPECT_EQ(addresses(Packet("app.example").a("app.example", 0x80000001, "10.0.0.1")), "10.0.0.1 ttl 0")
        << "RFC 2181 8: with the first bit set it is 0";
}

TEST(Addresses, AliasesAreFollowedInAnyOrderAndCase) {
    EXPECT_EQ(addresses(Packet("app.example")
                            .a("THREE.example", 30, "10.0.0.1")
                            .alias("two.EXAMPLE", 30, "three.example")
                            .alias("App.Example", 30, "Two.example")),
              "10.0.0.1 ttl 30");
}

TEST(Addresses, OfOtherNamesDoNotCount) {
    EXPECT_EQ(
        addresses(Packet("app.example").a("evil.example", 30, "10.6.6.6").a("app.example", 30, "10.0.0.1")),
        "10.0.0.1 ttl 30");
    EXPECT_EQ(addresses(Packet("app.example").a("evil.example", 30, "10.6.6.6")), " ttl 0");
    EXPECT_EQ(addresses(Packet("app.example").a("app.example", 30, "10.6.6.6", true)), " ttl 0")
        << "not an answer";
    EXPECT_EQ(addresses(Packet("app.example")
                            .record("app.example", ns_t_a, 30, test::ipv4("10.6.6.6"), false, ns_c_chaos)),
              " ttl 0");
}

TEST(Addresses, ThatNothingCanConnectToAreLeftOut) {
    EXPECT_EQ(addresses(Packet("app.example")
                            .a("app.example", 30, "0.0.0.0")
                            .a("app.example", 30, "224.0.0.1")
                            .a("app.example", 30, "255.255.255.255")
                            .a("app.example", 30, "10.0.0.1")),
              "10.0.0.1 ttl 30");
    EXPECT_EQ(addresses(Packet("app.example")
                            .aaaa("app.example", 30, "::")
                            .aaaa("app.example", 30, "ff02::1")
                            .aaaa("app.example", 30, "fe80::1")
                            .aaaa("app.example", 30, "::1"),
                        "app.example", AF_INET6),
              "::1 ttl 30");
}

TEST(Addresses, AliasesInACircleOrTooManyAreAnError) {
    EXPECT_EQ(
        addresses(
            Packet("app.example").alias("app.example", 1, "b.example").alias("b.example", 1, "app.example")),
        "error: aliases without an end");
    Packet many("n0.example");
    for (int i = 0; i < 17; i++) {
        many.alias("n" + std::to_string(i) + ".example", 1, "n" + std::to_string(i + 1) + ".example");
    }
    EXPECT_EQ(addresses(many, "n0.example"), "error: a broken record");
}

TEST(Addresses, ARecordOfAWrongLengthSpoilsTheAnswer) {
    EXPECT_EQ(addresses(Packet("app.example")
                            .a("app.example", 30, "10.0.0.1")
                            .record("app.example", ns_t_a, 30, {1, 2, 3})),
              "error: an address of a wrong length");
    EXPECT_EQ(addresses(Packet("app.example").record("app.example", ns_t_cname, 30, {200, 1})),
              "error: a broken record");
}

TEST(Addresses, MoreRecordsThanAnybodyNeedsAreRefused) {
    Packet packet("app.example");
    for (unsigned i = 0; i < most_records; i++) {
        packet.record("app.example", ns_t_a, 30,
                      {10, 1, static_cast<unsigned char>(i >> 8), static_cast<unsigned char>(i)});
    }
    EXPECT_EQ(read_addresses(packet.bytes, "app.example", AF_INET).value().addresses.size(), most_records);
    packet.a("app.example", 30, "10.2.0.0");
    EXPECT_EQ(addresses(packet), "error: more records than anybody needs");
}

TEST(Addresses, WhatIsNoGoodAnswerIsAnError) {
    EXPECT_EQ(addresses(Packet("app.example", ns_t_a, ns_r_servfail)), "error: an answer with an error code");
    EXPECT_EQ(addresses(Packet("app.example", ns_t_a, 0, 0x0100)), "error: not an answer");
    Packet cut("app.example");
    cut.a("app.example", 30, "10.0.0.1");
    for (std::size_t n = 0; n < cut.bytes.size(); n++) {
        EXPECT_FALSE(read_addresses(Message(cut.bytes.data(), n), "app.example", AF_INET).ok()) << n;
    }
}

// --- services

std::string services(const Packet& packet, const char* name = "_http._tcp.example") {
    const auto answer = read_srv(packet.bytes, name);
    if (!answer) return "error: " + answer.error();
    std::string out;
    for (const SrvRecord& r : answer.value().records) {
        out += std::to_string(r.priority) + "/" + std::to_string(r.weight) + " " + r.target + ":" +
               std::to_string(r.port) + ", ";
    }
    for (const auto& [target, found] : answer.value().targets) {
        out += target + "=" + text_of(found.addresses) + " ttl " + std::to_string(found.ttl) + ", ";
    }
    return out + "ttl " + std::to_string(answer.value().ttl);
}
Packet with(std::initializer_list<test::Bytes> records) {
    Packet packet("_http._tcp.example", ns_t_srv);
    for (const auto& each : records) packet.record("_http._tcp.example", ns_t_srv, 60, each);
    return packet;
}

TEST(Services, AreReadInAnOrderOfTheirOwn) {
    EXPECT_EQ(
        services(with({test::srv(20, 5, 8002, "S2.example."), test::srv(10, 65535, 8001, "s1.example")})),
        "10/65535 s1.example:8001, 20/5 s2.example:8002, ttl 60");
}

TEST(Services, AddressesThatComeAlongAreKeptForTheirTargetsOnly) {
    auto packet = with({test::srv(10, 1, 8001, "s1.example"), test::srv(10, 1, 8002, "s2.example")});
    packet.a("s1.example", 40, "10.0.0.2", true)
        .a("S1.example", 30, "10.0.0.1", true)
        .aaaa("s1.example", 50, "2001:db8::1", true)
        .a("evil.example", 30, "10.6.6.6", true)
        .a("s2.example", 30, "0.0.0.0", true);
    EXPECT_EQ(services(packet),
              "10/1 s1.example:8001, 10/1 s2.example:8002, s1.example=10.0.0.1 10.0.0.2 2001:db8::1 ttl 30, "
              "ttl 60");
}

TEST(Services, ARootAsTargetMeansThatThereAreNone) {
    EXPECT_EQ(services(with({test::srv(0, 0, 0, ".")})), "ttl 60");
}

TEST(Services, ATargetThatIsNoHostNameSpoilsTheAnswer) {
    for (const auto& bad : {test::srv(1, 1, 80, "a b.example"), test::srv(1, 1, 80, "a\nb.example"),
                            test::srv(1, 1, 0, "s1.example"), test::srv(1, 1, 80, "10.0.0.1"),
                            test::srv(1, 1, 80, "s1.\"example"), test::Bytes{0, 1, 0, 1, 0, 80}}) {
        EXPECT_EQ(services(with({test::srv(1, 1, 80, "good.example"), bad})),
                  "error: a service record that names no host and port");
    }
    auto longer = test::srv(1, 1, 80, "s1.example");
    longer.push_back(0);
    EXPECT_EQ(services(with({longer})), "error: a service record that names no host and port");
}

TEST(Services, BehindAnAlias) {
    Packet packet("_http._tcp.example", ns_t_srv);
    packet.alias("_http._tcp.example", 9, "_http._tcp.other")
        .record("_http._tcp.other", ns_t_srv, 60, test::srv(1, 2, 80, "s1.other"));
    EXPECT_EQ(services(packet), "1/2 s1.other:80, ttl 9");
}

TEST(Services, ABrokenAdditionalSectionIsNone) {
    auto packet = with({test::srv(1, 1, 80, "s1.example")});
    packet.record("s1.example", ns_t_a, 30, {1, 2}, true).a("s1.example", 30, "10.0.0.1", true);
    EXPECT_EQ(services(packet), "1/1 s1.example:80, ttl 60");
}

}  // namespace
}  // namespace lb::discovery
