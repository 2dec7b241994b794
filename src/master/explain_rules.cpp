// master/explain_rules.cpp -- see explain_rules.h.
#include "master/explain_rules.h"

#include <fmt/format.h>

#include "shared/route/access.h"
#include "shared/route/request_key.h"

namespace lb {
namespace {

// Calls take(index) for the listener's, then for the route's.
template <class Take>
void each_of(const std::vector<std::uint32_t>& listeners, const std::vector<std::uint32_t>* routes,
             Take take) {
    for (const std::uint32_t index : listeners) take(index);
    if (routes == nullptr) return;
    for (const std::uint32_t index : *routes) take(index);
}

// "200/s", "1 every 90s".
std::string rate_words(std::uint64_t interval) {
    struct Period {
        std::uint64_t nanoseconds;
        char name;
    };
    for (const Period period :
         {Period{1'000'000'000, 's'}, Period{60'000'000'000, 'm'}, Period{3'600'000'000'000, 'h'}}) {
        const std::uint64_t count = period.nanoseconds / interval;
        if (count != 0 && period.nanoseconds / count == interval)
            return fmt::format("{}/{}", count, period.name);
    }
    return fmt::format("1 every {}s", static_cast<double>(interval) / 1e9);
}

std::string limit_words(const config::Limit& limit) {
    std::string out;
    if (limit.interval != 0) out = fmt::format("{} burst={}", rate_words(limit.interval), limit.burst);
    if (limit.connections != 0)
        out += fmt::format("{}{} at once", out.empty() ? "" : ", ", limit.connections);
    if (limit.dry_run) return out + ", counted only (dry_run)";
    return out + fmt::format(", else {}", limit.status);
}

}  // namespace

std::optional<std::string_view> explain_acls(const config::Config& config, const config::Listener& listener,
                                             const config::Route* route, const Asking& asking, Lines& lines) {
    Lines::Rows rows;
    std::optional<std::string_view> denies;
    each_of(listener.acls, route == nullptr ? nullptr : &route->acls, [&](std::uint32_t index) {
        if (denies) return;
        const config::Acl& acl = config.acls[index];
        const route::AclVerdict verdict = route::judge(acl, asking.client);
        if (!verdict.allowed) denies = acl.name;
        rows.emplace_back(acl.name, fmt::format("{}: {}", denies ? "denied" : "allowed", verdict.why));
    });
    lines.table("acl", rows);
    return denies;
}

void explain_limits(const config::Config& config, const config::Listener& listener,
                    const config::Route* route, const Asking& asking, Lines& lines) {
    Lines::Rows rows;
    const std::string_view route_name = route == nullptr ? "" : std::string_view(route->name);
    each_of(listener.limits, route == nullptr ? nullptr : &route->limits, [&](std::uint32_t index) {
        const config::Limit& limit = config.limits[index];
        const auto key = key_words(limit.key, asking, route_name);
        rows.emplace_back(limit.name, key ? fmt::format("{}: {}", *key, limit_words(limit))
                                          : fmt::format("there is no {}: not counted", key_name(limit.key)));
    });
    lines.table("limit", rows);
}

std::string key_name(const config::RequestKey& key) {
    const std::string_view kind = config::key_names[static_cast<std::size_t>(key.kind)];
    return key.name.empty() ? std::string(kind) : fmt::format("{} {}", kind, key.name);
}

std::optional<std::string> key_words(const config::RequestKey& key, const Asking& asking,
                                     std::string_view route_name) {
    constexpr std::size_t most = 200;  // bytes of the value that are shown
    std::string room;
    const auto value = route::request_key(key, asking.head, asking.client_text, route_name, room);
    if (!value) return std::nullopt;
    std::string shown = escaped(value->substr(0, most));
    if (value->size() > most) shown += "...";
    switch (key.kind) {
        case config::KeyKind::uri:
        case config::KeyKind::path:
        case config::KeyKind::client_addr: return fmt::format("{} {}", key_name(key), shown);
        case config::KeyKind::header:
        case config::KeyKind::cookie:
        case config::KeyKind::query: return fmt::format("{} '{}'", key_name(key), shown);
        case config::KeyKind::route: break;
    }
    return shown.empty() ? std::string("no route") : fmt::format("route {}", shown);
}

}  // namespace lb
