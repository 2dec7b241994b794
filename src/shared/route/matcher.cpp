// shared/route/matcher.cpp -- see matcher.h. The index gives lists of routes that come into question, each in the order of
// the file; they are merged as far as it takes to find one that holds.
#include "shared/route/matcher.h"

#include <algorithm>
#include <tuple>

#include "shared/route/conditions.h"
#include "shared/route/host.h"
#include "shared/route/index.h"
#include "shared/route/path.h"
#include "shared/route/words.h"

namespace lb::route {
namespace {

// The place of a route's hosts in the order of asking: 0 exact, then wildcards by length, then none; nothing: not this host.
constexpr std::uint32_t no_host = 1000;
constexpr std::uint32_t other_host = 1001;

std::uint32_t rank_of(const config::Route& route, std::string_view host) noexcept {
    if (route.hosts.empty()) return no_host;
    std::uint32_t best = other_host;
    for (const config::HostMatch& match : route.hosts) {
        if (!host_holds(match, host)) continue;
        HostRoom room;
        const auto length = static_cast<std::uint32_t>(compared_host(match.name, room).size());
        best = std::min(best, match.wildcard ? no_host - length : 0U);
    }
    return best;
}

// What has to be asked of a route that came up by its host and path.
bool has_conditions(const config::Route& route) noexcept {
    return route.path.kind == config::Match::regex || !route.methods.empty() || !route.headers.empty() ||
           !route.cookies.empty() || !route.queries.empty() || !route.sources.empty() ||
           !route.countries.empty();
}

}  // namespace

struct Matcher::State {
    explicit State(const config::Config& c) : config(c), index(c) {
        conditions.reserve(c.routes.size());
        for (const config::Route& route : c.routes) conditions.push_back(has_conditions(route) ? 1 : 0);
        lists.reserve(index.most_lists() * 2);
    }

    // `room` and this state's scratch must outlive what it returns.
    Asked look_at(const Question& question, HostRoom& room) {
        const http::RequestHead& head = question.head;
        const bool asterisk = head.target == "*";
        return {head,
                question.client,
                compared_host(head.host, room),
                asterisk ? std::string_view{} : normalise(head.target, path),
                query_of(head.target),
                {config.zones.countries.get(), question.client}};
    }

    bool holds(std::uint32_t route, const Asked& asked) {
        if (conditions[route] == 0) return true;
        const config::Route& settings = config.routes[route];
        if (settings.path.kind == config::Match::regex && !path_holds(settings.path, asked.path))
            return false;
        return rest_holds(settings, asked, scratch);
    }

    // The first of the classes' candidates that holds.
    std::uint32_t first(const Index::HostClass* one, const Index::HostClass* other, const Asked& asked) {
        lists.clear();
        for (const Index::HostClass* hosts : {one, other}) {
            if (hosts == nullptr) continue;
            index.each_list(*hosts, asked.path, [this](const Index::List& list) {
                if (!list.empty()) lists.push_back({list.data(), list.data() + list.size()});
            });
        }
        while (!lists.empty()) {
            const auto next = std::ranges::min_element(lists, {}, [](const Rest& rest) { return *rest.at; });
            const std::uint32_t route = *next->at;
            if (holds(route, asked)) return route;
            if (++next->at == next->end) {
                *next = lists.back();
                lists.pop_back();
            }
        }
        return config::no_index;
    }

    const config::Config& config;
    Index index;
    std::vector<char> conditions;  // for each route, whether there is more to ask than host and path
    struct Rest {
        const std::uint32_t* at;
        const std::uint32_t* end;
    };
    std::vector<Rest> lists;    // what is left of the candidates; sized for the most there can be
    std::string path, scratch;  // the path in compared form; the value of a parameter
};

Matcher::Matcher(const config::Config& config) : state_(std::make_unique<State>(config)) {}
Matcher::~Matcher() = default;

std::uint32_t Matcher::find(const Question& question) {
    State& s = *state_;
    std::uint32_t found = config::no_index;
    if (s.config.routes.empty()) return found;
    HostRoom room;
    const Asked asked = s.look_at(question, room);
    s.index.each_class(question.listener, asked.host,
                       [&](const Index::HostClass* every, const Index::HostClass* own) {
                           found = s.first(every, own, asked);
                           return found != config::no_index;
                       });
    return found;
}

std::vector<Matcher::Verdict> Matcher::explain(const Question& question) {
    State& s = *state_;
    const std::uint32_t taken = find(question);
    HostRoom room;
    const Asked asked = s.look_at(question, room);
    using Key = std::tuple<bool, std::uint32_t, std::uint32_t>;  // not asked at all, rank, number
    std::vector<std::pair<Key, Verdict>> list;
    list.reserve(s.config.routes.size());
    for (std::uint32_t i = 0; i < s.config.routes.size(); i++) {
        const config::Route& route = s.config.routes[i];
        const std::uint32_t rank = rank_of(route, asked.host);
        const bool elsewhere = !route.listeners.empty() &&
                               std::ranges::find(route.listeners, question.listener) == route.listeners.end();
        list.emplace_back(
            Key{elsewhere || rank == other_host, elsewhere ? other_host : rank, i},
            Verdict{i, i == taken, why_not(s.config, route, question.listener, asked, s.scratch)});
    }
    std::ranges::sort(list, {}, &std::pair<Key, Verdict>::first);
    std::vector<Verdict> verdicts;
    verdicts.reserve(list.size());
    for (auto& each : list) verdicts.push_back(std::move(each.second));
    return verdicts;
}

}  // namespace lb::route
