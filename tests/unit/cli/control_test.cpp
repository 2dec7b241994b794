// tests/unit/cli/control_test.cpp -- lb -s and lb explain against a control socket played by a thread: what is printed where, what the
// exit status is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <future>
#include <thread>

#include "master/cli/options.h"
#include "shared/net/fd.h"

namespace lb::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Control : public testing::Test {
 protected:
    Control() {
        std::string name = (std::filesystem::temp_directory_path() / "lb-cli-XXXXXX").string();
        directory_ = mkdtemp(name.data());
        path_ = directory_ + "/c.sock";
        options_.action = Action::signal;
        options_.signal = "reload";
        options_.source.file = directory_ + "/none.ini";
        options_.source.overrides = {"control = " + path_};
    }
    ~Control() override { std::filesystem::remove_all(directory_); }

    // A socket that listens but is served by nobody yet.
    Fd listening(int backlog) {
        Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
        EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(fd.get(), backlog), 0);
        return fd;
    }

    // Runs lb -s against a master that reads one line, writes these pieces, and closes.
    int ask(const std::vector<std::string>& pieces) {
        const Fd server = listening(1);
        auto request = std::async(std::launch::async, [&] {
            const Fd client(accept(server.get(), nullptr, nullptr));
            std::string line;
            for (char c = 0; c != '\n' && read(client.get(), &c, 1) == 1;) line += c;
            for (const std::string& piece : pieces) {
                if (write(client.get(), piece.data(), piece.size()) < 0) break;
            }
            return line;
        });
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        const int status = options_.action == Action::explain   ? explain(options_)
                           : options_.action == Action::status  ? show_status(options_)
                           : options_.action == Action::backend ? change_backends(options_)
                                                                : send_signal(options_);
        request_ = request.get();
        take();
        return status;
    }
    int ask_nobody() {
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        const int status = send_signal(options_);
        take();
        return status;
    }
    void take() {
        out_ = testing::internal::GetCapturedStdout();
        err_ = testing::internal::GetCapturedStderr();
    }

    Options options_;
    std::string directory_, path_, request_, out_, err_;
};

TEST_F(Control, ShowsProgressAndSuccess) {
    EXPECT_EQ(ask({"info 4 new wor", "kers\ninfo ready\nok reloaded\n"}), 0);
    EXPECT_EQ(request_, "reload\n");
    EXPECT_EQ(out_, "4 new workers\nready\nreloaded\n");
    EXPECT_EQ(err_, "");
}

TEST_F(Control, ShowsErrorsAndFailure) {
    EXPECT_EQ(ask({"info reading\nerror lb.ini:3: x\nfailed nothing was changed\n"}), 1);
    EXPECT_EQ(out_, "reading\n");
    EXPECT_EQ(err_, "lb.ini:3: x\nlb: nothing was changed\n");
}

TEST_F(Control, QuietLeavesErrors) {
    options_.quiet = true;
    EXPECT_EQ(ask({"info reading\nerror bad\nfailed no\n"}), 1);
    EXPECT_EQ(out_, "");
    EXPECT_EQ(err_, "bad\nlb: no\n");
    EXPECT_EQ(unlink(path_.c_str()), 0);
    EXPECT_EQ(ask({"info reading\nok done\n"}), 0);
    EXPECT_EQ(out_ + err_, "");
}

TEST_F(Control, AnEndWithoutAnOutcomeIsAFailure) {
    EXPECT_EQ(ask({"info reading\nok rel"}), 1);
    EXPECT_EQ(out_, "reading\n");
    EXPECT_EQ(err_, "lb: the connection ended before lb said how it went\n");
}

TEST_F(Control, WhatIsNoLbIsNotBelieved) {
    EXPECT_EQ(ask({"HTTP/1.1 400 Bad Request\r\n"}), 1);
    EXPECT_THAT(err_, HasSubstr("is no lb"));
    EXPECT_EQ(unlink(path_.c_str()), 0);
    EXPECT_EQ(ask({"info " + std::string(70000, 'x')}), 1);
    EXPECT_THAT(err_, HasSubstr("is no lb"));
}

TEST_F(Control, NobodyThere) {
    EXPECT_EQ(ask_nobody(), 1);
    EXPECT_EQ(err_, "lb: no lb is running (control socket " + path_ + "): No such file or directory\n");
    listening(1).reset();
    EXPECT_EQ(ask_nobody(), 1);
    EXPECT_EQ(err_, "lb: no lb is running (control socket " + path_ + "): Connection refused\n");
}

TEST_F(Control, AFullQueueIsGivenUpOn) {
    const Fd server = listening(0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    const Fd first(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(first.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(ask_nobody(), 1);
    const auto took = std::chrono::steady_clock::now() - start;
    EXPECT_EQ(err_, "lb: the running lb does not answer (control socket " + path_ + ")\n");
    EXPECT_GE(took, std::chrono::seconds(4));
    EXPECT_LT(took, std::chrono::seconds(20));
}

TEST_F(Control, ExplainSendsTheRequestInOneLine) {
    options_.action = Action::explain;
    options_.explain = {"GET", "http://h/a b", {"X-A: 1", "Y:"}, "192.0.2.1", "web"};
    EXPECT_EQ(ask({"info listener  web\nok backend a1 of pool app\n"}), 0);
    EXPECT_EQ(request_, "explain\tGET\thttp://h/a b\t192.0.2.1\tweb\tX-A: 1\tY:\n");
    EXPECT_EQ(out_, "listener  web\nbackend a1 of pool app\n");
    options_.explain = {"GET", "http://h/", {}, "", ""};
    EXPECT_EQ(unlink(path_.c_str()), 0);
    EXPECT_EQ(ask({"failed no route\n"}), 1);
    EXPECT_EQ(request_, "explain\tGET\thttp://h/\t\t\n");
    EXPECT_EQ(err_, "lb: no route\n");
}

TEST_F(Control, ExplainRefusesWhatTheLineCannotHold) {
    options_.action = Action::explain;
    const std::string fixed = "explain\tGET\t\t\t";
    options_.explain = {"GET", std::string(4095 - fixed.size(), 'x'), {}, "", ""};
    EXPECT_EQ(ask({"ok taken\n"}), 0);
    EXPECT_EQ(request_.size(), 4096U) << "with its line feed";
    options_.explain.target += "x";
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    EXPECT_EQ(explain(options_), 2);
    take();
    EXPECT_EQ(err_,
              "lb: the request is too long to be explained: 4096 bytes where the control socket takes 4095\n"
              "Try 'lb explain --help'.\n");
}

TEST_F(Control, StatusIsATableOrTheJsonAsItCame) {
    options_.action = Action::status;
    const std::vector<std::string> answer{
        "info {\ninfo  \"version\": \"9\",\ninfo  \"pools\": []\ninfo }\nok \n"};
    EXPECT_EQ(ask(answer), 0);
    EXPECT_EQ(request_, "status\tjson\n");
    EXPECT_THAT(out_, StartsWith("lb 9  up 0s"));
    EXPECT_EQ(out_.find('\x1b'), std::string::npos) << "this is no terminal";
    options_.json = true;
    EXPECT_EQ(unlink(path_.c_str()), 0);
    EXPECT_EQ(ask(answer), 0);
    EXPECT_EQ(out_, "{\n \"version\": \"9\",\n \"pools\": []\n}\n");
    EXPECT_EQ(unlink(path_.c_str()), 0);
    EXPECT_EQ(ask({"info {\nfailed starting\n"}), 1);
    EXPECT_EQ(out_, "");
    EXPECT_EQ(err_, "lb: starting\n");
}

TEST_F(Control, BackendShowsProgressAndExportOnlyTheLines) {
    options_.action = Action::backend;
    options_.request = "backend\tdrain\tapp/a1\t0";
    EXPECT_EQ(ask({"info app/a1: 3 in flight\n", "ok app/a1 is drained\n"}), 0);
    EXPECT_EQ(request_, "backend\tdrain\tapp/a1\t0\n");
    EXPECT_EQ(out_, "app/a1: 3 in flight\napp/a1 is drained\n");
    options_.request = "backend\texport";
    EXPECT_EQ(unlink(path_.c_str()), 0);
    EXPECT_EQ(ask({"info [pool app]\ninfo backend = 10.0.0.7:80\nok 1 change\n"}), 0);
    EXPECT_EQ(out_, "[pool app]\nbackend = 10.0.0.7:80\n");
}

TEST_F(Control, MistakesOfTheCommandLineAreShown) {
    options_.source.overrides.clear();
    EXPECT_EQ(ask_nobody(), 1);
    EXPECT_EQ(err_, "lb: " + directory_ + "/none.ini: cannot be read: No such file or directory\n");
}

}  // namespace
}  // namespace lb::cli
