// master/admin/load.cpp -- see load.h.
#include "master/admin/load.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "shared/shm/counters.h"

namespace lb::admin {
namespace {

using nlohmann::ordered_json;

constexpr double micros_in_second = 1e6;

// A counter of two samples; a slot's sums may step back when its owner changes between two reads.
double grown(std::uint64_t from, std::uint64_t to) noexcept {
    return to > from ? static_cast<double>(to - from) : 0;
}

LoadSums read_sums(const shm::Segment& table, std::uint32_t slot, Micros now) {
    constexpr auto scope = metrics::Scope::pool;
    constexpr std::size_t requests = metrics::offset_of(metrics::index_of<"lb_requests_total">());
    constexpr std::size_t duration = metrics::offset_of(metrics::index_of<"lb_request_duration_seconds">());
    constexpr std::size_t classes = std::size(metrics::class_values);
    LoadSums sums;
    sums.at = now;
    for (std::size_t i = 0; i < classes; i++) sums.requests += shm::sum(table, scope, slot, requests + i);
    sums.errors = shm::sum(table, scope, slot, requests + classes - 1);
    static_assert(metrics::class_values[classes - 1] == "5xx");
    sums.queue_us = shm::sum<"lb_pool_queue_seconds_total">(table, slot);
    for (std::size_t i = 0; i < sums.duration.size(); i++) {
        sums.duration[i] = shm::sum(table, scope, slot, duration + i);
    }
    return sums;
}

// What each pool's slot has in flight now, on all of its backends.
std::vector<std::int64_t> in_flight(const shm::Segment& table) {
    std::vector<std::int64_t> out(table.header().pools, 0);
    for (std::uint32_t i = 0; i < table.header().backends; i++) {
        const shm::BackendSlot& backend = table.backend(i);
        if (backend.state.load(std::memory_order_acquire) == shm::SlotState::free) continue;
        const std::uint32_t pool = backend.pool.load(std::memory_order_relaxed);
        if (pool < out.size())
            out[pool] += static_cast<std::int64_t>(shm::sum<"lb_backend_in_flight">(table, i));
    }
    return out;
}

// The time that `share` of the requests of a window took at most.
double quantile(const std::array<double, metrics::bucket_count>& buckets, double count, double share) {
    double below = 0;
    double from = 0;
    for (std::size_t i = 0; i < std::size(metrics::bucket_bounds_us); i++) {
        const double to = metrics::bucket_bounds_us[i] / micros_in_second;
        if (buckets[i] > 0 && below + buckets[i] >= share * count) {
            return from + (to - from) * (share * count - below) / buckets[i];
        }
        below += buckets[i];
        from = to;
    }
    return from;  // longer than the last bound: nobody knows how much
}

// The seconds that the requests of a window of `seconds` can have been in it together.
double longest(const std::array<double, metrics::bucket_count>& buckets, double seconds) {
    double sum = 0;
    for (std::size_t i = 0; i < buckets.size(); i++) {
        const bool bounded = i < std::size(metrics::bucket_bounds_us);
        const double bound = bounded ? metrics::bucket_bounds_us[i] / micros_in_second : seconds;
        sum += buckets[i] * std::min(bound, seconds);
    }
    return sum;
}

// To four digits: what is shown is not known better.
ordered_json number(double value) {
    if (value == 0) return 0;
    const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::abs(value))));
    return std::round(value * scale) / scale;
}
ordered_json number(const std::optional<double>& value) {
    return value ? number(*value) : ordered_json(nullptr);
}

}  // namespace

Window between(const LoadSums& from, const LoadSums& to) {
    Window window;
    if (to.at <= from.at) return window;
    window.seconds = static_cast<double>(to.at - from.at) / micros_in_second;
    const double requests = grown(from.requests, to.requests);
    window.rate = requests / window.seconds;
    window.errors = requests > 0 ? std::min(1.0, grown(from.errors, to.errors) / requests) : 0;
    std::array<double, metrics::bucket_count> buckets{};
    double count = 0;
    for (std::size_t i = 0; i < buckets.size(); i++) {
        buckets[i] = grown(from.duration[i], to.duration[i]);
        count += buckets[i];
    }
    const double spent = grown(from.duration[metrics::bucket_count], to.duration[metrics::bucket_count]);
    const double served = spent - grown(from.queue_us, to.queue_us);
    // What began before the window was in it for no longer than the window is.
    window.in_flight =
        std::min(std::max(0.0, served) / micros_in_second, longest(buckets, window.seconds)) / window.seconds;
    if (count > 0) {
        window.mean = spent / micros_in_second / count;
        window.p50 = quantile(buckets, count, 0.5);
        window.p90 = quantile(buckets, count, 0.9);
        window.p99 = quantile(buckets, count, 0.99);
    }
    return window;
}

void LoadRing::add(const LoadSums& sums) {
    ring_[next_] = sums;
    next_ = (next_ + 1) % samples;
    count_ = std::min(count_ + 1, samples);
}

Window LoadRing::window() const {
    if (count_ < 2) return {};
    const LoadSums& newest = ring_[(next_ + samples - 1) % samples];
    Window window = between(count_ < samples ? ring_[0] : ring_[next_], newest);
    // Requests that take longer than the window have no part in its sums until they end.
    std::uint64_t least = newest.in_flight;
    for (std::size_t i = 0; i < count_; i++) least = std::min(least, ring_[i].in_flight);
    window.in_flight = std::max(window.in_flight, static_cast<double>(least));
    return window;
}

std::uint64_t wanted_backends(double in_flight, std::uint64_t queued, std::uint32_t target) noexcept {
    if (target == 0) return 0;
    // Sums of measured times: a hair above a whole number is that number.
    constexpr double hair = 1e-9;
    return static_cast<std::uint64_t>(
        std::max(0.0, std::ceil((in_flight + static_cast<double>(queued)) / target - hair)));
}

std::string load_json(std::string_view pool, const Window& window, const PoolNow& now) {
    std::optional<double> capacity;
    if (now.capacity) {
        capacity = static_cast<double>(*now.capacity);
    } else if (now.target_inflight != 0) {
        capacity = static_cast<double>(now.usable) * now.target_inflight;
    }
    ordered_json out;
    out["pool"] = pool;
    out["rate"] = number(window.rate);
    out["in_flight"] = {{"mean", number(window.in_flight)}, {"now", now.in_flight}};
    out["queued"] = now.queued;
    out["latency"] = {{"mean", number(window.mean)},
                      {"p50", number(window.p50)},
                      {"p90", number(window.p90)},
                      {"p99", number(window.p99)}};
    out["errors"] = number(window.errors);
    out["utilisation"] =
        capacity && *capacity > 0 ? number(window.in_flight / *capacity) : ordered_json(nullptr);
    out["backends"] = {{"members", now.members},
                       {"usable", now.usable},
                       {"draining", now.draining},
                       {"ejected", now.ejected}};
    const bool target = now.target_inflight != 0;
    out["target_inflight"] = target ? ordered_json(now.target_inflight) : ordered_json(nullptr);
    out["wanted_backends"] =
        target ? ordered_json(wanted_backends(window.in_flight, now.queued, now.target_inflight))
               : ordered_json(nullptr);
    out["window_seconds"] = number(window.seconds);
    return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void LoadSampler::tick(Micros now) {
    if (last_ != 0 && now - last_ < every) return;
    last_ = now;
    const std::vector<std::int64_t> flights = in_flight(*table_);
    for (std::uint32_t slot = 0; slot < table_->header().pools; slot++) {
        const shm::PoolSlot& pool = table_->pool(slot);
        if (pool.state.load(std::memory_order_acquire) == shm::SlotState::free) {
            pools_.erase(slot);
            continue;
        }
        const std::uint64_t owner = pool.name.load(std::memory_order_acquire);
        Sampled& mine = pools_[slot];
        if (mine.owner != owner) mine = {owner, {}};
        LoadSums sums = read_sums(*table_, slot, now);
        // May be read between what one process added and another took away.
        sums.in_flight = static_cast<std::uint64_t>(std::max<std::int64_t>(0, flights[slot]));
        mine.ring.add(sums);
    }
}

std::vector<PoolNow> LoadSampler::present(const Inventory& inventory, const config::Config* config) const {
    std::vector<PoolNow> out(inventory.pools.size());
    std::vector<bool> unbounded(out.size(), false);
    for (const BackendGroup& backend : inventory.backends) {
        PoolNow& pool = out[backend.pool];
        for (const Place& place : backend.places) {
            const auto n = shm::sum<"lb_backend_in_flight">(*table_, place.slot);
            // May be read between what one process added and another took away.
            if (static_cast<std::int64_t>(n) > 0) pool.in_flight += n;
        }
        if (!backend.member) continue;
        pool.members++;
        if (backend.operator_state == shm::Operator::drain) pool.draining++;
        if (backend.ejected_until != 0) pool.ejected++;
        if (!backend.listed) continue;
        pool.usable++;
        pool.capacity = pool.capacity.value_or(0) + backend.max_inflight;
        if (backend.max_inflight == 0) unbounded[backend.pool] = true;
    }
    std::unordered_map<std::uint32_t, std::uint32_t> targets;
    if (config != nullptr) {
        for (const config::Pool& pool : config->pools) targets.emplace(pool.slot, pool.target_inflight);
    }
    for (std::size_t i = 0; i < out.size(); i++) {
        if (unbounded[i]) out[i].capacity.reset();
        for (const Place& place : inventory.pools[i].places) {
            const auto n = shm::sum<"lb_pool_queued">(*table_, place.slot);
            if (static_cast<std::int64_t>(n) > 0) out[i].queued += n;
            if (const auto found = targets.find(place.slot); found != targets.end()) {
                out[i].target_inflight = found->second;
            }
        }
    }
    return out;
}

std::string LoadSampler::of(std::size_t pool, const std::vector<PoolNow>& now,
                            const Inventory& inventory) const {
    const Group& group = inventory.pools[pool];
    const auto found = pools_.find(group.places.front().slot);
    const bool mine = found != pools_.end() && found->second.owner == group.places.front().name;
    return load_json(group.name, mine ? found->second.ring.window() : Window{}, now[pool]);
}

std::string LoadSampler::all(const Inventory& inventory, const config::Config* config) const {
    const std::vector<PoolNow> now = present(inventory, config);
    std::string out = "[";
    for (std::size_t i = 0; i < inventory.pools.size(); i++) {
        out += (i == 0 ? "\n " : ",\n ") + of(i, now, inventory);
    }
    return out + "\n]\n";
}

std::optional<std::string> LoadSampler::one(std::string_view pool, const Inventory& inventory,
                                            const config::Config* config) const {
    for (std::size_t i = 0; i < inventory.pools.size(); i++) {
        if (inventory.pools[i].name != pool) continue;
        const std::vector<PoolNow> now = present(inventory, config);
        return of(i, now, inventory) + "\n";
    }
    return std::nullopt;
}

}  // namespace lb::admin
