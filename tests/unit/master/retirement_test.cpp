// tests/unit/master/retirement_test.cpp -- no client of a socket on its way out is reset. Real sockets and the kernel's
// own answers for the first part; a clock and answers made by hand for the second.
#include "master/retirement.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include "master/tcp_table.h"
#include "sockets.h"

namespace lb {
namespace {

struct Bench {
    Listeners listeners{{}};
    config::Bind bind = any_port();
    std::string key = key_of(bind);
    std::vector<SocketId> ids;
    Retirement retirement{listeners};

    Bench(std::uint32_t slots, bool defer) {
        EXPECT_EQ(listeners.open(bind, slots, defer, ids), "");
        std::vector<std::uint32_t> all;
        for (std::uint32_t i = 0; i < slots; i++) all.push_back(i);
        listeners.set_live(key, all);
    }
    const Address& address() { return listeners.group(key)->address; }
    std::vector<SocketId> poll(Micros now) {
        retirement.poll(now);
        return retirement.quiet_ones();
    }
    int fd(std::uint32_t slot) { return listeners.descriptor({key, slot}); }
};

bool answers(const Fd& client, const Fd& accepted) {
    if (send(accepted.get(), "hi", 2, MSG_NOSIGNAL) != 2) return false;
    char bytes[2];
    return recv(client.get(), bytes, 2, MSG_WAITALL) == 2;
}

TEST(Retirement, ClosesAQuietSocketSoon) {
    Bench bench(2, true);
    const SocketId id{bench.key, 1};
    bench.retirement.begin(id, monotonic_now());
    EXPECT_TRUE(bench.retirement.active());
    std::vector<SocketId> done;
    EXPECT_TRUE(eventually([&] { return !(done = bench.poll(monotonic_now())).empty(); }, 2'000'000));
    EXPECT_EQ(done, std::vector<SocketId>{id});
    EXPECT_TRUE(bench.retirement.active()) << "until it is closed";
    EXPECT_FALSE(bench.retirement.waits());
    bench.retirement.forget(id);
    EXPECT_FALSE(bench.retirement.active());
}

TEST(Retirement, KeepsASocketWhileItsQueueHoldsConnectionsMadeBefore) {
    Bench bench(2, false);
    bench.listeners.set_live(bench.key, std::vector<std::uint32_t>{1});
    std::vector<Fd> clients;
    clients.reserve(10);
    for (int i = 0; i < 10; i++) clients.push_back(connect_to(bench.address()));
    bench.listeners.set_live(bench.key, std::vector<std::uint32_t>{0, 1});
    const SocketId id{bench.key, 1};
    const Micros start = monotonic_now();
    bench.retirement.begin(id, start);
    const Fd late = connect_to(bench.address());
    ASSERT_TRUE(late);
    EXPECT_TRUE(accept_from(bench.fd(0), 5000)) << "new ones go to the other socket";
    for (Micros age = 0; age < 5'000'000; age += 100'000) {
        ASSERT_TRUE(bench.poll(start + age).empty()) << "closing now would reset ten clients";
    }
    std::vector<Fd> accepted;
    while (Fd one = accept_from(bench.fd(1))) accepted.push_back(std::move(one));
    ASSERT_EQ(accepted.size(), 10U);
    EXPECT_EQ(bench.poll(start + 5'000'000), std::vector<SocketId>{id});
    bench.listeners.close(id);
    for (std::size_t i = 0; i < 10; i++) {
        const Address local = local_address(clients[i].get());
        EXPECT_NE(local.port(), 0);
    }
    for (Fd& one : accepted) EXPECT_EQ(send(one.get(), "hi", 2, MSG_NOSIGNAL), 2);
    for (Fd& client : clients) {
        char bytes[2];
        EXPECT_EQ(recv(client.get(), bytes, 2, MSG_WAITALL), 2)
            << "the connection outlives the listening socket";
    }
}

// A client that connected and says nothing is, with TCP_DEFER_ACCEPT, still half open to the kernel: closing after
// accept-until-EAGAIN resets it.
TEST(Retirement, SavesASilentClientOfADeferredSocket) {
    Bench bench(2, true);
    bench.listeners.set_live(bench.key, std::vector<std::uint32_t>{1});
    const Fd client = connect_to(bench.address());
    ASSERT_TRUE(client);
    const auto port = bench.address().port();
    ASSERT_TRUE(eventually([&] {
        const auto open = half_open(AF_INET, port);
        return open && open->size() == 1;
    })) << "the kernel shows it as half open";
    bool whole = false;
    const std::string table = read_tcp_table(AF_INET, whole);
    EXPECT_TRUE(whole);
    EXPECT_EQ(half_open_in(table, port), half_open(AF_INET, port)) << "its table says the same as netlink";
    EXPECT_EQ(accept_queue(bench.fd(1)), 0U);
    bench.listeners.set_live(bench.key, std::vector<std::uint32_t>{0, 1});
    const SocketId id{bench.key, 1};
    bench.retirement.begin(id, monotonic_now());
    Fd accepted;
    bool closed_early = false;
    ASSERT_TRUE(eventually([&] {
        if (!bench.poll(monotonic_now()).empty()) closed_early = !accepted;
        if (!accepted) accepted = accept_from(bench.fd(1));
        return closed_early || (accepted && !bench.retirement.waits());
    }));
    EXPECT_FALSE(closed_early);
    bench.listeners.close(id);
    EXPECT_TRUE(answers(client, accepted));
}

TEST(Retirement, TheLastSocketOfAnAddressRefusesNewHandshakesButFinishesOldOnes) {
    Bench bench(1, true);
    const Fd client = connect_to(bench.address());
    ASSERT_TRUE(client);
    const SocketId id{bench.key, 0};
    bench.retirement.begin(id, monotonic_now());
    const Connecting late = start_connect(bench.address());
    pollfd watched{late.fd.get(), POLLOUT, 0};
    EXPECT_EQ(poll(&watched, 1, 100), 0) << "neither accepted nor refused yet";
    Fd accepted;
    ASSERT_TRUE(eventually([&] {
        if (!accepted) accepted = accept_from(bench.fd(0));
        return !bench.poll(monotonic_now()).empty();
    }));
    ASSERT_TRUE(accepted);
    const Address address = bench.address();
    bench.listeners.close(id);
    EXPECT_TRUE(answers(client, accepted));
    ASSERT_EQ(poll(&watched, 1, 10000), 1);
    EXPECT_EQ(take_socket_error(late.fd.get()), ECONNREFUSED) << "refused, where it would have been reset";
    EXPECT_FALSE(connect_to(address));
    EXPECT_EQ(bench.listeners.group(bench.key), nullptr);
}

TEST(Retirement, AnAddressNamedAgainServesAsBefore) {
    Bench bench(2, true);
    for (std::uint32_t slot = 0; slot < 2; slot++) bench.retirement.begin({bench.key, slot}, monotonic_now());
    const int before = bench.fd(0);
    std::vector<SocketId> opened;
    ASSERT_EQ(bench.listeners.open(bench.bind, 2, true, opened), "");
    for (std::uint32_t slot = 0; slot < 2; slot++) bench.retirement.forget({bench.key, slot});
    EXPECT_TRUE(opened.empty());
    EXPECT_EQ(bench.fd(0), before);
    EXPECT_FALSE(bench.retirement.active());
    const Fd client = connect_to(bench.address());
    ASSERT_TRUE(client);
    EXPECT_EQ(send(client.get(), "x", 1, 0), 1);
    EXPECT_TRUE(eventually([&] { return accept_from(bench.fd(0)) || accept_from(bench.fd(1)); }));
}

// By hand: what the kernel would say, and the time.
struct ByHand {
    Listeners listeners{{}};
    config::Bind bind = any_port();
    std::vector<SocketId> ids;
    std::optional<std::vector<HalfOpen>> answer = std::vector<HalfOpen>{};
    Retirement retirement{listeners, [this](int, std::uint16_t) { return answer; }};
    ByHand() {
        EXPECT_EQ(listeners.open(bind, 2, false, ids), "");
        listeners.set_live(key_of(bind), std::vector<std::uint32_t>{0, 1});
        retirement.begin(ids[1], 0);
    }
    bool done_at(Micros now) {
        retirement.poll(now);
        return !retirement.waits_for(ids[1]);
    }
};

HalfOpen from_port(std::uint16_t port) {
    HalfOpen one;
    one.remote_port = port;
    return one;
}

TEST(RetirementByHand, WaitsOnlyForHandshakesSeenAtTheStart) {
    ByHand hand;
    hand.answer = std::vector{from_port(1), from_port(2)};
    EXPECT_FALSE(hand.done_at(20'000));
    hand.answer = std::vector{from_port(2), from_port(3)};
    EXPECT_FALSE(hand.done_at(40'000));
    hand.answer = std::vector{from_port(1), from_port(3), from_port(4)};
    EXPECT_TRUE(hand.done_at(60'000))
        << "3 and 4 came later, and 1 had ended once: they are of other sockets";
}

TEST(RetirementByHand, DoesNotLookBeforeTheSteeringHasTakenEffect) {
    ByHand hand;
    EXPECT_FALSE(hand.done_at(Retirement::poll_interval - 1));
    EXPECT_TRUE(hand.done_at(Retirement::poll_interval));
}

TEST(RetirementByHand, IsBoundedByItsPatience) {
    ByHand hand;
    hand.answer = std::vector{from_port(1)};
    EXPECT_FALSE(hand.done_at(Retirement::patience - 1));
    EXPECT_TRUE(hand.done_at(Retirement::patience));
}

TEST(RetirementByHand, WaitsAFixedTimeWhenTheKernelTellsNothing) {
    ByHand hand;
    hand.answer.reset();
    EXPECT_FALSE(hand.done_at(Retirement::blind_wait - 1));
    EXPECT_TRUE(hand.done_at(Retirement::blind_wait));
}

}  // namespace
}  // namespace lb
