// A connection to a backend, against a real socket on the other side: what is sent, what is told of the answer, and when
// the connection is kept.
#include "worker/backend/backend_conn.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "shared/net/socket.h"
#include "worker/backend/backends.h"

namespace lb {
namespace {

using stream::Failure;
using stream::Flow;
using namespace std::string_literals;

// Notes what it is told. `note` is one line of words, so that a test reads as the story it proves.
struct User final : stream::ResponseUser {
    void on_backend_ready() override { note += "ready "; }
    void on_interim(const http::ResponseHead& head) override {
        note += "interim " + std::to_string(head.status) + " ";
        for (const auto& field : head.fields)
            note += std::string(field.name) + "=" + std::string(field.value) + " ";
        if (in_interim) in_interim();
    }
    void on_response(const http::ResponseHead& head, std::string_view payload, bool fin) override {
        note += "head " + std::to_string(head.status) + " ";
        take(payload, fin);
    }
    void on_response_trailers(std::string_view lines) override {
        note += "trailers[" + std::string(lines) + "] ";
    }
    void on_response_body(std::string_view payload, bool fin) override { take(payload, fin); }
    io::Raw on_response_raw() override {
        raw_asked++;
        return io::Raw::refused;
    }
    void on_backend_drained() override { drained++; }
    void on_backend_failed(Failure how) override { failed = how; }
    void take(std::string_view payload, bool fin) {
        body += payload;
        if (fin) note += "fin ";
        over = over || fin;
    }

    std::string note, body;
    std::function<void()> in_interim;
    std::optional<Failure> failed;
    int raw_asked = 0;
    int drained = 0;
    bool over = false;
};

// One pool with one backend, which is a listening socket of this test.
struct Rig {
    explicit Rig(config::SendProxy proxy = config::SendProxy::off, int family = AF_INET)
        : segment(std::move(
              shm::Segment::create(
                  {.columns = 2, .listeners = 1, .routes = 1, .pools = 1, .backends = 1, .arena = 1 << 20})
                  .value())),
          column(segment, 1) {
        segment.header().columns_touched.store(2);
        config.pools.emplace_back();
        config::Pool& pool = config.pools[0];
        pool.slot = 0;
        pool.keepalive = 8;
        pool.keepalive_timeout = config::Millis(4000);
        pool.send_proxy = proxy;
        pool.traffic.connect_timeout = config::Millis(3000);
        pool.traffic.response_timeout = config::Millis(60000);
        pool.traffic.body_timeout = config::Millis(30000);
        pool.traffic.max_header = 4096;
        pool.traffic.max_headers = 16;
        listen_on(family);
        auto* block = new (segment.at(segment.header().arena + 64)) shm::AddressBlock{1, 0};
        new (block + 1) Address(address);
        segment.backend(0).addresses.store(segment.header().arena + 64);
        io.clock.set_for_test(now);
        backends.emplace(io, segment, column, config, 0, 1, channel);
    }
    ~Rig() { backends.reset(); }

    void listen_on(int family) {
        address = parse_address("127.0.0.1:0", true).value();
        if (family == AF_UNIX) {
            address = {};
            address.any.un.sun_family = AF_UNIX;
            address.length = sizeof(sa_family_t);  // the kernel chooses an abstract name
        }
        listener.reset(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(bind(listener.get(), &address.any.base, address.length), 0);
        ASSERT_EQ(listen(listener.get(), 8), 0);
        address = local_address(listener.get());
    }

    // Turns the loop until the condition holds.
    template <class Condition>
    [[nodiscard]] bool until(Condition condition) {
        for (const Micros end = monotonic_now() + 20'000'000; monotonic_now() < end;) {
            if (condition()) return true;
            event_base_loop(io.base.get(), EVLOOP_NONBLOCK);
            backends->sweep();
            io.wake_again();
        }
        return condition();
    }
    void pass(Micros time) {
        now += time;
        io.clock.set_for_test(now);
        io.wheel.advance(now);
    }
    // A connection that is ready, and the backend's end of it.
    void connect(User& user, Reuse reuse = Reuse::any) {
        lent = backends->lend(0, {0, 0}, user, reuse);
        ASSERT_NE(lent.stream, nullptr);
        if (!lent.reused)
            other.reset(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        ASSERT_TRUE(other);
        ASSERT_TRUE(until([&] { return lent.ready || user.note == "ready "; }));
        user.note.clear();
    }
    void request(User& user, bool upgrade = false, http::Method method = http::Method::get) {
        connect(user);
        stream::RequestRecord record{};
        record.head = "GET / HTTP/1.1\r\n\r\n";
        record.method = method;
        record.fin = true;
        record.upgrade = upgrade;
        ASSERT_EQ(lent.stream->send_request(record), Flow::ok);
        lent.stream->wait_for_response(60'000'000, 30'000'000);
        ASSERT_TRUE(until([&] { return received().ends_with("\r\n\r\n"); }));
        seen.clear();
    }
    void answer(std::string_view bytes) const {
        ASSERT_EQ(::send(other.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
    }
    // What the backend got so far.
    const std::string& received() {
        char buffer[65536];
        for (ssize_t n; (n = recv(other.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
            seen.append(buffer, static_cast<std::size_t>(n));
        return seen;
    }
    // Whether the backend has seen the end of our side.
    [[nodiscard]] bool ended() {
        (void)received();
        char byte;
        return recv(other.get(), &byte, 1, MSG_DONTWAIT) == 0;
    }
    [[nodiscard]] std::uint64_t idle() const { return shm::sum<"lb_backend_idle_connections">(segment, 0); }
    [[nodiscard]] std::uint64_t open() const { return shm::sum<"lb_backend_connections">(segment, 0); }

    Micros now = 1'000'000'000;
    shm::Segment segment;
    shm::Column column;
    config::Config config;
    io::Io io{1, 65536};
    Channel channel;
    Address address;
    Fd listener, other;
    std::optional<Backends> backends;
    Backends::Lent lent;
    std::string seen;
};

TEST(BackendConn, RelaysInterimAnswersInFrontOfTheFinalOne) {
    Rig rig;
    User user;
    rig.request(user);
    rig.answer(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n");
    ASSERT_TRUE(rig.until([&] { return user.note.find("/b") != std::string::npos; }));
    rig.answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    ASSERT_TRUE(rig.until([&] { return user.over; }));
    EXPECT_EQ(user.note, "interim 103 Link=</a> interim 103 Link=</b> interim 100 head 200 fin ");
    EXPECT_EQ(user.body, "hi");
    rig.lent.stream->release();
    EXPECT_EQ(rig.idle(), 1u);
}

TEST(BackendConn, ReadsHeadsInAnyPieces) {
    const std::string wire =
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\nHost: no\r\n\r\n";
    for (std::size_t cut = 1; cut < wire.size(); cut++) {
        Rig rig;
        User user;
        rig.request(user);
        rig.answer(wire.substr(0, cut));
        ASSERT_TRUE(
            rig.until([&] { return shm::sum<"lb_backend_received_bytes_total">(rig.segment, 0) == cut; }));
        rig.answer(wire.substr(cut));
        ASSERT_TRUE(rig.until([&] { return user.over || user.failed; })) << cut;
        EXPECT_EQ(user.note, "interim 103 Link=</a> interim 100 head 200 trailers[X-Sum: 1\r\n] fin ") << cut;
        EXPECT_EQ(user.body, "hi");
        rig.lent.stream->release();
        EXPECT_EQ(rig.idle(), 1u);
    }
}

// The exchange may have its client read into the same area while an interim answer is relayed.
TEST(BackendConn, WhatFollowsAnInterimAnswerIsNotOverwrittenMeanwhile) {
    Rig rig;
    User user;
    user.in_interim = [&] { std::memset(rig.io.in.area(), 'x', io::Scratch::size); };
    rig.request(user);
    rig.answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    ASSERT_TRUE(rig.until([&] { return user.over || user.failed; }));
    EXPECT_EQ(user.note, "interim 100 head 200 fin ");
    EXPECT_EQ(user.body, "hi");
    rig.lent.stream->release();
}

TEST(BackendConn, AnExchangeMayEndInsideAnInterimAnswer) {
    Rig rig;
    User user;
    user.in_interim = [&] { rig.lent.stream->release(); };
    rig.request(user);
    rig.answer("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    ASSERT_TRUE(rig.until([&] { return rig.ended(); }));
    EXPECT_EQ(user.note, "interim 103 ");
    EXPECT_EQ(rig.idle(), 0u);
    EXPECT_EQ(rig.open(), 0u);
}

TEST(BackendConn, BoundsInterimAnswers) {
    Rig rig;
    User user;
    rig.request(user);
    std::string wire;
    for (int i = 0; i < 65; i++) wire += "HTTP/1.1 102 Processing\r\n\r\n";
    rig.answer(wire);
    ASSERT_TRUE(rig.until([&] { return user.failed.has_value(); }));
    EXPECT_EQ(user.failed, Failure::bad_response);
    Rig other;
    User one;
    other.request(one);
    other.answer("HTTP/1.1 103 Early Hints\r\nX: " + std::string(5000, 'x') + "\r\n\r\n");
    ASSERT_TRUE(other.until([&] { return one.failed.has_value(); }));
    EXPECT_EQ(one.failed, Failure::bad_response);
}

TEST(BackendConn, TrailersComeBetweenTheBodyAndItsEnd) {
    Rig rig;
    User user;
    rig.request(user);
    rig.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    ASSERT_TRUE(rig.until([&] { return user.body == "hi"; }));
    rig.answer("0\r\nX-Su");
    rig.answer("m: 1\r\nContent-Length: 9\r\n\r\n");
    ASSERT_TRUE(rig.until([&] { return user.over; }));
    EXPECT_EQ(user.note, "head 200 trailers[X-Sum: 1\r\n] fin ");
    rig.lent.stream->release();
    EXPECT_EQ(rig.idle(), 1u);
}

TEST(BackendConn, AnAnswerThatCameBeforeTheRequestIsNone) {
    Rig rig;
    User user;
    rig.lent = rig.backends->lend(0, {0, 0}, user, Reuse::any);
    ASSERT_FALSE(rig.lent.ready);
    rig.other.reset(accept4(rig.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    ASSERT_TRUE(rig.until([&] { return user.failed.has_value(); }));
    EXPECT_EQ(user.failed, Failure::bad_response);
    EXPECT_EQ(user.note, "") << "it was never told to send";
    EXPECT_EQ(rig.open(), 0u);

    User gone;
    rig.lent = rig.backends->lend(0, {0, 0}, gone, Reuse::any);
    rig.other.reset(accept4(rig.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    rig.other.reset();
    ASSERT_TRUE(rig.until([&] { return gone.failed.has_value() || gone.note == "ready "; }));
    if (gone.failed) {
        EXPECT_EQ(gone.failed, Failure::closed);
        EXPECT_EQ(gone.note, "");
    } else {
        rig.lent.stream->release();
    }
}

// The bytes are told of in the same turn in which the connection is wanted, and its own call comes later.
TEST(BackendConn, BytesOnAKeptConnectionAreSeenBeforeItIsLent) {
    for (const bool ends : {false, true}) {
        Rig rig;
        User first;
        rig.request(first);
        rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        ASSERT_TRUE(rig.until([&] { return first.over; }));
        rig.lent.stream->release();
        ASSERT_EQ(rig.idle(), 1u);

        // What is readable first is called first: the event that lends, then the kept connection.
        struct Lender {
            Rig& rig;
            User user;
            bool called = false;
            bool reused = true;
        } lender{rig, {}};
        int ends_of_pair[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_of_pair), 0);
        const Fd near(ends_of_pair[0]);
        const Fd far(ends_of_pair[1]);
        event lends{};
        event_assign(
            &lends, rig.io.base.get(), near.get(), EV_READ,
            [](evutil_socket_t, short, void* self) {
                Lender& it = *static_cast<Lender*>(self);
                it.called = true;
                it.rig.lent = it.rig.backends->lend(0, {0, 0}, it.user, Reuse::any);
                it.reused = it.rig.lent.reused;
            },
            &lender);
        ASSERT_EQ(event_add(&lends, nullptr), 0);
        ASSERT_EQ(::send(far.get(), "x", 1, MSG_NOSIGNAL), 1);
        if (ends) {
            ::shutdown(rig.other.get(), SHUT_WR);
        } else {
            rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        }
        ASSERT_TRUE(rig.until([&] { return lender.called; }));
        EXPECT_FALSE(lender.reused) << ends;
        EXPECT_EQ(rig.idle(), 0u);
        ASSERT_NE(rig.lent.stream, nullptr);
        rig.lent.stream->release();
        EXPECT_EQ(rig.open(), 0u);
    }
}

TEST(BackendConn, InterimAnswersAndDrippingHeadsDoNotPushTheTimeLimit) {
    for (const bool interim : {true, false}) {
        Rig rig;
        User user;
        rig.request(user);  // which gives a minute
        if (!interim) rig.answer("HTTP/1.1 200 OK\r\nX: ");
        std::uint64_t sent = interim ? 0 : 20;
        for (int i = 0; i < 11; i++) {
            rig.pass(5'000'000);
            ASSERT_FALSE(user.failed) << i;
            const std::string more = interim ? "HTTP/1.1 102 Processing\r\n\r\n" : "x";
            rig.answer(more);
            sent += more.size();
            ASSERT_TRUE(rig.until(
                [&] { return shm::sum<"lb_backend_received_bytes_total">(rig.segment, 0) == sent; }));
        }
        rig.pass(10'000'000);
        ASSERT_TRUE(user.failed.has_value()) << interim;
        EXPECT_EQ(user.failed, Failure::response_timeout);
        EXPECT_EQ(rig.open(), 0u);
    }
}

// What lies behind an answer that has no body, or has had all of it, ends the connection.
TEST(BackendConn, NothingBehindAnAnswerIsKept) {
    const std::string second = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    struct Case {
        http::Method method;
        std::string answer;
    };
    for (const auto& [method, answer] : std::vector<Case>{
             {http::Method::get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
             {http::Method::get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
             {http::Method::get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n\r\n"},
             {http::Method::get, "HTTP/1.1 204 No Content\r\n\r\n"},
             {http::Method::get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n"},
             {http::Method::get, "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"},
             {http::Method::head, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"},
             {http::Method::head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}}) {
        for (const bool same_segment : {true, false}) {
            Rig rig;
            User user;
            rig.request(user, false, method);
            rig.answer(same_segment ? answer + second : answer);
            ASSERT_TRUE(rig.until([&] { return user.over; })) << answer;
            EXPECT_EQ(user.note.find("200 head 200"), std::string::npos);
            rig.lent.stream->release();
            EXPECT_EQ(rig.idle(), same_segment ? 0u : 1u) << answer;
            if (!same_segment) {
                rig.answer(second);
                ASSERT_TRUE(rig.until([&] { return rig.ended(); })) << answer;
            }
            EXPECT_EQ(rig.idle(), 0u) << answer;
            EXPECT_EQ(rig.open(), 0u) << answer;
            EXPECT_EQ(user.body.find("evil"), std::string::npos);
        }
    }
}

TEST(BackendConn, TrailersThatMayNotPassAreSilent) {
    Rig rig;
    User user;
    rig.request(user);
    rig.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\n\r\n");
    ASSERT_TRUE(rig.until([&] { return user.over; }));
    EXPECT_EQ(user.note, "head 200 fin ");
    rig.lent.stream->release();
}

TEST(BackendConn, AMalformedTrailerCutsTheAnswer) {
    Rig rig;
    User user;
    rig.request(user);
    rig.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    ASSERT_TRUE(rig.until([&] { return user.body == "hi"; }));
    rig.answer("0\r\nX-Sum : 1\r\n\r\n");
    ASSERT_TRUE(rig.until([&] { return user.failed.has_value(); }));
    EXPECT_EQ(user.failed, Failure::cut);
    EXPECT_FALSE(user.over);
}

TEST(BackendConn, SendsTrailersBehindAChunkedBody) {
    Rig rig;
    User user;
    rig.connect(user);
    stream::RequestRecord record{};
    record.head = "POST / HTTP/1.1\r\n\r\n";
    record.payload = "abc";
    record.method = http::Method::post;
    record.body.kind = http::BodyKind::chunked;
    record.fin = true;
    record.trailers = "X-Sum: 1\r\n";
    ASSERT_EQ(rig.lent.stream->send_request(record), Flow::ok);
    const std::string want = "POST / HTTP/1.1\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    EXPECT_TRUE(rig.until([&] { return rig.received() == want; })) << rig.seen;
    rig.lent.stream->release();

    User second;
    rig.connect(second);
    record.fin = false;
    rig.seen.clear();
    ASSERT_EQ(rig.lent.stream->send_request(record), Flow::ok);
    rig.lent.stream->set_trailers("X-Late: 2\r\n");
    ASSERT_EQ(rig.lent.stream->send_body("d", true), Flow::ok);
    const std::string late = "POST / HTTP/1.1\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nX-Late: 2\r\n\r\n";
    EXPECT_TRUE(rig.until([&] { return rig.received() == late; })) << rig.seen;
    rig.lent.stream->release();
}

TEST(BackendConn, SwitchesOnlyWhenItWasAsked) {
    Rig rig;
    User user;
    rig.request(user);
    rig.answer("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    ASSERT_TRUE(rig.until([&] { return user.failed.has_value(); }));
    EXPECT_EQ(user.failed, Failure::bad_response);
    EXPECT_EQ(user.note, "");
}

TEST(BackendConn, AnUpgradeThatIsRefusedIsAnOrdinaryAnswer) {
    Rig rig;
    User user;
    rig.request(user, true);
    rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    ASSERT_TRUE(rig.until([&] { return user.over; }));
    rig.lent.stream->release();
    EXPECT_EQ(rig.idle(), 1u);
    User next;
    rig.request(next);
    EXPECT_TRUE(rig.lent.reused);
    rig.answer("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    ASSERT_TRUE(rig.until([&] { return next.failed.has_value(); }))
        << "the wish does not outlive its request";
}

TEST(BackendConn, ATunnelCarriesBytesBothWaysUntilEachSideEnds) {
    Rig rig;
    User user;
    rig.request(user, true);
    rig.answer(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n\x81\x05"s +
        "hello");
    ASSERT_TRUE(rig.until([&] { return user.body.size() == 7; }));
    EXPECT_EQ(user.note, "head 101 ");
    EXPECT_EQ(rig.lent.stream->send_body("0\r\n\r\nraw", false), Flow::ok);
    ASSERT_TRUE(rig.until([&] { return rig.received() == "0\r\n\r\nraw"; }));
    rig.answer("more");
    ASSERT_TRUE(rig.until([&] { return user.body.ends_with("more"); }));
    rig.pass(600'000'000);  // rest is not the backend's side's to watch
    EXPECT_FALSE(user.failed);

    EXPECT_EQ(rig.lent.stream->send_body("bye", true), Flow::ok);
    ASSERT_TRUE(rig.until([&] { return rig.ended(); }));
    EXPECT_EQ(rig.seen, "0\r\n\r\nrawbye");
    rig.answer("last words");
    ASSERT_TRUE(rig.until([&] { return user.body.ends_with("last words"); }));
    EXPECT_FALSE(user.over);
    rig.other.reset();
    ASSERT_TRUE(rig.until([&] { return user.over; }));
    rig.lent.stream->release();
    EXPECT_EQ(rig.idle(), 0u);
    EXPECT_EQ(rig.open(), 0u);
}

TEST(BackendConn, ABackendMayEndItsSideOfATunnelFirst) {
    Rig rig;
    User user;
    rig.request(user, true);
    rig.answer("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    ASSERT_TRUE(rig.until([&] { return user.note == "head 101 "; }));
    ::shutdown(rig.other.get(), SHUT_WR);
    ASSERT_TRUE(rig.until([&] { return user.over; }));
    EXPECT_EQ(rig.lent.stream->send_body("still there", false), Flow::ok);
    ASSERT_TRUE(rig.until([&] { return rig.received() == "still there"; }));
    EXPECT_FALSE(user.failed);
    const ::linger hard{1, 0};
    setsockopt(rig.other.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    rig.other.reset();
    ASSERT_TRUE(rig.until([&] { return user.failed.has_value(); }))
        << "a reset is told even when nothing is read";
    EXPECT_EQ(user.failed, Failure::cut);
}

TEST(BackendConn, ASendIntoABrokenTunnelEndsIt) {
    for (const bool ended_first : {false, true}) {
        Rig rig;
        User user;
        rig.request(user, true);
        rig.answer("HTTP/1.1 101 Switching Protocols\r\n\r\n");
        ASSERT_TRUE(rig.until([&] { return user.note == "head 101 "; }));
        if (ended_first) {
            ::shutdown(rig.other.get(), SHUT_WR);
            ASSERT_TRUE(rig.until([&] { return user.over; }));
        }
        const ::linger hard{1, 0};
        setsockopt(rig.other.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        rig.other.reset();
        EXPECT_EQ(rig.lent.stream->send_body("x", false), Flow::full);
        ASSERT_TRUE(rig.until([&] { return user.failed.has_value(); })) << ended_first;
        EXPECT_EQ(user.failed, Failure::cut);
    }
}

TEST(BackendConn, ATunnelShutsItsSideOnlyBehindWhatIsKept) {
    Rig rig;
    User user;
    rig.request(user, true);
    rig.answer("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    ASSERT_TRUE(rig.until([&] { return user.note == "head 101 "; }));
    const std::string block(65536, 'b');
    std::size_t given = 0;
    Flow flow = Flow::ok;
    while (flow == Flow::ok) {
        flow = rig.lent.stream->send_body(block, false);
        given += block.size();
    }
    EXPECT_EQ(flow, Flow::full);
    EXPECT_EQ(rig.lent.stream->send_body({}, true), Flow::full);
    ASSERT_TRUE(rig.until([&] { return rig.ended(); }));
    EXPECT_EQ(rig.seen.size(), given);
    EXPECT_EQ(user.drained, 1);
    rig.lent.stream->release();
}

TEST(BackendConn, AsksForTheKernelsWayOnlyWhileATunnelIsBusy) {
    Rig rig;
    User user;
    rig.request(user, true);
    rig.answer("HTTP/1.1 101 Switching Protocols\r\n\r\nsmall");
    ASSERT_TRUE(rig.until([&] { return user.body == "small"; }));
    rig.answer("more");
    ASSERT_TRUE(rig.until([&] { return user.body == "smallmore"; }));
    EXPECT_EQ(user.raw_asked, 0);
    const std::string much(200'000, 'm');
    const int room = 1 << 20;
    setsockopt(rig.other.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    std::size_t sent = 0;
    ASSERT_TRUE(rig.until([&] {
        const ssize_t n =
            ::send(rig.other.get(), much.data() + sent, much.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) sent += static_cast<std::size_t>(n);
        return user.body.size() == much.size() + 9;
    }));
    EXPECT_GT(user.raw_asked, 0);
    std::uint64_t left = 0;
    (void)rig.lent.stream->raw_source(left);
    EXPECT_EQ(left, stream::RawEnd::endless);
    rig.lent.stream->release();
}

TEST(BackendConn, APoolThatSendsProxyHeadersUsesAConnectionOnce) {
    Rig rig(config::SendProxy::v1);
    for (int i = 0; i < 2; i++) {
        User user;
        rig.connect(user);
        EXPECT_FALSE(rig.lent.reused);
        stream::RequestRecord record{};
        record.head = "GET / HTTP/1.1\r\n\r\n";
        record.fin = true;
        record.proxy_header = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
        ASSERT_EQ(rig.lent.stream->send_request(record), Flow::ok);
        rig.lent.stream->wait_for_response(60'000'000, 30'000'000);
        rig.seen.clear();
        ASSERT_TRUE(rig.until([&] {
            return rig.received() == "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n";
        }));
        rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        ASSERT_TRUE(rig.until([&] { return user.over; }));
        rig.lent.stream->release();
        EXPECT_EQ(rig.idle(), 0u);
        ASSERT_TRUE(rig.until([&] { return rig.ended(); }));
    }
}

TEST(BackendConn, AUnixSocketIsABackendLikeAnyOther) {
    Rig rig(config::SendProxy::off, AF_UNIX);
    for (int i = 0; i < 2; i++) {
        User user;
        rig.request(user);
        EXPECT_EQ(rig.lent.reused, i == 1);
        EXPECT_EQ(*rig.lent.address, rig.address);
        rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        ASSERT_TRUE(rig.until([&] { return user.over; }));
        EXPECT_EQ(user.body, "hi");
        rig.lent.stream->release();
    }
}

// A full queue says EAGAIN, which on a TCP socket would mean "on its way".
TEST(BackendConn, AFullUnixSocketIsAFailedConnect) {
    Rig rig(config::SendProxy::off, AF_UNIX);
    std::vector<Fd> waiting;
    for (int i = 0; i < 64; i++) {
        Connecting begun = start_connect(rig.address);
        if (!begun.fd) {
            EXPECT_EQ(begun.error, EAGAIN);
            break;
        }
        waiting.push_back(std::move(begun.fd));
    }
    ASSERT_LT(waiting.size(), 64u);
    User user;
    EXPECT_EQ(rig.backends->lend(0, {0, 0}, user, Reuse::any).stream, nullptr);
    EXPECT_EQ(rig.open(), 0u);
}

TEST(BackendConn, WaitsAsLongAsItIsToldHoweverShort) {
    Rig rig;
    User user;
    rig.request(user);
    rig.pass(500'000);
    rig.lent.stream->wait_for_response(200'000, 30'000'000);
    rig.pass(200'000);
    rig.pass(100'000);
    EXPECT_EQ(user.failed, Failure::response_timeout);
}

TEST(BackendConn, NoLimitMeansNone) {
    Rig rig;
    User user;
    rig.request(user);
    rig.lent.stream->wait_for_response(0, 30'000'000);
    for (int i = 0; i < 100; i++) rig.pass(10'000'000);
    EXPECT_FALSE(user.failed);
    rig.lent.stream->release();
}

// An exchange from request to answer, after which the connection is kept.
void exchange(Rig& rig) {
    User user;
    rig.request(user);
    rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    ASSERT_TRUE(rig.until([&] { return user.over; }));
    rig.lent.stream->release();
    ASSERT_EQ(rig.idle(), 1u);
}

TEST(Backends, LearnHowLongABackendKeepsConnections) {
    Rig rig;
    for (int i = 0; i < 2; i++) {
        exchange(rig);
        rig.pass(2'000'000);
        rig.other.reset();  // the backend's idle timeout
        ASSERT_TRUE(rig.until([&] { return rig.open() == 0; }));
    }
    exchange(rig);
    rig.pass(1'700'000);
    EXPECT_EQ(rig.idle(), 1u);
    rig.pass(300'000);  // 90 % of it and a tick
    EXPECT_EQ(rig.idle(), 0u);
}

TEST(Backends, LearnNothingFromAnsweredConnectionsThatWereReset) {
    Rig rig;
    for (int i = 0; i < 2; i++) {
        exchange(rig);
        rig.pass(2'000'000);
        const linger at_once{1, 0};
        ASSERT_EQ(setsockopt(rig.other.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
        rig.other.reset();
        ASSERT_TRUE(rig.until([&] { return rig.open() == 0; }));
    }
    exchange(rig);
    rig.pass(3'900'000);
    EXPECT_EQ(rig.idle(), 1u);
}

TEST(Backends, CloseWhatIsKeptToABackendThatLeft) {
    Rig rig;
    auto& slot = rig.segment.backend(0);
    slot.state.store(shm::SlotState::used);
    slot.member.store(1);
    exchange(rig);
    rig.backends->tick();
    EXPECT_EQ(rig.idle(), 1u);
    slot.member.store(0);
    rig.backends->tick();
    EXPECT_EQ(rig.idle(), 0u);
    slot.member.store(1);
    exchange(rig);
    slot.incarnation.store(1);  // another owner
    rig.backends->tick();
    EXPECT_EQ(rig.idle(), 0u);
    EXPECT_EQ(rig.open(), 0u);
}

struct Waiting final : Waiter {
    void on_place(const Place& given) override { place = given; }
    void on_waited_too_long() override {}
    Place place;
};

TEST(Backends, ANewcomerDoesNotOvertakeThoseThatWait) {
    Rig rig;
    rig.config.pools[0].queue = {10, config::Millis(1000)};
    // One backend with one place.
    struct {
        shm::PublishedPool head{};
        shm::PublishedGroup group{};
        shm::Eligible one{0, 0, 1, 1};
        std::uint32_t schedule = 0;
    } list;
    list.head.usable = list.head.configured = list.head.primary_groups = 1;
    list.group.count = list.group.weight = list.group.capacity = list.group.schedule_length = 1;
    list.group.eligible_at = offsetof(decltype(list), one);
    list.group.schedule_at = offsetof(decltype(list), schedule);
    const auto at = rig.segment.header().arena + 4096;
    std::memcpy(rig.segment.at(at), &list, sizeof list);
    rig.segment.pool(0).published.store(at);

    Backends& backends = *rig.backends;
    const Place held = backends.reserve(0, {}, {}, true);
    ASSERT_EQ(held.pick, Pick::yes);
    EXPECT_EQ(backends.reserve(0, {}, {}, true).pick, Pick::saturated);
    Waiting first;
    ASSERT_TRUE(backends.wait(0, first, {}));
    backends.give_back(0, held);
    EXPECT_EQ(backends.reserve(0, {}, {}, true).pick, Pick::saturated) << "the place is free, but not for it";
    EXPECT_EQ(first.place.pick, Pick::no_backend) << "not inside a call of an exchange";
    backends.sweep();
    EXPECT_EQ(first.place.pick, Pick::yes);
    EXPECT_EQ(shm::sum<"lb_pool_saturated_total">(rig.segment, 0), 2u);
    backends.give_back(0, first.place);
    backends.give_back(0, Place{});  // ignored
    EXPECT_EQ(backends.reserve(0, {}, {}, true).pick, Pick::yes);
}

}  // namespace
}  // namespace lb
