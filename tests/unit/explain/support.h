// A configuration, its shared table, and questions about them.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "master/explain.h"
#include "master/table/writer.h"
#include "shared/balance/key.h"
#include "shared/balance/maglev.h"

namespace lb {

inline constexpr std::uint64_t seed = 1;

inline shm::Segment make_table() {
    shm::Capacity capacity;
    capacity.columns = 4;
    capacity.routes = 10'000;
    capacity.backends = 10'000;
    capacity.arena = 16U << 20U;
    auto made = shm::Segment::create(capacity);
    EXPECT_TRUE(made.ok()) << made.error();
    return std::move(made).value();
}

class Explain : public testing::Test {
 protected:
    Explain() { listener("web", 80); }
    config::Listener& listener(std::string name, std::uint16_t port) {
        config::Listener& one = config_.listeners.emplace_back();
        one.name = std::move(name);
        one.traffic.max_header = 32768;
        one.traffic.max_headers = 128;
        one.traffic.max_body = 1000;
        one.binds.emplace_back().address = parse_host("127.0.0.1", port).value();
        return one;
    }
    // All up from the start. Address 10.0.0.<n>:80.
    std::uint32_t pool(std::string name, const std::vector<std::string>& backends) {
        config::Pool& one = config_.pools.emplace_back();
        one.name = std::move(name);
        one.check.start_up = true;
        for (const std::string& backend : backends) {
            config::Backend& b = one.backends.emplace_back();
            b.name = backend;
            b.addresses = {parse_host("10.0." + std::to_string(one.backends.size() / 250) + "." +
                                          std::to_string(one.backends.size() % 250),
                                      80)
                               .value()};
        }
        return static_cast<std::uint32_t>(config_.pools.size() - 1);
    }
    config::Route& route(std::string name, std::string_view prefix) {
        config::Route& one = config_.routes.emplace_back();
        one.name = std::move(name);
        if (!prefix.empty()) {
            one.path.kind = config::Match::prefix;
            one.path.text = prefix;
        }
        return one;
    }
    // From here on the configuration is in the table.
    void begin() {
        const auto adopted = writer_.adopt(config_, 1);
        ASSERT_TRUE(adopted.ok()) << adopted.error();
        begun_ = std::make_shared<const config::Config>(config_);
        writer_.begin(begun_, 1);
        writer_.flush();
    }
    void health(std::uint32_t pool, std::size_t backend, shm::Health health, std::string_view reason = "") {
        writer_.set_health(slot(pool, backend), health, reason);
        writer_.flush();
    }
    [[nodiscard]] std::uint32_t slot(std::uint32_t pool, std::size_t backend) const {
        return config_.pools[pool].backends[backend].slot;
    }
    Explained ask(std::string_view request) { return explain(request, config_, table_, seed); }
    // A whole answer: the lines, then "+" or "-" and the outcome.
    std::vector<std::string> told(std::string_view request) {
        Explained said = ask(request);
        said.lines.push_back((said.found ? "+ " : "- ") + said.outcome);
        return std::move(said.lines);
    }

    // What workers pick from, in place of what the writer has published.
    struct Group {
        std::string zone;
        bool backup = false;
        double keep = 1;
        struct Member {
            std::size_t backend;  // of the pool
            std::uint32_t weight = 1;
            std::uint32_t max_inflight = 0;
        };
        std::vector<Member> members{};
    };
    struct Session {
        std::size_t backend;
        std::uint64_t id;
        bool draining = false;
        std::uint32_t max_inflight = 0;
    };
    void publish(std::uint32_t pool, const std::vector<Group>& groups,
                 const std::vector<Session>& sessions = {}, bool panic = false) {
        shm::PublishedPool head{};
        head.panic = panic ? 1 : 0;
        std::vector<shm::PublishedGroup> list;
        std::string parts;  // behind head and groups
        const auto place = [&](const auto& part) {
            const auto at = sizeof head + groups.size() * sizeof(shm::PublishedGroup) + parts.size();
            parts.append(reinterpret_cast<const char*>(part.data()), part.size() * sizeof part[0]);
            return static_cast<std::uint32_t>(at);
        };
        std::vector<shm::StickyEntry> entries;
        for (const Session& each : sessions)
            entries.push_back(
                {each.id, slot(pool, each.backend), 0, each.max_inflight, each.draining ? 1U : 0U});
        head.sticky_count = static_cast<std::uint32_t>(entries.size());
        head.sticky_at = place(entries);
        for (const Group& group : groups) {
            (group.backup ? head.backup_groups : head.primary_groups)++;
            std::vector<shm::Eligible> eligible;
            std::vector<std::uint32_t> schedule;
            shm::PublishedGroup& to = list.emplace_back();
            for (const Group::Member& member : group.members) {
                schedule.push_back(static_cast<std::uint32_t>(eligible.size()));
                eligible.push_back({slot(pool, member.backend), 0, member.weight, member.max_inflight});
                to.weight += member.weight;
            }
            to.zone = shm::zone_id(group.zone);
            to.keep = static_cast<std::uint32_t>(group.keep * 65536);
            to.count = static_cast<std::uint32_t>(eligible.size());
            head.usable += to.count;
            to.eligible_at = place(eligible);
            to.schedule_length = to.count;
            to.schedule_at = place(schedule);
            std::vector<balance::MaglevMember> members;
            for (const Group::Member& member : group.members)
                members.push_back({balance::identity_of(config_.pools[pool].name,
                                                        config_.pools[pool].backends[member.backend].name),
                                   member.weight});
            const auto maglev = balance::make_maglev(members, balance::maglev_size(members.size()));
            to.maglev_length = static_cast<std::uint32_t>(maglev.size());
            to.maglev_at = place(maglev);
        }
        // Far behind what the writer has used of the arena.
        const std::uint64_t at = table_.header().arena + table_.header().arena_size / 2;
        std::byte* to = table_.at(at);
        std::memcpy(to, &head, sizeof head);
        std::memcpy(to + sizeof head, list.data(), list.size() * sizeof list[0]);
        std::memcpy(to + sizeof head + list.size() * sizeof list[0], parts.data(), parts.size());
        table_.pool(config_.pools[pool].slot).published.store(at);
    }

    config::Config config_;
    shm::Segment table_ = make_table();
    TableWriter writer_{table_};
    std::shared_ptr<const config::Config> begun_;
};

}  // namespace lb
