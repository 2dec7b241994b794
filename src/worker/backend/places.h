// worker/backend/places.h -- chooses a backend by the pool's policy and takes a place of it.
// Owns:  nothing: lists are the master's, counts are the shared cells'.
// Never: goes over a backend's max_inflight, over all workers, for an instant that somebody is served in; waits; keeps a
//        pointer into a published list over the end of a call.
// Order: the sticky cookie's backend; else the zone, then the policy in it; other zones when that one has none free; the
//        backups when no primary is usable or all were tried -- not when the primaries are merely full.
// Cost:  that of the policy. Full backends are passed over by it; when the whole pool is full, a bounded number of them
//        is looked at (see places.cpp).
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "shared/base/clock.h"
#include "shared/base/random.h"
#include "shared/config/model.h"
#include "shared/shm/counters.h"
#include "shared/shm/segment.h"
#include "worker/backend/place.h"

namespace lb {

class Places {
 public:
    Places(const shm::Segment& table, shm::Column& column, const config::Config& config,
           Random& random) noexcept
        : table_(table), column_(column), config_(config), random_(random) {}

    // Whoever waits is not looked at here: see Queues.
    Place take(std::uint32_t pool, const Preference& preference, std::span<const std::uint32_t> tried,
               bool first, Micros now) noexcept;
    void give_back(std::uint32_t pool, const Place& place) noexcept;
    // False: every backend has its max_inflight, as far as the sums tell.
    [[nodiscard]] bool maybe_room(std::uint32_t pool) const noexcept;
    // Null: the pool was never published.
    [[nodiscard]] const shm::PublishedPool* published(std::uint32_t pool) const noexcept;

 private:
    struct Request;
    Place by_cookie(Request& request) noexcept;
    Place in_tier(Request& request, std::span<const shm::PublishedGroup> groups,
                  std::uint32_t number) noexcept;
    Place in_group(Request& request, const shm::PublishedGroup& group, std::uint32_t number) noexcept;
    std::optional<std::uint32_t> choose(Request& request, const shm::PublishedGroup& group,
                                        std::uint32_t number, std::optional<std::uint64_t>& turn) noexcept;
    Place walk(Request& request, const shm::PublishedGroup& group, std::uint32_t most) noexcept;
    bool take_one(Request& request, std::uint32_t backend, std::uint32_t max_inflight,
                  bool& counted) noexcept;
    [[nodiscard]] std::uint32_t load(std::uint32_t backend) const noexcept;
    void count_first(const Request& request, const Place& place) noexcept;

    const shm::Segment& table_;
    shm::Column& column_;
    const config::Config& config_;
    Random& random_;
};

}  // namespace lb
