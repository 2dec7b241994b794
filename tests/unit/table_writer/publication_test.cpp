// What workers pick from: who is listed, in which group, with which limits; and that a block never grows over its bound.
#include <gtest/gtest.h>

#include <algorithm>

#include "master/table/publisher.h"
#include "shared/balance/key.h"
#include "shared/balance/maglev.h"
#include "shared/balance/sticky_id.h"
#include "shared/base/random.h"
#include "support.h"

namespace lb::test {
namespace {

using shm::Operator;

config::Config with_spill(config::Pool pool, std::uint32_t spill) {
    auto c = config({std::move(pool)});
    c.zones.spill = spill;
    return c;
}

// One pool, and its backends by number.
struct Published {
    explicit Published(config::Config settings) : c(t.start(std::move(settings), 1)) {}
    [[nodiscard]] std::uint32_t pool() const { return c->pools[0].slot; }
    [[nodiscard]] std::uint32_t slot(std::size_t i) const { return c->pools[0].backends[i].slot; }
    [[nodiscard]] const shm::BackendSlot& backend(std::size_t i) const { return t.segment.backend(slot(i)); }
    [[nodiscard]] const shm::PublishedPool& now() const { return t.published(pool()); }
    void health(std::size_t i, Health h) {
        t.writer->set_health(slot(i), h, "");
        t.writer->flush();
    }
    void operate(std::size_t i, Operator state, std::uint32_t weight = 0) {
        t.writer->set_operator(slot(i), state, weight);
        t.writer->flush();
    }
    void eject(std::size_t i, std::int64_t until) {
        t.writer->set_ejected(slot(i), until);
        t.writer->flush();
    }
    Table t;
    std::shared_ptr<const config::Config> c;
};

TEST(Zones, HaveAGroupEachInTheOrderOfTheFilePrimariesFirst) {
    Published p(with_spill(pool("app", {{"a", 1, false, 1, "east"},
                                        {"x", 1, true, 2, "west"},
                                        {"b", 2, false, 3, "west"},
                                        {"c", 3, false, 4, "east"},
                                        {"y", 1, true, 5}}),
                           70));
    EXPECT_EQ(p.t.groups(p.pool()), "a c | b || x | y");
    const auto primaries = p.now().primaries();
    EXPECT_EQ(primaries[0].zone, shm::zone_id("east"));
    EXPECT_EQ(primaries[1].zone, shm::zone_id("west"));
    EXPECT_EQ(p.now().backups()[1].zone, 0u);
    EXPECT_EQ(primaries[0].weight, 4u);
    EXPECT_EQ(primaries[0].schedule_length, 4u);
    EXPECT_EQ(p.t.segment.text(p.backend(0).zone.load()), "east");
    EXPECT_EQ(p.t.segment.text(p.backend(4).zone.load()), "");
    // A zone without a usable backend keeps its place among the groups, and none of its requests.
    p.health(0, Health::down);
    p.health(3, Health::down);
    EXPECT_EQ(p.t.groups(p.pool()), " | b || x | y");
    EXPECT_EQ(p.now().primaries()[0].keep, 0u);
    EXPECT_EQ(p.now().primaries()[0].schedule_length, 0u);
    EXPECT_EQ(p.now().usable, 3u);
}

TEST(Zones, KeepTheirPartUntilTooLittleOfThemIsUsable) {
    std::vector<BackendSpec> list = many(10);
    for (auto& b : list) b.zone = "east";
    list.push_back({"w", 1, false, 99, "west"});
    Published p(with_spill(pool("app", list), 80));
    const auto keep = [&] { return p.now().primaries()[0].keep; };
    EXPECT_EQ(keep(), 65536u);
    p.health(0, Health::down);
    p.operate(1, Operator::maint);
    EXPECT_EQ(keep(), 65536u);  // 80 % are left
    p.eject(2, 1'900'000'000);
    EXPECT_EQ(keep(), 65536u * 7 / 8);
    for (std::size_t i = 3; i < 6; i++) p.health(i, Health::down);
    EXPECT_EQ(keep(), 65536u / 2);
    EXPECT_EQ(p.now().primaries()[1].keep, 65536u);
    // Another spill comes with a reload.
    auto again = with_spill(pool("app", list), 40);
    p.t.start(again, 2);
    EXPECT_EQ(keep(), 65536u);
}

TEST(Zones, TheOnlyOneKeepsAllAndABackupsZoneIsJudgedAmongBackups) {
    Published p(with_spill(pool("app", {{"a", 1, false, 1, "east"},
                                        {"b", 1, false, 2, "east"},
                                        {"c", 1, false, 3, "east"},
                                        {"x", 1, true, 4, "east"},
                                        {"y", 1, true, 5, "west"},
                                        {"z", 1, true, 6, "west"}}),
                           100));
    p.health(0, Health::down);
    p.health(1, Health::down);
    EXPECT_EQ(p.now().primaries()[0].keep, 65536u);
    p.health(4, Health::down);
    EXPECT_EQ(p.now().backups()[0].keep, 65536u);
    EXPECT_EQ(p.now().backups()[1].keep, 32768u);
}

TEST(Zones, AZoneThatChangesWithAReloadIsShownAndTheOldTextGoes) {
    Published p(with_spill(pool("app", {{"a", 1, false, 1, "east"}}), 70));
    p.t.settle();
    const auto before = p.t.writer->usage().arena_bytes;
    p.t.start(with_spill(pool("app", {{"a", 1, false, 1, "west"}}), 70), 2);
    EXPECT_EQ(p.t.segment.text(p.backend(0).zone.load()), "west");
    EXPECT_EQ(p.now().primaries()[0].zone, shm::zone_id("west"));
    p.t.writer->retire(2);  // it failed
    EXPECT_EQ(p.t.segment.text(p.backend(0).zone.load()), "east");
    p.t.settle();
    EXPECT_EQ(p.t.writer->usage().arena_bytes, before);
}

TEST(Limits, OfBackendsAndGroupsAreListed) {
    Published p(config({pool("app", {{"a", 1, false, 1, "", 5}, {"b", 1, false, 2, "", 7}})}));
    EXPECT_EQ(p.t.primaries(p.pool())[0].max_inflight, 5u);
    EXPECT_EQ(p.now().primaries()[0].capacity, 12u);
    EXPECT_EQ(p.backend(1).max_inflight.load(), 7u);
    p.health(0, Health::down);
    EXPECT_EQ(p.now().primaries()[0].capacity, 7u);
    // A reload that changes nothing else is published.
    p.t.start(config({pool("app", {{"a", 1, false, 1, "", 5}, {"b", 1, false, 2}})}), 2);
    EXPECT_EQ(p.t.primaries(p.pool())[0].max_inflight, 0u);
    EXPECT_EQ(p.now().primaries()[0].capacity, 0u);
    EXPECT_EQ(p.backend(1).max_inflight.load(), 0u);
}

TEST(Operators, StatesAndWeightsAreKeptOverReloadsWhileTheOwnerStays) {
    Published p(config({pool("app", {{"a", 2}, {"b", 2}, {"c", 2}})}));
    p.operate(0, Operator::maint);
    p.operate(1, Operator::ready, 7);
    p.t.writer->set_member_of(p.slot(1), shm::MemberOf::registry, 1'900'000'000);
    EXPECT_EQ(p.t.usable(p.pool()), "b c");
    EXPECT_EQ(p.t.weights(p.pool()), "7 2");
    EXPECT_EQ(p.backend(1).weight.load(), 7u);
    EXPECT_EQ(p.backend(0).effective_weight.load(), 0u);
    EXPECT_EQ(p.backend(1).effective_weight.load(), 7u);

    p.t.start(config({pool("app", {{"a", 4}, {"b", 4}, {"c", 4}})}), 2);
    EXPECT_EQ(p.backend(0).operator_state.load(), Operator::maint);
    EXPECT_EQ(p.t.weights(p.pool()), "7 4");
    EXPECT_EQ(p.backend(1).member_of.load(), shm::MemberOf::registry);
    EXPECT_EQ(p.backend(1).expires.load(), 1'900'000'000);
    p.operate(1, Operator::ready, 0);
    EXPECT_EQ(p.t.weights(p.pool()), "4 4");  // as configured by now
    p.operate(0, Operator::ready);
    EXPECT_EQ(p.t.usable(p.pool()), "a b c");

    // The slot's next owner begins clean.
    p.operate(2, Operator::drain, 9);
    p.eject(2, 1'900'000'000);
    p.t.start(config({pool("app", {{"a", 4}, {"b", 4}})}), 3);
    EXPECT_EQ(p.backend(2).effective_weight.load(), 0u);
    p.t.writer->retire(1);
    p.t.writer->retire(2);
    p.t.settle();
    const auto c = p.t.start(config({pool("app", {{"a", 4}, {"b", 4}, {"d", 5}})}), 4);
    ASSERT_EQ(c->pools[0].backends[2].slot, p.slot(2));
    EXPECT_EQ(p.backend(2).operator_state.load(), Operator::ready);
    EXPECT_EQ(p.backend(2).ejected_until.load(), 0);
    EXPECT_EQ(p.backend(2).weight.load(), 5u);
    EXPECT_EQ(p.t.usable(p.pool()), "a b d");
    p.t.writer->set_operator(9999, Operator::maint, 0);
    p.t.writer->set_ejected(9999, 1);
    p.t.writer->set_member_of(63, shm::MemberOf::file, 1);
}

TEST(Ejections, LeaveABackendOutUntilTheyEndAndForgetItsFailures) {
    Published p(config({pool("app", {{"a"}, {"b"}})}));
    auto& cell = p.t.segment.backend_cell(p.slot(0));
    cell.failures.store(5);
    cell.failing_since.store(77);
    p.eject(0, 1'900'000'000);
    EXPECT_EQ(p.t.usable(p.pool()), "b");
    EXPECT_EQ(p.backend(0).health.load(), Health::up);
    const auto block = p.t.segment.pool(p.pool()).published.load();
    p.eject(0, 1'900'000'060);  // longer: nothing to publish
    EXPECT_EQ(p.backend(0).ejected_until.load(), 1'900'000'060);
    EXPECT_EQ(p.t.segment.pool(p.pool()).published.load(), block);
    EXPECT_EQ(cell.failures.load(), 5u);
    p.eject(0, 0);
    EXPECT_EQ(p.t.usable(p.pool()), "a b");
    EXPECT_EQ(cell.failures.load(), 0u);
    EXPECT_EQ(cell.failing_since.load(), 0);
}

TEST(Panic, BeginsAndEndsWithTheShareOfUsablePrimariesAndIsSaid) {
    auto settings = pool("app", {{"a"}, {"b"}, {"c"}, {"d"}, {"e"}, {"x", 1, true}});
    settings.panic = 50;
    settings.backends.push_back(named("nowhere", {}));
    Published p(config({settings}));
    p.operate(4, Operator::maint);
    testing::internal::CaptureStderr();
    p.health(0, Health::down);
    p.health(1, Health::down);  // 2 of 5 that an operator wants (one has no address)
    EXPECT_EQ(p.t.groups(p.pool()), "a b c d || x");
    EXPECT_EQ(p.now().panic, 1u);
    EXPECT_EQ(p.now().usable, 5u);
    EXPECT_EQ(p.t.segment.pool(p.pool()).panic.load(), 1u);
    p.eject(2, 1'900'000'000);
    EXPECT_EQ(p.t.groups(p.pool()), "a b c d || x");
    p.operate(0, Operator::drain);
    EXPECT_EQ(p.t.groups(p.pool()), "b c d || x");
    p.operate(0, Operator::ready);
    p.eject(2, 0);
    p.health(1, Health::up);  // 3 of 5
    EXPECT_EQ(p.t.groups(p.pool()), "b c d || x");
    EXPECT_EQ(p.now().panic, 0u);
    EXPECT_EQ(p.t.segment.pool(p.pool()).panic.load(), 0u);
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("warn"), std::string::npos) << said;
    EXPECT_NE(said.find("pool app: 2 of 5 primaries are usable, less than 50 %: all of them are used"),
              std::string::npos)
        << said;
    EXPECT_NE(said.find("pool app: 3 of 5 primaries are usable: only these are used again"),
              std::string::npos)
        << said;
    EXPECT_EQ(std::ranges::count(said, '\n'), 2) << said;
}

TEST(Panic, IsOffUnlessItIsAskedFor) {
    Published p(config({pool("app", {{"a"}, {"b"}})}));
    p.health(0, Health::down);
    p.health(1, Health::down);
    EXPECT_EQ(p.t.usable(p.pool()), "-");
    EXPECT_EQ(p.now().panic, 0u);
}

TEST(Sticky, EntriesAreOfUsableOnesAndOfThoseThatAreDrainedAndUp) {
    auto settings = pool("app", {{"a"}, {"b"}, {"c", 1, false, 1, "", 8}, {"x", 1, true}});
    settings.sticky.kind = config::StickyKind::cookie;
    settings.sticky.secret = "one";
    Published p(config({settings}));
    const auto entries = [&] {
        std::string text;
        std::uint64_t last = 0;
        std::vector<std::string> names;
        for (const auto& e : p.now().sticky()) {
            EXPECT_GT(e.id, last);
            last = e.id;
            const auto& slot = p.t.segment.backend(e.backend);
            EXPECT_EQ(e.id, slot.sticky_id.load());
            EXPECT_EQ(e.incarnation, slot.incarnation.load());
            EXPECT_EQ(e.max_inflight, slot.max_inflight.load());
            names.push_back(std::string(p.t.segment.text(slot.name.load())) + (e.draining != 0 ? "-" : ""));
        }
        std::ranges::sort(names);
        for (const auto& name : names) text += (text.empty() ? "" : " ") + name;
        return text;
    };
    EXPECT_EQ(entries(), "a b c x");
    EXPECT_EQ(p.backend(0).sticky_id.load(), balance::sticky_id("one", "app", "a"));
    p.operate(0, Operator::drain);
    p.operate(1, Operator::maint);
    EXPECT_EQ(entries(), "a- c x");
    EXPECT_EQ(p.t.usable(p.pool()), "c");
    p.health(0, Health::down);  // a drained one that is down gives its sessions up
    EXPECT_EQ(entries(), "c x");
    p.health(0, Health::up);
    EXPECT_EQ(entries(), "a- c x");
    p.eject(0, 1'900'000'000);
    EXPECT_EQ(entries(), "c x");

    settings.sticky.secret = "two";
    p.t.start(config({settings}), 2);
    EXPECT_EQ(p.backend(2).sticky_id.load(), balance::sticky_id("two", "app", "c"));
    EXPECT_EQ(entries(), "c x");
    settings.sticky = {};
    p.t.start(config({settings}), 3);
    EXPECT_EQ(entries(), "");
    EXPECT_EQ(p.backend(2).sticky_id.load(), 0u);
}

TEST(Maglev, IsThereForThePoliciesThatNeedItAndFollowsNamesAlone) {
    auto settings = pool("app", {{"a"}, {"b", 3}, {"c"}, {"x", 1, true}});
    const auto lengths = [](config::Pool each) {
        Published p(config({std::move(each)}));
        return std::pair(p.now().primaries()[0].maglev_length, p.now().backups()[0].maglev_length);
    };
    EXPECT_EQ(lengths(settings), std::pair(0u, 0u));
    settings.sticky.kind = config::StickyKind::cookie;
    EXPECT_EQ(lengths(settings), std::pair(0u, 0u));
    const std::pair full(static_cast<std::uint32_t>(balance::maglev_size(3)),
                         static_cast<std::uint32_t>(balance::maglev_size(1)));
    for (const auto kind : {config::StickyKind::header, config::StickyKind::ip}) {
        settings.sticky.kind = kind;
        EXPECT_EQ(lengths(settings), full);
    }
    settings.sticky = {};
    for (const auto policy : {config::Policy::ip_hash, config::Policy::hash}) {
        settings.balance.policy = policy;
        EXPECT_EQ(lengths(settings), full);
    }

    Published p(config({settings}));
    const auto table = [&] {
        const auto list = p.now().maglev(p.now().primaries()[0]);
        return std::vector(list.begin(), list.end());
    };
    const std::vector<balance::MaglevMember> who{{balance::identity_of("app", "a"), 1},
                                                 {balance::identity_of("app", "b"), 3},
                                                 {balance::identity_of("app", "c"), 1}};
    const auto first = table();
    EXPECT_EQ(first, balance::make_maglev(who, balance::maglev_size(3)));
    // Copied when its group is the same, made anew when it is not.
    p.health(3, Health::down);
    EXPECT_EQ(table(), first);
    EXPECT_EQ(p.now().backups()[0].maglev_length, 0u);
    p.health(1, Health::down);
    EXPECT_EQ(table(), balance::make_maglev(std::vector{who[0], who[2]}, balance::maglev_size(3)));
    p.health(1, Health::up);
    EXPECT_EQ(table(), first);
    // The policy alone changes with a reload.
    settings.balance.policy = config::Policy::round_robin;
    p.t.start(config({settings}), 2);
    EXPECT_TRUE(table().empty());
}

TEST(Maglev, KeepsItsLengthWhenABackendOfManyIsDown) {
    constexpr std::uint32_t most = 1024;
    Table t({.columns = 2, .listeners = 1, .pools = 1, .backends = most, .arena = 64 << 20});
    // The first number of backends that has another length than one less.
    std::uint32_t n = 100;
    while (n < most && balance::maglev_size(n) == balance::maglev_size(n - 1)) n++;
    ASSERT_NE(balance::maglev_size(n), balance::maglev_size(n - 1));
    auto settings = pool("app", many(n));
    settings.balance.policy = config::Policy::hash;
    const auto c = t.start(config({settings}, {}), 1);
    const auto backend = [&](std::size_t entry) {
        const auto& p = t.published(c->pools[0].slot);
        return p.eligible(p.primaries()[0])[p.maglev(p.primaries()[0])[entry]].backend;
    };
    std::vector<std::uint32_t> before;
    for (std::size_t i = 0; i < balance::maglev_size(n); i++) before.push_back(backend(i));
    t.writer->set_health(c->pools[0].backends[5].slot, Health::down, "");
    t.writer->flush();
    ASSERT_EQ(t.published(c->pools[0].slot).primaries()[0].maglev_length, before.size());
    std::size_t moved = 0;
    for (std::size_t i = 0; i < before.size(); i++) moved += backend(i) != before[i] ? 1 : 0;
    EXPECT_LT(moved, before.size() / 10);
}

// begin() has the room that adopt() kept, and nothing else.
TEST(Blocks, AreNeverLargerThanTheRoomKeptForThem) {
    Random random(7);
    const auto chance = [&](std::uint32_t of) { return random.below(of) == 0; };
    const auto end_of = [](const shm::PublishedPool& p) {
        std::uint64_t end = sizeof p + (p.primary_groups + p.backup_groups) * sizeof(shm::PublishedGroup);
        end = std::max(end, p.sticky_at + p.sticky_count * sizeof(shm::StickyEntry));
        for (const auto groups : {p.primaries(), p.backups()}) {
            for (const auto& g : groups) {
                end = std::max(end, g.eligible_at + g.count * sizeof(shm::Eligible));
                end = std::max(end, g.schedule_at + std::uint64_t{g.schedule_length} * 4);
                end = std::max(end, g.maglev_at + std::uint64_t{g.maglev_length} * 4);
            }
        }
        return end;
    };
    for (int round = 0; round < 30; round++) {
        auto settings = pool("app", many(1 + random.below(chance(3) ? 150 : 20)));
        for (auto& b : settings.backends) {
            b.backup = chance(4);
            b.weight = chance(2) ? 20 : 1 + random.below(256);
            if (chance(2)) b.zone = "z" + std::to_string(random.below(4));
            if (chance(5)) b.addresses.clear();
        }
        if (chance(2)) settings.balance.policy = config::Policy::hash;
        if (chance(2)) settings.sticky.kind = config::StickyKind::cookie;
        if (chance(2)) settings.slow_start = config::Millis(10'000);
        if (chance(2)) settings.panic = 60;
        testing::internal::CaptureStderr();  // panic
        Table t({.columns = 2, .listeners = 1, .pools = 1, .backends = 200, .arena = 16 << 20});
        const auto c = t.start(config({settings}, {}), 1);
        std::vector<std::uint32_t> weights;
        for (const auto& b : settings.backends) weights.push_back(b.weight);
        const auto most = table::largest_pool_block(c->pools[0], weights);
        for (int step = 0; step < 40; step++) {
            ASSERT_LE(end_of(t.published(c->pools[0].slot)), most) << round << " " << step;
            for (auto n = random.below(20); n > 0; n--) {
                const auto& list = c->pools[0].backends;
                const auto slot = list[random.below(static_cast<std::uint32_t>(list.size()))].slot;
                if (chance(2)) t.writer->set_health(slot, chance(3) ? Health::down : Health::up, "");
                if (chance(4)) t.writer->set_operator(slot, static_cast<Operator>(random.below(3)), 0);
                if (chance(4)) t.writer->set_ejected(slot, chance(2) ? 1 : 0);
            }
            t.tick(static_cast<int>(1 + random.below(8)));
        }
        testing::internal::GetCapturedStderr();
    }
}

}  // namespace
}  // namespace lb::test
