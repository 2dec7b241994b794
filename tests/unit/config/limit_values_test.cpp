// tests/unit/config/limit_values_test.cpp -- rates, keys and countries: what they take and what they refuse.
#include "master/config/limit_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb::config {
namespace {

using testing::ElementsAre;

// "what; hint" of a refused value.
std::string why(const auto& parsed) {
    if (parsed) return "accepted";
    return parsed.error().what + (parsed.error().hint.empty() ? "" : "; " + parsed.error().hint);
}

TEST(RateValue, IsAnIntervalAndABurst) {
    EXPECT_EQ(parse_rate("200/s burst=400").value(), (Rate{5'000'000, 400}));
    EXPECT_EQ(parse_rate("200/s").value(), (Rate{5'000'000, 200})) << "what one second brings";
    EXPECT_EQ(parse_rate("120/m").value(), (Rate{500'000'000, 2}));
    EXPECT_EQ(parse_rate("10/m").value(), (Rate{6'000'000'000, 1})) << "at least 1";
    EXPECT_EQ(parse_rate("1/h").value(), (Rate{3'600'000'000'000, 1}));
    EXPECT_EQ(parse_rate("1000000/s").value(), (Rate{1000, 1'000'000}));
}

TEST(RateValue, PrintsWhatReadsBackToTheSameInterval) {
    EXPECT_EQ(print_rate(parse_rate("200/s").value()), "200/s burst=200");
    EXPECT_EQ(print_rate(parse_rate("60/m").value()), "1/s burst=1");
    EXPECT_EQ(print_rate(parse_rate("7/m burst=9").value()), "7/m burst=9");
    EXPECT_EQ(print_rate(parse_rate("100001/h").value()), "100001/h burst=27");
    for (const char* period : {"/s", "/m", "/h"}) {
        for (std::uint64_t count = 1; count <= 1'000'000; count += 1 + count / 7) {
            for (const std::uint64_t near : {count, count - 1, 1'000'001 - count}) {
                if (near == 0) continue;
                const Rate rate = parse_rate(std::to_string(near) + period).value();
                EXPECT_EQ(parse_rate(print_rate(rate)).value(), rate) << near << period;
            }
        }
    }
}

TEST(RateValue, RefusesTheRest) {
    for (const char* text : {"200", "200/d", "/s", "200/", "200 /s", "s/200", "200/sec"}) {
        EXPECT_EQ(why(parse_rate(text)), "is no rate; write N/s, N/m or N/h, as in 200/s burst=400") << text;
    }
    EXPECT_EQ(why(parse_rate("0/s")), "the number of requests must be 1 to 1000000");
    EXPECT_EQ(why(parse_rate("1.5/s")), "the number of requests is not a whole number");
    EXPECT_EQ(why(parse_rate("1/s burst=0")), "burst=0: must be 1 to 1000000");
    EXPECT_EQ(why(parse_rate("1/s bust=2")), "unknown option 'bust'; did you mean 'burst'?");
}

TEST(LimitKey, IsOneOfFour) {
    EXPECT_EQ(parse_limit_key("client_addr").value(), RequestKey{});
    EXPECT_EQ(parse_limit_key("route").value().kind, KeyKind::route);
    EXPECT_EQ(parse_limit_key("header X-Api-Key").value(), (RequestKey{KeyKind::header, "x-api-key"}));
    EXPECT_EQ(parse_limit_key("cookie ID").value(), (RequestKey{KeyKind::cookie, "ID"}));
    EXPECT_EQ(why(parse_limit_key("uri")), "the key must be client_addr, header, cookie or route");
    EXPECT_EQ(why(parse_limit_key("client_adr")),
              "the key must be client_addr, header, cookie or route; did you mean 'client_addr'?");
    EXPECT_EQ(why(parse_limit_key("header A B")), "takes one key; as in header X-Api-Key");
}

TEST(Countries, AreTwoCapitalLetters) {
    EXPECT_THAT(parse_countries("de FR Nl").value(), ElementsAre("DE", "FR", "NL"));
    EXPECT_EQ(print_countries({"DE", "FR"}), "DE FR");
    for (const char* text : {"D", "DEU", "D1", "\"\"", "\xc3\xa4"}) {
        EXPECT_TRUE(
            why(parse_countries(text)).ends_with(" is no code of a country; two letters, as in DE or FR"))
            << text;
    }
    EXPECT_EQ(why(parse_countries("DE de")), "names DE twice");
    EXPECT_EQ(why(parse_countries("uk")), "databases know no UK; write GB");
}

TEST(Countries, BelongToAZone) {
    const Zones::Place place = parse_place("\"eu west\" de FR").value();
    EXPECT_EQ(place.zone, "eu west");
    EXPECT_THAT(place.countries, ElementsAre("DE", "FR"));
    EXPECT_EQ(print_place(place), "\"eu west\" DE FR");
    EXPECT_EQ(why(parse_place("eu")), "needs a zone and its countries; as in eu DE FR");
    EXPECT_EQ(why(parse_place("\"\" DE")), "the name is empty");
    EXPECT_EQ(why(parse_place("eu DEU")), "'DEU' is no code of a country; two letters, as in DE or FR");
}

}  // namespace
}  // namespace lb::config
