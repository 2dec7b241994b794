// tests/unit/backend/node.h -- a shared table in memory with one pool, and processes that work on it.
#pragma once
#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include "shared/balance/maglev.h"
#include "shared/base/random.h"
#include "shared/config/model.h"
#include "shared/process/wakeups.h"
#include "shared/shm/counters.h"
#include "shared/shm/segment.h"
#include "worker/backend/places.h"
#include "worker/backend/queue.h"

namespace lb {

constexpr std::uint32_t test_columns = 8;

struct GroupOf {
    std::vector<shm::Eligible> members;
    std::uint32_t zone = 0;
    std::uint32_t keep = 65536;
};

// Backends `first` to `first` + `count` - 1, each of weight 1.
inline std::vector<shm::Eligible> members(std::uint32_t first, std::uint32_t count,
                                          std::uint32_t max_inflight = 0) {
    std::vector<shm::Eligible> made;
    for (std::uint32_t i = 0; i < count; i++) made.push_back({first + i, 1, 1, max_inflight});
    return made;
}

// Column 0 is the master's, 1 to 7 are for processes.
struct Node {
    explicit Node(std::uint32_t backends = 64)
        : segment(std::move(shm::Segment::create({.columns = test_columns,
                                                  .listeners = 1,
                                                  .routes = 1,
                                                  .limits = 1,
                                                  .pools = 2,
                                                  .backends = backends,
                                                  .limit_sets = 1,
                                                  .arena = 8 << 20})
                                .value())),
          wakeups(Wakeups::make(test_columns)) {
        segment.header().columns_touched.store(test_columns);
        config.pools.resize(1);
        config.pools[0].slot = 0;
        config.pools[0].queue.timeout = config::Millis(1000);
    }

    config::Pool& pool() { return config.pools[0]; }
    shm::PoolCell& cell() const { return segment.pool_cell(0); }
    std::uint32_t in_flight(std::uint32_t backend) const {
        return segment.backend_cell(backend).in_flight.load();
    }

    // A new list, as the master would write it; maglev tables when the settings have a key.
    void publish(const std::vector<GroupOf>& primaries, const std::vector<GroupOf>& backups = {},
                 std::vector<shm::StickyEntry> sticky = {}) {
        const std::uint64_t start = at_;
        shm::PublishedPool head{};
        head.primary_groups = static_cast<std::uint32_t>(primaries.size());
        head.backup_groups = static_cast<std::uint32_t>(backups.size());
        std::uint64_t at = sizeof head + (primaries.size() + backups.size()) * sizeof(shm::PublishedGroup);
        at = (at + 7) / 8 * 8;
        const auto put = [&](const auto& items) {
            const auto bytes = std::as_bytes(std::span(items));
            if (!bytes.empty()) std::memcpy(segment.at(start + at), bytes.data(), bytes.size());
            return static_cast<std::uint32_t>(std::exchange(at, (at + bytes.size() + 7) / 8 * 8));
        };
        std::vector<shm::PublishedGroup> groups;
        for (const auto* tier : {&primaries, &backups}) {
            for (const GroupOf& of : *tier) {
                shm::PublishedGroup group{};
                group.zone = of.zone;
                group.keep = of.keep;
                group.count = static_cast<std::uint32_t>(of.members.size());
                bool bound = true;
                std::vector<std::uint32_t> schedule;
                std::vector<balance::MaglevMember> identities;
                for (const auto& one : of.members) {
                    group.weight += one.weight;
                    group.capacity += one.max_inflight;
                    bound = bound && one.max_inflight != 0;
                    const auto index = static_cast<std::uint32_t>(identities.size());
                    schedule.insert(schedule.end(), one.weight, index);
                    identities.push_back({one.backend + 1, one.weight});
                }
                if (!bound) group.capacity = 0;
                group.eligible_at = put(of.members);
                group.schedule_length = static_cast<std::uint32_t>(schedule.size());
                group.schedule_at = put(schedule);
                const auto maglev = balance::make_maglev(identities, balance::maglev_size(identities.size()));
                group.maglev_length = static_cast<std::uint32_t>(maglev.size());
                group.maglev_at = put(maglev);
                head.usable += group.count;
                groups.push_back(group);
            }
        }
        head.configured = head.usable;
        std::ranges::sort(sticky, {}, &shm::StickyEntry::id);
        head.sticky_count = static_cast<std::uint32_t>(sticky.size());
        head.sticky_at = put(sticky);
        std::memcpy(segment.at(start), &head, sizeof head);
        if (!groups.empty())
            std::memcpy(segment.at(start + sizeof head), groups.data(),
                        groups.size() * sizeof(shm::PublishedGroup));
        segment.pool(0).published.store(start);
        at_ = start + at;
    }

    // What the master does for a process that was reaped.
    void bury(std::uint32_t column) {
        for (std::uint32_t b = 0; b < segment.header().backends; b++) {
            const auto held = segment.journal(column)[b].exchange(0);
            segment.backend_cell(b).in_flight -= held;
            cell().in_flight -= held;
        }
        constexpr auto gauge = metrics::offset_of(metrics::index_of<"lb_pool_queued">());
        cell().queued -=
            static_cast<std::uint32_t>(segment.row(column, metrics::Scope::pool, 0)[gauge].exchange(0));
        segment.tickets(column)[0].store(0);
    }

    shm::Segment segment;
    config::Config config;
    Wakeups wakeups;

 private:
    std::uint64_t at_ = segment.header().arena + 64;
};

struct Process {
    Process(Node& node, std::uint32_t index)
        : column(node.segment, index),
          random(index),
          places(node.segment, column, node.config, random),
          queues(node.segment, column, node.config, places, node.wakeups) {
        column.beat(1);
    }
    Place take(const Preference& preference = {}, std::span<const std::uint32_t> tried = {},
               bool first = true) {
        return places.take(0, preference, tried, first, 1);
    }
    shm::Column column;
    Random random;
    Places places;
    Queues queues;
};

template <metrics::Name name>
std::uint64_t total(const Node& node, std::uint32_t row = 0, std::uint32_t label = 0) {
    return shm::sum<name>(node.segment, row, label);
}

}  // namespace lb
