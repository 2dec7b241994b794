// Identity over generations, membership, publication by health, and the errors of a full table.
#include <gtest/gtest.h>

#include "support.h"

namespace lb::test {
namespace {

TEST(Generations, SlotsFollowNames) {
    Table t;
    const auto one = t.start(config({pool("app", {{"a"}, {"b"}}), pool("api", {{"a"}})}, {"web", "alt"}), 1);
    EXPECT_NE(one->pools[0].slot, one->pools[1].slot);
    EXPECT_NE(one->pools[0].backends[0].slot, one->pools[1].backends[0].slot);  // same name, another pool
    EXPECT_NE(one->listeners[0].slot, one->listeners[1].slot);
    EXPECT_EQ(t.segment.text(t.segment.listener(one->listeners[1].slot).name.load()), "alt");
    EXPECT_EQ(t.segment.text(t.segment.pool(one->pools[1].slot).name.load()), "api");
    const auto& b = t.segment.backend(one->pools[0].backends[1].slot);
    EXPECT_EQ(b.state.load(), SlotState::used);
    EXPECT_EQ(b.pool.load(), one->pools[0].slot);
    EXPECT_EQ(t.segment.text(b.name.load()), "b");
    const auto* addresses = t.segment.block<shm::AddressBlock>(b.addresses.load());
    ASSERT_EQ(addresses->count, 1u);
    EXPECT_EQ(addresses->data()->any.in.sin_port, htons(80));

    // Another order, a changed weight, a new address under the same name.
    const auto two =
        t.start(config({pool("api", {{"a", 5}}), pool("app", {{"b"}, {"a", 1, false, 9}})}, {"alt"}), 2);
    EXPECT_EQ(two->pools[0].slot, one->pools[1].slot);
    EXPECT_EQ(two->pools[1].slot, one->pools[0].slot);
    EXPECT_EQ(two->listeners[0].slot, one->listeners[1].slot);
    EXPECT_EQ(two->pools[0].backends[0].slot, one->pools[1].backends[0].slot);
    EXPECT_EQ(two->pools[1].backends[0].slot, one->pools[0].backends[1].slot);
    EXPECT_NE(two->pools[1].backends[1].slot, one->pools[0].backends[0].slot);
    EXPECT_EQ(t.segment.backend(two->pools[0].backends[0].slot).weight.load(), 5u);
    EXPECT_EQ(t.primaries(two->pools[0].slot)[0].weight, 5u);
    EXPECT_EQ(t.segment.header().generation.load(), 2u);
    EXPECT_EQ(t.writer->usage().backends, 4u);
}

TEST(Generations, MembershipIsThatOfTheNewestBegun) {
    Table t;
    const auto one = t.start(config({pool("app", {{"a"}, {"b"}}), pool("old", {{"x"}})}), 1);
    const auto app = one->pools[0].slot;
    const auto old = one->pools[1].slot;
    EXPECT_EQ(t.usable(app), "a b");

    const auto two = t.adopt(config({pool("app", {{"b"}, {"c"}})}), 2);
    EXPECT_EQ(t.usable(app), "a b");  // adopted, not begun
    EXPECT_EQ(t.segment.header().generation.load(), 1u);
    t.writer->begin(two, 2);
    EXPECT_EQ(t.usable(app), "b c");
    EXPECT_EQ(t.usable(old), "x");  // generation 1 still serves it

    t.writer->retire(1);
    EXPECT_EQ(t.usable(old), "-");
    EXPECT_EQ(t.segment.pool(old).state.load(), SlotState::retiring);
    EXPECT_EQ(t.segment.backend(one->pools[0].backends[0].slot).state.load(), SlotState::retiring);
    EXPECT_EQ(t.segment.backend(two->pools[0].backends[0].slot).state.load(), SlotState::used);
    t.settle();
    EXPECT_EQ(t.segment.pool(old).state.load(), SlotState::free);
    EXPECT_EQ(t.segment.pool(old).published.load(), 0u);
    EXPECT_EQ(t.segment.backend(one->pools[0].backends[0].slot).state.load(), SlotState::free);
    EXPECT_EQ(t.usable(app), "b c");
    const auto use = t.writer->usage();
    EXPECT_EQ(use.pools, 1u);
    EXPECT_EQ(use.backends, 2u);
    EXPECT_EQ(use.listeners, 1u);
}

TEST(Generations, AFailedReloadFallsBackToTheGenerationBefore) {
    Table t;
    const auto one = t.start(config({pool("app", {{"a", 3}, {"b", 1, true}})}), 1);
    const auto app = one->pools[0].slot;
    t.start(config({pool("app", {{"a", 1}, {"b"}, {"c"}})}), 2);
    EXPECT_EQ(t.usable(app), "a b c");
    t.writer->retire(2);  // its workers never became ready
    EXPECT_EQ(t.usable(app), "a");
    EXPECT_EQ(t.primaries(app)[0].weight, 3u);
    EXPECT_EQ(t.segment.backend(one->pools[0].backends[0].slot).weight.load(), 3u);
    EXPECT_EQ(t.segment.backend(one->pools[0].backends[1].slot).backup.load(), 1u);
    EXPECT_EQ(t.segment.header().generation.load(), 1u);
    t.settle();
    EXPECT_EQ(t.writer->usage().backends, 2u);
}

TEST(Generations, AdoptedButNeverBegunLeavesNothing) {
    Table t;
    t.start(config({pool("app", {{"a"}})}), 1);
    t.settle();
    const auto before = t.writer->usage();
    t.adopt(config({pool("app", {{"a"}, {"b"}}), pool("more", many(20))}, {"web", "more"}), 2);
    EXPECT_GT(t.writer->usage().arena_bytes, before.arena_bytes);
    t.writer->retire(2);
    t.settle();
    const auto after = t.writer->usage();
    EXPECT_EQ(after.arena_bytes, before.arena_bytes);
    EXPECT_EQ(after.backends, before.backends);
    EXPECT_EQ(after.pools, before.pools);
    EXPECT_EQ(after.listeners, before.listeners);
}

TEST(Generations, ARetiringSlotNamedAgainGoesOn) {
    Table t;
    const auto one = t.start(config({pool("app", {{"a"}, {"b"}})}), 1);
    const auto b = one->pools[0].backends[1].slot;
    auto w = t.worker();
    w.add<"lb_backend_requests_total">(b, 2, 7);
    t.writer->set_health(b, Health::down, "refused");
    t.start(config({pool("app", {{"a"}})}), 2);
    t.writer->retire(1);
    t.tick();
    EXPECT_EQ(t.segment.backend(b).state.load(), SlotState::retiring);
    const auto incarnation = t.segment.backend(b).incarnation.load();

    const auto three = t.start(config({pool("app", {{"a"}, {"b"}})}), 3);
    EXPECT_EQ(three->pools[0].backends[1].slot, b);
    EXPECT_EQ(t.segment.backend(b).incarnation.load(), incarnation);
    EXPECT_EQ(t.segment.backend(b).health.load(), Health::up);  // start=up: the old verdict is not current
    EXPECT_EQ(t.segment.text(t.segment.backend(b).check_reason.load()), "");
    EXPECT_EQ(shm::responses(t.segment, b), 7u);
    t.writer->retire(2);
    t.settle({w});
    EXPECT_EQ(t.segment.backend(b).state.load(), SlotState::used);
    EXPECT_EQ(t.usable(three->pools[0].slot), "a b");
    EXPECT_EQ(t.segment.pool(three->pools[0].slot).retired_requests.load(), 0u);
}

TEST(Health, NewBackendsBeginAsTheirCheckSays) {
    Table t;
    auto checked = pool("checked", {{"a"}});
    checked.check.start_up = false;
    auto unchecked = pool("unchecked", {{"a"}});
    unchecked.check.start_up = false;
    unchecked.check.kind = config::CheckKind::off;
    const auto c = t.start(config({checked, unchecked, pool("eager", {{"a"}})}), 1);
    EXPECT_EQ(t.usable(c->pools[0].slot), "-");
    EXPECT_EQ(t.published(c->pools[0].slot).configured, 1u);
    EXPECT_EQ(t.segment.backend(c->pools[0].backends[0].slot).health.load(), Health::checking);
    EXPECT_EQ(t.usable(c->pools[1].slot), "a");
    EXPECT_EQ(t.usable(c->pools[2].slot), "a");
}

TEST(Health, FollowsOverReloadsUntilNobodyChecksAnyMore) {
    Table t;
    const auto one = t.start(config({pool("app", {{"a"}, {"b"}})}), 1);
    const auto a = one->pools[0].backends[0].slot;
    t.writer->set_health(a, Health::down, "connection refused");
    t.start(config({pool("app", {{"a"}, {"b"}})}), 2);
    EXPECT_EQ(t.usable(one->pools[0].slot), "b");
    EXPECT_EQ(t.segment.text(t.segment.backend(a).check_reason.load()), "connection refused");
    auto off = pool("app", {{"a"}, {"b"}});
    off.check.kind = config::CheckKind::off;
    t.start(config({off}), 3);
    EXPECT_EQ(t.usable(one->pools[0].slot), "a b");
    EXPECT_EQ(t.segment.text(t.segment.backend(a).check_reason.load()), "");
}

TEST(Health, IsPublishedAtTheNextFlushAndOnlyWhenTheSetChanged) {
    Table t;
    const auto c = t.start(config({pool("app", {{"a"}, {"b"}, {"c"}})}), 1);
    const auto app = c->pools[0].slot;
    const auto a = c->pools[0].backends[0].slot;
    const auto offset = [&] { return t.segment.pool(app).published.load(); };
    const auto epoch = [&] { return t.segment.header().epoch.load(); };
    auto block = offset();
    t.writer->set_health(a, Health::down, "");
    EXPECT_EQ(t.segment.backend(a).health.load(), Health::down);  // shown at once
    EXPECT_EQ(offset(), block);
    auto before = epoch();
    EXPECT_EQ(t.writer->flush(), 0u);
    EXPECT_EQ(t.usable(app), "b c");
    EXPECT_NE(offset(), block);
    EXPECT_EQ(epoch(), before + 1);

    block = offset();
    before = epoch();
    t.writer->set_health(a, Health::checking, "");  // not usable before nor after
    t.writer->flush();
    t.writer->set_health(a, Health::up, "");  // up and down again within one turn
    t.writer->set_health(a, Health::down, "");
    t.writer->flush();
    t.start(config({pool("app", {{"a"}, {"b"}, {"c"}})}), 2);  // a reload that changes nothing
    EXPECT_EQ(offset(), block);
    EXPECT_EQ(epoch(), before);

    t.writer->set_health(a, Health::up, "");
    t.tick();  // flushes too
    EXPECT_EQ(t.usable(app), "a b c");
    t.writer->set_health(9999, Health::down, "no such slot");
    t.writer->set_health(63, Health::down, "no such slot");
}

TEST(Health, BothTiersAreListedAndBackupsServeWhenNoPrimaryIsUp) {
    Table t;
    const auto c = t.start(config({pool("app", {{"a"}, {"b", 1, true}, {"c"}, {"d", 4, true}})}), 1);
    const auto app = c->pools[0].slot;
    const auto set = [&](std::size_t i, Health h) {
        t.writer->set_health(c->pools[0].backends[i].slot, h, "");
        t.writer->flush();
    };
    EXPECT_EQ(t.usable(app), "a c");
    EXPECT_EQ(t.listed(t.published(app), t.published(app).backups()[0]), "b d");
    EXPECT_EQ(t.published(app).usable, 4u);
    set(0, Health::down);
    EXPECT_EQ(t.usable(app), "c");
    set(2, Health::down);
    EXPECT_EQ(t.usable(app), "b d");
    EXPECT_EQ(t.published(app).backups()[0].schedule_length, 5u);
    set(1, Health::down);
    EXPECT_EQ(t.usable(app), "d");
    set(3, Health::down);
    EXPECT_EQ(t.usable(app), "-");
    EXPECT_EQ(t.published(app).usable, 0u);
    EXPECT_EQ(t.published(app).backups()[0].schedule_length, 0u);
    EXPECT_EQ(t.published(app).configured, 4u);
    set(0, Health::up);
    EXPECT_EQ(t.usable(app), "a");
}

TEST(Health, ReasonsAreReplacedAndBounded) {
    Table t;
    const auto c = t.start(config({pool("app", {{"a"}})}), 1);
    const auto a = c->pools[0].backends[0].slot;
    const auto reason = [&] { return std::string(t.segment.text(t.segment.backend(a).check_reason.load())); };
    t.settle();
    const auto before = t.writer->usage().arena_bytes;
    t.writer->set_health(a, Health::down, "connection refused");
    EXPECT_EQ(reason(), "connection refused");
    const auto offset = t.segment.backend(a).check_reason.load();
    t.writer->set_health(a, Health::down, "connection refused");
    EXPECT_EQ(t.segment.backend(a).check_reason.load(), offset);
    t.writer->set_health(a, Health::down, std::string(100'000, 'x'));
    EXPECT_EQ(reason(), std::string(512, 'x'));
    for (int i = 0; i < 1000; i++) {
        t.writer->set_health(a, Health::down, "reason " + std::to_string(i));
        t.tick();
    }
    t.writer->set_health(a, Health::up, "");
    t.settle();
    EXPECT_EQ(reason(), "");
    EXPECT_EQ(t.writer->usage().arena_bytes, before);
}

TEST(Errors, NamesTwice) {
    Table t;
    const auto error = [&](config::Config c) {
        const auto adopted = t.writer->adopt(c, 1);
        return adopted ? std::string("adopted") : adopted.error();
    };
    EXPECT_EQ(error(config({pool("app", {{"a"}, {"a"}})})), "pool app: backend a is named twice");
    EXPECT_EQ(error(config({pool("app", {{"a"}}), pool("app", {{"b"}})})), "pool app is named twice");
    EXPECT_EQ(error(config({}, {"web", "web"})), "listener web is named twice");
    EXPECT_EQ(t.writer->usage().backends, 0u);
    t.adopt(config({}), 1);
    EXPECT_EQ(error(config({})), "generation 1 was adopted before");
}

TEST(Errors, AFullTableRefusesAndChangesNothing) {
    Table t;
    const auto one = t.start(config({pool("app", many(60))}), 1);
    const auto before = t.writer->usage();
    auto c = config({pool("app", many(65))});
    auto refused = t.writer->adopt(c, 2);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error(), "the shared table is full: 5 new backends, room for 4");
    EXPECT_EQ(c.pools[0].backends[0].slot, config::no_index);
    c = config({}, {"1", "2", "3", "4"});
    refused = t.writer->adopt(c, 2);
    EXPECT_FALSE(refused.ok());
    const auto after = t.writer->usage();
    EXPECT_EQ(after.backends, before.backends);
    EXPECT_EQ(after.arena_bytes, before.arena_bytes);
    EXPECT_EQ(t.published(one->pools[0].slot).usable, 60u);
    t.start(config({pool("app", many(64))}), 2);
    EXPECT_EQ(t.published(one->pools[0].slot).usable, 64u);
}

TEST(Errors, AnExhaustedArenaRefusesAndChangesNothing) {
    auto capacity = small_table;
    capacity.arena = 4096;
    Table t(capacity);
    const auto one = t.start(config({pool("app", many(10))}), 1);
    const auto before = t.writer->usage();
    auto c = config({pool("app", many(40))});
    const auto refused = t.writer->adopt(c, 2);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error(), "no memory left in the shared table's arena");
    EXPECT_EQ(t.writer->usage().arena_bytes, before.arena_bytes);
    EXPECT_EQ(t.writer->usage().backends, before.backends);
    EXPECT_EQ(t.published(one->pools[0].slot).usable, 10u);
}

TEST(Errors, APublicationWithoutRoomKeepsTheOldListAndIsTriedAgain) {
    auto capacity = small_table;
    capacity.arena = 4096;
    Table t(capacity);
    const auto c = t.start(config({pool("app", many(20))}), 1);
    const auto app = c->pools[0].slot;
    auto w = t.worker();  // its loop hangs: nothing that was replaced comes back
    std::size_t waiting = 0;
    std::uint32_t down = 0;
    while (waiting == 0 && down < 15) {
        t.writer->set_health(c->pools[0].backends[down++].slot, Health::down, "refused");
        waiting = t.writer->flush();
    }
    ASSERT_EQ(waiting, 1u);
    EXPECT_GT(t.published(app).usable, 20 - down);
    EXPECT_EQ(t.writer->flush(), 1u);
    w.quiescent();
    EXPECT_EQ(t.writer->flush(), 0u);
    EXPECT_EQ(t.published(app).usable, 20 - down);
}

TEST(Errors, NoFreeColumn) {
    Table t;
    std::vector<shm::Column> all;
    for (std::uint32_t i = 1; i < small_table.columns; i++) all.push_back(t.worker());
    const auto none = t.writer->claim_column(shm::Role::worker, 1, 0, {});
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.error(), "no free column in the shared table: all 8 belong to living processes");
    t.writer->column_ended(all[3].index());
    EXPECT_EQ(t.worker().index(), all[3].index());
}

}  // namespace
}  // namespace lb::test
