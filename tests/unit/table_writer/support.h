// tests/unit/table_writer/support.h -- a table, its writer, and configurations in one line each.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "../shm/processes.h"
#include "master/table/writer.h"

namespace lb::test {

using shm::Health;
using shm::SlotState;

inline Address ipv4(std::uint32_t host, std::uint16_t port) {
    Address a;
    a.any.in.sin_family = AF_INET;
    a.any.in.sin_addr.s_addr = htonl(0x0a000000u + host);
    a.any.in.sin_port = htons(port);
    a.length = sizeof(sockaddr_in);
    return a;
}

struct BackendSpec {
    std::string name;
    std::uint32_t weight = 1;
    bool backup = false;
    std::uint32_t host = 1;
    std::string zone{};
    std::uint32_t max_inflight = 0;
};

inline config::Pool pool(std::string name, const std::vector<BackendSpec>& backends) {
    config::Pool p;
    p.name = std::move(name);
    p.check.start_up = true;
    for (const auto& b : backends) {
        config::Backend backend;
        backend.name = b.name;
        backend.addresses = {ipv4(b.host, 80)};
        backend.weight = b.weight;
        backend.backup = b.backup;
        backend.zone = b.zone;
        backend.max_inflight = b.max_inflight;
        p.backends.push_back(backend);
    }
    return p;
}

// NAME:80, a name to be resolved, with the addresses known now.
inline config::Backend named(const std::string& name, const std::vector<std::uint32_t>& hosts) {
    config::Backend backend;
    backend.name = backend.host = name + ":80";
    backend.dns_name = name;
    backend.port = 80;
    for (const auto host : hosts) backend.addresses.push_back(ipv4(host, 80));
    return backend;
}

inline config::Config config(std::vector<config::Pool> pools,
                             const std::vector<std::string>& listeners = {"web"}) {
    config::Config c;
    c.pools = std::move(pools);
    for (const auto& name : listeners) {
        c.listeners.emplace_back();
        c.listeners.back().name = name;
    }
    return c;
}

// n backends b<first>... of one pool.
inline std::vector<BackendSpec> many(std::uint32_t n, std::uint32_t first = 0) {
    std::vector<BackendSpec> list;
    for (std::uint32_t i = first; i < first + n; i++) list.push_back({"b" + std::to_string(i), 1, false, i});
    return list;
}

inline constexpr shm::Capacity small_table{.columns = 8,
                                           .listeners = 4,
                                           .routes = 6,
                                           .limits = 4,
                                           .pools = 8,
                                           .backends = 64,
                                           .limit_sets = 16,
                                           .arena = 1 << 20};

// A table with its writer, and a clock moved by hand.
struct Table {
    explicit Table(const shm::Capacity& capacity = small_table)
        : segment(make_segment(capacity)), writer(std::make_unique<TableWriter>(segment)) {}

    std::shared_ptr<const config::Config> adopt(config::Config c, std::uint32_t generation) {
        const auto adopted = writer->adopt(c, generation);
        EXPECT_TRUE(adopted.ok()) << adopted.error();
        return std::make_shared<const config::Config>(std::move(c));
    }
    std::shared_ptr<const config::Config> start(config::Config c, std::uint32_t generation) {
        auto adopted = adopt(std::move(c), generation);
        writer->begin(adopted, generation);
        return adopted;
    }
    // The generation's members are now those of its first pool as `change` leaves them.
    std::shared_ptr<const config::Config> update(const std::shared_ptr<const config::Config>& from,
                                                 std::uint32_t generation,
                                                 const std::function<void(config::Pool&)>& change) {
        config::Config c = *from;
        change(c.pools[0]);
        auto updated = writer->update(std::move(c), generation);
        EXPECT_TRUE(updated.ok()) << updated.error();
        writer->flush();
        return updated ? updated.value() : from;
    }
    // A column with a process in it, which is this one.
    shm::Column worker(const config::Config& c = {}, std::uint32_t generation = 1) {
        const auto claimed = writer->claim_column(shm::Role::worker, generation, 0, c);
        EXPECT_TRUE(claimed.ok()) << claimed.error();
        writer->column_started(claimed.value(), getpid());
        return {segment, claimed.value()};
    }
    void tick(int n = 1) {
        for (; n > 0; n--) writer->tick(now += 100'000);
    }
    // Ticks with the given columns turning their loops, until no slot is on its way out.
    void settle(std::vector<shm::Column> turning = {}) {
        for (int i = 0;
             i < 200 && (i == 0 || writer->usage().retiring != 0 || writer->usage().blocks_waiting != 0);
             i++) {
            for (auto& c : turning) c.quiescent();
            tick();
        }
    }
    [[nodiscard]] const shm::PublishedPool& published(std::uint32_t pool_slot) const {
        return *segment.block<shm::PublishedPool>(
            segment.pool(pool_slot).published.load(std::memory_order_acquire));
    }
    // Names of what a request would be sent to, primaries if there are any, else backups; group after group, joined;
    // "-" for none.
    [[nodiscard]] std::string usable(std::uint32_t pool_slot) const {
        const auto& p = published(pool_slot);
        std::string names;
        for (const auto groups : {p.primaries(), p.backups()}) {
            for (const auto& group : groups) {
                if (group.count != 0) names += (names.empty() ? "" : " ") + listed(p, group);
            }
            if (!names.empty()) return names;
        }
        return "-";
    }
    [[nodiscard]] std::string listed(const shm::PublishedPool& p, const shm::PublishedGroup& group) const {
        std::string names;
        for (const auto& e : p.eligible(group)) {
            EXPECT_EQ(e.incarnation, segment.backend(e.backend).incarnation.load());
            names += (names.empty() ? "" : " ") +
                     std::string(segment.text(segment.backend(e.backend).name.load()));
        }
        return names;
    }
    // All groups, "a b | c || d": primaries, then backups.
    [[nodiscard]] std::string groups(std::uint32_t pool_slot) const {
        const auto& p = published(pool_slot);
        std::string text;
        for (std::size_t i = 0; i < p.primary_groups; i++)
            text += (i == 0 ? "" : " | ") + listed(p, p.primaries()[i]);
        for (std::size_t i = 0; i < p.backup_groups; i++)
            text += (i == 0 ? " || " : " | ") + listed(p, p.backups()[i]);
        return text;
    }
    // Weights of the primaries of a pool without zones, "100 5".
    [[nodiscard]] std::string weights(std::uint32_t pool_slot) const {
        std::string text;
        for (const auto& e : primaries(pool_slot))
            text += (text.empty() ? "" : " ") + std::to_string(e.weight);
        return text;
    }
    // Of a pool whose backends have no zones: its primaries.
    [[nodiscard]] std::span<const shm::Eligible> primaries(std::uint32_t pool_slot) const {
        const auto& p = published(pool_slot);
        return p.primaries().empty() ? std::span<const shm::Eligible>{} : p.eligible(p.primaries()[0]);
    }
    [[nodiscard]] std::uint32_t in_flight(std::uint32_t backend) const {
        return segment.backend_cell(backend).in_flight.load();
    }

    shm::Segment segment;
    std::unique_ptr<TableWriter> writer;
    Micros now = 1'000'000;
};

}  // namespace lb::test
