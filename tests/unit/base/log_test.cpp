// The error log against a real file.
#include "shared/base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace lb::log {
namespace {

class LogTest : public testing::Test {
 protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "lb_log_XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        directory_ = name;
        path_ = name + "/error.log";
        set_role("worker 2");
    }
    void TearDown() override {
        ASSERT_EQ(open({}), "");
        set_role("lb");
        std::filesystem::remove_all(directory_);
    }
    void open_at(Level level) { ASSERT_EQ(open({Kind::file, path_, level}), ""); }
    static std::string content(const std::string& path) {
        std::ostringstream out;
        out << std::ifstream(path).rdbuf();
        return out.str();
    }

    std::string directory_;
    std::string path_;
};

TEST_F(LogTest, WritesTimeLevelRoleAndText) {
    open_at(Level::notice);
    warn("pool {}: {} of {} down", "app", 1, 3);
    const std::string sender = fmt::format(" warn [worker 2 {}] ", getpid());
    EXPECT_THAT(content(path_),
                testing::MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\."
                                      "[0-9]{3}Z warn \\[worker 2 [0-9]+\\] pool app: 1 of 3 down\n"));
    EXPECT_THAT(content(path_), testing::HasSubstr(sender));
}

TEST_F(LogTest, TimeIsNowInUtc) {
    open_at(Level::notice);
    const time_t before = time(nullptr);
    notice("x");
    const time_t after = time(nullptr);
    tm parsed{};
    ASSERT_NE(strptime(content(path_).c_str(), "%Y-%m-%dT%H:%M:%S", &parsed), nullptr);
    const time_t logged = timegm(&parsed);
    EXPECT_GE(logged, before);
    EXPECT_LE(logged, after);
}

TEST_F(LogTest, KeepsLevelsBelowTheThresholdOut) {
    open_at(Level::warn);
    debug("no");
    info("no");
    notice("no");
    EXPECT_EQ(content(path_), "");
    EXPECT_FALSE(enabled(Level::notice));
    error("yes");
    EXPECT_THAT(content(path_), testing::HasSubstr("] yes\n"));
    open_at(Level::debug);
    debug("chosen");
    EXPECT_THAT(content(path_), testing::HasSubstr(" debug [worker 2"));
}

TEST_F(LogTest, TextFromOutsideCannotForgeALine) {
    open_at(Level::notice);
    notice("target {}", "/\r\n2026-01-01T00:00:00.000Z error [master 1] forged\x1b");
    const std::string all = content(path_);
    EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 1);
    EXPECT_THAT(all, testing::HasSubstr("/\\x0d\\x0a2026"));
    EXPECT_THAT(all, testing::HasSubstr("forged\\x1b\n"));
}

TEST_F(LogTest, CutsALongLineVisiblyAtPipeBuf) {
    open_at(Level::notice);
    for (const std::string& text :
         {std::string(5000, 'x'), std::string(5000, '\n'), std::string(4095, '\\')}) {
        ASSERT_EQ(truncate(path_.c_str(), 0), 0);
        notice("{}", text);
        const std::string all = content(path_);
        EXPECT_LE(all.size(), static_cast<std::size_t>(PIPE_BUF));
        EXPECT_GT(all.size(), static_cast<std::size_t>(PIPE_BUF - 5));
        EXPECT_THAT(all, testing::EndsWith("...\n"));
        if (text.front() == '\n') {
            EXPECT_THAT(all, testing::EndsWith("\\x0a...\n")) << "half an escape was left";
        }
    }
}

TEST_F(LogTest, ALineThatFitsExactlyIsNotCut) {
    open_at(Level::notice);
    notice("{}", "");
    const std::size_t overhead = content(path_).size();
    ASSERT_EQ(truncate(path_.c_str(), 0), 0);
    notice("{}", std::string(PIPE_BUF - 3 - overhead, 'x'));
    EXPECT_EQ(content(path_).size(), static_cast<std::size_t>(PIPE_BUF - 3));
    EXPECT_THAT(content(path_), testing::Not(testing::HasSubstr("...")));
}

TEST_F(LogTest, ReopenFollowsTheNameAfterARotation) {
    open_at(Level::notice);
    notice("first");
    const std::string moved = path_ + ".1";
    ASSERT_EQ(rename(path_.c_str(), moved.c_str()), 0);
    notice("second");
    ASSERT_EQ(reopen(), 0);
    notice("third");
    EXPECT_THAT(content(moved), testing::AllOf(testing::HasSubstr("first"), testing::HasSubstr("second")));
    EXPECT_THAT(content(path_),
                testing::AllOf(testing::HasSubstr("third"), testing::Not(testing::HasSubstr("second"))));
}

TEST_F(LogTest, AFailedOpenOrReopenKeepsTheOldDestinationAndSaysWhy) {
    open_at(Level::notice);
    const std::string none = directory_ + "/none/error.log";
    EXPECT_EQ(open({Kind::file, none, Level::error}), none + ": No such file or directory");
    EXPECT_TRUE(enabled(Level::notice));
    notice("still here");
    EXPECT_THAT(content(path_), testing::HasSubstr("still here"));

    const std::string moved = directory_ + ".moved";
    ASSERT_EQ(rename(directory_.c_str(), moved.c_str()), 0);
    EXPECT_EQ(reopen(), ENOENT);
    notice("here too");
    EXPECT_THAT(content(moved + "/error.log"), testing::HasSubstr("here too"));
    std::filesystem::remove_all(moved);
}

TEST_F(LogTest, AppendsToWhatIsThere) {
    std::ofstream(path_) << "old\n";
    open_at(Level::notice);
    notice("new");
    EXPECT_THAT(content(path_), testing::StartsWith("old\n"));
}

TEST_F(LogTest, DescriptorIsTheFilesOwnAndClosedOnExec) {
    open_at(Level::notice);
    struct stat by_fd {};
    struct stat by_name {};
    ASSERT_EQ(fstat(descriptor(), &by_fd), 0);
    ASSERT_EQ(stat(path_.c_str(), &by_name), 0);
    EXPECT_EQ(by_fd.st_ino, by_name.st_ino);
    EXPECT_NE(fcntl(descriptor(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(fcntl(descriptor(), F_GETFL) & O_APPEND, 0);
    const int file = descriptor();
    ASSERT_EQ(open({Kind::syslog, "", Level::notice}), "");
    EXPECT_EQ(descriptor(), -1);
    EXPECT_EQ(fcntl(file, F_GETFD), -1) << "the file was left open";
    ASSERT_EQ(open({}), "");
    EXPECT_EQ(descriptor(), STDERR_FILENO);
}

TEST_F(LogTest, AFifoWithoutReaderIsAnErrorAndNoHang) {
    ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
    EXPECT_EQ(open({Kind::file, path_, Level::notice}), path_ + ": No such device or address");
}

TEST_F(LogTest, AFullFifoLosesLinesAndDoesNotWait) {
    ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
    const int reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK);
    ASSERT_GE(reader, 0);
    open_at(Level::notice);
    for (int i = 0; i < 100; i++) notice("{}", std::string(3000, 'x'));
    SUCCEED() << "returned";
    close(reader);
}

TEST_F(LogTest, LeavesErrnoAlone) {
    open_at(Level::notice);
    errno = EADDRINUSE;
    notice("x");
    EXPECT_EQ(errno, EADDRINUSE);
}

// Standard error of this process becomes one end of a socket pair, as systemd makes it one to the journal.
class JournalTest : public testing::Test {
 protected:
    void SetUp() override {
        int ends[2] = {-1, -1};
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        ours_ = ends[0];
        before_ = dup(STDERR_FILENO);
        ASSERT_EQ(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
        close(ends[1]);
        set_role("worker 2");
    }
    void TearDown() override {
        dup2(before_, STDERR_FILENO);
        close(before_);
        close(ours_);
        unsetenv("JOURNAL_STREAM");
        ASSERT_EQ(open({}), "");
        set_role("lb");
    }
    // DEVICE:INODE of a descriptor, and something added to the second.
    static std::string stream(int fd, std::uint64_t more = 0) {
        struct stat info {};
        EXPECT_EQ(fstat(fd, &info), 0);
        return fmt::format("{}:{}", info.st_dev, info.st_ino + more);
    }
    static void announce(const std::string& stream) { setenv("JOURNAL_STREAM", stream.c_str(), 1); }
    [[nodiscard]] std::string said() const {
        char bytes[4096];
        const ssize_t got = recv(ours_, bytes, sizeof bytes, MSG_DONTWAIT);
        return got < 0 ? "" : std::string(bytes, static_cast<std::size_t>(got));
    }
    std::string line(Level level) {
        EXPECT_EQ(open({Kind::stderr_stream, "", Level::debug}), "");
        detail::write(level, "text");
        return said();
    }

    int ours_ = -1, before_ = -1;
};

TEST_F(JournalTest, GetsThePriorityBeforeEachLine) {
    announce(stream(STDERR_FILENO));
    const std::pair<Level, std::string> wanted[] = {{Level::error, "<3>"},
                                                    {Level::warn, "<4>"},
                                                    {Level::notice, "<5>"},
                                                    {Level::info, "<6>"},
                                                    {Level::debug, "<7>"}};
    for (const auto& [level, prefix] : wanted) {
        const std::string text = line(level);
        EXPECT_THAT(text, testing::StartsWith(prefix + "2"));
        EXPECT_THAT(text,
                    testing::EndsWith(fmt::format("Z {} [worker 2 {}] text\n",
                                                  level_names[static_cast<std::size_t>(level)], getpid())));
    }
}

TEST_F(JournalTest, IsStillOneWithDescriptionsOfOurOwn) {
    announce(stream(STDERR_FILENO));
    own_standard_streams();
    EXPECT_THAT(line(Level::error), testing::StartsWith("<3>2"));
}

TEST_F(JournalTest, AnotherStandardErrorIsLeftAlone) {
    std::string cut = stream(STDERR_FILENO);
    cut.pop_back();
    const std::string other = stream(STDERR_FILENO, 1);
    for (const std::string& name :
         {other, cut, stream(STDERR_FILENO) + "0", std::string(), std::string("x")}) {
        announce(name);
        EXPECT_THAT(line(Level::error), testing::StartsWith("2")) << name;
        say_error("lb: no");
        EXPECT_EQ(said(), "lb: no\n") << name;
    }
    unsetenv("JOURNAL_STREAM");
    EXPECT_THAT(line(Level::error), testing::StartsWith("2"));
}

TEST_F(JournalTest, AFileHasNoPriorities) {
    announce(stream(STDERR_FILENO));
    std::string path = testing::TempDir() + "lb_journal_XXXXXX";
    const int made = mkstemp(path.data());
    ASSERT_GE(made, 0);
    close(made);
    ASSERT_EQ(open({Kind::file, path, Level::debug}), "");
    error("text");
    std::ostringstream content;
    content << std::ifstream(path).rdbuf();
    EXPECT_THAT(content.str(), testing::StartsWith("2"));
    EXPECT_EQ(said(), "");
    unlink(path.c_str());
}

TEST_F(JournalTest, WhatIsSaidWithoutALogHasItToo) {
    announce(stream(STDERR_FILENO));
    say_error("lb: one\ntwo");
    EXPECT_EQ(said(), "<3>lb: one\n<3>two\n");
    say_warning("warning: three");
    EXPECT_EQ(said(), "<4>warning: three\n");
    errno = EADDRINUSE;
    say_error("");
    EXPECT_EQ(errno, EADDRINUSE);
    EXPECT_EQ(said(), "<3>\n");
}

}  // namespace
}  // namespace lb::log
