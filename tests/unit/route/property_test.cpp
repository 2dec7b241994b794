// tests/unit/route/property_test.cpp -- the matcher beside a naive one that shares no code with it: it decodes, splits and
// compares by copying, and asks every route in turn. Random routes and requests out of few words, so that much collides.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "shared/base/random.h"
#include "shared/route/path.h"
#include "support.h"

namespace lb::test {
namespace {

// -- the naive one

std::string naive_decoded(const std::string& text, bool plus) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i++) {
        const std::string two = text.substr(std::min(i + 1, text.size()), 2);
        if (text[i] == '%' && two.size() == 2 &&
            two.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos) {
            out += static_cast<char>(std::stoi(two, nullptr, 16));
            i += 2;
        } else {
            out += plus && text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

std::vector<std::string> naive_split(const std::string& text, char separator) {
    std::vector<std::string> out(1);
    for (const char c : text) {
        if (c == separator) {
            out.emplace_back();
        } else {
            out.back() += c;
        }
    }
    return out;
}

std::string naive_path(const std::string& target) {
    std::string path = naive_decoded(target.substr(0, target.find('?')), false);
    path.insert(0, "/");
    for (std::size_t at; (at = path.find("//")) != std::string::npos;) path.erase(at, 1);
    std::vector<std::string> kept;
    const std::vector<std::string> segments = naive_split(path.substr(1), '/');
    for (const std::string& segment : segments) {
        if (segment == ".." && !kept.empty()) kept.pop_back();
        if (segment != "." && segment != ".." && !segment.empty()) kept.push_back(segment);
    }
    std::string out;
    for (const std::string& segment : kept) out += "/" + segment;
    const std::string& last = segments.back();
    if (out.empty() || last.empty() || last == "." || last == "..") out += "/";
    return out;
}

struct NaiveHost {
    explicit NaiveHost(std::string text) : name(text.substr(0, text.find(':'))) {
        std::ranges::transform(name, name.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (name.ends_with(".")) name.pop_back();
    }
    // 0 exact; 1 and more: wildcards, the longest first; -1: no.
    [[nodiscard]] int rank(const config::HostMatch& match) const {
        if (!match.wildcard) return name == match.name ? 0 : -1;
        const auto labels = naive_split(name, '.');
        for (std::size_t i = 1; i < labels.size(); i++) {
            std::string tail = labels[i];
            for (std::size_t j = i + 1; j < labels.size(); j++) tail += "." + labels[j];
            if (tail == match.name && !(i == 1 && labels[0].empty()))
                return 1000 - static_cast<int>(tail.size());
        }
        return -1;
    }
    std::string name;
};

bool naive_value(const config::ValueMatch& match, const std::string& value) {
    if (match.kind == config::Match::exact) return value == match.text;
    return match.kind == config::Match::present || match.pattern.matches(value);
}

bool naive_pairs(const config::ValueMatch& match,
                 const std::vector<std::pair<std::string, std::string>>& pairs) {
    return std::ranges::any_of(
        pairs, [&](const auto& pair) { return pair.first == match.name && naive_value(match, pair.second); });
}

struct NaiveRequest {
    std::string method, target, host, from;
    std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
};

bool naive_holds(const config::Route& route, const NaiveRequest& request, const Address& client,
                 const geo::Countries* database) {
    const std::string path = naive_path(request.target);
    const std::string& text = route.path.text;
    if (route.path.kind != config::Match::present && request.target == "*") return false;
    if (route.path.kind == config::Match::exact && path != text) return false;
    if (route.path.kind == config::Match::regex && !route.path.pattern.matches(path)) return false;
    if (route.path.kind == config::Match::prefix) {
        const std::string whole = text.ends_with("/") ? text : text + "/";
        if (!(path + "/").starts_with(whole) || (text != whole && !path.starts_with(text))) return false;
        if (text == whole && !path.starts_with(text)) return false;
    }
    if (!route.methods.empty() && std::ranges::find(route.methods, request.method) == route.methods.end())
        return false;
    std::vector<std::pair<std::string, std::string>> cookies, parameters;
    for (const auto& [name, value] : request.headers) {
        if (name != "cookie") continue;
        for (const std::string& pair : naive_split(value, ';')) {
            const std::size_t begin = std::min(pair.find_first_not_of(' '), pair.size());
            const std::size_t equals = pair.find('=');
            if (equals != std::string::npos)
                cookies.emplace_back(pair.substr(begin, equals - begin), pair.substr(equals + 1));
        }
    }
    const std::size_t mark = request.target.find('?');
    if (mark != std::string::npos) {
        for (const std::string& parameter : naive_split(request.target.substr(mark + 1), '&')) {
            const std::size_t equals = parameter.find('=');
            const std::string value = equals == std::string::npos ? "" : parameter.substr(equals + 1);
            if (!parameter.empty())
                parameters.emplace_back(naive_decoded(parameter.substr(0, equals), true),
                                        naive_decoded(value, true));
        }
    }
    const auto all = [](const std::vector<config::ValueMatch>& matches, const auto& pairs) {
        return std::ranges::all_of(matches, [&](const auto& match) { return naive_pairs(match, pairs); });
    };
    if (!all(route.headers, request.headers) || !all(route.cookies, cookies) ||
        !all(route.queries, parameters)) {
        return false;
    }
    if (!route.countries.empty()) {
        const std::string_view country = database == nullptr ? "" : database->country_of(client);
        if (std::ranges::find(route.countries, country) == route.countries.end()) return false;
    }
    return route.sources.empty() ||
           std::ranges::any_of(route.sources, [&](const Cidr& range) { return range.contains(client); });
}

std::uint32_t naive_find(const config::Config& config, const NaiveRequest& request, const Address& client,
                         std::uint32_t listener) {
    const NaiveHost host(request.host);
    std::uint32_t best = config::no_index;
    int best_rank = 5000;
    for (std::uint32_t i = 0; i < config.routes.size(); i++) {
        const config::Route& route = config.routes[i];
        if (!route.listeners.empty() && std::ranges::find(route.listeners, listener) == route.listeners.end())
            continue;
        int rank = route.hosts.empty() ? 2000 : 5000;
        for (const config::HostMatch& match : route.hosts) {
            const int each = host.rank(match);
            if (each >= 0) rank = std::min(rank, each);
        }
        if (rank >= best_rank || !naive_holds(route, request, client, config.zones.countries.get())) continue;
        best = i;
        best_rank = rank;
    }
    return best;
}

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
