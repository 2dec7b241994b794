// tests/unit/route/property_test.cpp -- the matcher beside the naive one (naive.h). Random routes and requests out of few words,
// so that much collides.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "naive.h"
#include "shared/base/random.h"
#include "shared/route/path.h"
#include "support.h"

namespace lb::test {
namespace {

// -- random routes and requests

class Dice {
 public:
    explicit Dice(std::uint64_t seed) : random_(seed) {}
    template <std::size_t N>
    std::string one(const char* const (&words)[N]) {
        return words[random_.below(N)];
    }
    bool chance(std::uint32_t percent) { return random_.below(100) < percent; }
    std::uint32_t below(std::uint32_t bound) { return random_.below(bound); }

 private:
    Random random_;
};

constexpr const char* const segments[] = {"a", "b", "c",      "ab", "%61", "%2fb", "..",
                                          ".", "",  "%2e%2e", "%",  "b%",  "a%20"};
constexpr const char* const plain_segments[] = {"a", "b", "c", "ab"};
constexpr const char* const hosts[] = {"x.a",     "y.x.a", "a",        "b",  "x.b",
                                       "z.y.x.a", "X.A.",  "Y.x.a:80", ".a", "x..a"};
constexpr const char* const host_matches[] = {"x.a", "y.x.a", "a", "*.a", "*.x.a", "*.b", "*.y.x.a", "b"};
constexpr const char* const methods[] = {"GET", "POST", "PUT", "get"};
constexpr const char* const values[] = {"", "0", "1", "on"};
constexpr const char* const encoded[] = {"", "0", "1", "%31", "o%6e", "on"};
constexpr const char* const patterns[] = {"^(1|on)$", "0", "^$"};
constexpr const char* const paths[] = {"^/a", "b$", "/a/b", "^/[ab]/?$"};
constexpr const char* const names[] = {"x-a", "x-b"};
constexpr const char* const cookie_names[] = {"c", "d"};
constexpr const char* const query_names[] = {"q", "r"};
constexpr const char* const sources[] = {"10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "::/0"};
constexpr const char* const clients[] = {"10.1.2.3",  "10.2.0.1",  "192.0.2.1",    "2001:db8::1",
                                         "127.0.1.1", "127.0.2.1", "2001:db8:1::1"};
constexpr const char* const country_codes[] = {"DE", "FR", "NL", "US"};

std::string random_path(Dice& dice) {
    std::string text;
    for (std::uint32_t i = 0; i <= dice.below(3); i++) text += "/" + dice.one(plain_segments);
    return dice.chance(40) ? text + "/" : dice.chance(10) ? "/" : text;
}

template <std::size_t N>
config::ValueMatch random_value(Dice& dice, const char* const (&from)[N]) {
    const std::string name = dice.one(from);
    const std::uint32_t kind = dice.below(3);
    return value(kind == 0   ? name
                 : kind == 1 ? name + " = " + dice.one(values)
                             : name + " ~ " + dice.one(patterns));
}

config::Route random_route(Dice& dice, std::uint32_t listeners) {
    config::Route route;
    for (std::uint32_t i = 0; i < listeners; i++) {
        if (dice.chance(15)) route.listeners.push_back(i);
    }
    if (dice.chance(60)) {
        for (std::uint32_t i = 0; i <= dice.below(2); i++)
            route.hosts.push_back(host(dice.one(host_matches)));
    }
    const std::uint32_t kind = dice.below(10);
    if (kind < 5) {
        route.path = path(random_path(dice));
    } else if (kind < 7) {
        route.path = path("= " + random_path(dice));
    } else if (kind < 8) {
        route.path = path("~ " + dice.one(paths));
    }
    if (dice.chance(20)) route.methods.push_back(dice.one(methods));
    if (dice.chance(15)) route.headers.push_back(random_value(dice, names));
    if (dice.chance(15)) route.cookies.push_back(random_value(dice, cookie_names));
    if (dice.chance(15)) route.queries.push_back(random_value(dice, query_names));
    if (dice.chance(15)) route.sources.push_back(range(dice.one(sources)));
    for (std::uint32_t i = dice.chance(15) ? 2 : 0; i > 0; i--)
        route.countries.emplace_back(dice.one(country_codes));
    return route;
}

NaiveRequest random_request(Dice& dice) {
    NaiveRequest request;
    request.method = dice.one(methods);
    for (std::uint32_t i = 0; i <= dice.below(5); i++) request.target += "/" + dice.one(segments);
    if (dice.chance(5)) request.target = "/";
    if (dice.chance(3)) {
        request.method = "OPTIONS";
        request.target = "*";
    } else if (dice.chance(50)) {
        request.target += "?";
        for (std::uint32_t i = 0; i < dice.below(4); i++) {
            if (i > 0) request.target += "&";
            request.target += dice.one(query_names);
            if (dice.chance(80)) request.target += "=" + dice.one(encoded);
        }
    }
    request.host = dice.one(hosts);
    request.from = dice.one(clients);
    if (dice.chance(60)) request.headers.emplace_back(dice.one(names), dice.one(values));
    if (dice.chance(30)) request.headers.emplace_back(dice.one(names), dice.one(values));
    if (dice.chance(60)) {
        std::string line = dice.one(cookie_names) + "=" + dice.one(values);
        if (dice.chance(50)) line += "; " + dice.one(cookie_names) + "=" + dice.one(values);
        request.headers.emplace_back("cookie", line);
    }
    return request;
}

TEST(Property, TheMatcherFindsWhatANaiveOneFinds) {
    std::set<std::string> seen;
    std::size_t found = 0;
    std::size_t asked = 0;
    for (std::uint64_t seed = 1; seed <= 60; seed++) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Dice dice(seed);
        Routes routes({"l0", "l1", "l2"});
        const std::uint32_t count = 1 + dice.below(40);
        for (std::uint32_t i = 0; i < count; i++) routes.config.routes.push_back(random_route(dice, 3));
        if (seed % 4 != 0) routes.config.zones.countries = countries();
        route::Matcher matcher(routes.config);
        for (int i = 0; i < 100; i++) {
            const NaiveRequest naive = random_request(dice);
            std::vector<std::string> fields;
            for (const auto& [name, value] : naive.headers) fields.push_back(name + ": " + value);
            const Request request(naive.method + " " + naive.target, naive.host, fields, naive.from);
            const std::uint32_t listener = dice.below(3);
            const std::uint32_t wanted = naive_find(routes.config, naive, request.client, listener);
            ASSERT_EQ(matcher.find(request.question(listener)), wanted)
                << request.bytes << "listener " << listener;
            asked++;
            found += wanted != config::no_index ? 1 : 0;

            // What is told agrees: the first that has nothing against it is the one that is taken.
            const auto verdicts = matcher.explain(request.question(listener));
            ASSERT_EQ(verdicts.size(), routes.config.routes.size());
            const auto first = std::ranges::find_if(verdicts, [](const auto& v) { return v.why.empty(); });
            ASSERT_EQ(first == verdicts.end() ? config::no_index : first->route, wanted) << request.bytes;
            ASSERT_EQ(std::ranges::count_if(verdicts, [](const auto& v) { return v.taken; }),
                      wanted == config::no_index ? 0 : 1);
            if (first != verdicts.end()) {
                ASSERT_TRUE(first->taken);
            }
        }
    }
    // The dice are worth something: neither always nor never a route.
    EXPECT_GT(found, asked / 4);
    EXPECT_LT(found, asked);
}

TEST(Property, TheComparedPathIsTheNaiveOne) {
    Dice dice(7);
    std::string scratch;
    constexpr const char* const pieces[] = {"/", "//", ".",   "..",  "a", "%2e", "%2F",
                                            "%", "%4", "%zz", "%25", "?", "\\",  "%00"};
    for (int i = 0; i < 20'000; i++) {
        std::string target = "/";
        for (std::uint32_t n = dice.below(12); n > 0; n--) target += dice.one(pieces);
        const std::string path(route::normalise(target, scratch));
        ASSERT_EQ(path, naive_path(target)) << target;
        ASSERT_TRUE(path.starts_with("/"));
        ASSERT_EQ(path.find("//"), std::string::npos) << target;
    }
}

}  // namespace
}  // namespace lb::test
