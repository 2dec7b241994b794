// The admin process as its operator and its master see it: forked, asked over sockets, told over the channel.
#include "master/admin/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "shared/base/clock.h"
#include "shared/net/fd.h"
#include "table_for_test.h"

namespace lb::admin {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr Micros patience = 10'000'000;

// True as soon as it is so; false when it was not in time.
bool until(const std::function<bool()>& so) {
    for (const Micros end = monotonic_now() + patience; monotonic_now() < end; poll(nullptr, 0, 5)) {
        if (so()) return true;
    }
    return false;
}

class AdminTest : public testing::Test {
 protected:
    TableForTest table;
    std::shared_ptr<config::Config> config = std::make_shared<config::Config>();
    Channel master;
    pid_t pid = -1;
    std::uint16_t port = 0;
    Fd listening;

    AdminTest() {
        table.segment.header().generation = 1;
        table.process(0, shm::Role::master);
        table.process(1, shm::Role::admin);
        config->admin.allow.push_back(parse_cidr("127.0.0.0/8").value());
        config->admin.backend_histograms = config::Switch::automatic;
        // Blocking on purpose, as a socket that came by number may be.
        listening = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in any = address();
        EXPECT_EQ(bind(listening.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
        socklen_t length = sizeof any;
        EXPECT_EQ(getsockname(listening.get(), reinterpret_cast<sockaddr*>(&any), &length), 0);
        EXPECT_EQ(listen(listening.get(), 1024), 0);
        port = ntohs(any.sin_port);
    }
    ~AdminTest() override {
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, nullptr, 0);
        }
    }
    [[nodiscard]] sockaddr_in address() const {
        sockaddr_in out{};
        out.sin_family = AF_INET;
        out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        out.sin_port = htons(port);
        return out;
    }

    // Forks the admin process and waits until it says that it is ready.
    void start() {
        auto ends = Channel::pair();
        ASSERT_TRUE(ends.ok());
        master = std::move(ends.value().first);
        pid = fork();
        ASSERT_GE(pid, 0);
        if (pid == 0) {
            std::signal(SIGPIPE, SIG_IGN);  // as the master has it
            master.close();
            ChildContext context;
            context.config = config;
            context.table = &table.segment;
            context.column = 1;
            context.generation = 1;
            context.channel = std::move(ends.value().second);
            context.listen = {{0, listening.release(), false}};
            _exit(run(context));
        }
        ends.value().second.close();
        listening.reset();
        ASSERT_TRUE(until([&] {
            const auto got = master.receive();
            return got.got == Channel::Got::message && got.message.kind == MessageKind::ready;
        }));
    }
    [[nodiscard]] Fd connection(std::uint32_t from = INADDR_LOOPBACK) const {
        Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in to = address();
        sockaddr_in own = to;
        own.sin_addr.s_addr = htonl(from);
        own.sin_port = 0;
        EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
        if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) fd.reset();
        const timeval limit{5, 0};
        setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        return fd;
    }
    static void say(const Fd& fd, const std::string& bytes) {
        EXPECT_EQ(send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
    }
    static std::string rest(const Fd& fd) {
        std::string answer;
        char bytes[65536];
        for (ssize_t n = 0; (n = recv(fd.get(), bytes, sizeof bytes, 0)) > 0;) {
            answer.append(bytes, static_cast<std::size_t>(n));
        }
        return answer;
    }
    // The whole answer; "" when nobody listens.
    [[nodiscard]] std::string ask(const std::string& target, const std::string& method = "GET") const {
        const Fd fd = connection();
        if (!fd) return "";
        say(fd, method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        return rest(fd);
    }
    // A request with a body and the token.
    [[nodiscard]] std::string tell(const std::string& method, const std::string& target,
                                   const std::string& json, const std::string& token = "s3cret") const {
        const Fd fd = connection();
        say(fd, fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n"
                            "Content-Length: {}\r\n\r\n{}",
                            method, target, token, json.size(), json));
        return rest(fd);
    }
    static std::string body(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }
    // Processor time that the admin process has used.
    [[nodiscard]] Micros cpu_time() const {
        clockid_t clock{};
        timespec used{};
        EXPECT_EQ(clock_getcpuclockid(pid, &clock), 0);
        EXPECT_EQ(clock_gettime(clock, &used), 0);
        return static_cast<Micros>(used.tv_sec) * 1'000'000 + used.tv_nsec / 1000;
    }
    // Waits for its end; the exit status, or -1 after a signal.
    int ended() {
        int status = 0;
        EXPECT_TRUE(until([&] { return waitpid(pid, &status, WNOHANG) == pid; })) << "it does not end";
        pid = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
};

TEST_F(AdminTest, serves_metrics) {
    table.pool(0, "app");
    table.backend(0, 0, "a1");
    table.process(2, shm::Role::worker).add<"lb_requests_total">(0, 2, 12);
    start();
    const std::string answer = ask("/metrics");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    EXPECT_THAT(answer, HasSubstr(fmt::format("\r\nContent-Length: {}\r\n", body(answer).size())));
    EXPECT_THAT(answer, HasSubstr("\nlb_requests_total{pool=\"app\",class=\"2xx\"} 12\n"));
    table.process(2, shm::Role::worker).add<"lb_requests_total">(0, 2);
    EXPECT_THAT(ask("/metrics?x=1"), HasSubstr("\nlb_requests_total{pool=\"app\",class=\"2xx\"} 13\n"));
}

TEST_F(AdminTest, serves_status_health_index_and_nothing_else) {
    table.pool(0, "app");
    start();
    const std::string status = ask("/status");
    EXPECT_THAT(status, HasSubstr("\r\nContent-Type: application/json\r\n"));
    EXPECT_EQ(nlohmann::json::parse(body(status))["pools"][0]["name"], "app");
    EXPECT_EQ(nlohmann::json::parse(body(ask("/api")))["pools"][0]["name"], "app");
    EXPECT_EQ(nlohmann::json::parse(body(ask("/api/pools/%61pp")))["name"], "app");
    EXPECT_THAT(ask("/api/pools/none"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("/api/"), StartsWith("HTTP/1.1 404 "));
    EXPECT_EQ(body(ask("/healthz")), "ok\n");
    EXPECT_THAT(body(ask("/")), HasSubstr("/metrics"));
    EXPECT_THAT(ask("/nothing"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("/metrics/"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(AdminTest, readyz_follows_workers_and_the_stopping_flag) {
    start();
    EXPECT_THAT(ask("/readyz"), StartsWith("HTTP/1.1 503 "));
    table.process(2, shm::Role::worker, 1, monotonic_now() + patience);
    EXPECT_THAT(ask("/readyz"), StartsWith("HTTP/1.1 200 "));
    table.segment.header().stopping = 1;
    const std::string stopping = ask("/readyz");
    EXPECT_THAT(stopping, StartsWith("HTTP/1.1 503 "));
    EXPECT_EQ(body(stopping), "stopping\n");
    EXPECT_THAT(ask("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminTest, head_has_the_head_alone_and_the_connection_goes_on) {
    start();
    const Fd fd = connection();
    say(fd,
        "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: "
        "close\r\n\r\n");
    const std::string answers = rest(fd);
    const std::size_t end = answers.find("\r\n\r\n");
    ASSERT_NE(end, std::string::npos);
    EXPECT_THAT(answers.substr(0, end), HasSubstr("Content-Length: 3"));
    EXPECT_THAT(answers.substr(end + 4), StartsWith("HTTP/1.1 200 OK\r\n")) << "no body after HEAD";
    EXPECT_THAT(answers, EndsWith("\r\n\r\nok\n"));
}

TEST_F(AdminTest, refuses_other_methods_and_says_which_there_are) {
    start();
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW", "get"}) {
        const std::string answer = ask("/healthz", method);
        EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n")) << method;
        EXPECT_THAT(answer, HasSubstr("\r\nAllow: GET, HEAD\r\n")) << method;
        EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: application/json\r\n")) << method;
    }
    EXPECT_THAT(ask("*", "OPTIONS"), StartsWith("HTTP/1.1 405 "));
    EXPECT_THAT(ask("/api/v1/pools/app/backends/a", "BREW"), HasSubstr("\r\nAllow: PUT, PATCH, DELETE\r\n"));
}

TEST_F(AdminTest, a_connect_ends_at_once) {
    start();
    const Fd fd = connection();
    const Micros begun = monotonic_now();
    say(fd, "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n");
    const std::string answer = rest(fd);
    EXPECT_LT(monotonic_now() - begun, 1'500'000) << "and not when a time is over";
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
    EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n"));
}

struct Odd {
    const char* what;
    std::string bytes;
    int status;
};
class AdminOdd : public AdminTest, public testing::WithParamInterface<Odd> {};
TEST_P(AdminOdd, requests_get_their_status_as_json_and_the_connection_ends) {
    start();
    const Fd fd = connection();
    say(fd, GetParam().bytes);
    const std::string answer = rest(fd);
    EXPECT_THAT(answer, StartsWith(fmt::format("HTTP/1.1 {} ", GetParam().status)));
    EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: application/json\r\n"));
    EXPECT_TRUE(nlohmann::json::parse(body(answer))["error"].is_string());
    EXPECT_EQ(body(ask("/healthz")), "ok\n");
}
const std::string put = "PUT /api/v1/pools/app/backends/a HTTP/1.1\r\nHost: x\r\n";
INSTANTIATE_TEST_SUITE_P(
    All, AdminOdd,
    testing::Values(
        Odd{"no version", "GET /healthz\r\n\r\n", 400}, Odd{"no host", "GET /healthz HTTP/1.1\r\n\r\n", 400},
        Odd{"HTTP/2", "GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        Odd{"no colon", "GET /healthz HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n", 400},
        Odd{"a blank in a name", "GET /healthz HTTP/1.1\r\nHost: x\r\na b: c\r\n\r\n", 400},
        Odd{"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00", 7) + std::string(64, 'x') + "\r\n\r\n", 400},
        Odd{"long target", "GET /" + std::string(9'000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
        Odd{"long head", "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + std::string(9'000, 'x') + "\r\n\r\n",
            431},
        Odd{"a negative length", put + "Content-Length: -5\r\n\r\n", 400},
        Odd{"two lengths", put + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
        Odd{"both framings", put + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        Odd{"a coding", put + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        Odd{"long body", put + "Content-Length: 100000\r\n\r\n" + std::string(100'000, 'x'), 413},
        Odd{"long chunks", put + "Transfer-Encoding: chunked\r\n\r\nffff\r\n" + std::string(0xffff, 'x'),
            413},
        Odd{"odd chunks", put + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
        Odd{"expectation", put + "Expect: wonders\r\nContent-Length: 2\r\n\r\n{}", 417}),
    [](const auto& each) {
        std::string name = each.param.what;
        std::replace_if(
            name.begin(), name.end(), [](char c) { return c == ' ' || c == '/'; }, '_');
        return name;
    });

TEST_F(AdminTest, a_body_may_come_in_pieces_in_chunks_or_after_100_continue) {
    start();
    const std::string post = "POST /healthz HTTP/1.1\r\nHost: x\r\n";
    const Fd fd = connection();
    say(fd, post + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    char bytes[64];
    ASSERT_EQ(recv(fd.get(), bytes, 25, MSG_WAITALL), 25);
    EXPECT_EQ(std::string(bytes, 25), "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "he");
    say(fd, "llo" + post + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    say(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const std::string answers = rest(fd);
    EXPECT_THAT(answers, StartsWith("HTTP/1.1 405 "));
    const std::size_t second = answers.find("HTTP/1.1 ", 1);
    ASSERT_NE(second, std::string::npos);
    EXPECT_THAT(answers.substr(second), StartsWith("HTTP/1.1 405 "));
    EXPECT_THAT(answers, EndsWith("\r\n\r\nok\n")) << "what is behind a body is the next request";
}

TEST_F(AdminTest, answers_who_says_no_more_after_its_request) {
    start();
    const Fd fd = connection();
    say(fd, "GET /healthz HTTP/1.0\r\n\r\n");
    shutdown(fd.get(), SHUT_WR);
    EXPECT_EQ(body(rest(fd)), "ok\n");
}

TEST_F(AdminTest, a_request_that_does_not_come_is_not_waited_for) {
    start();
    const Fd begun = connection();
    const Fd idle = connection();
    const timeval limit{15, 0};
    setsockopt(begun.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(idle.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    say(begun, "GET /healthz HTT");
    const Micros from = monotonic_now();
    EXPECT_THAT(rest(begun), StartsWith("HTTP/1.1 408 "));
    char byte = 0;
    EXPECT_EQ(recv(idle.get(), &byte, 1, 0), 0) << "it is closed without a word";
    EXPECT_LT(monotonic_now() - from, 13'000'000);
}

// A master's control socket, played by the test: reads one line a connection, writes the answer, closes.
class FakeMaster {
 public:
    FakeMaster() : directory_("/tmp/lb-admin-XXXXXX") {
        EXPECT_NE(mkdtemp(directory_.data()), nullptr);
        path = directory_ + "/control";
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        path.copy(at.sun_path, sizeof at.sun_path - 1);
        listening_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(bind(listening_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
        EXPECT_EQ(listen(listening_.get(), 64), 0);
    }
    ~FakeMaster() {
        unlink(path.c_str());
        rmdir(directory_.c_str());
    }
    // The next request; its answer is what `say` gives.
    std::string answer(const std::string& text) {
        asked_ = Fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        std::string line;
        for (char c = 0; recv(asked_.get(), &c, 1, 0) == 1 && c != '\n';) line += c;
        EXPECT_EQ(send(asked_.get(), text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
        if (!text.empty()) asked_.reset();
        return line;
    }
    void hang_up() { asked_.reset(); }
    std::string path;

 private:
    std::string directory_;
    Fd listening_, asked_;
};

class AdminChanges : public AdminTest {
 protected:
    AdminChanges() {
        table.pool(0, "app");
        table.backend(0, 0, "a1");
        config->admin.token_file = "/etc/lb/admin.token";
        config->admin.token = "s3cret";
        config->global.control = fake.path;
    }
    static std::string error_of(const std::string& answer) {
        const auto json = nlohmann::json::parse(body(answer), nullptr, false);
        return json.is_object() && json.contains("error") ? json["error"].get<std::string>()
                                                          : "no error: " + answer;
    }
    FakeMaster fake;
    const std::string a1 = "/api/v1/pools/app/backends/a1";
};

TEST_F(AdminChanges, go_to_the_master_and_its_word_is_the_answer) {
    start();
    auto answer = std::async(std::launch::async, [&] {
        return tell("PUT", "/api/v1/pools/app/backends/10.0.0.7%3A80",
                    R"({"address":"10.0.0.7:80","ttl":"30s"})");
    });
    EXPECT_EQ(fake.answer("info one moment\nok registered\n"),
              "backend\tregister\tapp\t10.0.0.7:80\t10.0.0.7:80\t1\t30000");
    std::string said = answer.get();
    EXPECT_THAT(said, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(nlohmann::json::parse(body(said))["result"], "registered");

    answer = std::async(std::launch::async, [&] { return tell("DELETE", a1, ""); });
    EXPECT_EQ(fake.answer("error app/a1: is in the file\nfailed nothing was changed\n"),
              "backend\tderegister\tapp\ta1");
    said = answer.get();
    EXPECT_THAT(said, StartsWith("HTTP/1.1 409 "));
    EXPECT_EQ(error_of(said), "app/a1: is in the file; nothing was changed");

    answer =
        std::async(std::launch::async, [&] { return tell("PATCH", a1, R"({"state":"drain","weight":3})"); });
    EXPECT_EQ(fake.answer("ok app/a1 drains\n"), "backend\tset\tapp\ta1\tdrain\t3") << "both or neither";
    EXPECT_THAT(answer.get(), HasSubstr("app/a1 drains"));
    EXPECT_EQ(body(ask("/healthz")), "ok\n");
}

TEST_F(AdminChanges, need_the_token_and_something_to_change) {
    start();
    const std::string put = R"({"address":"10.0.0.7:80","ttl":30})";
    const std::string stranger = tell("PUT", a1, put, "guess");
    EXPECT_THAT(stranger, StartsWith("HTTP/1.1 401 "));
    EXPECT_THAT(stranger, HasSubstr("\r\nWWW-Authenticate: Bearer\r\n"));
    EXPECT_THAT(ask(a1, "DELETE"), StartsWith("HTTP/1.1 401 "));
    EXPECT_THAT(tell("PUT", "/api/v1/pools/none/backends/a", put), StartsWith("HTTP/1.1 404 "));
    auto missing = std::async(std::launch::async, [&] {
        return tell("PATCH", "/api/v1/pools/app/backends/none", R"({"state":"maint"})");
    });
    fake.answer("failed there is no backend 'none'\n");
    const std::string answer = missing.get();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 "));
    EXPECT_EQ(error_of(answer), "there is no backend 'none'");
    EXPECT_THAT(error_of(tell("PUT", a1, "{")), HasSubstr("no JSON object"));
    EXPECT_THAT(tell("PUT", a1, std::string(5000, ' ')), StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(tell("PUT", a1, std::string(20'000, ' ')), StartsWith("HTTP/1.1 413 "));
    const std::string post = tell("POST", a1, put);
    EXPECT_THAT(post, StartsWith("HTTP/1.1 405 "));
    EXPECT_THAT(post, HasSubstr("\r\nAllow: PUT, PATCH, DELETE\r\n"));
}

TEST_F(AdminChanges, are_off_without_a_token_file) {
    config->admin.token_file.clear();
    config->admin.token.clear();
    start();
    const std::string answer = tell("PATCH", a1, R"({"state":"maint"})", "");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 "));
    EXPECT_THAT(error_of(answer), HasSubstr("token_file"));
}

TEST_F(AdminChanges, do_not_hold_up_anything_while_the_master_thinks) {
    start();
    const Micros begun = monotonic_now();
    auto answer = std::async(std::launch::async, [&] { return tell("PATCH", a1, R"({"state":"maint"})"); });
    fake.answer("");  // it has the request and says nothing
    EXPECT_EQ(body(ask("/healthz")), "ok\n");
    EXPECT_LT(monotonic_now() - begun, 3'000'000);
    EXPECT_THAT(answer.get(), StartsWith("HTTP/1.1 504 "));
    EXPECT_GE(monotonic_now() - begun, 4'900'000);
}

TEST_F(AdminChanges, tell_that_the_master_cannot_be_asked) {
    start();
    auto answer = std::async(std::launch::async, [&] { return tell("PATCH", a1, R"({"state":"maint"})"); });
    fake.answer("");
    fake.hang_up();
    EXPECT_THAT(answer.get(), StartsWith("HTTP/1.1 503 "));
    unlink(fake.path.c_str());
    EXPECT_THAT(tell("PATCH", a1, R"({"state":"maint"})"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(AdminChanges, are_bounded_and_clients_that_leave_are_forgotten) {
    start();
    {
        std::vector<Fd> many;
        for (int i = 0; i < 16; i++) {
            many.push_back(connection());
            say(many.back(), "DELETE " + a1 + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n\r\n");
        }
        EXPECT_TRUE(until([&] { return tell("DELETE", a1, "").starts_with("HTTP/1.1 503 "); }));
    }
    EXPECT_EQ(body(ask("/healthz")), "ok\n") << "though their clients are gone";
    for (int i = 0; i < 16; i++) fake.answer("ok gone\n");
    auto answer = std::async(std::launch::async, [&] { return tell("DELETE", a1, ""); });
    fake.answer("ok gone\n");
    EXPECT_THAT(answer.get(), HasSubstr("HTTP/1.1 "));
    ASSERT_TRUE(master.send({MessageKind::drain, 0, 5000}));
    EXPECT_EQ(ended(), 0);
}

TEST_F(AdminTest, serves_the_load_of_pools_and_the_same_below_v1) {
    table.pool(0, "app/x");
    start();
    const std::string one = ask("/api/v1/pools/app%2Fx/load");
    EXPECT_THAT(one, HasSubstr("\r\nContent-Type: application/json\r\n"));
    EXPECT_EQ(nlohmann::json::parse(body(one))["pool"], "app/x");
    EXPECT_TRUE(until([&] {
        return nlohmann::json::parse(body(ask("/api/v1/load")))[0]["window_seconds"].get<double>() > 0.9;
    })) << "a sample each second";
    EXPECT_THAT(ask("/api/v1/pools/none/load"), StartsWith("HTTP/1.1 404 "));
    EXPECT_EQ(nlohmann::json::parse(body(ask("/api/v1/pools")))[0]["name"], "app/x");
    EXPECT_EQ(nlohmann::json::parse(body(ask("/api/v1/pools/app%2Fx")))["name"], "app/x");
    EXPECT_EQ(nlohmann::json::parse(body(ask("/api/v1")))["pools"][0]["name"], "app/x");
}

TEST_F(AdminTest, answers_only_whom_the_configuration_allows) {
    config->admin.allow = {parse_cidr("10.0.0.0/8").value()};
    start();
    for (const char* path : {"/metrics", "/healthz", "/readyz", "/status", "/", "/x"}) {
        const std::string answer = ask(path);
        EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 ")) << path;
        EXPECT_EQ(body(answer), "forbidden\n");
    }
}

TEST_F(AdminTest, who_is_not_allowed_cannot_take_the_descriptors_of_who_is) {
    config->admin.allow = {parse_cidr("127.0.0.1/32").value()};
    start();
    std::vector<Fd> strangers;
    strangers.reserve(600);
    for (int i = 0; i < 600; i++) strangers.push_back(connection(INADDR_LOOPBACK + 1));
    EXPECT_EQ(body(ask("/healthz")), "ok\n");
    strangers.clear();
    EXPECT_TRUE(until([&] {
        const Fd stranger = connection(INADDR_LOOPBACK + 1);
        return send(stranger.get(), "x", 1, MSG_NOSIGNAL) == 1 && rest(stranger).starts_with("HTTP/1.1 403 ");
    })) << "whose connections ended makes room for others";
    EXPECT_EQ(body(ask("/healthz")), "ok\n");
}

TEST_F(AdminTest, a_unix_socket_is_open_to_whom_its_directory_lets_in) {
    char directory[] = "/tmp/lb-admin-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    fmt::format_to_n(path.sun_path, sizeof path.sun_path - 1, "{}/admin", directory);
    listening = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(listening.get(), reinterpret_cast<sockaddr*>(&path), sizeof path), 0);
    ASSERT_EQ(listen(listening.get(), 16), 0);
    config->admin.allow.clear();
    start();
    const Fd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{5, 0};
    setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&path), sizeof path), 0);
    say(client, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(body(rest(client)), "ok\n");
    unlink(path.sun_path);
    rmdir(directory);
}

TEST_F(AdminTest, moves_its_heartbeat_and_its_epoch_while_idle) {
    start();
    const shm::ColumnHead& head = table.segment.column(1);
    const std::uint64_t first = head.heartbeat;
    ASSERT_GT(first, 0u);
    table.segment.header().epoch = 77;
    EXPECT_TRUE(until([&] { return head.epoch == 77 && head.heartbeat >= first + 100'000; }));
}

TEST_F(AdminTest, however_many_ask_for_large_pages_its_heartbeat_and_its_health_come_in_between) {
    table.pool(0, "app");
    std::string long_name(60'000, 'x');
    for (std::uint32_t i = 0; i < 60; i++) table.backend(i, 0, long_name + std::to_string(i));
    start();
    std::vector<Fd> many;
    many.reserve(80);
    for (int i = 0; i < 80; i++) many.push_back(connection());
    ASSERT_EQ(body(ask("/healthz")), "ok\n") << "all of them are accepted";
    const shm::ColumnHead& head = table.segment.column(1);
    const Micros begun = monotonic_now();
    ASSERT_EQ(kill(pid, SIGSTOP), 0);
    for (std::size_t i = 0; i < many.size(); i++) {
        say(many[i], fmt::format("GET /api/pools/none{} HTTP/1.1\r\nHost: x\r\n\r\n", i));
    }
    std::vector<Fd> same;
    const timeval limit{60, 0};
    for (int i = 0; i < 8; i++) {
        same.push_back(connection());
        setsockopt(same.back().get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        say(same.back(), "GET /api/pools/other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    ASSERT_EQ(kill(pid, SIGCONT), 0);
    std::uint64_t last = head.heartbeat;
    Micros seen = monotonic_now(), longest = 0;
    auto done = std::async(std::launch::async, [&] {
        return std::count_if(same.begin(), same.end(),
                             [](const Fd& fd) { return rest(fd).starts_with("HTTP/1.1 404 "); });
    });
    auto health = std::async(std::launch::async, [&] {
        EXPECT_EQ(body(ask("/healthz")), "ok\n");
        return monotonic_now();
    });
    while (done.wait_for(std::chrono::milliseconds(2)) != std::future_status::ready) {
        const Micros now = monotonic_now();
        if (head.heartbeat != last) seen = now;
        last = head.heartbeat;
        longest = std::max(longest, now - seen);
    }
    const Micros took = monotonic_now() - begun;
    EXPECT_LT(longest, took / 2) << "its heartbeat";
    EXPECT_LT(health.get() - begun, took / 2);
    EXPECT_EQ(done.get(), 8);
}

TEST_F(AdminTest, who_asks_for_the_same_page_at_the_same_time_shares_it) {
    table.pool(0, "app");
    std::string long_name(60'000, 'x');
    for (std::uint32_t i = 0; i < 60; i++) table.backend(i, 0, long_name + std::to_string(i));
    start();
    const Micros idle = cpu_time();
    EXPECT_THAT(ask("/status", "HEAD"), StartsWith("HTTP/1.1 200 "));
    const Micros one = cpu_time() - idle;
    std::vector<Fd> many;
    ASSERT_EQ(kill(pid, SIGSTOP), 0);
    for (int i = 0; i < 60; i++) {
        many.push_back(connection());
        say(many.back(), "HEAD /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    const Micros before = cpu_time();
    ASSERT_EQ(kill(pid, SIGCONT), 0);
    for (const Fd& fd : many) EXPECT_THAT(rest(fd), StartsWith("HTTP/1.1 200 "));
    EXPECT_LT(cpu_time() - before, one * 20);
}

// Requests that are nearly right, in pieces, with ends in the middle: whatever comes, the next one is answered.
TEST_F(AdminTest, nothing_that_a_client_sends_or_leaves_out_breaks_it) {
    config->admin.token_file = "/etc/lb/admin.token";
    config->admin.token = "s3cret";
    table.pool(0, "app");
    table.backend(0, 0, "a1");
    start();
    const std::string whole[] = {
        "GET /status HTTP/1.1\r\nHost: x\r\n\r\n",
        "HEAD /api/v1/load HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://x/api/pools/%61pp HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n",
        "POST /healthz HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        put + "Authorization: Bearer s3cret\r\nContent-Length: 9\r\n\r\n{\"ttl\":1}",
        put +
            "Authorization: Bearer s3cret\r\nTransfer-Encoding: "
            "chunked\r\n\r\n5;a=b\r\n{\"a\":\r\n2\r\n1}\r\n0\r\nX: "
            "y\r\n\r\n"};
    const std::string parts[] = {"\r\n",
                                 "\n",
                                 std::string(1, '\0'),
                                 "ffffffffffffffff\r\n",
                                 "Content-Length: 0\r\n",
                                 "Transfer-Encoding: chunked\r\n",
                                 "[[[[[",
                                 std::string(9000, 'a')};
    std::mt19937 random(5);
    const auto upto = [&](std::size_t most) {
        return std::uniform_int_distribution<std::size_t>(0, most)(random);
    };
    for (int round = 0; round < 1000; round++) {
        std::string bytes = whole[upto(std::size(whole) - 1)];
        for (std::size_t left = upto(4); left > 0; left--) {
            const std::size_t at = upto(bytes.size());
            switch (upto(4)) {
                case 0: bytes.insert(at, parts[upto(std::size(parts) - 1)]); break;
                case 1: bytes.insert(at, 1, static_cast<char>(upto(255))); break;
                case 2: bytes.erase(at, upto(8)); break;
                case 3: bytes += whole[upto(std::size(whole) - 1)]; break;
                default: bytes.resize(at); break;
            }
        }
        const Fd fd = connection();
        ASSERT_TRUE(fd) << "round " << round;
        const std::size_t first = upto(bytes.size());
        static_cast<void>(send(fd.get(), bytes.data(), first, MSG_NOSIGNAL));
        const std::size_t how = upto(3);
        if (how == 0) {  // ends with a reset, which may overtake an answer
            const linger now{1, 0};
            setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
            continue;
        }
        static_cast<void>(send(fd.get(), bytes.data() + first, bytes.size() - first, MSG_NOSIGNAL));
        if (how == 1) continue;
        shutdown(fd.get(), SHUT_WR);
        const std::string answer = rest(fd);
        EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 ")) << "round " << round << ": " << answer;
        if (round % 100 == 0) {
            EXPECT_EQ(body(ask("/healthz")), "ok\n") << "round " << round;
        }
    }
    ASSERT_TRUE(master.send({MessageKind::drain, 0, 5000}));
    EXPECT_EQ(ended(), 0);
}

class AdminTold : public AdminTest, public testing::WithParamInterface<MessageKind> {};
TEST_P(AdminTold, ends_at_once_when_nothing_is_under_way) {
    start();
    const Fd idle = connection();
    ASSERT_TRUE(idle);
    const Micros told = monotonic_now();
    ASSERT_TRUE(master.send({GetParam(), 0, 5000}));
    EXPECT_EQ(ended(), 0);
    EXPECT_LT(monotonic_now() - told, 900'000) << "an idle connection holds up nothing";
}
INSTANTIATE_TEST_SUITE_P(Both, AdminTold, testing::Values(MessageKind::stop, MessageKind::drain));

TEST_F(AdminTest, finishes_an_answer_under_way_before_it_ends) {
    table.pool(0, "app");
    std::string long_name(60'000, 'x');
    for (std::uint32_t i = 0; i < 60; i++) table.backend(i, 0, long_name + std::to_string(i));
    start();
    const Fd slow = connection();
    // The answer is far larger than what the sockets hold, so it is under way until we read.
    say(slow, "GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
    pollfd readable{slow.get(), POLLIN, 0};
    ASSERT_EQ(poll(&readable, 1, 5000), 1);
    ASSERT_TRUE(master.send({MessageKind::drain, 0, 5000}));
    const std::string answer = rest(slow);
    const std::string head = answer.substr(0, answer.find("\r\n\r\n"));
    EXPECT_THAT(head, HasSubstr(fmt::format("Content-Length: {}", body(answer).size())));
    EXPECT_GT(body(answer).size(), 60u * 60'000);
    EXPECT_EQ(ended(), 0);
}

TEST_F(AdminTest, a_reader_that_stalls_does_not_keep_it_alive) {
    table.pool(0, "app");
    std::string long_name(60'000, 'x');
    for (std::uint32_t i = 0; i < 60; i++) table.backend(i, 0, long_name + std::to_string(i));
    start();
    const Fd stalled = connection();
    say(stalled, "GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
    pollfd readable{stalled.get(), POLLIN, 0};
    ASSERT_EQ(poll(&readable, 1, 5000), 1);
    const Micros told = monotonic_now();
    ASSERT_TRUE(master.send({MessageKind::stop, 0, 0}));
    EXPECT_EQ(ended(), 0);
    EXPECT_GT(monotonic_now() - told, 700'000);
    EXPECT_LT(monotonic_now() - told, 3'000'000);
}

TEST_F(AdminTest, says_that_the_master_is_gone_and_ends_after_a_while) {
    start();
    EXPECT_EQ(body(ask("/healthz")), "ok\n");
    const Micros gone = monotonic_now();
    master.close();
    EXPECT_TRUE(until([&] { return ask("/healthz").starts_with("HTTP/1.1 503 "); }));
    EXPECT_THAT(ask("/metrics"), StartsWith("HTTP/1.1 200 "))
        << "the last words of a table are worth reading";
    EXPECT_EQ(ended(), 0);
    EXPECT_GT(monotonic_now() - gone, 4'500'000);
}

TEST_F(AdminTest, survives_more_connections_than_it_has_descriptors) {
    start();
    std::vector<Fd> idle;
    for (int i = 0; i < 600; i++) idle.push_back(connection());
    const shm::ColumnHead& head = table.segment.column(1);
    const std::uint64_t full = head.heartbeat;
    ASSERT_TRUE(until([&] { return head.heartbeat > full + 200'000; })) << "its loop must go on";
    const Micros busy = cpu_time();
    ASSERT_TRUE(until([&] { return head.heartbeat > full + 700'000; }));
    EXPECT_LT(cpu_time() - busy, 30'000) << "and not spin";
    idle.clear();
    EXPECT_EQ(body(ask("/healthz")), "ok\n") << "and it accepts again";
}

}  // namespace
}  // namespace lb::admin
