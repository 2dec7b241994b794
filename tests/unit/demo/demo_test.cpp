// lb demo as a person uses it: a process of its own, its output read from a pipe, its backends asked over
// sockets.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "master/cli/options.h"
#include "shared/base/clock.h"
#include "shared/net/fd.h"

namespace lb::cli {
namespace {

constexpr Micros patience = 5'000'000;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

// A port that nobody uses, or with `fd` one that somebody listens on.
std::uint16_t pick_port(Fd* fd = nullptr) {
    Fd mine(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    EXPECT_EQ(bind(mine.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t length = sizeof address;
    EXPECT_EQ(getsockname(mine.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    if (fd != nullptr) {
        EXPECT_EQ(listen(mine.get(), 1), 0);
        *fd = std::move(mine);
    }
    return ntohs(address.sin_port);
}

// The whole answer to one request, or "" when nobody listens.
std::string ask(std::uint16_t port, const std::string& line) {
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return "";
    const timeval limit{5, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const std::string request = line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    std::string answer;
    char bytes[4096];
    for (ssize_t n = 0; (n = recv(fd.get(), bytes, sizeof bytes, 0)) > 0;) {
        answer.append(bytes, static_cast<std::size_t>(n));
    }
    return answer;
}

class Demo {
 public:
    explicit Demo(const std::vector<std::string>& arguments) {
        int out[2];
        EXPECT_EQ(pipe(out), 0);
        pid = fork();
        if (pid == 0) {
            dup2(out[1], 1);
            dup2(out[1], 2);
            Options options;
            options.arguments = arguments;
            _exit(demo(options));
        }
        ::close(out[1]);
        read_.reset(out[0]);
    }
    Demo(const Demo&) = delete;
    Demo& operator=(const Demo&) = delete;
    ~Demo() {
        if (pid > 0) kill(pid, SIGKILL);
        if (pid > 0) waitpid(pid, nullptr, 0);
    }
    // Reads on until the output holds the text; false at the end of the output or of patience.
    bool says(const std::string& text) {
        const Micros end = monotonic_now() + patience;
        while (output.find(text) == std::string::npos) {
            pollfd waiting{read_.get(), POLLIN, 0};
            if (monotonic_now() > end || poll(&waiting, 1, 100) < 0) return false;
            if (waiting.revents == 0) continue;
            char bytes[1024];
            const ssize_t n = read(read_.get(), bytes, sizeof bytes);
            if (n <= 0) return false;
            output.append(bytes, static_cast<std::size_t>(n));
        }
        return true;
    }
    // The end of its output comes when the last process that holds it is gone: the parent and every backend.
    bool all_gone() { return !says("a text that never comes"); }
    int exit_status() {
        int status = 0;
        EXPECT_EQ(waitpid(std::exchange(pid, -1), &status, 0) >= 0, true);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    // The pid it printed for a port.
    pid_t backend(std::uint16_t port) const {
        const std::string before = fmt::format("http://127.0.0.1:{}  pid ", port);
        const std::size_t at = output.find(before);
        return at == std::string::npos ? -1 : std::atoi(output.c_str() + at + before.size());
    }

    pid_t pid = -1;
    std::string output;

 private:
    Fd read_;
};

std::vector<std::string> words(const std::vector<std::uint16_t>& ports) {
    std::vector<std::string> out;
    for (const std::uint16_t port : ports) out.push_back(std::to_string(port));
    return out;
}

TEST(Demo, answers_each_path_and_the_health_check) {
    const std::uint16_t a = pick_port(), b = pick_port();
    Demo demo(words({a, b}));
    ASSERT_TRUE(demo.says(fmt::format("127.0.0.1:{}  pid ", b)));
    for (const std::uint16_t port : {a, b}) {
        const std::string hello = fmt::format("hello from demo-{} (port {})\n", port, port);
        const std::string answer = ask(port, "GET /any/path?x=1");
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
        EXPECT_TRUE(answer.ends_with("\r\n\r\n" + hello)) << answer;
        EXPECT_NE(answer.find(fmt::format("\r\nX-Backend: demo-{}\r\n", port)), std::string::npos) << answer;
        EXPECT_NE(answer.find("\r\nContent-Type: text/plain\r\n"), std::string::npos) << answer;
        EXPECT_TRUE(ask(port, "GET /healthcheck").ends_with("\r\n\r\nok\n"));
        const std::string head = ask(port, "HEAD /");
        EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
        EXPECT_NE(head.find(fmt::format("\r\nContent-Length: {}\r\n", hello.size())), std::string::npos)
            << head;
    }
}

TEST(Demo, a_killed_backend_is_reported_refuses_and_can_be_brought_back) {
    const std::uint16_t a = pick_port(), b = pick_port();
    Demo demo(words({a, b}));
    ASSERT_TRUE(demo.says(fmt::format("127.0.0.1:{}  pid ", b)));
    const pid_t victim = demo.backend(a);
    ASSERT_GT(victim, 1);
    ASSERT_NE(ask(a, "GET /"), "");
    kill(victim, SIGKILL);
    ASSERT_TRUE(demo.says(fmt::format(
        "backend demo-{} (port {}, pid {}) ended; bring it back with: lb demo {}\n", a, a, victim, a)))
        << demo.output;
    EXPECT_EQ(ask(a, "GET /"), "") << "nobody may keep its port open";
    EXPECT_NE(ask(b, "GET /"), "");
    Demo again(words({a}));
    ASSERT_TRUE(again.says("pid "));
    EXPECT_TRUE(ask(a, "GET /").ends_with(fmt::format("hello from demo-{} (port {})\n", a, a)));
}

TEST(Demo, ends_everything_on_a_signal_with_status_0) {
    for (const int number : {SIGINT, SIGTERM}) {
        const std::uint16_t a = pick_port(), b = pick_port();
        Demo demo(words({a, b}));
        ASSERT_TRUE(demo.says(fmt::format("127.0.0.1:{}  pid ", b)));
        kill(demo.pid, number);
        EXPECT_TRUE(demo.all_gone());
        EXPECT_EQ(demo.exit_status(), 0);
        EXPECT_EQ(ask(a, "GET /"), "");
    }
}

TEST(Demo, backends_end_with_their_parent) {
    const std::uint16_t a = pick_port();
    Demo demo(words({a}));
    ASSERT_TRUE(demo.says("pid "));
    ASSERT_NE(ask(a, "GET /"), "");
    kill(demo.pid, SIGKILL);
    EXPECT_TRUE(demo.all_gone());
    EXPECT_EQ(ask(a, "GET /"), "");
}

TEST(Demo, ends_when_no_backend_is_left) {
    const std::uint16_t a = pick_port();
    Demo demo(words({a}));
    ASSERT_TRUE(demo.says("pid "));
    kill(demo.backend(a), SIGKILL);
    EXPECT_TRUE(demo.says("lb demo: no backend is left\n")) << demo.output;
    EXPECT_EQ(demo.exit_status(), 1);
}

TEST(Demo, a_port_in_use_is_named_and_nothing_starts) {
    Fd taken;
    const std::uint16_t free_port = pick_port(), used = pick_port(&taken);
    Demo demo(words({free_port, used}));
    EXPECT_TRUE(
        demo.says(fmt::format("lb demo: cannot listen on 127.0.0.1:{}: Address already in use\n", used)))
        << demo.output;
    EXPECT_EQ(demo.exit_status(), 1);
    EXPECT_EQ(demo.output.find("pid"), std::string::npos);
}

TEST(Demo, refuses_what_is_no_list_of_ports) {
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"0"}, {"65536"}, {"80a"}, {""}, {"-1"}, {"8081", "8081"}, std::vector<std::string>(17, "1")}) {
        Demo demo(arguments);
        EXPECT_TRUE(demo.says("lb demo: ")) << arguments[0];
        EXPECT_EQ(demo.exit_status(), 2) << arguments[0];
    }
}

}  // namespace
}  // namespace lb::cli
