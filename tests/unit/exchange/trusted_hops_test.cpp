// Who the client is, seen through the hops in front of lb.
#include "worker/exchange/trusted_hops.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support.h"

namespace lb {
namespace {

Address address_of(std::string_view host, std::uint16_t port = 4000) {
    auto address = parse_host(host, port);
    EXPECT_TRUE(address.ok()) << host;
    return address.value();
}

Address unix_address() {
    Address address;
    address.any.un.sun_family = AF_UNIX;
    address.length = sizeof(sa_family_t);
    return address;
}

config::Listener trusting(const std::vector<std::string>& ranges,
                          config::Forwarded mode = config::Forwarded::x) {
    config::Listener listener;
    for (const std::string& range : ranges) listener.trusted.push_back(parse_cidr(range).value());
    listener.traffic.forwarded = mode;
    return listener;
}

struct Client {
    std::string text;
    std::uint16_t port;
    bool trusted;
    std::string scheme;
    bool operator==(const Client&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Client& client) {
    return out << client.text << " port " << client.port << (client.trusted ? " trusted " : " ")
               << client.scheme;
}

Client seen(const config::Listener& listener, const Address& sender, const std::string& lines) {
    const Request request(lines);
    std::string text;
    append_host(text, sender);
    const Hops hops({sender, sender, text, 1}, listener, request.head);
    std::string printed;
    append_host(printed, hops.address());
    EXPECT_EQ(hops.text(), printed);
    return {std::string(hops.text()), hops.port(), hops.sender_trusted(), std::string(hops.scheme())};
}

// The client behind 10.0.0.1, which is trusted.
std::string client(const std::string& lines, config::Forwarded mode = config::Forwarded::x) {
    return seen(trusting({"10.0.0.0/8"}, mode), address_of("10.0.0.1"), lines).text;
}

TEST(TrustedHops, WithoutTrustTheSenderIsTheClient) {
    const std::string lines =
        "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.1.1.1\r\n";
    EXPECT_EQ(seen(trusting({}), address_of("10.0.0.1"), lines), (Client{"10.0.0.1", 4000, false, "http"}));
    EXPECT_EQ(seen(trusting({"10.0.0.0/8"}), address_of("11.0.0.1"), lines),
              (Client{"11.0.0.1", 4000, false, "http"}));
}

TEST(TrustedHops, ATrustedSenderIsBelieved) {
    EXPECT_EQ(seen(trusting({"10.0.0.0/8"}), address_of("10.0.0.1"),
                   "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: HTTPS\r\n"),
              (Client{"1.1.1.1", 0, true, "https"}));
    EXPECT_EQ(seen(trusting({"10.0.0.0/8"}), address_of("10.0.0.1"), ""),
              (Client{"10.0.0.1", 4000, true, "http"}));
}

TEST(TrustedHops, TheFirstFromTheRightThatIsNotTrustedIsTheClient) {
    EXPECT_EQ(client("X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.0.0.3, 10.0.0.2\r\n"), "1.1.1.1");
    EXPECT_EQ(client("X-Forwarded-For: 6.6.6.6\r\n"
                     "X-Forwarded-For: 1.1.1.1,10.0.0.3\r\n"
                     "X-Forwarded-For: 10.0.0.2\r\n"),
              "1.1.1.1")
        << "several lines are one list";
    EXPECT_EQ(client("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n"), "10.0.0.3") << "all are trusted";
    EXPECT_EQ(client("X-Forwarded-For: , 1.1.1.1 ,, 10.0.0.2,\r\n"), "1.1.1.1") << "empty elements are none";
}

TEST(TrustedHops, WhatIsNoAddressEndsTheWalk) {
    for (const std::string bad :
         {"unknown", "1.1.1", "01.1.1.1", "1.1.1.1:", "1.1.1.1:65536", "1.1.1.1:x", "1.1.1.1 2", "::1%eth0",
          "[::1", "[1.1.1.1]", "\"1.1.1.1\"", "fe80::1::2"}) {
        EXPECT_EQ(client("X-Forwarded-For: 6.6.6.6, " + bad + ", 10.0.0.2\r\n"), "10.0.0.2") << bad;
        EXPECT_EQ(client("X-Forwarded-For: 6.6.6.6, " + bad + "\r\n"), "10.0.0.1") << bad;
    }
}

TEST(TrustedHops, AddressesComeInSeveralForms) {
    const auto listener = trusting({"10.0.0.0/8", "2001:db8::/32"});
    const auto find = [&](const std::string& list) {
        return seen(listener, address_of("10.0.0.1"), "X-Forwarded-For: " + list + "\r\n");
    };
    EXPECT_EQ(find("1.1.1.1:80"), (Client{"1.1.1.1", 80, true, "http"}));
    EXPECT_EQ(find("2001:DB9::1"), (Client{"2001:db9::1", 0, true, "http"}));
    EXPECT_EQ(find("[2001:db9::1]"), (Client{"2001:db9::1", 0, true, "http"}));
    EXPECT_EQ(find("[2001:db9::1]:99"), (Client{"2001:db9::1", 99, true, "http"}));
    EXPECT_EQ(find("9.9.9.9, ::ffff:1.1.1.1, ::ffff:10.1.1.1"), (Client{"1.1.1.1", 0, true, "http"}));
    EXPECT_EQ(find("9.9.9.9, 2001:db8::5"), (Client{"9.9.9.9", 0, true, "http"}));
    EXPECT_EQ(seen(listener, address_of("2001:db8::1"), "X-Forwarded-For: 9.9.9.9\r\n").text, "9.9.9.9");
}

TEST(TrustedHops, AUnixSocketIsOfThisMachine) {
    EXPECT_EQ(seen(trusting({}), unix_address(), "X-Forwarded-For: 1.1.1.1\r\n"),
              (Client{"1.1.1.1", 0, true, "http"}));
    EXPECT_EQ(seen(trusting({}), unix_address(), "X-Forwarded-For: 2.2.2.2, 1.1.1.1\r\n").text, "1.1.1.1");
    EXPECT_EQ(seen(trusting({}), unix_address(), ""), (Client{"unix:", 0, true, "http"}));
}

// Which a PROXY header from elsewhere may name too.
TEST(TrustedHops, AUnixSocketOfAnotherMachineIsNobodysWord) {
    const Request request("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n");
    const Address hop = address_of("10.0.0.1");
    const Address client = unix_address();
    const Hops hops({hop, client, "unix:", 1}, trusting({"10.0.0.0/8"}), request.head);
    EXPECT_EQ(hops.text(), "unix:");
    EXPECT_EQ(hops.scheme(), "http");
    EXPECT_FALSE(hops.sender_trusted());
}

// The header says who spoke, and only what that one says of others is asked next.
TEST(TrustedHops, AProxyHeaderComesBeforeTheFields) {
    const Request request("X-Forwarded-For: 6.6.6.6, 10.0.0.9\r\n");
    const Address hop = address_of("10.0.0.1");
    const auto listener = trusting({"10.0.0.0/8"});
    const Address stranger = address_of("192.0.2.9", 77);
    const Hops of_stranger({hop, stranger, "192.0.2.9", 1}, listener, request.head);
    EXPECT_EQ(of_stranger.text(), "192.0.2.9");
    EXPECT_FALSE(of_stranger.sender_trusted());
    const Address inner = address_of("10.0.0.2");
    const Hops of_inner({hop, inner, "10.0.0.2", 1}, listener, request.head);
    EXPECT_EQ(of_inner.text(), "6.6.6.6");
    EXPECT_TRUE(of_inner.sender_trusted());
}

// However long the list is, and whatever stands in it, the work is bounded and the answer one of lb's own hops.
TEST(TrustedHops, VeryLongListsEndTheWalk) {
    std::string addresses, quotes, pairs;
    for (int i = 0; i < 1000; i++) {
        addresses += "10.0.0.2, ";
        quotes += "\"\\\",";
        pairs += "for=10.0.0.2;by=\"a, b\", ";
    }
    EXPECT_EQ(client("X-Forwarded-For: 6.6.6.6, " + addresses + "10.0.0.3\r\n"), "10.0.0.2");
    EXPECT_EQ(client("X-Forwarded-For: " + quotes + "\r\n"), "10.0.0.1");
    EXPECT_EQ(client("Forwarded: for=6.6.6.6, " + pairs + "for=10.0.0.3\r\n", config::Forwarded::rfc7239),
              "10.0.0.2");
    EXPECT_EQ(client("Forwarded: " + std::string(20'000, '"') + "\r\n", config::Forwarded::rfc7239),
              "10.0.0.1");
}

TEST(TrustedHops, AtMost64HopsAreLookedAt) {
    const auto chain = [](unsigned trusted) {
        std::string list = "X-Forwarded-For: 1.1.1.1";
        for (unsigned i = 0; i < trusted; i++) list += ", 10.0.0.2";
        return list + "\r\n";
    };
    EXPECT_EQ(client(chain(Hops::most_hops - 1)), "1.1.1.1");
    EXPECT_EQ(client(chain(Hops::most_hops)), "10.0.0.2");
    EXPECT_EQ(client("X-Forwarded-For: 1.1.1.1" + std::string(Hops::most_hops + 1, ',') + "\r\n"), "10.0.0.1")
        << "empty elements cost a look too";
}

TEST(TrustedHops, TheProtocolIsTheOneAtTheClient) {
    const auto scheme = [](const std::string& addresses, const std::string& protocols) {
        return seen(trusting({"10.0.0.0/8"}), address_of("10.0.0.1"),
                    "X-Forwarded-For: " + addresses + "\r\nX-Forwarded-Proto: " + protocols + "\r\n")
            .scheme;
    };
    EXPECT_EQ(scheme("1.1.1.1, 10.0.0.2", "https"), "https") << "senders that replace it";
    EXPECT_EQ(scheme("1.1.1.1, 10.0.0.2", "https, http"), "https") << "senders that append to it";
    EXPECT_EQ(scheme("6.6.6.6, 1.1.1.1, 10.0.0.2", "https, http, https"), "http") << "a client's own claim";
    EXPECT_EQ(scheme("1.1.1.1", "gopher"), "http");
    EXPECT_EQ(seen(trusting({"10.0.0.0/8"}), address_of("10.0.0.1"), "X-Forwarded-Proto: https\r\n").scheme,
              "https")
        << "the sender's own";
}

TEST(TrustedHops, ForwardedIsReadWhereItIsWritten) {
    const auto find = [](const std::string& lines) {
        return seen(trusting({"10.0.0.0/8"}, config::Forwarded::rfc7239), address_of("10.0.0.1"), lines);
    };
    EXPECT_EQ(find("Forwarded: for=1.1.1.1;proto=https;by=10.0.0.1\r\n"),
              (Client{"1.1.1.1", 0, true, "https"}));
    EXPECT_EQ(find("Forwarded: for=6.6.6.6, For=\"1.1.1.1:80\";proto=https, FOR=10.0.0.2;proto=http\r\n"),
              (Client{"1.1.1.1", 80, true, "https"}));
    EXPECT_EQ(find("Forwarded: for=\"[2001:db8:cafe::17]:4711\"\r\n"),
              (Client{"2001:db8:cafe::17", 4711, true, "http"}));
    EXPECT_EQ(find("Forwarded: for=\"1.1.1.1:_port\"\r\n"), (Client{"1.1.1.1", 0, true, "http"}));
    EXPECT_EQ(find("Forwarded: for=6.6.6.6\r\nForwarded: for=1.1.1.1;host=\"a, b;for=7.7.7.7\"\r\n").text,
              "1.1.1.1")
        << "commas in quotes are text";
    EXPECT_EQ(find("Forwarded: ;for=1.1.1.1;\r\n").text, "1.1.1.1") << "pairs may be empty";
    EXPECT_EQ(find("Forwarded: proto=https\r\n"), (Client{"10.0.0.1", 4000, true, "https"}));
    EXPECT_EQ(find("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"),
              (Client{"1.1.1.1", 0, true, "https"}))
        << "a sender that writes the other family";
}

TEST(TrustedHops, ForwardedIsReadStrictly) {
    for (const std::string bad :
         {"for=unknown", "for=_hidden", "for=2001:db8::1", "for=\"2001:db8::1\"", "for=[2001:db8::1]",
          "for=1.1.1.1:80", "for = 1.1.1.1", "for=1.1.1.1; proto=https", "for=1.1.1.1;for=2.2.2.2",
          "for=", "for", "for=\"1.1.1.1", "=1.1.1.1", "for=\"1.1.1.1\"x", "for=\"1.1.1.\\1\"",
          "for=\"[2001:db8::1]:\"", "for=\"[2001:db8::1]:_\"", "by=1.1.1.1"}) {
        EXPECT_EQ(client("Forwarded: for=6.6.6.6, " + bad + ", for=10.0.0.2\r\n", config::Forwarded::rfc7239),
                  "10.0.0.2")
            << bad;
    }
}

// What a client writes to the left must not reach what a trusted hop appended.
TEST(TrustedHops, AnOpenQuoteHidesNothing) {
    for (const std::string evil : {"for=\"x", "for=\"x\\", "for=\"", "host=\"a\\\"b", "\"\"\"", "\\\"\\"}) {
        EXPECT_EQ(client("Forwarded: " + evil + ", for=1.1.1.1;host=\"h:1\"\r\n", config::Forwarded::rfc7239),
                  "1.1.1.1")
            << evil;
    }
    EXPECT_EQ(client("Forwarded: for=1.1.1.1;host=\"a\\\\\"\r\n", config::Forwarded::rfc7239), "1.1.1.1");
    EXPECT_EQ(client("Forwarded: for=1.1.1.1;host=\"a\\\",b\"\r\n", config::Forwarded::rfc7239), "1.1.1.1");
}

TEST(TrustedHops, OneFamilyIsReadAndNeverWhicheverIsThere) {
    const std::string both = "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=2.2.2.2\r\n";
    EXPECT_EQ(client(both, config::Forwarded::x), "1.1.1.1");
    EXPECT_EQ(client(both, config::Forwarded::both), "1.1.1.1");
    EXPECT_EQ(client(both, config::Forwarded::off), "1.1.1.1");
    EXPECT_EQ(client(both, config::Forwarded::rfc7239), "2.2.2.2");
    EXPECT_EQ(client("Forwarded: for=2.2.2.2\r\n", config::Forwarded::x), "10.0.0.1");
}

TEST(TrustedHops, ValidForwarded) {
    for (const std::string_view good :
         {"", "for=1.1.1.1", "for=_a;by=\"x, y\";z=1 , host=\"\\\"\"", ",,for=a,", ";;"})
        EXPECT_TRUE(valid_forwarded(good)) << good;
    for (const std::string_view bad :
         {"for", "for=", "for=\"a", "for=a b", "for=\"a\\", "for=a;FOR=b", "for=\"a\"b", "=a", "for=[::1]"}) {
        EXPECT_FALSE(valid_forwarded(bad)) << bad;
    }
}

}  // namespace
}  // namespace lb
