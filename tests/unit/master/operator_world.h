// tests/unit/master/operator_world.h -- a table, generations and members, with a clock moved by hand: what commands and
// ejections work on.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "../discovery/loop.h"
#include "../shm/processes.h"
#include "master/membership.h"
#include "master/operators.h"
#include "shared/config/backend_text.h"
#include "shared/shm/counters.h"

namespace lb::test {

// What a caller was told.
struct Told : Caller {
    std::vector<std::string> lines;
    std::string outcome;  // "ok ..." or "failed ..."; empty until then
    bool there = true;
    void info(std::string_view text) override { lines.emplace_back(text); }
    void error(std::string_view text) override { lines.emplace_back(text); }
    void done(bool ok, std::string_view text) override {
        EXPECT_EQ(outcome, "") << "twice";
        outcome = (ok ? "ok " : "failed ") + std::string(text);
    }
    bool flush() override { return there; }
};

struct World {
    static constexpr shm::Capacity small{
        .columns = 4, .listeners = 4, .routes = 4, .pools = 8, .backends = 64, .arena = 1 << 20};
    discovery::test::Loop loop;
    discovery::test::Directory directory;
    std::string path = directory / "state.json";
    shm::Segment segment = make_segment(small);
    TableWriter writer{segment};
    Generations generations;
    BackendNames names;
    health::Board board{loop.base.get(),
                        {[this](std::uint32_t slot, shm::Health health, std::string_view reason) {
                             writer.set_health(slot, health, reason);
                         },
                         [](std::uint32_t, bool) {}, [](const config::Backend&) { return std::string(); }}};
    operators::Store changes;
    Membership membership{loop.base.get(), writer, board, generations, names, changes, [] {}};
    Operators operators{segment, writer, generations, membership, changes};
    operators::Moment moment{1'000'000'000, 1'700'000'000'000};

    // Pool "app" with these backends, without checks.
    [[nodiscard]] config::Config config(const std::vector<std::string>& backends) const {
        config::Config out;
        out.global.state_file = path;
        out.resolver.nameservers = {parse_address("127.0.0.1:1").value()};
        out.pools.resize(1);
        out.pools[0].name = "app";
        out.pools[0].check.kind = config::CheckKind::off;
        for (const std::string& each : backends) {
            out.pools[0].backends.push_back(config::parse_backend(each, {}).value());
        }
        return out;
    }
    // What a start or a reload does, up to the point where workers could be forked.
    Generation& start(config::Config from) {
        membership.expect(from);
        auto configured = membership.fill(from);
        const auto number = generations.next_number();
        EXPECT_TRUE(writer.adopt(from, number).ok());
        Generation& made = generations.add(std::make_shared<const config::Config>(std::move(from)), 1,
                                           std::move(configured));
        membership.apply(made);
        membership.unexpect();
        names.learn(generations.configs());
        board.configure(generations.configs());
        writer.begin(made.config, number);
        for (Generation& each : generations.all()) {
            each.phase = each.number == number ? Generation::Phase::serving : Generation::Phase::draining;
        }
        return *generations.find(number);
    }
    std::shared_ptr<Told> ask(const std::string& request) {
        auto told = std::make_shared<Told>();
        operators.command(request, told, moment);
        return told;
    }
    // The whole outcome of one that is answered by now, or with the next write.
    std::string tell(const std::string& request) {
        const auto told = ask(request);
        if (told->outcome.empty()) pass(StateKeeper::write_gap);
        return told->outcome;
    }
    void pass(Micros time) {
        moment.now += time;
        moment.unix_millis += time / 1000;
        operators.tick(moment);
        writer.flush();
    }
    [[nodiscard]] std::uint32_t slot(const std::string& name) {
        for (auto g = generations.all().rbegin(); g != generations.all().rend(); ++g) {
            for (const config::Backend& each : g->config->pools[0].backends) {
                if (each.name == name) return each.slot;
            }
        }
        return shm::no_slot;
    }
    shm::BackendSlot& backend(const std::string& name) { return segment.backend(slot(name)); }
    bool joins(const std::string& name) {
        return loop.until([&] { return slot(name) != shm::no_slot; });
    }
    bool leaves(const std::string& name) {
        return loop.until([&] {
            return generations.serving()->config->pools[0].backends.empty() ||
                   std::ranges::count(generations.serving()->config->pools[0].backends, name,
                                      &config::Backend::name) == 0;
        });
    }
};

}  // namespace lb::test
