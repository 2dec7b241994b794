// The admin process as its operator and its master see it: forked, asked over sockets, told over the channel.
#include "master/admin/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
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
    [[nodiscard]] Fd connection() const {
        Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in to = address();
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

TEST_F(AdminTest, refuses_other_methods_bodies_and_large_heads) {
    start();
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"}) {
        EXPECT_THAT(ask("/healthz", method), testing::Not(StartsWith("HTTP/1.1 2"))) << method;
    }
    Fd fd = connection();
    say(fd, "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_THAT(rest(fd), testing::Not(HasSubstr("200 OK")));
    fd = connection();
    say(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + std::string(9'000, 'x') + "\r\n\r\n");
    EXPECT_THAT(rest(fd), testing::Not(HasSubstr("200 OK")));
    EXPECT_EQ(body(ask("/healthz")), "ok\n");
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
    EXPECT_EQ(fake.answer("ok\x20\n"), "backend\tweight\tapp/a1\t3");
    EXPECT_EQ(fake.answer("ok app/a1 drains\n"), "backend\tdrain\tapp/a1\t");
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
    EXPECT_THAT(tell("PATCH", "/api/v1/pools/app/backends/none", R"({"state":"maint"})"),
                StartsWith("HTTP/1.1 404 "));
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
