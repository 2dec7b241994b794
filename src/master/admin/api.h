// master/admin/api.h -- the shared table as answers of the admin port other than /metrics.
// Never: writes into the table. Pure but for reading it: time is an argument.
#pragma once
#include <cstddef>
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

// GET /status, GET /api and lb status --json: JSON of what runs, for people and scripts. Made in pieces, each of whole
// lines, because the master may not spend long on one; a line has at most `longest_line` bytes.
class StatusPage {
 public:
    static constexpr std::size_t longest_line = 16384;
    explicit StatusPage(const Moment& moment) : moment_(moment) {}
    // Appends the next piece: a list, or so many backends. False when the page is complete.
    bool next(std::string& out, std::size_t backends);

 private:
    void pool_backends(std::string& out, std::size_t backends);

    const Moment moment_;
    std::size_t part_ = 0;     // which list comes next
    std::size_t pool_ = 0;     // in the list of pools
    std::size_t backend_ = 0;  // in the inventory
    bool in_pool_ = false;     // its head was written, its end was not
};
std::string status_json(const Moment& moment);

// GET /api/PART and GET /api/PART/NAME: one of its lists, workers, listeners, routes, limits or pools, or one entry of it.
// `path` is decoded and begins behind "/api/". Nothing when there is no such thing.
std::optional<std::string> part_json(const Moment& moment, std::string_view path);

inline constexpr Micros fresh_heartbeat = 2'000'000;

// GET /readyz: why no traffic should be sent here, or "" when it should: lb is not stopping, and at least one worker of
// the generation in force takes connections and was alive less than 2 s ago.
std::string not_ready(const shm::Segment& table, Micros now);

}  // namespace lb::admin
