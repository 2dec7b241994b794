// Which limits a request meets, in which order, by which key, and what is counted.
#include "worker/limit/limits.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "../route/support.h"
#include "../shm/processes.h"

namespace {
std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
    allocations++;
    void* const memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) std::abort();
    return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace lb::worker {
namespace {

using config::KeyKind;
using test::Request;

constexpr Micros noon = 1'000'000'000'000;
constexpr std::uint64_t second = 1'000'000'000;

class LimitsTest : public testing::Test {
 protected:
    LimitsTest()
        : segment_(test::make_segment({.columns = 4,
                                       .listeners = 1,
                                       .routes = 1,
                                       .limits = 8,
                                       .pools = 1,
                                       .backends = 1,
                                       .limit_sets = 64,
                                       .arena = 4096})),
          column_(segment_, 1) {
        segment_.header().columns_touched.store(2);
        segment_.header().limit_key[0] = 1;
        segment_.header().limit_key[1] = 2;
        route_.name = "shop";
    }
    // Gives the limit's index.
    std::uint32_t add(KeyKind kind, std::string name, std::uint32_t burst, std::uint32_t connections = 0) {
        const auto index = static_cast<std::uint32_t>(config_.limits.size());
        config::Limit limit;
        limit.name = "limit" + std::to_string(index);
        limit.key = {kind, std::move(name)};
        limit.interval = burst == 0 ? 0 : 90 * second;
        limit.burst = burst;
        limit.connections = connections;
        limit.slot = index;
        config_.limits.push_back(std::move(limit));
        return index;
    }
    Limits& limits() {
        if (!limits_) limits_.emplace(config_, segment_, column_, 1);
        return *limits_;
    }
    Limits::Verdict admit(const Request& request, Held& held, bool routed = true, Micros now = noon) {
        std::string text;
        append_host(text, request.client);
        return limits().admit(listener_, routed ? &route_ : nullptr, request.head, request.client, text, now,
                              held);
    }
    bool passes(const Request& request, bool routed = true) {
        Held held;
        const bool passed = admit(request, held, routed).refused == nullptr;
        limits().leave(held);
        return passed;
    }
    int passes_from(std::string_view address, int requests) {
        const Request request("GET /", "h", {}, address);
        int passed = 0;
        for (int i = 0; i < requests; i++) passed += passes(request) ? 1 : 0;
        return passed;
    }
    std::uint64_t counted(std::uint32_t slot, metrics::LimitLabel label) {
        return shm::sum<"lb_limit_requests_total">(segment_, slot, label);
    }
    std::uint32_t places() {
        std::uint32_t sum = 0;
        for (std::uint32_t s = 0; s < 64; s++) {
            for (const auto& entry : segment_.limit_set(s).entries) sum += entry.places.load();
        }
        return sum;
    }

    shm::Segment segment_;
    shm::Column column_;
    config::Config config_;
    config::Listener listener_;
    config::Route route_;
    std::optional<Limits> limits_;
};

TEST_F(LimitsTest, WithoutAnyEverythingPasses) {
    Held held;
    EXPECT_EQ(admit(Request("GET /"), held).refused, nullptr);
    EXPECT_EQ(held.count, 0);
}

TEST_F(LimitsTest, AddressesAreWholeInIPv4AndSixtyFourBitsInIPv6) {
    listener_.limits = {add(KeyKind::client_addr, {}, 2)};
    EXPECT_EQ(passes_from("192.0.2.1", 5), 2);
    EXPECT_EQ(passes_from("192.0.2.2", 5), 2);
    EXPECT_EQ(passes_from("::ffff:192.0.2.1", 5), 0);
    EXPECT_EQ(passes_from("2001:db8:0:1::1", 5), 2);
    EXPECT_EQ(passes_from("2001:db8:0:1:ffff::2", 5), 0);
    EXPECT_EQ(passes_from("2001:db8:0:2::1", 5), 2);
    EXPECT_EQ(counted(0, metrics::limit_passed), 8u);
    EXPECT_EQ(counted(0, metrics::limit_refused), 22u);
}

TEST_F(LimitsTest, UnixClientsAreOneKey) {
    listener_.limits = {add(KeyKind::client_addr, {}, 1)};
    Request request("GET /");
    request.client = {};
    request.client.any.un.sun_family = AF_UNIX;
    request.client.length = sizeof(sa_family_t);
    EXPECT_TRUE(passes(request));
    std::memcpy(request.client.any.un.sun_path, "/x", 3);
    request.client.length = sizeof(sa_family_t) + 3;
    EXPECT_FALSE(passes(request));
}

TEST_F(LimitsTest, AnAbsentHeaderOrCookieIsNoneOfItsBusiness) {
    listener_.limits = {add(KeyKind::header, "x-api-key", 1), add(KeyKind::cookie, "sid", 1)};
    for (int i = 0; i < 5; i++) EXPECT_TRUE(passes(Request("GET /")));
    EXPECT_EQ(counted(0, metrics::limit_passed), 0u);
    EXPECT_TRUE(passes(Request("GET /", "h", {"X-Api-Key: a"})));
    EXPECT_FALSE(passes(Request("GET /", "h", {"X-API-KEY: a"})));
    EXPECT_TRUE(passes(Request("GET /", "h", {"X-Api-Key: b"})));
    EXPECT_TRUE(passes(Request("GET /", "h", {"Cookie: sid=a"})));  // the same value is another key there
    EXPECT_FALSE(passes(Request("GET /", "h", {"Cookie: x=y; sid=a"})));
}

TEST_F(LimitsTest, RoutesAreAKeyAndNoRouteIsOneToo) {
    listener_.limits = {add(KeyKind::route, {}, 1)};
    const Request request("GET /");
    EXPECT_TRUE(passes(request));
    EXPECT_FALSE(passes(request));
    EXPECT_TRUE(passes(request, false));
    EXPECT_FALSE(passes(request, false));
    route_.name = "other";
    EXPECT_TRUE(passes(request));
}

TEST_F(LimitsTest, TheFirstThatRefusesEndsItAndGivesBackWhatWasTaken) {
    listener_.limits = {add(KeyKind::client_addr, {}, 0, 10)};
    route_.limits = {add(KeyKind::client_addr, {}, 0, 10), add(KeyKind::client_addr, {}, 1),
                     add(KeyKind::client_addr, {}, 9)};
    const Request request("GET /");
    Held held;
    EXPECT_EQ(admit(request, held).refused, nullptr);
    EXPECT_EQ(held.count, 2);
    EXPECT_EQ(places(), 2u);
    Held more;
    const auto verdict = admit(request, more);
    EXPECT_EQ(verdict.refused, &config_.limits[2]);
    EXPECT_EQ(more.count, 0);
    EXPECT_EQ(places(), 2u);
    EXPECT_EQ(counted(3, metrics::limit_passed), 1u);         // not asked the second time
    EXPECT_EQ(admit(request, more, false).refused, nullptr);  // the listener's alone
    EXPECT_EQ(places(), 3u);
    limits().leave(more);
    limits().leave(held);
    limits().leave(held);
    EXPECT_EQ(places(), 0u);
}

TEST_F(LimitsTest, OneThatListenerAndRouteNameCountsOnce) {
    const auto index = add(KeyKind::client_addr, {}, 2);
    listener_.limits = {index};
    route_.limits = {index};
    EXPECT_EQ(passes_from("192.0.2.1", 5), 2);
}

TEST_F(LimitsTest, LimitsDoNotShareBuckets) {
    listener_.limits = {add(KeyKind::client_addr, {}, 2)};
    route_.limits = {add(KeyKind::client_addr, {}, 3)};
    EXPECT_EQ(passes_from("192.0.2.1", 5), 2);
    listener_.limits.clear();
    EXPECT_EQ(passes_from("192.0.2.1", 5), 1);
}

TEST_F(LimitsTest, DryRunCountsAndLetsPass) {
    const auto index = add(KeyKind::client_addr, {}, 2);
    config_.limits[index].dry_run = true;
    listener_.limits = {index};
    EXPECT_EQ(passes_from("192.0.2.1", 5), 5);
    EXPECT_EQ(counted(0, metrics::limit_passed), 2u);
    EXPECT_EQ(counted(0, metrics::limit_would_refuse), 3u);
    EXPECT_EQ(counted(0, metrics::limit_refused), 0u);
}

TEST_F(LimitsTest, RetryAfterIsInWholeSecondsUpAndAtLeastOne) {
    listener_.limits = {add(KeyKind::client_addr, {}, 1)};
    const Request request("GET /");
    Held held;
    EXPECT_EQ(admit(request, held).retry_after, 0u);
    EXPECT_EQ(admit(request, held).retry_after, 90u);
    EXPECT_EQ(admit(request, held, true, noon + 500'000).retry_after, 90u);
    EXPECT_EQ(admit(request, held, true, noon + 1'000'000).retry_after, 89u);
    EXPECT_EQ(admit(request, held, true, noon + 89'999'999).retry_after, 1u);
    EXPECT_EQ(admit(request, held, true, noon + 90'000'000).retry_after, 0u);
    listener_.limits.clear();
    limits_.reset();
    route_.limits = {add(KeyKind::client_addr, {}, 0, 1)};
    EXPECT_EQ(admit(request, held).refused, nullptr);
    Held more;
    EXPECT_EQ(admit(request, more).retry_after, 1u);
    limits().leave(held);
}

TEST_F(LimitsTest, ANewProcessFindsTheBucketsOfTheName) {
    listener_.limits = {add(KeyKind::client_addr, {}, 2)};
    EXPECT_EQ(passes_from("192.0.2.1", 5), 2);
    limits_.reset();
    EXPECT_EQ(passes_from("192.0.2.1", 5), 0);
    limits_.reset();
    config_.limits[0].name = "another";
    EXPECT_EQ(passes_from("192.0.2.1", 5), 2);
}

TEST_F(LimitsTest, MoreThanARequestCanHoldLeavesNothingBehind) {
    for (std::size_t i = 0; i < 8; i++) listener_.limits.push_back(add(KeyKind::client_addr, {}, 0, 2));
    for (std::size_t i = 0; i < 2; i++) {
        config::Limit limit = config_.limits[i];
        limit.name += "more";
        route_.limits.push_back(static_cast<std::uint32_t>(config_.limits.size()));
        config_.limits.push_back(limit);
    }
    Held held;
    EXPECT_EQ(admit(Request("GET /"), held).refused, nullptr);
    EXPECT_EQ(held.count, Held::most);
    EXPECT_EQ(places(), Held::most);
    limits().leave(held);
    EXPECT_EQ(places(), 0u);
}

TEST_F(LimitsTest, EvictionsAreCounted) {
    listener_.limits = {add(KeyKind::header, "k", 1)};
    for (int i = 0; i < 2000; i++) EXPECT_TRUE(passes(Request("GET /", "h", {"k: " + std::to_string(i)})));
    EXPECT_GE(shm::sum<"lb_limit_evictions_total">(segment_, 0), 2000u - 64 * 8);
}

TEST_F(LimitsTest, AllocatesNothingForARequest) {
    listener_.limits = {add(KeyKind::client_addr, {}, 1000, 5), add(KeyKind::cookie, "sid", 1000)};
    route_.limits = {add(KeyKind::header, "k", 1000), add(KeyKind::route, {}, 1)};
    const Request request("GET /", "h", {"K: " + std::string(500, 'x'), "Cookie: a=b; sid=c"});
    limits();
    const std::size_t before = allocations;
    for (int i = 0; i < 100; i++) {
        Held held;
        (void)limits().admit(listener_, &route_, request.head, request.client, "192.0.2.1", noon, held);
        limits().leave(held);
    }
    EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace lb::worker
