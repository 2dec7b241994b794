// master/admin/api.h -- the shared table as answers of the admin port other than /metrics.
// Never: writes into the table. Pure but for reading it: time is an argument.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "master/admin/inventory.h"
#include "shared/base/clock.h"
#include "shared/config/model.h"
#include "shared/shm/segment.h"

namespace lb::admin {

// What an answer is made from. `config`: the configuration in force, null while this process does not have it; it alone
// knows what a route does, and where a pool finds backends. `unix_now` in seconds; `now` as Micros, for heartbeats.
struct Moment {
    const shm::Segment& table;
    const Inventory& inventory;
    const config::Config* config = nullptr;
    std::int64_t unix_now = 0;
    Micros now = 0;
};

// GET /status and GET /api: JSON of what runs, for people and scripts.
std::string status_json(const Moment& moment);
// GET /api/PART and GET /api/PART/NAME: one of its lists, workers, listeners, routes or pools, or one entry of it.
// `path` is decoded and begins behind "/api/". Nothing when there is no such thing.
std::optional<std::string> part_json(const Moment& moment, std::string_view path);

inline constexpr Micros fresh_heartbeat = 2'000'000;

// GET /readyz: why no traffic should be sent here, or "" when it should: lb is not stopping, and at least one worker of
// the generation in force takes connections and was alive less than 2 s ago.
std::string not_ready(const shm::Segment& table, Micros now);

}  // namespace lb::admin
