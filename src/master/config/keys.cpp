// master/config/keys.cpp -- the table as one: its parts in their order, and looking things up in it.
#include "master/config/keys.h"

#include "master/config/fields.h"
#include "shared/base/text.h"

namespace lb::config {

std::span<const KeySpec> keys() noexcept {
    static const std::vector<KeySpec> table = [] {
        std::vector<KeySpec> all;
        for (const auto part :
             {global_keys(), traffic_keys(), admin_keys(), zone_keys(), log_keys(), listener_keys(),
              pool_keys(), balance_keys(), route_keys(), acl_keys(), limit_keys(), resolver_keys()}) {
            all.insert(all.end(), part.begin(), part.end());
        }
        return all;
    }();
    return table;
}

const KeySpec* find_key(Kind kind, std::string_view name) noexcept {
    for (const KeySpec& key : keys()) {
        if (key.name == name && accepts(key.where, kind)) return &key;
    }
    return nullptr;
}

const KeySpec* nearest_key(Kind kind, std::string_view name) {
    std::vector<std::string_view> here;
    for (const KeySpec& key : keys()) {
        if (accepts(key.where, kind)) here.push_back(key.name);
    }
    return find_key(kind, text::nearest(name, here));
}

std::string unknown_key_hint(Kind kind, std::string_view name) {
    // A key that exists elsewhere was not misspelt: it stands in the wrong section.
    std::string homes;
    for (std::size_t other = 0; other < kind_count; other++) {
        if (find_key(static_cast<Kind>(other), name) == nullptr) continue;
        homes += (homes.empty() ? "[" : " or [") + std::string(kind_names[other]) + "]";
    }
    if (!homes.empty()) return "it belongs to " + homes;
    const KeySpec* near = nearest_key(kind, name);
    return near == nullptr ? std::string() : fmt::format("did you mean '{}'?", near->name);
}

std::string_view kind_text(Kind kind) noexcept {
    switch (kind) {
        case Kind::global: return "The processes.";
        case Kind::defaults: return "Inherited by every listener and every pool that does not set its own.";
        case Kind::admin: return "The operator's HTTP port.";
        case Kind::zones:
            return "Where this lb stands, and where its clients come from; backends say `zone=`.";
        case Kind::log: return "An access log: one line for each request.";
        case Kind::listener: return "Where clients connect.";
        case Kind::pool: return "A group of backends.";
        case Kind::route:
            return "What happens to the requests that meet all its conditions; see ROUTES. It has exactly "
                   "one of `pool`, `redirect` and `respond`.";
        case Kind::acl:
            return "Who may. Listeners and routes name it with `acl`; of several all must agree. Of the "
                   "ranges "
                   "that hold the client's address the longest prefix decides; of an `allow` and a `deny` "
                   "that "
                   "are the same, the `deny`. Who may not gets 403.";
        case Kind::limit:
            return "How much one client, or one of whatever `key` says, may have, counted over all workers. "
                   "Listeners and routes name it with `limit`. It has a `rate`, `connections` or both.";
        case Kind::resolver:
            return "How host names of backends become addresses. There is one, [resolver default].";
    }
    return {};
}

}  // namespace lb::config
