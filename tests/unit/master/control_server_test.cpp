// tests/unit/master/control_server_test.cpp -- the control socket: its file, its protocol, its limits.
#include "master/control_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "shared/process/control.h"
#include "sockets.h"

namespace lb {
namespace {

namespace fs = std::filesystem;

class Control : public ::testing::Test {
 protected:
    void SetUp() override {
        char name[] = "/tmp/lb-unit-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        dir_ = name;
        path_ = (dir_ / "control.sock").string();
    }
    void TearDown() override { fs::remove_all(dir_); }

    static Fd dial(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.reset();
        return fd;
    }
    // Runs the loop until the server has said everything and closed.
    std::string answer_on(const Fd& fd) {
        std::string text;
        const bool closed = eventually([&] {
            event_base_loop(base_.get(), EVLOOP_NONBLOCK);
            char bytes[4096];
            const ssize_t got = recv(fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
            if (got > 0) text.append(bytes, static_cast<std::size_t>(got));
            return got == 0 || (got < 0 && errno == ECONNRESET);
        });
        EXPECT_TRUE(closed) << text;
        return text;
    }
    std::string ask(const std::string& line) {
        const Fd fd = dial(path_);
        EXPECT_TRUE(fd);
        EXPECT_EQ(send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL), static_cast<ssize_t>(line.size()));
        return answer_on(fd);
    }

    fs::path dir_;
    std::string path_;
    EventBasePtr base_ = make_event_base();
    std::vector<std::string> asked_;
    CallerPtr held_;
    ControlServer server_{base_.get(), getuid(), [this](std::string_view text, const CallerPtr& caller) {
                              asked_.emplace_back(text);
                              if (text == "hold") {
                                  held_ = caller;
                              } else if (text != "forget") {
                                  caller->info("one\ntwo");
                                  caller->error("bad");
                                  caller->done(text == "good", "over");
                              }
                          }};
};

TEST_F(Control, AnswersALineWithLinesAndAnOutcome) {
    ASSERT_EQ(server_.listen(path_), "");
    EXPECT_EQ(ask("good\n"), "info one two\nerror bad\nok over\n");
    EXPECT_EQ(ask("other\r\nmore\n"), "info one two\nerror bad\nfailed over\n");
    EXPECT_EQ(asked_, (std::vector<std::string>{"good", "other"})) << "one line each";
}

TEST_F(Control, ProgressIsSentWhenFlushedAndWhatIsNotTakenIsHeld) {
    ASSERT_EQ(server_.listen(path_), "");
    Fd fd = dial(path_);
    ASSERT_EQ(send(fd.get(), "hold\n", 5, 0), 5);
    ASSERT_TRUE(eventually([&] {
        event_base_loop(base_.get(), EVLOOP_NONBLOCK);
        return held_ != nullptr;
    }));
    held_->info("halfway");
    EXPECT_TRUE(held_->flush());
    char bytes[64] = {};
    ASSERT_EQ(recv(fd.get(), bytes, sizeof bytes, MSG_DONTWAIT), 13);
    EXPECT_STREQ(bytes, "info halfway\n");
    EXPECT_EQ(held_->held(), std::optional<std::size_t>(0));
    EXPECT_EQ(event_base_loop(base_.get(), EVLOOP_NONBLOCK), 0);
    EXPECT_EQ(event_base_get_num_events(base_.get(), EVENT_BASE_COUNT_ADDED), 1)
        << "and nobody waits to write";
    const std::string large(60'000, 'x');
    for (int i = 0; i < 20; i++) {
        held_->info(large);
        EXPECT_TRUE(held_->flush());
    }
    EXPECT_GT(held_->held().value_or(0), 100'000u);
    fd.reset();
    EXPECT_TRUE(eventually([&] {
        event_base_loop(base_.get(), EVLOOP_NONBLOCK);
        return !held_->held();
    })) << "nobody waits any more";
}

TEST_F(Control, WaitsForTheOutcome) {
    ASSERT_EQ(server_.listen(path_), "");
    const Fd fd = dial(path_);
    ASSERT_EQ(send(fd.get(), "hold\n", 5, 0), 5);
    ASSERT_TRUE(eventually([&] {
        event_base_loop(base_.get(), EVLOOP_NONBLOCK);
        return held_ != nullptr;
    }));
    EXPECT_EQ(ask("good\n"), "info one two\nerror bad\nok over\n") << "meanwhile others are answered";
    char byte = 0;
    EXPECT_EQ(recv(fd.get(), &byte, 1, MSG_DONTWAIT), -1);
    held_->done(true, "at last");
    held_->done(false, "twice");
    EXPECT_EQ(answer_on(fd), "ok at last\n");
}

TEST_F(Control, ARequestThatIsForgottenFails) {
    ASSERT_EQ(server_.listen(path_), "");
    EXPECT_EQ(ask("forget\n"), "failed the request was given up\n");
}

TEST_F(Control, SurvivesAClientThatLeftBeforeTheOutcome) {
    ASSERT_EQ(server_.listen(path_), "");
    {
        const Fd fd = dial(path_);
        ASSERT_EQ(send(fd.get(), "hold\n", 5, 0), 5);
        ASSERT_TRUE(eventually([&] {
            event_base_loop(base_.get(), EVLOOP_NONBLOCK);
            return held_ != nullptr;
        }));
    }
    held_->info("anyone?");
    held_->done(true, "over");
    EXPECT_EQ(ask("good\n"), "info one two\nerror bad\nok over\n");
}

TEST_F(Control, RefusesARequestWithoutAnEnd) {
    ASSERT_EQ(server_.listen(path_), "");
    EXPECT_EQ(ask(std::string(control::max_request, 'x')).substr(0, 7), "failed ");
    EXPECT_TRUE(asked_.empty());
    EXPECT_EQ(ask(std::string(control::max_request - 1, 'x') + "\n").substr(0, 5), "info ");
}

TEST_F(Control, TakesAtMostSoManyAtOnceAndDropsTheSlow) {
    ControlServer hasty(
        base_.get(), getuid(), [](std::string_view, const CallerPtr& caller) { caller->done(true, "over"); },
        300'000);
    ASSERT_EQ(hasty.listen(path_), "");
    std::vector<Fd> slow;
    for (std::size_t i = 0; i < ControlServer::most_clients; i++) {
        slow.push_back(dial(path_));
        ASSERT_TRUE(slow.back());
        event_base_loop(base_.get(), EVLOOP_NONBLOCK);
    }
    EXPECT_EQ(answer_on(dial(path_)), "failed too many requests at once\n");
    EXPECT_EQ(answer_on(slow.front()), "") << "dropped when its time is over";
    EXPECT_EQ(ask("good\n"), "ok over\n");
}

TEST_F(Control, SendsAnAnswerLargerThanTheSocketTakesAtOnce) {
    ASSERT_EQ(server_.listen(path_), "");
    const Fd fd = dial(path_);
    ASSERT_EQ(send(fd.get(), "hold\n", 5, 0), 5);
    ASSERT_TRUE(eventually([&] {
        event_base_loop(base_.get(), EVLOOP_NONBLOCK);
        return held_ != nullptr;
    }));
    for (int i = 0; i < 1000; i++) held_->info(std::string(1000, 'x'));
    held_->done(true, "over");
    const std::string text = answer_on(fd);
    EXPECT_EQ(text.size(), 1000U * 1006 + 8);
    EXPECT_TRUE(text.ends_with("ok over\n"));
}

TEST_F(Control, TheFileIsForOwnerAndGroupOnlyAndGoesAtTheEnd) {
    ASSERT_EQ(server_.listen(path_), "");
    struct stat info {};
    ASSERT_EQ(stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0660U);
    server_.close();
    EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(Control, ASecondMasterIsRefusedAndToldWhoRuns) {
    ASSERT_EQ(server_.listen(path_), "");
    ControlServer second(base_.get(), getuid(), [](std::string_view, const CallerPtr&) {});
    const std::string error = second.listen(path_);
    EXPECT_NE(error.find("already running, pid " + std::to_string(getpid())), std::string::npos) << error;
    EXPECT_EQ(running_master(path_).value(), getpid());
    EXPECT_TRUE(dial(path_)) << "the first one keeps its socket";
}

TEST_F(Control, AStaleSocketIsReplacedButNothingElse) {
    const pid_t pid = fork();
    if (pid == 0) {
        ControlServer dying(base_.get(), getuid(), [](std::string_view, const CallerPtr&) {});
        _exit(dying.listen(path_).empty() ? 0 : 1);  // without any clean-up, as by kill -9
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_EQ(status, 0);
    ASSERT_TRUE(fs::exists(path_));
    EXPECT_EQ(running_master(path_).value(), 0);
    EXPECT_EQ(server_.listen(path_), "");
    EXPECT_EQ(ask("good\n"), "info one two\nerror bad\nok over\n");

    const std::string file = (dir_ / "precious").string();
    std::ofstream(file) << "text";
    EXPECT_NE(server_.listen(file), "");
    EXPECT_EQ(fs::file_size(file), 4U);
    EXPECT_TRUE(dial(path_)) << "the old one stays when the new one cannot be";
}

TEST_F(Control, MovesToAnotherPath) {
    ASSERT_EQ(server_.listen(path_), "");
    const std::string other = (dir_ / "other.sock").string();
    ASSERT_EQ(server_.listen(other), "");
    EXPECT_FALSE(fs::exists(path_));
    path_ = other;
    EXPECT_EQ(ask("good\n"), "info one two\nerror bad\nok over\n");
    EXPECT_EQ(server_.path(), other);
}

TEST_F(Control, APathThatIsTooLongIsAnError) {
    EXPECT_NE(server_.listen("/tmp/" + std::string(200, 'x')).find("longer than"), std::string::npos);
}

TEST_F(Control, AnotherUserMayNotAsk) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
    ASSERT_EQ(server_.listen(path_), "");
    ASSERT_EQ(chmod(path_.c_str(), 0666), 0);  // so that it is the credentials that keep him out
    ASSERT_EQ(chmod(dir_.c_str(), 0755), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        if (setuid(65534) != 0) _exit(1);
        const Fd fd = dial(path_);
        if (!fd || send(fd.get(), "good\n", 5, MSG_NOSIGNAL) != 5) _exit(2);
        char bytes[16] = {};
        if (recv(fd.get(), bytes, 7, MSG_WAITALL) != 7) _exit(3);
        _exit(std::strcmp(bytes, "failed ") == 0 ? 0 : 4);
    }
    int status = 0;
    ASSERT_TRUE(eventually([&] {
        event_base_loop(base_.get(), EVLOOP_NONBLOCK);
        return waitpid(pid, &status, WNOHANG) == pid;
    }));
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(asked_.empty());
}

}  // namespace
}  // namespace lb
