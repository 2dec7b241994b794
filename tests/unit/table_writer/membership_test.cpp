// Backends that join and leave while their generation lives, names whose addresses change, and routes.
#include <gtest/gtest.h>

#include "support.h"

namespace lb::test {
namespace {

config::Backend literal(const std::string& name, std::uint32_t host) {
    return pool("", {{name, 1, false, host}}).backends[0];
}
void remove(config::Pool& from, const std::string& name) {
    std::erase_if(from.backends, [&](const auto& b) { return b.name == name; });
}
std::uint32_t slot_of(const config::Pool& pool, const std::string& name) {
    for (const auto& b : pool.backends) {
        if (b.name == name) return b.slot;
    }
    ADD_FAILURE() << "no backend " << name;
    return 0;
}
std::string addresses_of(const Table& t, std::uint32_t slot) {
    std::string text;
    const auto* block = t.segment.block<shm::AddressBlock>(t.segment.backend(slot).addresses.load());
    for (std::uint32_t i = 0; i < block->count; i++)
        text += (i == 0 ? "" : " ") + to_string(block->data()[i]);
    return text;
}

TEST(Membership, BackendsJoinAndLeaveTheRunningGeneration) {
    Table t;
    auto c = t.start(config({pool("app", {{"a"}, {"b"}})}), 1);
    const auto app = c->pools[0].slot;
    const auto a = slot_of(c->pools[0], "a");
    const auto b = slot_of(c->pools[0], "b");
    c = t.update(c, 1, [](auto& p) {
        p.backends.push_back(literal("c", 3));
        remove(p, "a");
    });
    EXPECT_EQ(t.usable(app), "b c");
    EXPECT_EQ(slot_of(c->pools[0], "b"), b);
    EXPECT_EQ(t.published(app).configured, 2u);
    EXPECT_EQ(t.segment.backend(a).member.load(), 0u);
    EXPECT_EQ(t.segment.backend(b).member.load(), 1u);
    EXPECT_EQ(t.segment.backend(slot_of(c->pools[0], "c")).member.load(), 1u);
    EXPECT_EQ(t.segment.backend(a).state.load(), SlotState::retiring);
    t.settle();
    EXPECT_EQ(t.segment.backend(a).state.load(), SlotState::free);
    EXPECT_EQ(t.writer->usage().backends, 2u);
    EXPECT_EQ(t.segment.header().generation.load(), 1u);
}

TEST(Membership, ANewOneIsUsedAfterItsFirstPassUnlessNobodyChecks) {
    Table t;
    auto checked = pool("app", {{"a"}});
    checked.check.start_up = false;
    auto c = t.start(config({checked}), 1);
    t.writer->set_health(slot_of(c->pools[0], "a"), Health::up, "");
    c = t.update(c, 1, [](auto& p) { p.backends.push_back(literal("b", 2)); });
    const auto b = slot_of(c->pools[0], "b");
    EXPECT_EQ(t.segment.backend(b).health.load(), Health::checking);
    EXPECT_EQ(t.usable(c->pools[0].slot), "a");
    t.writer->set_health(b, Health::up, "");
    t.writer->flush();
    EXPECT_EQ(t.usable(c->pools[0].slot), "a b");

    auto unchecked = pool("free", {});
    unchecked.check = {};
    unchecked.check.kind = config::CheckKind::off;
    auto two = t.start(config({unchecked}), 2);
    two = t.update(two, 2, [](auto& p) { p.backends.push_back(literal("x", 9)); });
    EXPECT_EQ(t.usable(two->pools[0].slot), "x");
}

TEST(Membership, WhatAnExchangeHoldsIsNotUsedAgainAndItsCountsStay) {
    Table t;
    auto c = t.start(config({pool("app", {{"a"}, {"b"}})}), 1);
    const auto app = c->pools[0].slot;
    const auto a = slot_of(c->pools[0], "a");
    auto w = t.worker();
    w.add<"lb_backend_in_flight">(a);
    w.take(a, 0);
    c = t.update(c, 1, [](auto& p) { remove(p, "a"); });
    for (int i = 0; i < 5; i++) {
        w.quiescent();
        t.tick();
    }
    EXPECT_EQ(t.segment.backend(a).state.load(), SlotState::retiring);
    EXPECT_EQ(addresses_of(t, a), "10.0.0.1:80");
    c = t.update(c, 1, [](auto& p) { p.backends.push_back(literal("new", 5)); });
    EXPECT_NE(slot_of(c->pools[0], "new"), a);

    w.add<"lb_backend_requests_total">(a, 2, 4);
    w.sub<"lb_backend_in_flight">(a);
    w.give_back(a, 0);
    t.settle({w});
    EXPECT_EQ(t.segment.backend(a).state.load(), SlotState::free);
    EXPECT_EQ(t.segment.pool(app).retired_requests.load(), 4u);
}

TEST(Membership, OneThatComesBackBeforeItWasFreeKeepsItsSlotAndCounts) {
    Table t;
    auto c = t.start(config({pool("app", {{"a"}, {"b"}})}), 1);
    const auto a = slot_of(c->pools[0], "a");
    auto w = t.worker();
    w.add<"lb_backend_requests_total">(a, 2, 4);
    c = t.update(c, 1, [](auto& p) { remove(p, "a"); });
    EXPECT_EQ(t.usable(c->pools[0].slot), "b");
    c = t.update(c, 1, [](auto& p) { p.backends.push_back(literal("a", 1)); });
    EXPECT_EQ(slot_of(c->pools[0], "a"), a);
    EXPECT_EQ(t.usable(c->pools[0].slot), "b a");
    t.settle({w});
    EXPECT_EQ(t.segment.backend(a).state.load(), SlotState::used);
    EXPECT_EQ(shm::responses(t.segment, a), 4u);
}

TEST(Membership, AReloadThatBeginsWithWhatIsKnownHasNoGap) {
    Table t;
    auto one = t.start(config({pool("app", {{"a"}})}), 1);
    const auto app = one->pools[0].slot;
    one = t.update(one, 1, [](auto& p) { p.backends.push_back(literal("found", 7)); });
    const auto found = slot_of(one->pools[0], "found");
    t.writer->set_health(found, Health::down, "connection refused");
    t.writer->set_health(found, Health::up, "");
    t.writer->flush();
    const auto block = t.segment.pool(app).published.load();

    auto next = config({pool("app", {{"a"}})});
    next.pools[0].backends.push_back(literal("found", 7));
    auto two = t.start(next, 2);
    EXPECT_EQ(slot_of(two->pools[0], "found"), found);
    EXPECT_EQ(t.segment.pool(app).published.load(), block);  // not even published anew

    // It leaves: the old generation, which still drains, is told so too, and nothing names it any more.
    two = t.update(two, 2, [](auto& p) { remove(p, "found"); });
    EXPECT_EQ(t.usable(app), "a");
    EXPECT_EQ(t.segment.backend(found).state.load(), SlotState::used);
    one = t.update(one, 1, [](auto& p) { remove(p, "found"); });
    EXPECT_EQ(t.usable(app), "a");
    EXPECT_EQ(t.segment.backend(found).state.load(), SlotState::retiring);
    t.writer->retire(1);
    t.settle();
    EXPECT_EQ(t.writer->usage().backends, 1u);
}

TEST(Membership, AnOldGenerationsUpdateDoesNotChangeWhatTheNewestPublishes) {
    Table t;
    auto one = t.start(config({pool("app", {{"a"}}), pool("old", {{"x"}})}), 1);
    const auto two = t.start(config({pool("app", {{"b"}})}), 2);
    config::Config c = *one;
    c.pools[0].backends.push_back(literal("c", 3));
    c.pools[1].backends.push_back(literal("y", 4));
    one = t.writer->update(c, 1).value();
    t.writer->flush();
    EXPECT_EQ(t.usable(two->pools[0].slot), "b");
    EXPECT_EQ(t.usable(one->pools[1].slot), "x y");  // it is still that generation's
    // The newest fails: the membership falls back to what the older one has by now.
    t.writer->retire(2);
    EXPECT_EQ(t.usable(one->pools[0].slot), "a c");
}

TEST(Membership, AnAdoptedGenerationChangesUnseenUntilItBegins) {
    Table t;
    const auto one = t.start(config({pool("app", {{"a"}})}), 1);
    const auto app = one->pools[0].slot;
    auto two = t.adopt(config({pool("app", {{"b"}})}), 2);
    two = t.update(two, 2, [](auto& p) { p.backends.push_back(literal("c", 3)); });
    EXPECT_EQ(t.usable(app), "a");
    t.writer->begin(two, 2);
    EXPECT_EQ(t.usable(app), "b c");
    t.writer->retire(1);
    t.settle();
    const auto before = t.writer->usage().arena_bytes;
    auto three = t.adopt(config({pool("app", {{"b"}, {"c", 1, false, 3}})}), 3);
    three = t.update(three, 3, [](auto& p) { p.backends.push_back(literal("d", 4)); });
    t.writer->retire(3);  // never begun: its reserved blocks, the first ones too, come back
    t.settle();
    EXPECT_EQ(t.writer->usage().arena_bytes, before);
    EXPECT_EQ(t.usable(app), "b c");
}

TEST(Membership, ANameKeepsItsSlotWhateverItsAddressesAre) {
    Table t;
    auto p = pool("app", {});
    p.backends.push_back(named("db", {1, 2}));
    auto c = t.start(config({p}), 1);
    const auto db = slot_of(c->pools[0], "db:80");
    const auto incarnation = [&] { return t.segment.backend(db).incarnation.load(); };
    const auto first = incarnation();
    EXPECT_EQ(addresses_of(t, db), "10.0.0.1:80 10.0.0.2:80");

    // One more address: kept connections lead where they should.
    c = t.update(c, 1, [](auto& pool) { pool.backends[0] = named("db", {1, 2, 3}); });
    EXPECT_EQ(slot_of(c->pools[0], "db:80"), db);
    EXPECT_EQ(addresses_of(t, db), "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80");
    EXPECT_EQ(incarnation(), first);

    // One went: what workers keep must not be used again, and the published list says so.
    c = t.update(c, 1, [](auto& pool) { pool.backends[0] = named("db", {1, 3}); });
    EXPECT_EQ(addresses_of(t, db), "10.0.0.1:80 10.0.0.3:80");
    EXPECT_EQ(incarnation(), first + 1);
    EXPECT_EQ(t.primaries(c->pools[0].slot)[0].incarnation, first + 1);
    EXPECT_EQ(t.usable(c->pools[0].slot), "db:80");

    // A reload with the answer that is known: the same slot. Another name behind the same label: another one.
    auto two = config({p});
    two.pools[0].backends[0] = named("db", {1, 3});
    const auto reloaded = t.start(two, 2);
    EXPECT_EQ(slot_of(reloaded->pools[0], "db:80"), db);
    EXPECT_EQ(incarnation(), first + 1);
    two.pools[0].backends[0].dns_name = "other";
    EXPECT_NE(slot_of(t.start(two, 3)->pools[0], "db:80"), db);
    t.writer->retire(1);
    t.writer->retire(2);
    t.settle();
    EXPECT_EQ(t.writer->usage().backends, 1u);
}

TEST(Membership, AnAddressBlockIsReplacedAndTheOldOneWaitsForItsReaders) {
    Table t;
    auto p = pool("app", {});
    p.backends.push_back(named("db", {1}));
    auto c = t.start(config({p}), 1);
    const auto db = slot_of(c->pools[0], "db:80");
    t.settle();
    auto w = t.worker();
    const auto* old = t.segment.block<shm::AddressBlock>(t.segment.backend(db).addresses.load());
    for (std::uint32_t i = 2; i < 30; i++) {
        c = t.update(c, 1, [i](auto& pool) { pool.backends[0] = named("db", {i}); });
        t.tick();
    }
    EXPECT_EQ(to_string(old->data()[0]), "10.0.0.1:80");
    w.quiescent();
    t.tick();
    EXPECT_EQ(t.writer->usage().blocks_waiting, 0u);
    EXPECT_EQ(addresses_of(t, db), "10.0.0.29:80");
}

TEST(Membership, WithoutAnAddressNobodyIsUpWhateverTheSettings) {
    Table t;
    auto p = pool("app", {});
    p.check.kind = config::CheckKind::off;
    p.backends.push_back(named("db", {}));
    auto c = t.start(config({p}), 1);
    const auto db = slot_of(c->pools[0], "db:80");
    EXPECT_EQ(t.segment.backend(db).health.load(), Health::checking);
    EXPECT_EQ(t.usable(c->pools[0].slot), "-");
    c = t.update(c, 1, [](auto& pool) { pool.backends[0] = named("db", {4}); });
    EXPECT_EQ(t.usable(c->pools[0].slot), "db:80");
}

TEST(Membership, AFullTableRefusesTheChangeAndKeepsTheList) {
    Table t;
    const auto c = t.start(config({pool("app", many(60))}), 1);
    const auto before = t.writer->usage();
    config::Config more = *c;
    for (std::uint32_t i = 100; i < 105; i++)
        more.pools[0].backends.push_back(literal("n" + std::to_string(i), i));
    const auto refused = t.writer->update(more, 1);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error(), "the shared table is full: 5 new backends, room for 4");
    EXPECT_EQ(t.published(c->pools[0].slot).usable, 60u);
    EXPECT_EQ(t.writer->usage().backends, before.backends);
    EXPECT_EQ(t.writer->usage().arena_bytes, before.arena_bytes);
    EXPECT_EQ(t.writer->usage().retiring, 0u);
    EXPECT_FALSE(t.writer->update(*c, 7).ok());
}

TEST(Membership, ThousandsComeAndGoAndLeaveNothing) {
    Table t({.columns = 4, .listeners = 1, .pools = 1, .backends = 20'000, .arena = 16 << 20});
    auto c = t.start(config({pool("app", {{"a"}})}, {}), 1);
    auto w = t.worker();
    t.settle({w});
    const auto before = t.writer->usage();
    for (int round = 0; round < 3; round++) {
        c = t.update(c, 1, [&](auto& p) {
            for (std::uint32_t i = 0; i < 10'000; i++) {
                p.backends.push_back(literal("n" + std::to_string(i), 100 + i));
            }
        });
        EXPECT_EQ(t.published(c->pools[0].slot).usable, 10'001u);
        c = t.update(c, 1, [](auto& p) { p.backends.resize(1); });
        t.settle({w});
    }
    EXPECT_EQ(t.writer->usage().backends, before.backends);
    EXPECT_EQ(t.writer->usage().arena_bytes, before.arena_bytes);
}

TEST(Routes, FollowTheirNamesOverReloads) {
    Table t;
    auto first = config({pool("app", {{"a"}})});
    first.routes.resize(3);
    first.routes[0].name = "api";
    first.routes[1].name = "beta";
    first.routes[2].name = "gone";
    const auto one = t.start(first, 1);
    const auto api = one->routes[0].slot;
    const auto gone = one->routes[2].slot;
    EXPECT_EQ(t.segment.text(t.segment.route(one->routes[1].slot).name.load()), "beta");
    EXPECT_EQ(t.segment.route(api).state.load(), SlotState::used);
    auto w = t.worker();
    w.add<"lb_route_requests_total">(api, 2, 5);
    w.add<"lb_route_requests_total">(gone, 2, 6);
    t.segment.route_cell(api).cursor.store(41);

    auto second = config({pool("app", {{"a"}})});
    second.routes.resize(2);
    second.routes[0].name = "beta";
    second.routes[1].name = "api";
    const auto two = t.start(second, 2);
    EXPECT_EQ(two->routes[1].slot, api);
    EXPECT_EQ(two->routes[0].slot, one->routes[1].slot);
    EXPECT_EQ(t.segment.route_cell(api).cursor.load(), 41u);
    EXPECT_EQ(t.segment.route(gone).state.load(), SlotState::used);  // generation 1 still uses it
    t.writer->retire(1);
    EXPECT_EQ(t.segment.route(gone).state.load(), SlotState::retiring);
    t.settle({w});
    EXPECT_EQ(t.segment.route(gone).state.load(), SlotState::free);
    EXPECT_EQ(t.writer->usage().routes, 2u);
    EXPECT_EQ(shm::sum<"lb_route_requests_total">(t.segment, api, 2), 5u);

    // The next owner of the slot begins at zero.
    second.routes.emplace_back().name = "new";
    const auto three = t.start(second, 3);
    EXPECT_EQ(three->routes[2].slot, gone);
    EXPECT_EQ(shm::sum<"lb_route_requests_total">(t.segment, gone, 2), 0u);
}

TEST(Routes, NamedTwiceOrTooManyAreRefused) {
    Table t;
    auto c = config({});
    c.routes.resize(2);
    c.routes[0].name = c.routes[1].name = "api";
    EXPECT_EQ(t.writer->adopt(c, 1).error(), "route api is named twice");
    c.routes.resize(7);
    for (std::size_t i = 0; i < c.routes.size(); i++) c.routes[i].name = "r" + std::to_string(i);
    EXPECT_EQ(t.writer->adopt(c, 1).error(), "the shared table is full: 7 new routes, room for 6");
}

}  // namespace
}  // namespace lb::test
