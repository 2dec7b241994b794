// master/config/route_checks.cpp -- see route_checks.h.
#include "master/config/route_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "shared/route/path.h"

namespace lb::config {
namespace {

constexpr std::string_view actions[] = {"pool", "redirect", "respond"};
// Keys about a backend; what lb answers itself never sees one.
constexpr std::string_view about_backends[] = {
    "response_timeout",   "tunnel_timeout",     "retries", "mirror", "rewrite", "remove_request_header",
    "set_request_header", "add_request_header",
};

// Exactly one thing happens to a request.
void check_action(const Route& route, const Section& section, Draft& draft) {
    const Entry* chosen = nullptr;
    bool none = true;
    for (const std::string_view key : actions) {
        none = none && lacks(section, key);
        const Entry* entry = first_entry(section, key);
        if (entry == nullptr) continue;
        if (chosen != nullptr) {
            draft.fail(entry->place,
                       fmt::format("stands beside '{}' at {}", chosen->key->name, where(chosen->place)),
                       "a route has one of " + join_choices(actions));
        } else {
            chosen = entry;
        }
    }
    if (none) {
        draft.fail(section.place, "needs a 'pool', a 'redirect' or a 'respond'",
                   "what is to happen to its requests?");
    }
    if (chosen == nullptr || chosen->key->name == "pool") return;
    std::vector<const Entry*> useless;
    for (const std::string_view key : about_backends) useless.push_back(first_entry(section, key));
    if (route.gzip) useless.push_back(first_entry(section, "compress"));
    for (const Entry* entry : useless) {
        if (entry == nullptr) continue;
        draft.fail(entry->place, fmt::format("has no effect beside '{}'", chosen->key->name), "remove it");
    }
}

void resolve_route(Route& route, const References& written, const Section& section, const AllNames& names,
                   Draft& draft) {
    route.listeners =
        find_all(written.listeners, names.listeners, good_entries(section, "listener"), {}, draft);
    route.limits = find_all(written.limits, names.limits, good_entries(section, "limit"), {}, draft);
    route.acls = find_all(written.acls, names.acls, good_entries(section, "acl"), {}, draft);
    const auto indexes =
        find_all(written.pools, names.pools, good_entries(section, "pool"), "add their weights", draft);
    for (std::size_t i = 0; i < indexes.size(); i++) route.pools[i].pool = indexes[i];
    if (route.mirror) {
        route.mirror->pool = names.pools.find(written.mirror, *good_entries(section, "mirror").back(), draft);
    }
    if (written.access_log == "off") {
        route.access_log = no_index;
    } else if (!written.access_log.empty()) {
        route.access_log =
            names.logs.find(written.access_log, *good_entries(section, "access_log").back(), draft);
    }
}

template <class T>
bool holds_all(const std::vector<T>& set, const std::vector<T>& of) {
    return std::all_of(of.begin(), of.end(),
                       [&](const T& each) { return std::find(set.begin(), set.end(), each) != set.end(); });
}
// One of a list must hold, and an empty list always does.
template <class T>
bool any_covers(const std::vector<T>& earlier, const std::vector<T>& later) {
    return earlier.empty() || (!later.empty() && holds_all(earlier, later));
}

bool path_covers(const PathMatch& earlier, const PathMatch& later) {
    switch (earlier.kind) {
        case Match::present: return true;
        case Match::exact: return later.kind == Match::exact && later.text == earlier.text;
        case Match::prefix:
            return (later.kind == Match::exact || later.kind == Match::prefix) &&
                   route::has_prefix(later.text, earlier.text);
        case Match::regex: return later.kind == Match::regex && later.pattern == earlier.pattern;
    }
    return false;
}

// Whether every request that meets the later route's conditions, listeners aside, meets those of the earlier one, which is
// asked first. A route with hosts is asked before all without, so hosts must be the same ones.
bool covers(const Route& earlier, const Route& later) {
    return earlier.hosts.empty() == later.hosts.empty() && holds_all(earlier.hosts, later.hosts) &&
           path_covers(earlier.path, later.path) && any_covers(earlier.methods, later.methods) &&
           any_covers(earlier.sources, later.sources) && any_covers(earlier.countries, later.countries) &&
           holds_all(later.headers, earlier.headers) && holds_all(later.cookies, earlier.cookies) &&
           holds_all(later.queries, earlier.queries);
}

// Earlier routes by host and path, so that each route is compared with a few and not with all.
class Earlier {
 public:
    void add(const Route& route, std::size_t index) {
        if (route.hosts.empty()) add(key({}, route.path.kind, text(route.path)), index);
        for (const HostMatch& host : route.hosts) {
            add(key(host_key(host), route.path.kind, text(route.path)), index);
        }
    }
    // In the order of the file.
    [[nodiscard]] std::set<std::size_t> candidates(const Route& route) const {
        const std::string host = route.hosts.empty() ? std::string() : host_key(route.hosts[0]);
        const std::string& path = text(route.path);
        std::set<std::size_t> out;
        collect(key(host, Match::present, {}), out);
        collect(key(host, route.path.kind, path), out);
        if (route.path.kind != Match::exact && route.path.kind != Match::prefix) return out;
        // Prefixes end where a segment does, with or without its slash.
        for (std::size_t i = 0; i < path.size(); i++) {
            if (path[i] != '/') continue;
            collect(key(host, Match::prefix, std::string_view(path).substr(0, i + 1)), out);
            collect(key(host, Match::prefix, std::string_view(path).substr(0, i)), out);
        }
        collect(key(host, Match::prefix, path), out);
        return out;
    }

 private:
    // More routes than this of one host and path differ in other conditions; not all of them are compared.
    static constexpr std::size_t most = 100;

    static const std::string& text(const PathMatch& path) {
        return path.kind == Match::regex ? path.pattern.source() : path.text;
    }
    static std::string host_key(const HostMatch& host) { return (host.wildcard ? "*." : "") + host.name; }
    static std::string key(std::string_view host, Match kind, std::string_view path) {
        return fmt::format("{} {} {}", host, static_cast<unsigned>(kind), path);
    }
    void add(const std::string& place, std::size_t index) {
        auto& list = places_[place];
        if (list.size() < most) list.push_back(index);
    }
    void collect(const std::string& place, std::set<std::size_t>& out) const {
        const auto found = places_.find(place);
        if (found != places_.end()) out.insert(found->second.begin(), found->second.end());
    }

    std::unordered_map<std::string, std::vector<std::size_t>> places_;
};

}  // namespace

void check_routes(Built& built, const AllNames& names, Draft& draft) {
    for (std::size_t i = 0; i < built.config.routes.size(); i++) {
        Route& route = built.config.routes[i];
        check_action(route, *built.routes[i], draft);
        resolve_route(route, built.route_references[i], *built.routes[i], names, draft);
    }
}

void find_shadowed_routes(const Built& built, std::vector<std::string>& warnings) {
    const std::vector<Route>& routes = built.config.routes;
    const std::size_t listeners = built.config.listeners.size();
    Earlier seen;
    for (std::size_t i = 0; i < routes.size(); i++) {
        std::set<std::uint32_t> open(routes[i].listeners.begin(), routes[i].listeners.end());
        for (std::uint32_t k = 0; routes[i].listeners.empty() && k < listeners; k++) open.insert(k);
        for (const std::size_t earlier : seen.candidates(routes[i])) {
            if (!covers(routes[earlier], routes[i])) continue;
            for (const std::uint32_t each : routes[earlier].listeners) open.erase(each);
            if (routes[earlier].listeners.empty()) open.clear();
            if (!open.empty()) continue;
            const Section& taker = *built.routes[earlier];
            warn(built.routes[i]->place,
                 fmt::format("no request gets here: [{}] at {} takes all that it could have", taker.label(),
                             where(taker.place)),
                 warnings);
            break;
        }
        seen.add(routes[i], i);
    }
}

}  // namespace lb::config
