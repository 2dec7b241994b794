// master/admin/api.cpp -- see api.h.
#include "master/admin/api.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "shared/shm/counters.h"

#ifndef LB_VERSION
#error "LB_VERSION comes from CMakeLists.txt"
#endif

namespace lb::admin {
namespace {

using nlohmann::ordered_json;

// The sum over a metric's labels and a group's slots.
template <metrics::Name name>
std::uint64_t total(const shm::Segment& table, const std::vector<Place>& places) {
    constexpr const metrics::Metric& m = metrics::catalog[metrics::index_of<name>()];
    std::uint64_t n = 0;
    for (const Place& place : places) {
        for (std::uint32_t label = 0; label < std::max<std::size_t>(1, m.values.size()); label++) {
            n += shm::sum<name>(table, place.slot, label);
        }
    }
    // A gauge may be read between what one process added and another took away.
    if (m.kind == metrics::Kind::gauge && static_cast<std::int64_t>(n) < 0) return 0;
    return n;
}

// Calls see(head) for the column of each worker that lives.
template <class See>
void each_worker(const shm::Segment& table, See see) {
    const auto columns = table.header().columns_touched.load(std::memory_order_acquire);
    for (std::uint32_t i = 0; i < columns; i++) {
        const shm::ColumnHead& head = table.column(i);
        if (head.state.load(std::memory_order_acquire) != shm::ColumnState::used) continue;
        if (head.role.load(std::memory_order_relaxed) == shm::Role::worker) see(head);
    }
}

// Microseconds since the last sign of life; negative: none yet.
Micros heartbeat_age(const shm::ColumnHead& head, Micros now) {
    const auto beat = static_cast<Micros>(head.heartbeat.load(std::memory_order_relaxed));
    // Another process's clock read may be a little later than ours.
    return beat == 0 ? -1 : std::max<Micros>(0, now - beat);
}

ordered_json workers(const Moment& moment) {
    ordered_json out = ordered_json::array();
    each_worker(moment.table, [&](const shm::ColumnHead& head) {
        const Micros age = heartbeat_age(head, moment.now);
        ordered_json one;
        one["number"] = head.worker.load(std::memory_order_relaxed);
        one["pid"] = head.pid.load(std::memory_order_relaxed);
        one["generation"] = head.generation.load(std::memory_order_relaxed);
        one["state"] = head.draining.load(std::memory_order_relaxed) != 0 ? "draining" : "serving";
        one["heartbeat_age_ms"] = age < 0 ? ordered_json(nullptr) : ordered_json(age / 1000);
        out.push_back(std::move(one));
    });
    return out;
}

ordered_json listeners(const Moment& moment) {
    ordered_json out = ordered_json::array();
    for (const Group& group : moment.inventory.listeners) {
        ordered_json one;
        one["name"] = group.name;
        one["connections"] = total<"lb_client_connections">(moment.table, group.places);
        one["tunnels"] = total<"lb_tunnels">(moment.table, group.places);
        one["requests"] = total<"lb_listener_requests_total">(moment.table, group.places);
        out.push_back(std::move(one));
    }
    return out;
}

ordered_json share_json(const config::Config& config, std::uint32_t pool) {
    return pool < config.pools.size() ? ordered_json(to_utf8(config.pools[pool].name))
                                      : ordered_json(nullptr);
}

// What a route does with a request, from the configuration.
void add_action(ordered_json& out, const config::Config& config, const config::Route& route) {
    out["pools"] = ordered_json::array();
    for (const config::Share& share : route.pools) {
        out["pools"].push_back({{"name", share_json(config, share.pool)}, {"weight", share.weight}});
    }
    out["redirect"] = route.redirect ? ordered_json(route.redirect->status) : ordered_json(nullptr);
    out["respond"] = route.respond ? ordered_json(route.respond->status) : ordered_json(nullptr);
    out["mirror"] = nullptr;
    if (route.mirror) {
        constexpr double whole = 1'000'000;
        out["mirror"] = {{"name", share_json(config, route.mirror->pool)},
                         {"share", static_cast<double>(route.mirror->share) / whole}};
    }
}

ordered_json routes(const Moment& moment) {
    ordered_json out = ordered_json::array();
    for (const Group& group : moment.inventory.routes) {
        ordered_json one;
        one["name"] = group.name;
        one["requests"] = total<"lb_route_requests_total">(moment.table, group.places);
        if (moment.config != nullptr) {
            const auto& all = moment.config->routes;
            const auto mine = std::find_if(all.begin(), all.end(), [&](const config::Route& route) {
                return route.slot == group.places.front().slot;
            });
            one["configured"] = mine != all.end();
            if (mine != all.end()) add_action(one, *moment.config, *mine);
        }
        out.push_back(std::move(one));
    }
    return out;
}

ordered_json or_null(bool there, ordered_json value) {
    return there ? std::move(value) : ordered_json(nullptr);
}

ordered_json backend_json(const shm::Segment& table, const BackendGroup& group) {
    ordered_json one;
    one["name"] = group.name;
    one["addresses"] = ordered_json::array();
    for (const Address& address : group.addresses) one["addresses"].push_back(to_utf8(to_string(address)));
    one["health"] = shm::health_words[static_cast<std::size_t>(group.health)];
    one["member"] = group.member;
    one["weight"] = group.weight;
    one["backup"] = group.backup;
    one["in_flight"] = total<"lb_backend_in_flight">(table, group.places);
    one["requests"] = total<"lb_backend_requests_total">(table, group.places);
    one["failures"] = total<"lb_backend_failures_total">(table, group.places);
    one["changed"] = or_null(group.changed != 0, group.changed);
    one["check_reason"] = or_null(!group.check_reason.empty(), group.check_reason);
    return one;
}

std::string source_text(const config::Discover& source) {
    switch (source.kind) {
        case config::DiscoverKind::dns: return "dns " + source.name + ":" + std::to_string(source.port);
        case config::DiscoverKind::srv: return "dns srv=" + source.name;
        case config::DiscoverKind::file: return "file " + source.path;
    }
    return {};
}

// Where a pool finds backends besides those written in the file.
void add_sources(ordered_json& out, const config::Config& config, const Group& group) {
    const auto mine = std::find_if(config.pools.begin(), config.pools.end(), [&](const config::Pool& pool) {
        return pool.slot == group.places.front().slot;
    });
    out["configured"] = mine != config.pools.end();
    if (mine == config.pools.end()) return;
    out["discover"] = ordered_json::array();
    for (const config::Discover& source : mine->discover) {
        out["discover"].push_back(to_utf8(source_text(source)));
    }
}

ordered_json pools(const Moment& moment) {
    ordered_json out = ordered_json::array();
    for (const Group& group : moment.inventory.pools) {
        ordered_json one;
        one["name"] = group.name;
        one["requests"] = total<"lb_requests_total">(moment.table, group.places);
        one["retries"] = total<"lb_retries_total">(moment.table, group.places);
        if (moment.config != nullptr) add_sources(one, *moment.config, group);
        one["unresolved"] = ordered_json::array();  // members without an address
        one["backends"] = ordered_json::array();
        out.push_back(std::move(one));
    }
    for (const BackendGroup& group : moment.inventory.backends) {
        ordered_json& pool = out[group.pool];
        if (group.member && group.addresses.empty()) pool["unresolved"].push_back(group.name);
        pool["backends"].push_back(backend_json(moment.table, group));
    }
    return out;
}

std::string text_of(const ordered_json& json) {
    return json.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

struct Part {
    std::string_view name;
    ordered_json (*list)(const Moment&);
    const char* key;  // what an entry is asked for by
};
constexpr Part parts[] = {{"workers", workers, "number"},
                          {"listeners", listeners, "name"},
                          {"routes", routes, "name"},
                          {"pools", pools, "name"}};

}  // namespace

std::string status_json(const Moment& moment) {
    const shm::Header& header = moment.table.header();
    ordered_json out;
    out["version"] = LB_VERSION;
    out["generation"] = header.generation.load(std::memory_order_acquire);
    out["start_time"] = header.start_time;
    out["uptime_seconds"] = std::max<std::int64_t>(0, moment.unix_now - header.start_time);
    out["stopping"] = header.stopping.load(std::memory_order_relaxed) != 0;
    for (const Part& part : parts) out[std::string(part.name)] = part.list(moment);
    return text_of(out);
}

std::optional<std::string> part_json(const Moment& moment, std::string_view path) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    for (const Part& part : parts) {
        if (part.name != path.substr(0, slash)) continue;
        const ordered_json list = part.list(moment);
        if (slash == path.size()) return text_of(list);
        const std::string_view wanted = path.substr(slash + 1);
        for (const ordered_json& one : list) {
            const ordered_json& key = one[part.key];
            const std::string text = key.is_string() ? key.get<std::string>() : key.dump();
            if (text == wanted) return text_of(one);
        }
    }
    return std::nullopt;
}

std::string not_ready(const shm::Segment& table, Micros now) {
    const shm::Header& header = table.header();
    if (header.stopping.load(std::memory_order_acquire) != 0) return "stopping";
    const auto generation = header.generation.load(std::memory_order_acquire);
    std::size_t known = 0;
    std::size_t fresh = 0;
    each_worker(table, [&](const shm::ColumnHead& head) {
        if (head.generation.load(std::memory_order_relaxed) != generation) return;
        if (head.draining.load(std::memory_order_relaxed) != 0) return;
        known++;
        const Micros age = heartbeat_age(head, now);
        if (age >= 0 && age < fresh_heartbeat) fresh++;
    });
    if (fresh > 0) return "";
    return known == 0 ? "no worker of the present generation"
                      : "no worker of the present generation is alive";
}

}  // namespace lb::admin
