// master/admin/api.h -- the shared table as answers of the admin port other than /metrics.
// Never: writes into the table. Pure but for reading it: time is an argument.
#pragma once
#include <cstdint>
#include <string>

#include "master/admin/inventory.h"
#include "shared/base/clock.h"
#include "shared/shm/segment.h"

namespace lb::admin {

// GET /status: JSON of what runs, for people and scripts. `unix_now` in seconds; `now` as Micros, for heartbeats.
std::string status_json(const shm::Segment& table, const Inventory& inventory, std::int64_t unix_now,
                        Micros now);

inline constexpr Micros fresh_heartbeat = 2'000'000;

// GET /readyz: why no traffic should be sent here, or "" when it should: lb is not stopping, and at least one worker of
// the generation in force takes connections and was alive less than 2 s ago.
std::string not_ready(const shm::Segment& table, Micros now);

}  // namespace lb::admin
