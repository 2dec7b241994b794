// The client that throws its answer away.
#include "worker/exchange/mirror.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "shared/net/address.h"

namespace lb {
namespace {

using stream::Flow;

// An exchange, as far as a mirror knows one.
struct FakeExchange final : stream::RequestUser {
    explicit FakeExchange(Mirror& mirror) : client(mirror) { mirror.serve(*this); }
    void on_request_trailers(std::string_view) override {}
    Flow on_request_body(std::string_view, bool) override { return Flow::ok; }
    io::Raw on_request_raw() override { return io::Raw::refused; }
    void on_client_drained() override {}
    void on_client_failed(End why) override {
        failed = why;
        if (obeys) client.cut();
    }
    Mirror& client;
    std::optional<End> failed;
    bool obeys = true;
};

class MirrorTest : public testing::Test {
 protected:
    MirrorTest() { clock.set_for_test(now); }
    Mirror* make(Micros limit = 0) { return mirrors.make({peer, peer, "192.0.2.7", 3}, Address{}, limit); }
    void pass(Micros time) {
        for (const Micros end = now + time; now < end;) {
            now += io::Wheel::tick;
            clock.set_for_test(now);
            wheel.advance(now);
        }
    }

    Micros now = 1'000'000;
    TurnClock clock;
    io::Wheel wheel;
    Mirrors mirrors{wheel, clock, 2};
    Address peer = parse_host("192.0.2.7", 4000).value();
};

TEST_F(MirrorTest, TakesEverythingAndAsksForNothing) {
    Mirror* mirror = make();
    ASSERT_NE(mirror, nullptr);
    FakeExchange exchange(*mirror);
    EXPECT_EQ(mirror->send_head({}, {}, "payload", false, false), Flow::ok);
    EXPECT_EQ(mirror->send_interim({}, {}), Flow::ok);
    for (int i = 0; i < 1000; i++) EXPECT_EQ(mirror->send_body(std::string(65536, 'x'), false), Flow::ok);
    EXPECT_EQ(mirror->raw_sink(), -1);
    std::uint64_t left = 7;
    EXPECT_EQ(mirror->raw_source(left), -1);
    EXPECT_EQ(left, 0U);
    EXPECT_EQ(mirror->bytes_sent() + mirror->bytes_received(), 0U);
    mirror->exchange_over();
    EXPECT_EQ(mirrors.in_flight(), 0U);
}

TEST_F(MirrorTest, StandsForTheClientEvenWhenThatIsGone) {
    Mirror* mirror = nullptr;
    {
        const Address client = parse_host("198.51.100.1", 5).value();
        const std::string text = "198.51.100.1";
        mirror = mirrors.make({peer, client, text, 3}, parse_host("127.0.0.1", 80).value(), 0);
    }
    const auto origin = mirror->origin();
    EXPECT_EQ(origin.text, "198.51.100.1");
    EXPECT_EQ(to_string(origin.client), "198.51.100.1:5");
    EXPECT_EQ(to_string(origin.peer), "192.0.2.7:4000");
    EXPECT_EQ(origin.request, 3U);
    EXPECT_EQ(to_string(mirror->local_address()), "127.0.0.1:80");
    mirror->cut();
}

TEST_F(MirrorTest, TheNumberInFlightIsBounded) {
    Mirror* one = make();
    Mirror* two = make();
    ASSERT_TRUE(one != nullptr && two != nullptr);
    EXPECT_EQ(make(), nullptr);
    EXPECT_EQ(mirrors.in_flight(), 2U);
    one->cut();
    EXPECT_EQ(mirrors.in_flight(), 1U);
    Mirror* three = make();
    ASSERT_NE(three, nullptr);
    EXPECT_NE(three, one) << "its memory is in use until the turn ends";
    mirrors.sweep();
    two->exchange_over();
    three->exchange_over();
    EXPECT_EQ(mirrors.in_flight(), 0U);
}

TEST_F(MirrorTest, ACopyThatTakesTooLongIsEnded) {
    Mirror* mirror = make(2'000'000);
    FakeExchange exchange(*mirror);
    pass(1'900'000);
    EXPECT_FALSE(exchange.failed);
    pass(300'000);
    EXPECT_EQ(exchange.failed, End::request_timeout);
    EXPECT_EQ(mirrors.in_flight(), 0U);
    Mirror* other = make();
    FakeExchange endless(*other);
    pass(Mirrors::longest - 100'000);
    EXPECT_FALSE(endless.failed);
    pass(300'000);
    EXPECT_EQ(endless.failed, End::request_timeout) << "without a limit of its own";
}

TEST_F(MirrorTest, OneThatIsOverHearsNothingMore) {
    Mirror* mirror = make(2'000'000);
    FakeExchange exchange(*mirror);
    mirror->exchange_over();
    mirrors.sweep();
    pass(5'000'000);
    EXPECT_FALSE(exchange.failed);
}

TEST_F(MirrorTest, TheyEndWithTheWorker) {
    FakeExchange one(*make()), two(*make());
    two.obeys = false;
    mirrors.stop_all();
    EXPECT_EQ(one.failed, End::stopped);
    EXPECT_EQ(two.failed, End::stopped);
    EXPECT_EQ(mirrors.in_flight(), 0U);
}

TEST(MirrorShare, IsKeptByChance) {
    Random random(3);
    unsigned chosen = 0;
    for (int i = 0; i < 100'000; i++) chosen += is_chosen(100'000, random) ? 1 : 0;
    EXPECT_NEAR(chosen, 10'000, 500);
    for (int i = 0; i < 1000; i++) {
        EXPECT_TRUE(is_chosen(1'000'000, random));
        EXPECT_FALSE(is_chosen(0, random));
    }
}

}  // namespace
}  // namespace lb
