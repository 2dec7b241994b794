// master/admin/load.h -- how loaded each pool is, for autoscalers: sums of the shared table taken once a second, and what
// their difference over the last ten seconds says.
// Owns:  the samples, 11 of about 200 bytes for each pool that there is.
// Never: writes into the table. Time is an argument.
//
// In flight is told by Little's law: requests that took t seconds in all during a window of w were on average t/w at a time.
// Time spent waiting for a place is taken off, because who waits is counted as queued. A request counts there when it ends;
// those that take longer than the window are seen by what is in flight at each sample.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "master/admin/inventory.h"
#include "shared/base/clock.h"
#include "shared/config/model.h"
#include "shared/metrics/histogram.h"

namespace lb::admin {

// Sums of a pool since it began.
struct LoadSums {
    Micros at = 0;
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;  // 5xx
    std::uint64_t queue_us = 0;
    std::uint64_t in_flight = 0;                                     // at that moment
    std::array<std::uint64_t, metrics::histogram_words> duration{};  // buckets, then the sum in microseconds
};

// What two sums say about the time between them.
struct Window {
    double seconds = 0;  // 0: nothing is known yet
    double rate = 0;     // requests a second
    double in_flight = 0;
    double errors = 0;                    // share of 5xx, 0 to 1
    std::optional<double> mean;           // seconds
    std::optional<double> p50, p90, p99;  // seconds, within a bucket by straight line
};
Window between(const LoadSums& from, const LoadSums& to);

// The sums of the last `samples` seconds, oldest first.
class LoadRing {
 public:
    static constexpr std::size_t samples = 11;  // ten seconds between the first and the last
    void add(const LoadSums& sums);
    // Between the oldest and the newest. In flight on average were no fewer than were so at every sample.
    [[nodiscard]] Window window() const;

 private:
    std::array<LoadSums, samples> ring_{};
    std::size_t next_ = 0, count_ = 0;
};

// What a pool has at this moment.
struct PoolNow {
    std::uint64_t in_flight = 0;
    std::uint64_t queued = 0;
    std::size_t members = 0, usable = 0, draining = 0, ejected = 0;
    std::optional<std::uint64_t>
        capacity;                       // sum of max_inflight of the usable; nothing: one of them has none
    std::uint32_t target_inflight = 0;  // 0: not said
};
// One pool's part of the answer, as JSON in one line.
std::string load_json(std::string_view pool, const Window& window, const PoolNow& now);
// ceil((in flight + queued) / target).
std::uint64_t wanted_backends(double in_flight, std::uint64_t queued, std::uint32_t target) noexcept;

class LoadSampler {
 public:
    static constexpr Micros every = 1'000'000;
    explicit LoadSampler(const shm::Segment& table) : table_(&table) {}
    // Call it often: it samples when a second has passed since the last time.
    void tick(Micros now);
    // GET /api/v1/load: an array of all pools. GET /api/v1/pools/POOL/load: one; nothing when there is no such pool.
    // `config`: in force; null: unknown, and with it target_inflight.
    [[nodiscard]] std::string all(const Inventory& inventory, const config::Config* config) const;
    [[nodiscard]] std::optional<std::string> one(std::string_view pool, const Inventory& inventory,
                                                 const config::Config* config) const;

 private:
    struct Sampled {
        std::uint64_t owner = 0;  // the name's offset: another one is another pool
        LoadRing ring;
    };
    [[nodiscard]] std::string of(std::size_t pool, const std::vector<PoolNow>& now,
                                 const Inventory& inventory) const;
    [[nodiscard]] std::vector<PoolNow> present(const Inventory& inventory,
                                               const config::Config* config) const;

    const shm::Segment* table_;
    Micros last_ = 0;
    std::unordered_map<std::uint32_t, Sampled> pools_;  // by slot
};

}  // namespace lb::admin
