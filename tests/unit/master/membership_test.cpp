// Members that come and go, from a file to the published table, over generations in every phase.
#include "master/membership.h"

#include <gtest/gtest.h>

#include "../discovery/loop.h"
#include "../shm/processes.h"
#include "shared/shm/counters.h"

namespace lb {
namespace {

using discovery::test::Directory;
using discovery::test::Loop;
using discovery::test::replace_file;
using Phase = Generation::Phase;

constexpr shm::Capacity small{
    .columns = 4, .listeners = 4, .routes = 4, .pools = 8, .backends = 64, .arena = 1 << 20};

struct MembershipTest : testing::Test {
    Loop loop;
    Directory directory;
    std::string path = directory / "app.list";
    shm::Segment segment = test::make_segment(small);
    TableWriter writer{segment};
    Generations generations;
    BackendNames names;
    health::Board board{
        loop.base.get(),
        {[this](std::uint32_t slot, shm::Health health, std::string_view reason) {
             writer.set_health(slot, health, reason);
         },
         [](std::uint32_t, bool) {},
         [this](const config::Backend& backend) { return membership.why_unresolved(backend); }}};
    int settled = 0;
    operators::Store store;
    Membership membership{loop.base.get(), writer, board, generations, names, store, [this] { settled++; }};

    // One pool with these backends of its own and those of the file, without checks.
    config::Config config(const std::vector<std::string>& own, const std::string& pool = "app",
                          bool discover = true) {
        config::Config out;
        out.resolver.ttl_min = out.resolver.ttl_max = out.resolver.stale = config::Millis(60'000);
        out.resolver.nameservers = {parse_address("127.0.0.1:1").value()};
        out.pools.resize(1);
        out.pools[0].name = pool;
        out.pools[0].check.kind = config::CheckKind::off;
        for (const std::string& each : own) {
            config::Backend backend;
            backend.name = backend.host = each;
            if (each.ends_with(".localhost:80")) {
                backend.dns_name = each.substr(0, each.size() - 3);
                backend.port = 80;
            } else {
                backend.addresses = {parse_address(each).value()};
            }
            out.pools[0].backends.push_back(backend);
        }
        if (discover) {
            config::Discover source;
            source.kind = config::DiscoverKind::file;
            source.path = path;
            out.pools[0].discover = {source};
        }
        return out;
    }
    // What a start or a reload does.
    Generation& start(config::Config from) {
        membership.expect(from);
        EXPECT_TRUE(loop.until([&] { return membership.settled(); }));
        auto configured = membership.fill(from);
        const auto number = generations.next_number();
        const auto adopted = writer.adopt(from, number);
        EXPECT_TRUE(adopted.ok()) << adopted.error();
        Generation& made = generations.add(std::make_shared<const config::Config>(std::move(from)), 1,
                                           std::move(configured));
        membership.apply(made);
        membership.unexpect();
        names.learn(generations.configs());
        board.configure(generations.configs());
        writer.begin(made.config, number);
        for (Generation& each : generations.all())
            each.phase = each.number == number ? Phase::serving : Phase::draining;
        membership.look();
        return *generations.find(number);
    }
    std::string usable(const std::string& pool = "app") {
        writer.flush();
        for (std::uint32_t i = 0; i < small.pools; i++) {
            auto& slot = segment.pool(i);
            if (slot.state.load() == shm::SlotState::free || segment.text(slot.name.load()) != pool) continue;
            std::string out;
            const auto& published = *segment.block<shm::PublishedPool>(slot.published.load());
            for (const auto& group : published.primaries()) {
                for (const auto& e : published.eligible(group)) {
                    out += (out.empty() ? "" : " ") +
                           std::string(segment.text(segment.backend(e.backend).name.load()));
                }
            }
            return out;
        }
        return "no pool";
    }
    bool becomes(const std::string& text, const std::string& pool = "app") {
        return loop.until([&] { return usable(pool) == text; });
    }
    std::uint64_t changes(metrics::ChangeLabel label) {
        return shm::sum<"lb_pool_membership_changes_total">(segment, 0, label);
    }
};

TEST_F(MembershipTest, WhatIsKnownAtTheStartServesAtOnceAndFollowsTheFile) {
    replace_file(path, "10.0.0.2:80\n");
    start(config({"10.0.0.1:80"}));
    EXPECT_EQ(usable(), "10.0.0.1:80 10.0.0.2:80");
    EXPECT_EQ(changes(metrics::change_added), 0u) << "nothing joined while it ran";
    replace_file(path, "10.0.0.3:80\n10.0.0.1:80\n");
    EXPECT_TRUE(becomes("10.0.0.1:80 10.0.0.3:80")) << "one that the configuration has, too, is there once";
    EXPECT_EQ(changes(metrics::change_added), 1u);
    EXPECT_EQ(changes(metrics::change_removed), 1u);
    replace_file(path, "what?\n");
    replace_file(directory / "other", "");
    loop.until([] { return false; }, 300'000);
    EXPECT_EQ(usable(), "10.0.0.1:80 10.0.0.3:80");
}

TEST_F(MembershipTest, AReloadKeepsWhatIsKnownAndTheOldGenerationLetsGo) {
    replace_file(path, "10.0.0.2:80\n");
    start(config({"10.0.0.1:80"}));
    const auto before = generations.all()[0].config->pools[0].backends[1].slot;
    start(config({"10.0.0.1:80"}));
    EXPECT_EQ(usable(), "10.0.0.1:80 10.0.0.2:80");
    EXPECT_EQ(generations.all()[1].config->pools[0].backends[1].slot, before);
    EXPECT_TRUE(loop.until([&] { return generations.all()[0].config->pools[0].backends.size() == 1; }));
    replace_file(path, "10.0.0.9:80\n");
    EXPECT_TRUE(becomes("10.0.0.1:80 10.0.0.9:80"));
    EXPECT_EQ(segment.backend(before).state.load(), shm::SlotState::retiring) << "nobody names it any more";
    EXPECT_EQ(changes(metrics::change_added), 1u) << "the old generation's part is not counted again";
}

TEST_F(MembershipTest, APoolThatOnlyADrainingGenerationHasGoesOnFollowing) {
    replace_file(path, "10.0.0.2:80\n");
    start(config({}, "old"));
    start(config({"10.0.0.5:80"}, "new", false));
    EXPECT_EQ(usable("old"), "10.0.0.2:80");
    replace_file(path, "10.0.0.3:80\n");
    EXPECT_TRUE(becomes("10.0.0.3:80", "old"));
}

TEST_F(MembershipTest, AReloadThatFailsLeavesTheServingOneWithItsMembers) {
    replace_file(path, "10.0.0.2:80\n");
    start(config({"10.0.0.1:80"}));
    Generation& failed = start(config({"10.0.0.4:80"}));
    generations.all()[0].phase = Phase::serving;
    failed.phase = Phase::closing;
    replace_file(path, "10.0.0.3:80\n");
    EXPECT_TRUE(becomes("10.0.0.4:80 10.0.0.3:80"));
    const auto number = failed.number;
    std::erase_if(generations.all(), [&](const auto& each) { return each.number == number; });
    writer.retire(number);
    EXPECT_EQ(usable(), "10.0.0.1:80 10.0.0.3:80");
}

TEST_F(MembershipTest, ASourceThatIsTakenOutTakesItsMembersAlong) {
    replace_file(path, "10.0.0.2:80\n");
    start(config({"10.0.0.1:80"}));
    start(config({"10.0.0.1:80"}, "app", false));
    EXPECT_EQ(usable(), "10.0.0.1:80");
}

TEST_F(MembershipTest, NamesGetTheirAddressesAndPort) {
    start(config({"app.localhost:80"}, "app", false));
    EXPECT_EQ(usable(), "app.localhost:80");
    const auto slot = generations.all()[0].config->pools[0].backends[0].slot;
    const auto* block = segment.block<shm::AddressBlock>(segment.backend(slot).addresses.load());
    ASSERT_GE(block->count, 1u);
    EXPECT_EQ(to_string(block->data()[0]), "127.0.0.1:80");
}

TEST_F(MembershipTest, AFileMayNameNamesAndTheyAreResolvedBeforeItServes) {
    replace_file(path, "app.localhost:80\n");
    start(config({}));
    EXPECT_EQ(usable(), "app.localhost:80");
}

TEST_F(MembershipTest, ANameThatDoesNotResolveIsDownWithAReason) {
    auto c = config({"10.0.0.1:80"}, "app", false);
    config::Backend db;
    db.name = db.host = "db.invalid:80";
    db.dns_name = "db.invalid";
    db.port = 80;
    c.pools[0].backends.push_back(db);
    membership.expect(c);
    ASSERT_TRUE(loop.until([&] { return settled > 0; }, 20'000'000)) << "the one who expects is told";
    start(c);
    EXPECT_EQ(usable(), "10.0.0.1:80");
    const auto slot = generations.all()[0].config->pools[0].backends[1].slot;
    EXPECT_EQ(segment.backend(slot).health.load(), shm::Health::down);
    EXPECT_EQ(segment.text(segment.backend(slot).check_reason.load()).substr(0, 26),
              "cannot resolve db.invalid:");
    EXPECT_GE(shm::sum<"lb_resolver_queries_total">(segment, 0, metrics::query_failed), 2u);
}

TEST_F(MembershipTest, MoreThanTheTableHoldsIsRefusedAndTheListStays) {
    replace_file(path, "10.0.0.2:80\n");
    start(config({"10.0.0.1:80"}));
    std::string many;
    for (int i = 0; i < 80; i++) many += "10.1.0." + std::to_string(i + 1) + ":80\n";
    replace_file(path, many);
    loop.until([] { return false; }, 400'000);
    EXPECT_EQ(usable(), "10.0.0.1:80 10.0.0.2:80");
    replace_file(path, "10.0.0.3:80\n");
    EXPECT_TRUE(becomes("10.0.0.1:80 10.0.0.3:80"));
}

TEST_F(MembershipTest, APoolThatDoesNotFitHoldsUpNoOther) {
    replace_file(path, "10.0.0.2:80\n");
    auto both = config({}, "large");
    both.pools.push_back(config({}, "app").pools[0]);
    const std::string other = directory / "other.list";
    both.pools[1].discover[0].path = other;
    replace_file(other, "10.0.0.3:80\n");
    start(both);
    std::string many;
    for (int i = 0; i < 80; i++) many += "10.1.0." + std::to_string(i + 1) + ":80\n";
    replace_file(path, many);
    replace_file(other, "10.0.0.4:80\n");
    EXPECT_TRUE(becomes("10.0.0.4:80"));
    EXPECT_EQ(usable("large"), "10.0.0.2:80");

    // A generation that was adopted without what was found.
    membership.expect(both);
    ASSERT_TRUE(loop.until([&] { return membership.settled(); }));
    auto bare = both;
    const auto number = generations.next_number();
    ASSERT_TRUE(writer.adopt(bare, number).ok());
    Generation& made = generations.add(std::make_shared<const config::Config>(std::move(bare)), 1, {0, 0});
    membership.admit(made);
    EXPECT_EQ(made.config->pools[0].backends.size(), 0u);
    EXPECT_EQ(made.config->pools[1].backends.size(), 1u) << "before it serves";
}

TEST_F(MembershipTest, ABackendThatGoesFromOneGenerationToTheNextKeepsItsHealth) {
    auto old = config({});
    old.pools[0].check.kind = config::CheckKind::tcp;
    old.pools[0].check.start_up = false;
    old.pools[0].check.interval = old.pools[0].check.timeout = config::Millis(60'000);
    auto next = old;
    next.pools[0].discover[0].path = directory / "next.list";
    replace_file(path, "10.0.0.1:80\n10.0.0.2:80\n");
    replace_file(directory / "next.list", "10.0.0.1:80\n");
    start(old);
    const auto slot = generations.all()[0].config->pools[0].backends[1].slot;
    writer.set_health(slot, shm::Health::up, "");
    replace_file(path,
                 "10.0.0.1:80\n10.0.0.2:80\n10.0.0.3:80\n");  // a change, so that the next one has to wait
    ASSERT_TRUE(loop.until([&] { return generations.all()[0].config->pools[0].backends.size() == 3; }));
    start(next);
    replace_file(directory / "next.list", "10.0.0.1:80\n10.0.0.2:80\n");
    ASSERT_TRUE(loop.until([&] { return generations.all()[1].config->pools[0].backends.size() == 2; }));
    EXPECT_TRUE(generations.all()[0].config->pools[0].backends.empty()) << "in the same run";
    EXPECT_EQ(generations.all()[1].config->pools[0].backends[1].slot, slot);
    EXPECT_EQ(segment.backend(slot).health.load(), shm::Health::up);
}

TEST_F(MembershipTest, ThousandsWithoutAnAddressAreAFewLines) {
    auto c = config({"10.0.0.1:80"}, "app", false);
    for (int i = 0; i < 50; i++) {
        config::Backend db;
        db.name = db.host = "db" + std::to_string(i) + ".invalid:80";
        db.dns_name = "db" + std::to_string(i) + ".invalid";
        c.pools[0].backends.push_back(db);
    }
    names.learn({std::make_shared<const config::Config>([&] {
        auto numbered = c;
        for (std::uint32_t i = 0; i < 51; i++) numbered.pools[0].backends[i].slot = i;
        return numbered;
    }())});
    testing::internal::CaptureStderr();
    for (std::uint32_t i = 1; i < 51; i++) {
        EXPECT_FALSE(names.log_verdict(i, shm::Health::down, "cannot resolve it"));
    }
    EXPECT_TRUE(names.log_verdict(0, shm::Health::down, "connection refused"));
    const Micros now = monotonic_now();
    EXPECT_EQ(names.left_out(now), 30u);
    EXPECT_EQ(names.left_out(now + 1'000'000), 0u);
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 22) << said;
    EXPECT_NE(said.find("10.0.0.1:80 is down (connection refused)"), std::string::npos);
    EXPECT_NE(said.find("30 more backends without an address are down"), std::string::npos);
}

TEST_F(MembershipTest, ChangesThatComeFastAreTakenTogether) {
    replace_file(path, "10.0.0.1:80\n");
    start(config({}));
    loop.until([] { return false; }, 150'000);
    const auto epoch = segment.header().epoch.load();
    for (int i = 2; i <= 60; i++) {
        replace_file(path, "10.0.0." + std::to_string(i) + ":80\n");
        loop.until([] { return true; });
        event_base_loop(loop.base.get(), EVLOOP_NONBLOCK);
    }
    EXPECT_TRUE(becomes("10.0.0.60:80"));
    EXPECT_LT(changes(metrics::change_added), 15u);
    EXPECT_GT(segment.header().epoch.load(), epoch);
}

}  // namespace
}  // namespace lb
