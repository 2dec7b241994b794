// The board against real sockets on the loopback and a real event loop. Servers and board share the loop;
// every wait is for a condition, with a deadline.
#include "master/health/board.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "shared/net/event_ptr.h"
#include "shared/net/fd.h"

namespace lb::health {
namespace {

using config::CheckKind;
using shm::Health;

Address loopback(std::uint16_t port) {
    Address address;
    address.any.in.sin_family = AF_INET;
    address.any.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.any.in.sin_port = htons(port);
    address.length = sizeof(sockaddr_in);
    return address;
}

// A server that answers each connection's first bytes with the same text, or with nothing.
class Server {
 public:
    Server(event_base* base, std::string answer, bool speaks_first = false)
        : base_(base), answer_(std::move(answer)), speaks_first_(speaks_first) {
        fd_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        Address any = loopback(0);
        EXPECT_EQ(bind(fd_.get(), &any.any.base, any.length), 0);
        socklen_t length = sizeof any.any.in;
        EXPECT_EQ(getsockname(fd_.get(), &any.any.base, &length), 0);
        port = ntohs(any.any.in.sin_port);
        EXPECT_EQ(listen(fd_.get(), 4096), 0);
        accept_.reset(event_new(base, fd_.get(), EV_READ | EV_PERSIST, &Server::accepted, this));
        event_add(accept_.get(), nullptr);
    }

    std::uint16_t port = 0;
    int connections = 0;
    int resets = 0;     // connections that ended with an error instead of an end
    int ended = 0;      // that ended at all
    std::string heard;  // by the last connection
    std::string answer_text() const { return answer_; }
    void answer_with(std::string text) { answer_ = std::move(text); }
    bool keep_open = false;  // after the answer, until the other side closes

 private:
    struct Conn {
        Server* server;
        Fd fd;
        EventPtr event;
        std::string heard;
        bool answered = false;
    };
    static void accepted(evutil_socket_t listening, short, void* self) {
        auto& server = *static_cast<Server*>(self);
        for (;;) {
            Fd fd(accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (!fd) return;
            server.connections++;
            auto conn = std::make_unique<Conn>();
            conn->server = &server;
            conn->event.reset(
                event_new(server.base_, fd.get(), EV_READ | EV_PERSIST, &Server::readable, conn.get()));
            event_add(conn->event.get(), nullptr);
            conn->fd = std::move(fd);
            if (server.speaks_first_) server.say(*conn);
            server.open_.push_back(std::move(conn));
        }
    }
    void say(Conn& conn) {
        conn.answered = true;
        if (!answer_.empty()) {
            EXPECT_EQ(send(conn.fd.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL),
                      static_cast<ssize_t>(answer_.size()));
            if (!keep_open) shutdown(conn.fd.get(), SHUT_WR);
        }
    }
    static void readable(evutil_socket_t fd, short, void* arg) {
        auto& conn = *static_cast<Conn*>(arg);
        Server& server = *conn.server;
        char bytes[4096];
        const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            if (n < 0) server.resets++;
            server.ended++;
            std::erase_if(server.open_, [&](const auto& c) { return c.get() == &conn; });
            return;
        }
        conn.heard.append(bytes, static_cast<std::size_t>(n));
        server.heard = conn.heard;
        if (!conn.answered && conn.heard.ends_with("\r\n\r\n")) server.say(conn);
    }

    event_base* base_;
    std::string answer_;
    bool speaks_first_;
    Fd fd_;
    EventPtr accept_;
    std::vector<std::unique_ptr<Conn>> open_;
};

std::uint16_t closed_port() {
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    Address any = loopback(0);
    EXPECT_EQ(bind(fd.get(), &any.any.base, any.length), 0);
    socklen_t length = sizeof any.any.in;
    EXPECT_EQ(getsockname(fd.get(), &any.any.base, &length), 0);
    return ntohs(any.any.in.sin_port);
}

int open_descriptors() {
    int n = 0;
    DIR* dir = opendir("/proc/self/fd");
    while (readdir(dir) != nullptr) n++;
    closedir(dir);
    return n;
}

class BoardTest : public testing::Test {
 protected:
    struct Said {
        Health health;
        std::string reason;
        bool operator==(const Said&) const = default;
    };
    EventBasePtr base = make_event_base();
    std::map<std::uint32_t, std::vector<Said>> verdicts;
    std::map<std::uint32_t, std::string> checks;  // + and - for each
    Board board{base.get(),
                Reports{[this](std::uint32_t slot, Health health, std::string_view reason) {
                            verdicts[slot].push_back({health, std::string(reason)});
                        },
                        [this](std::uint32_t slot, bool passed) { checks[slot] += passed ? '+' : '-'; },
                        [](const config::Backend& backend) { return "cannot resolve " + backend.dns_name; }}};

    static config::Check tcp(int interval_ms = 200, int timeout_ms = 100, std::uint32_t rise = 2,
                             std::uint32_t fall = 3) {
        config::Check check;
        check.kind = CheckKind::tcp;
        check.interval = config::Millis(interval_ms);
        check.timeout = config::Millis(timeout_ms);
        check.rise = rise;
        check.fall = fall;
        return check;
    }
    static config::Check http(int interval_ms = 200, int timeout_ms = 100) {
        config::Check check = tcp(interval_ms, timeout_ms);
        check.kind = CheckKind::http;
        check.path = "/healthz?full";
        check.expect = {{200, 299}, {404, 404}};
        return check;
    }
    static std::shared_ptr<config::Config> config_of(const config::Check& check,
                                                     const std::vector<std::uint16_t>& ports,
                                                     std::uint32_t first_slot = 0) {
        auto made = std::make_shared<config::Config>();
        config::Pool pool;
        pool.name = "app";
        pool.check = check;
        for (std::size_t i = 0; i < ports.size(); i++) {
            config::Backend backend;
            backend.host = backend.name = "127.0.0.1:" + std::to_string(ports[i]);
            backend.addresses = {loopback(ports[i])};
            backend.slot = first_slot + static_cast<std::uint32_t>(i);
            pool.backends.push_back(backend);
        }
        made->pools.push_back(pool);
        return made;
    }
    // Turns the loop until it is so; false when it was not within the time.
    bool until(const std::function<bool()>& so, Micros patience = 5'000'000) {
        const Micros end = monotonic_now() + patience;
        EventPtr alarm(evtimer_new(
            base.get(), [](evutil_socket_t, short, void*) {}, nullptr));
        while (!so()) {
            if (monotonic_now() >= end) return false;
            const timeval t{0, 20'000};
            evtimer_add(alarm.get(), &t);
            event_base_loop(base.get(), EVLOOP_ONCE);
        }
        return true;
    }
    bool settled(Micros patience = 5'000'000) {
        return until([this] { return board.pending() == 0; }, patience);
    }
};

TEST_F(BoardTest, tcp_check_passes_and_fails_on_the_first_try) {
    Server server(base.get(), "");
    board.configure({config_of(tcp(), {server.port, closed_port()})});
    EXPECT_EQ(board.pending(), 2u);
    EXPECT_TRUE(verdicts.empty()) << "configure itself must not report";
    ASSERT_TRUE(settled());
    EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::up, ""}}));
    EXPECT_EQ(verdicts[1], (std::vector<Said>{{Health::down, "connection refused"}}));
    EXPECT_EQ(checks[0], "+");
    EXPECT_EQ(checks[1], "-");
}

TEST_F(BoardTest, tcp_check_closes_without_reset_even_when_the_server_speaks_first) {
    Server quiet(base.get(), "");
    Server banner(base.get(), "220 mail.example ESMTP\r\n", true);
    banner.keep_open = true;
    board.configure({config_of(tcp(60'000, 1000), {quiet.port, banner.port})});
    ASSERT_TRUE(until([&] { return quiet.ended >= 1 && banner.ended >= 1; }));
    EXPECT_EQ(quiet.resets, 0);
    EXPECT_EQ(verdicts[1], (std::vector<Said>{{Health::up, ""}}));
}

TEST_F(BoardTest, http_check_sends_its_request_and_takes_the_body_away) {
    Server server(base.get(), "HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n" + std::string(30'000, 'x'));
    auto config = config_of(http(60'000, 2000), {server.port});
    config->pools[0].backends[0].host = "app.internal:8080";
    board.configure({config});
    ASSERT_TRUE(until([&] { return server.ended == 1; }));
    EXPECT_EQ(server.heard,
              "GET /healthz?full HTTP/1.1\r\nHost: app.internal:8080\r\nUser-Agent: lb-check\r\nConnection: "
              "close\r\n\r\n");
    EXPECT_EQ(server.resets, 0) << "a backend must not see its answer refused";
    EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::up, ""}}));
}

struct HttpCase {
    const char* name;
    const char* answer;
    Health health;
    const char* reason;  // its beginning
};
class HttpAnswers : public BoardTest, public testing::WithParamInterface<HttpCase> {};

TEST_P(HttpAnswers, decide) {
    const HttpCase& c = GetParam();
    Server server(base.get(), c.answer);
    board.configure({config_of(http(60'000, 300), {server.port})});
    ASSERT_TRUE(settled());
    ASSERT_EQ(verdicts[0].size(), 1u);
    EXPECT_EQ(verdicts[0][0].health, c.health);
    EXPECT_EQ(verdicts[0][0].reason.substr(0, std::string_view(c.reason).size()), c.reason);
    EXPECT_EQ(verdicts[0][0].reason.empty(), c.health == Health::up);
}

INSTANTIATE_TEST_SUITE_P(
    Table, HttpAnswers,
    testing::Values(
        HttpCase{"ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Health::up, ""},
        HttpCase{"no_content", "HTTP/1.1 204 No Content\r\n\r\n", Health::up, ""},
        HttpCase{"http_1_0", "HTTP/1.0 200 OK\r\n\r\nok", Health::up, ""},
        HttpCase{"second_range", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Health::up, ""},
        HttpCase{"after_interim", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                 Health::up, ""},
        HttpCase{"unavailable", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", Health::down,
                 "status 503, expected 200-299 404"},
        HttpCase{"redirect", "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", Health::down,
                 "status 301, expected 200-299 404"},
        HttpCase{"ssh", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", Health::down, "not an HTTP response"},
        HttpCase{"conflicting_lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
                 Health::down, "bad response head: "},
        HttpCase{"cut_head", "HTTP/1.1 200 OK\r\nContent-", Health::down,
                 "connection closed inside the response head"},
        HttpCase{"silent", "", Health::down, "timeout after 300ms: no answer"}),
    [](const auto& info) { return info.param.name; });

TEST_F(BoardTest, a_head_without_an_end_is_bounded) {
    Server server(base.get(), "HTTP/1.1 200 OK\r\nX: " + std::string(40'000, 'x'));
    server.keep_open = true;
    board.configure({config_of(http(60'000, 2000), {server.port})});
    const Micros begun = monotonic_now();
    ASSERT_TRUE(settled());
    EXPECT_LT(monotonic_now() - begun, 1'500'000) << "refused for its size, not for its time";
    EXPECT_EQ(verdicts[0][0].health, Health::down);
}

TEST_F(BoardTest, interim_answers_without_an_end_are_bounded) {
    std::string interim;
    while (interim.size() < 20'000) interim += "HTTP/1.1 100 Continue\r\n\r\n";
    Server server(base.get(), interim);
    server.keep_open = true;
    board.configure({config_of(http(60'000, 3000), {server.port})});
    ASSERT_TRUE(settled());
    EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::down, "response head too large"}}));
}

TEST_F(BoardTest, an_answered_probe_that_reads_a_body_ends_at_its_deadline) {
    Server server(base.get(), "HTTP/1.1 200 OK\r\n\r\nfirst part of a body without end");
    server.keep_open = true;
    const int before = open_descriptors();
    board.configure({config_of(http(60'000, 200), {server.port})});
    ASSERT_TRUE(settled());
    EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::up, ""}})) << "the head decides";
    ASSERT_TRUE(until([&] { return server.ended == 1; }));
    EXPECT_EQ(checks[0], "+") << "the deadline of the body is no verdict";
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(BoardTest, falls_after_fall_failures_and_rises_after_rise_passes) {
    constexpr const char* good = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    constexpr const char* bad = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";
    Server server(base.get(), good);
    board.configure({config_of(http(100, 100), {server.port})});
    ASSERT_TRUE(until([&] { return checks[0].size() >= 2; }));
    server.answer_with(bad);
    ASSERT_TRUE(until([&] { return verdicts[0].size() == 2; }));
    EXPECT_EQ(verdicts[0][1], (Said{Health::down, "status 500, expected 200-299 404"}));
    EXPECT_TRUE(checks[0].ends_with("+---")) << checks[0];
    ASSERT_TRUE(until([&] { return checks[0].ends_with("+----"); }));
    server.answer_with(good);
    ASSERT_TRUE(until([&] { return verdicts[0].size() == 3; }));
    EXPECT_EQ(verdicts[0][2], (Said{Health::up, ""}));
    EXPECT_TRUE(checks[0].ends_with("-++")) << checks[0];
}

TEST_F(BoardTest, start_up_is_not_pending_and_needs_fall_failures) {
    config::Check check = tcp(100, 100, 2, 2);
    check.start_up = true;
    board.configure({config_of(check, {closed_port()})});
    EXPECT_EQ(board.pending(), 0u);
    ASSERT_TRUE(until([&] { return !verdicts[0].empty(); }));
    EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::down, "connection refused"}}));
    EXPECT_EQ(checks[0], "--");
}

TEST_F(BoardTest, reload_keeps_verdicts_checks_new_ones_and_forgets_old_ones) {
    Server a(base.get(), ""), b(base.get(), ""), c(base.get(), "");
    auto first = config_of(tcp(60'000), {a.port, b.port});
    board.configure({first});
    ASSERT_TRUE(settled());
    auto second = config_of(tcp(60'000), {b.port, c.port}, 1);
    board.configure({second, first});
    EXPECT_EQ(board.pending(), 1u) << "only the new one";
    ASSERT_TRUE(settled());
    EXPECT_EQ(verdicts[2], (std::vector<Said>{{Health::up, ""}}));
    EXPECT_EQ(a.connections, 1);
    EXPECT_EQ(b.connections, 1) << "its place in the schedule stays";

    board.suspect(0);
    ASSERT_TRUE(until([&] { return a.connections == 2; })) << "the old generation still names it";
    board.configure({second});
    board.suspect(0);
    board.suspect(1);
    ASSERT_TRUE(until([&] { return b.connections == 2; }));
    EXPECT_EQ(a.connections, 2) << "forgotten";
}

TEST_F(BoardTest, the_newest_generation_says_how) {
    Server server(base.get(), "HTTP/1.1 500 Oops\r\n\r\n");
    auto old = config_of(tcp(60'000), {server.port});
    board.configure({old});
    ASSERT_TRUE(settled());
    auto fresh = config_of(http(100, 100), {server.port});
    fresh->pools[0].check.fall = 1;
    board.configure({fresh, old});
    board.suspect(0);
    ASSERT_TRUE(until([&] { return verdicts[0].size() == 2; }));
    EXPECT_EQ(verdicts[0][1], (Said{Health::down, "status 500, expected 200-299 404"}));
}

TEST_F(BoardTest, a_slot_with_another_owner_starts_anew) {
    Server a(base.get(), "");
    board.configure({config_of(tcp(60'000), {a.port})});
    ASSERT_TRUE(settled());
    board.configure({config_of(tcp(60'000), {closed_port()})});
    EXPECT_EQ(board.pending(), 1u);
    ASSERT_TRUE(settled());
    EXPECT_EQ(verdicts[0].back(), (Said{Health::down, "connection refused"}));
}

TEST_F(BoardTest, checks_switched_off_put_a_down_backend_up_and_ask_no_more) {
    auto checked = config_of(tcp(100), {closed_port()});
    board.configure({checked});
    ASSERT_TRUE(settled());
    config::Check off;
    off.kind = CheckKind::off;
    auto unchecked = std::make_shared<config::Config>(*checked);
    unchecked->pools[0].check = off;
    board.configure({unchecked, checked});
    EXPECT_EQ(board.pending(), 0u);
    ASSERT_TRUE(until([&] { return verdicts[0].size() == 2; }));
    EXPECT_EQ(verdicts[0][1], (Said{Health::up, ""}));
    const std::string so_far = checks[0];
    const Micros end = monotonic_now() + 300'000;
    until([&] { return monotonic_now() >= end; });
    EXPECT_EQ(checks[0], so_far);
}

TEST_F(BoardTest, says_when_settled_from_the_loop_only) {
    Server server(base.get(), "");
    int calls = 0;
    board.when_settled([&] { calls++; });
    EXPECT_EQ(calls, 0) << "never from inside the call";
    ASSERT_TRUE(until([&] { return calls == 1; })) << "nothing pending: at once";
    board.configure({config_of(tcp(), {server.port})});
    board.when_settled([&] {
        calls++;
        EXPECT_EQ(board.pending(), 0u);
        EXPECT_EQ(verdicts[0].size(), 1u) << "verdicts come before";
    });
    ASSERT_TRUE(until([&] { return calls == 2; }));
    const std::size_t seen = checks[0].size();
    ASSERT_TRUE(until([&] { return checks[0].size() >= seen + 2; }));
    EXPECT_EQ(calls, 2) << "once";
}

TEST_F(BoardTest, a_pending_backend_that_is_taken_back_no_longer_holds_up_anybody) {
    Server silent(base.get(), "");
    board.configure({config_of(http(60'000, 60'000), {silent.port})});
    bool done = false;
    board.when_settled([&] { done = true; });
    ASSERT_TRUE(until([&] { return silent.connections == 1; }));
    EXPECT_FALSE(done);
    board.configure({});
    ASSERT_TRUE(until([&] { return done; }));
    ASSERT_TRUE(until([&] { return silent.ended == 1; })) << "its probe is dropped";
}

TEST_F(BoardTest, suspect_checks_now_but_not_more_than_ten_times_a_second) {
    Server server(base.get(), "");
    board.configure({config_of(tcp(60'000, 1000), {server.port})});
    ASSERT_TRUE(settled());
    const Micros begun = monotonic_now();
    // Suspicions without pause for half a second, as from many workers at once.
    ASSERT_TRUE(until([&] {
        for (int i = 0; i < 10; i++) board.suspect(0);
        return monotonic_now() - begun >= 500'000;
    }));
    EXPECT_GE(server.connections, 3);
    EXPECT_LE(server.connections, 7);
    board.suspect(77);  // a slot that is not checked: nothing happens
}

TEST_F(BoardTest, many_new_backends_settle_within_a_timeout_and_bounded_turns) {
    Server server(base.get(), "");
    std::vector<std::uint16_t> ports(600, server.port);
    board.configure({config_of(tcp(60'000, 1000), ports)});
    EXPECT_EQ(board.pending(), 600u);
    std::size_t most_in_a_turn = 0;
    std::size_t before = 600;
    while (board.pending() > 0) {
        ASSERT_EQ(event_base_loop(base.get(), EVLOOP_ONCE), 0);
        // Loopback connections stand at once: what ends in a turn was started in it or in the one before.
        most_in_a_turn = std::max(most_in_a_turn, before - board.pending());
        before = board.pending();
    }
    EXPECT_LE(most_in_a_turn, 128u);
    EXPECT_GT(most_in_a_turn, 0u);
    EXPECT_EQ(verdicts.size(), 600u);
}

TEST_F(BoardTest, many_silent_backends_settle_within_one_timeout) {
    Server silent(base.get(), "");
    board.configure({config_of(http(60'000, 300), std::vector<std::uint16_t>(200, silent.port))});
    const Micros begun = monotonic_now();
    ASSERT_TRUE(settled());
    EXPECT_LT(monotonic_now() - begun, 1'000'000) << "side by side, not one after the other";
    for (std::uint32_t slot = 0; slot < 200; slot++) EXPECT_EQ(verdicts[slot][0].health, Health::down);
}

TEST_F(BoardTest, a_lack_of_descriptors_here_is_no_verdict_about_a_backend) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizers need descriptors of their own for their checks";
#endif
    Server server(base.get(), "");
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    // From the lowest free descriptor on, none can be made.
    Fd lowest(dup(0));
    ASSERT_TRUE(lowest);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(lowest.get());
    lowest.reset();
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    board.configure({config_of(tcp(60'000, 1000), {server.port})});
    const Micros end = monotonic_now() + 200'000;
    until([&] { return monotonic_now() >= end; });
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(verdicts.empty());
    EXPECT_TRUE(checks.empty());
    EXPECT_EQ(board.pending(), 1u);
    ASSERT_TRUE(settled()) << "tried again by itself";
    EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::up, ""}}));
}

TEST_F(BoardTest, stop_drops_everything) {
    Server silent(base.get(), "");
    const int before = open_descriptors();
    board.configure({config_of(http(100, 60'000), {silent.port})});
    board.when_settled([] { FAIL() << "never"; });
    ASSERT_TRUE(until([&] { return silent.connections == 1; }));
    board.stop();
    EXPECT_EQ(board.pending(), 0u);
    ASSERT_TRUE(until([&] { return silent.ended == 1; }));
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(silent.connections, 1);
    board.stop();  // twice does no harm
}

// --- names and their addresses

class NamedTest : public BoardTest {
 protected:
    // One backend, a name, with these addresses now.
    static std::shared_ptr<config::Config> named(const config::Check& check,
                                                 const std::vector<std::uint16_t>& ports) {
        auto made = config_of(check, {1});
        config::Backend& backend = made->pools[0].backends[0];
        backend.name = backend.host = "db.example:80";
        backend.dns_name = "db.example";
        backend.port = 80;
        backend.addresses.clear();
        for (const std::uint16_t port : ports) backend.addresses.push_back(loopback(port));
        return made;
    }
};

TEST_F(NamedTest, without_an_address_it_is_down_at_once_and_nobody_waits_for_it) {
    board.configure({named(tcp(), {})});
    EXPECT_EQ(board.pending(), 0u);
    EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::down, "cannot resolve db.example"}}));
    board.suspect(0);
    board.configure({named(tcp(), {})});
    EXPECT_EQ(verdicts[0].size(), 1u);
    EXPECT_TRUE(checks.empty());
}

TEST_F(NamedTest, its_first_address_is_checked_at_once_and_decides) {
    Server server(base.get(), "");
    board.configure({named(tcp(60'000), {})});
    board.configure({named(tcp(60'000), {server.port})});
    EXPECT_EQ(board.pending(), 1u);
    ASSERT_TRUE(settled());
    EXPECT_EQ(verdicts[0].back(), (Said{Health::up, ""})) << "rise is about a verdict that stands";
    EXPECT_EQ(checks[0], "+");

    // Gone stale: down whatever `fall` says.
    board.configure({named(tcp(60'000), {})});
    EXPECT_EQ(verdicts[0].back(), (Said{Health::down, "cannot resolve db.example"}));
}

TEST_F(NamedTest, another_address_keeps_the_verdict_and_is_checked_at_once) {
    Server one(base.get(), "");
    Server two(base.get(), "");
    board.configure({named(tcp(60'000), {one.port})});
    ASSERT_TRUE(settled());
    board.configure({named(tcp(60'000), {two.port})});
    EXPECT_EQ(board.pending(), 0u);
    ASSERT_TRUE(until([&] { return two.connections == 1; }));
    ASSERT_TRUE(until([&] { return checks[0] == "++"; }));
    EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::up, ""}}));
    EXPECT_EQ(one.connections, 1);
}

TEST_F(NamedTest, a_check_under_way_to_an_address_that_went_does_not_count) {
    Server silent(base.get(), "");
    silent.keep_open = true;
    Server good(base.get(), "HTTP/1.1 200 OK\r\n\r\n");
    board.configure({named(http(60'000, 5000), {silent.port})});
    ASSERT_TRUE(until([&] { return silent.connections == 1; }));
    board.configure({named(http(60'000, 5000), {good.port})});
    ASSERT_TRUE(settled());
    EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::up, ""}}));
}

// A network of the calling thread alone, that has the loopback and what is written into these files of
// /proc/sys/net.
bool own_network(const std::map<std::string, std::string>& settings) {
    if (unshare(CLONE_NEWNET) != 0) return false;
    const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq loopback_up{};
    std::strcpy(loopback_up.ifr_name, "lo");
    loopback_up.ifr_flags = IFF_UP;
    if (ioctl(fd.get(), SIOCSIFFLAGS, &loopback_up) != 0) return false;
    return std::all_of(settings.begin(), settings.end(), [](const auto& each) {
        std::ofstream file("/proc/sys/net/" + each.first);
        file << each.second << std::flush;
        return file.good();
    });
}

TEST_F(NamedTest, an_address_without_a_way_to_it_hides_no_failure_of_the_others) {
    bool made = true;
    std::thread([&] {
        made = own_network({{"ipv6/conf/all/disable_ipv6", "1"}});
        if (!made) return;
        const auto with = [&](std::vector<const char*> addresses) {
            auto out = named(tcp(200, 100, 1, 1), {});
            for (const char* each : addresses)
                out->pools[0].backends[0].addresses.push_back(parse_address(each).value());
            return out;
        };
        auto server = std::make_unique<Server>(base.get(), "");
        const std::string four = "127.0.0.1:" + std::to_string(server->port);
        board.configure({with({"[::1]:80", four.c_str()})});
        ASSERT_TRUE(settled());
        EXPECT_EQ(verdicts[0].back(), (Said{Health::up, ""})) << "the other one is tried";
        board.configure({with({four.c_str(), "[::1]:80"})});
        server.reset();
        ASSERT_TRUE(until([&] { return verdicts[0].size() == 2; }));
        EXPECT_EQ(verdicts[0].back(), (Said{Health::down, "connection refused"}));

        board.configure({});
        board.configure({with({"[::1]:80"})});
        ASSERT_TRUE(settled());
        EXPECT_EQ(verdicts[0].back(), (Said{Health::down, "this host has no address to reach it from"}));
    }).join();
    if (!made) GTEST_SKIP() << "no network of its own";
}

TEST_F(NamedTest, a_lack_of_ports_here_is_no_verdict) {
    bool made = true;
    std::thread([&] {
        made = own_network({{"ipv4/ip_local_port_range", "40000 40000"}});
        if (!made) return;
        const Server holder(base.get(), "", false);  // it has the one port
        ASSERT_EQ(holder.port, 40000);
        board.configure({named(tcp(), {80})});
        const Micros end = monotonic_now() + 200'000;
        until([&] { return monotonic_now() >= end; });
        EXPECT_TRUE(verdicts.empty());
        EXPECT_EQ(board.pending(), 1u);
    }).join();
    if (!made) GTEST_SKIP() << "no network of its own";
}

TEST_F(NamedTest, without_checks_it_is_up_as_soon_as_it_has_an_address) {
    for (const bool off : {true, false}) {
        config::Check check = tcp(60'000);
        check.start_up = !off;
        if (off) check.kind = CheckKind::off;
        Server server(base.get(), "");
        verdicts.clear();
        board.configure({});
        board.configure({named(check, {})});
        EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::down, "cannot resolve db.example"}}));
        board.configure({named(check, {server.port})});
        EXPECT_EQ(board.pending(), 0u);
        ASSERT_TRUE(until([&] { return verdicts[0].size() == 2; }));
        EXPECT_EQ(verdicts[0][1], (Said{Health::up, ""}));
        board.configure({named(check, {})});
        EXPECT_EQ(verdicts[0].back().health, Health::down);
    }
}

// --- what stands in front of a check

TEST_F(BoardTest, a_pool_with_send_proxy_gets_the_header_before_the_request) {
    const std::string v2("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
    for (const auto& [kind, expected] : {std::pair(config::SendProxy::v1, std::string("PROXY UNKNOWN\r\n")),
                                         std::pair(config::SendProxy::v2, v2)}) {
        Server server(base.get(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        auto config = config_of(http(60'000, 2000), {server.port});
        config->pools[0].send_proxy = kind;
        board.configure({config});
        ASSERT_TRUE(until([&] { return server.ended == 1; }));
        EXPECT_EQ(server.heard.substr(0, expected.size() + 4), expected + "GET ");
        board.configure({});
    }
}

TEST_F(BoardTest, a_tcp_check_says_nothing_even_with_send_proxy) {
    Server server(base.get(), "");
    auto config = config_of(tcp(60'000, 1000), {server.port});
    config->pools[0].send_proxy = config::SendProxy::v1;
    board.configure({config});
    ASSERT_TRUE(until([&] { return server.ended == 1; }));
    EXPECT_EQ(server.heard, "");
}

TEST_F(BoardTest, unix_sockets_are_checked) {
    char directory[] = "/tmp/lb-board-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    const std::string path = std::string(directory) + "/app.sock";
    Address address;
    address.any.un.sun_family = AF_UNIX;
    std::memcpy(address.any.un.sun_path, path.data(), path.size());
    address.length = static_cast<std::uint32_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    Fd listening(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(listening.get(), &address.any.base, address.length), 0);
    ASSERT_EQ(listen(listening.get(), 16), 0);
    auto config = config_of(tcp(100, 100, 1, 1), {1});
    config->pools[0].backends[0].addresses = {address};
    board.configure({config});
    ASSERT_TRUE(settled());
    EXPECT_EQ(verdicts[0], (std::vector<Said>{{Health::up, ""}}));
    listening.reset();
    ASSERT_TRUE(until([&] { return verdicts[0].size() == 2; }));
    EXPECT_EQ(verdicts[0][1], (Said{Health::down, "connection refused"}));
    unlink(path.c_str());
    rmdir(directory);
}

}  // namespace
}  // namespace lb::health
