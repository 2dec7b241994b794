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
using Slots = std::vector<std::uint32_t>;

// The sum over a metric's labels and a group's slots.
template <metrics::Name name>
std::uint64_t total(const shm::Segment& table, const Slots& slots) {
    constexpr const metrics::Metric& m = metrics::catalog[metrics::index_of<name>()];
    std::uint64_t n = 0;
    for (const std::uint32_t slot : slots) {
        for (std::uint32_t label = 0; label < std::max<std::size_t>(1, m.values.size()); label++) {
            n += shm::sum<name>(table, slot, label);
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

ordered_json workers(const shm::Segment& table, Micros now) {
    ordered_json out = ordered_json::array();
    each_worker(table, [&](const shm::ColumnHead& head) {
        const Micros age = heartbeat_age(head, now);
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

ordered_json listeners(const shm::Segment& table, const Inventory& inventory) {
    ordered_json out = ordered_json::array();
    for (const Group& group : inventory.listeners) {
        ordered_json one;
        one["name"] = group.name;
        one["connections"] = total<"lb_client_connections">(table, group.slots);
        one["requests"] = total<"lb_listener_requests_total">(table, group.slots);
        out.push_back(std::move(one));
    }
    return out;
}

ordered_json backend_json(const shm::Segment& table, const BackendGroup& group) {
    ordered_json one;
    one["name"] = group.name;
    one["address"] =
        group.addresses.empty() ? ordered_json(nullptr) : ordered_json(to_string(group.addresses.front()));
    one["health"] = shm::health_words[static_cast<std::size_t>(group.health)];
    one["configured"] = group.configured;
    one["weight"] = group.weight;
    one["backup"] = group.backup;
    one["in_flight"] = total<"lb_backend_in_flight">(table, group.slots);
    one["requests"] = total<"lb_backend_requests_total">(table, group.slots);
    one["failures"] = total<"lb_backend_failures_total">(table, group.slots);
    one["changed"] = group.changed == 0 ? ordered_json(nullptr) : ordered_json(group.changed);
    one["check_reason"] =
        group.check_reason.empty() ? ordered_json(nullptr) : ordered_json(group.check_reason);
    return one;
}

ordered_json pools(const shm::Segment& table, const Inventory& inventory) {
    ordered_json out = ordered_json::array();
    for (const Group& group : inventory.pools) {
        ordered_json one;
        one["name"] = group.name;
        one["requests"] = total<"lb_requests_total">(table, group.slots);
        one["retries"] = total<"lb_retries_total">(table, group.slots);
        one["backends"] = ordered_json::array();
        out.push_back(std::move(one));
    }
    for (const BackendGroup& group : inventory.backends) {
        out[group.pool]["backends"].push_back(backend_json(table, group));
    }
    return out;
}

}  // namespace

std::string status_json(const shm::Segment& table, const Inventory& inventory, std::int64_t unix_now,
                        Micros now) {
    const shm::Header& header = table.header();
    ordered_json out;
    out["version"] = LB_VERSION;
    out["generation"] = header.generation.load(std::memory_order_acquire);
    out["start_time"] = header.start_time;
    out["uptime_seconds"] = std::max<std::int64_t>(0, unix_now - header.start_time);
    out["stopping"] = header.stopping.load(std::memory_order_relaxed) != 0;
    out["workers"] = workers(table, now);
    out["listeners"] = listeners(table, inventory);
    out["pools"] = pools(table, inventory);
    return out.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
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
