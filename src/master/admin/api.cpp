// master/admin/api.cpp -- see api.h.
#include "master/admin/api.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>
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

// Calls see(head) for the column of each process of a kind that lives.
template <class See>
void each_process(const shm::Segment& table, shm::Role role, See see) {
    const auto columns = table.header().columns_touched.load(std::memory_order_acquire);
    for (std::uint32_t i = 0; i < columns; i++) {
        const shm::ColumnHead& head = table.column(i);
        if (head.state.load(std::memory_order_acquire) != shm::ColumnState::used) continue;
        if (head.role.load(std::memory_order_relaxed) == role) see(head);
    }
}
template <class See>
void each_worker(const shm::Segment& table, See see) {
    each_process(table, shm::Role::worker, see);
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

// The process number of the newest one of a kind; null: none lives.
ordered_json pid_of(const shm::Segment& table, shm::Role role) {
    ordered_json out = nullptr;
    std::uint32_t newest = 0;
    each_process(table, role, [&](const shm::ColumnHead& head) {
        const auto generation = head.generation.load(std::memory_order_relaxed);
        const auto pid = head.pid.load(std::memory_order_relaxed);
        if (pid == 0 || (!out.is_null() && generation < newest)) return;
        newest = generation;
        out = pid;
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
    one["state"] = shm::operator_words[static_cast<std::size_t>(group.operator_state)];
    one["ejected_until"] = or_null(group.ejected_until != 0, group.ejected_until);
    one["member"] = group.member;
    one["member_of"] = shm::member_words[static_cast<std::size_t>(group.member_of)];
    one["expires"] = or_null(group.expires != 0, group.expires);
    one["zone"] = or_null(!group.zone.empty(), group.zone);
    one["weight"] = group.weight;
    one["effective_weight"] = group.effective_weight;
    one["max_inflight"] = or_null(group.max_inflight != 0, group.max_inflight);
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

// How a pool picks, and where it finds backends besides those written in the file.
void add_settings(ordered_json& out, const config::Config& config, const Group& group) {
    const auto mine = std::find_if(config.pools.begin(), config.pools.end(), [&](const config::Pool& pool) {
        return pool.slot == group.places.front().slot;
    });
    out["configured"] = mine != config.pools.end();
    if (mine == config.pools.end()) return;
    out["policy"] = config::policy_names[static_cast<std::size_t>(mine->balance.policy)];
    out["target_inflight"] = or_null(mine->target_inflight != 0, mine->target_inflight);
    out["discover"] = ordered_json::array();
    for (const config::Discover& source : mine->discover) {
        out["discover"].push_back(to_utf8(source_text(source)));
    }
}

// A pool without its backends, which begin at `first` in the inventory and are `count`.
ordered_json pool_json(const Moment& moment, const Group& group, std::size_t first, std::size_t count) {
    const shm::Segment& table = moment.table;
    const auto* published = published_of(table, group);
    ordered_json one;
    one["name"] = group.name;
    one["requests"] = total<"lb_requests_total">(table, group.places);
    one["retries"] = total<"lb_retries_total">(table, group.places);
    one["queued"] = total<"lb_pool_queued">(table, group.places);
    one["saturated"] = total<"lb_pool_saturated_total">(table, group.places);
    one["usable"] = published != nullptr ? published->usable : 0;
    one["panic"] = table.pool(group.places.front().slot).panic.load(std::memory_order_relaxed) != 0;
    if (moment.config != nullptr) add_settings(one, *moment.config, group);
    one["unresolved"] = ordered_json::array();  // members without an address
    for (std::size_t i = first; i < first + count; i++) {
        const BackendGroup& each = moment.inventory.backends[i];
        if (each.member && each.addresses.empty()) one["unresolved"].push_back(each.name);
    }
    return one;
}

// How many backends from `first` on are of one pool.
std::size_t count_of(const Inventory& inventory, std::size_t first, std::size_t pool) {
    std::size_t end = first;
    while (end < inventory.backends.size() && inventory.backends[end].pool == pool) end++;
    return end - first;
}

ordered_json pools(const Moment& moment) {
    const Inventory& inventory = moment.inventory;
    ordered_json out = ordered_json::array();
    std::size_t first = 0;
    for (std::size_t pool = 0; pool < inventory.pools.size(); pool++) {
        const std::size_t count = count_of(inventory, first, pool);
        ordered_json one = pool_json(moment, inventory.pools[pool], first, count);
        one["backends"] = ordered_json::array();
        for (std::size_t i = first; i < first + count; i++) {
            one["backends"].push_back(backend_json(moment.table, inventory.backends[i]));
        }
        first += count;
        out.push_back(std::move(one));
    }
    return out;
}

ordered_json limits(const Moment& moment) {
    constexpr auto scope = metrics::Scope::limit;
    constexpr auto requests = metrics::offset_of(metrics::index_of<"lb_limit_requests_total">());
    ordered_json out = ordered_json::array();
    for (const Group& group : moment.inventory.limits) {
        ordered_json one;
        one["name"] = group.name;
        for (std::size_t label = 0; label < std::size(metrics::limit_values); label++) {
            std::uint64_t n = 0;
            for (const Place& place : group.places) {
                n += shm::sum(moment.table, scope, place.slot, requests + label);
            }
            one[std::string(metrics::limit_values[label])] = n;
        }
        one["evictions"] = total<"lb_limit_evictions_total">(moment.table, group.places);
        out.push_back(std::move(one));
    }
    return out;
}

std::string text_of(const ordered_json& json, int indent = 1) {
    return json.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}
// In one line, or over several when that were too long. Names and reasons are bounded; lists of addresses are not.
std::string line_of(const ordered_json& json) {
    std::string line = text_of(json, -1);
    return line.size() < StatusPage::longest_line / 2 ? line : text_of(json);
}

struct Part {
    std::string_view name;
    ordered_json (*list)(const Moment&);
    const char* key;  // what an entry is asked for by
};
constexpr Part parts[] = {{"workers", workers, "number"},
                          {"listeners", listeners, "name"},
                          {"routes", routes, "name"},
                          {"limits", limits, "name"},
                          {"pools", pools, "name"}};
static_assert(parts[std::size(parts) - 1].name == "pools", "StatusPage writes them last");

}  // namespace

bool StatusPage::next(std::string& out, std::size_t backends) {
    const shm::Header& header = moment_.table.header();
    if (part_ == 0) {
        ordered_json head;
        head["version"] = LB_VERSION;
        head["generation"] = header.generation.load(std::memory_order_acquire);
        head["start_time"] = header.start_time;
        head["uptime_seconds"] = std::max<std::int64_t>(0, moment_.unix_now - header.start_time);
        head["stopping"] = header.stopping.load(std::memory_order_relaxed) != 0;
        head["reloads"] = shm::sum<"lb_reloads_total">(moment_.table, 0, 0);
        head["failed_reloads"] = shm::sum<"lb_reloads_total">(moment_.table, 0, 1);
        head["master"] = pid_of(moment_.table, shm::Role::master);
        head["admin"] = pid_of(moment_.table, shm::Role::admin);
        out += text_of(head);
        out.erase(out.size() - 2);  // the end of it: the lists follow
        out += ",\n";
    }
    if (part_ < std::size(parts) - 1) {
        const Part& part = parts[part_++];
        const ordered_json list = part.list(moment_);
        out += " \"" + std::string(part.name) + "\": [";
        for (std::size_t i = 0; i < list.size(); i++) out += (i == 0 ? "\n  " : ",\n  ") + line_of(list[i]);
        out += list.empty() ? "],\n" : "\n ],\n";
        if (part_ == std::size(parts) - 1) out += " \"pools\": [\n";
        return true;
    }
    if (pool_ < moment_.inventory.pools.size()) {
        pool_backends(out, backends);
        return true;
    }
    out += " ]\n}\n";
    return false;
}

void StatusPage::pool_backends(std::string& out, std::size_t backends) {
    const Inventory& inventory = moment_.inventory;
    const std::size_t left = count_of(inventory, backend_, pool_);
    if (!std::exchange(in_pool_, true)) {
        std::string head = line_of(pool_json(moment_, inventory.pools[pool_], backend_, left));
        head.pop_back();  // the end of it: its backends follow
        out += "  " + head + ",\"backends\":[\n";
    }
    const std::size_t now = std::min(backends, left);
    for (std::size_t i = 0; i < now; i++, backend_++) {
        out += "   " + line_of(backend_json(moment_.table, inventory.backends[backend_]));
        out += i + 1 < left ? ",\n" : "\n";
    }
    if (now < left) return;
    in_pool_ = false;
    pool_++;
    out += pool_ < inventory.pools.size() ? "   ]},\n" : "   ]}\n";
}

std::string status_json(const Moment& moment) {
    std::string out;
    for (StatusPage page(moment); page.next(out, moment.inventory.backends.size());) continue;
    return out;
}

std::optional<std::string> part_json(const Moment& moment, std::string_view path) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    for (const Part& part : parts) {
        if (part.name != path.substr(0, slash)) continue;
        const ordered_json list = part.list(moment);
        if (slash == path.size()) return text_of(list) + "\n";
        const std::string_view wanted = path.substr(slash + 1);
        for (const ordered_json& one : list) {
            const ordered_json& key = one[part.key];
            const std::string text = key.is_string() ? key.get<std::string>() : key.dump();
            if (text == wanted) return text_of(one) + "\n";
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
