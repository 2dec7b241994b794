// tests/unit/master/unix_socket_test.cpp -- listening on a path: what may be replaced, what never, and how it goes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "master/half_open.h"
#include "master/retirement.h"
#include "master/socket_file.h"
#include "sockets.h"

namespace lb {
namespace {

namespace fs = std::filesystem;

class UnixSockets : public ::testing::Test {
 protected:
    void SetUp() override {
        char name[] = "/tmp/lb-unix-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        dir_ = name;
        bind_.address = unix_address(path());
    }
    void TearDown() override { fs::remove_all(dir_); }

    [[nodiscard]] std::string path(const std::string& name = "web.sock") const {
        return (dir_ / name).string();
    }
    std::string open(Listeners& listeners) {
        opened_.clear();
        return listeners.open(bind_, 1, true, opened_);
    }
    [[nodiscard]] ino_t inode() const {
        struct stat info {};
        return stat(path().c_str(), &info) == 0 ? info.st_ino : 0;
    }
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(dir_), fs::directory_iterator()));
    }

    fs::path dir_;
    config::Bind bind_;
    std::vector<SocketId> opened_;
    [[nodiscard]] SocketId id() const { return {key_of(bind_), 0}; }
};

TEST_F(UnixSockets, OneSocketThatEverybodyMayConnectTo) {
    Listeners listeners({});
    const mode_t before = umask(077);
    ASSERT_EQ(open(listeners), "");
    EXPECT_EQ(umask(before), 077U) << "and the umask is as it was";
    EXPECT_EQ(key_of(bind_), "unix:" + path());
    EXPECT_EQ(opened_, (std::vector<SocketId>{id()}));
    struct stat info {};
    ASSERT_EQ(stat(path().c_str(), &info), 0);
    EXPECT_TRUE(S_ISSOCK(info.st_mode));
    EXPECT_EQ(info.st_mode & 0777U, 0666U);
    const int fd = listeners.descriptor(id());
    EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_FALSE(listeners.group(key_of(bind_))->deferred)
        << "connect() brings nothing that could be waited for";
    const Fd client = connect_to(bind_.address);
    ASSERT_TRUE(client);
    EXPECT_TRUE(accept_from(fd, 5000));
}

TEST_F(UnixSockets, GoesWithItsOwner) {
    {
        Listeners listeners({});
        ASSERT_EQ(open(listeners), "");
        EXPECT_EQ(files(), 1U);
    }
    EXPECT_EQ(files(), 0U);
    Listeners listeners({});
    ASSERT_EQ(open(listeners), "");
    listeners.close_all();
    EXPECT_EQ(files(), 0U);
    ASSERT_EQ(open(listeners), "");
    listeners.close(id());
    EXPECT_EQ(files(), 0U) << "a reload that fails closes what it opened";
}

TEST_F(UnixSockets, IsKeptWithItsQueueWhenItIsNamedAgain) {
    Listeners listeners({});
    ASSERT_EQ(open(listeners), "");
    const ino_t before = inode();
    const int fd = listeners.descriptor(id());
    const Fd client = connect_to(bind_.address);
    bind_.backlog = 16;
    ASSERT_EQ(open(listeners), "");
    EXPECT_TRUE(opened_.empty());
    EXPECT_EQ(inode(), before);
    EXPECT_EQ(listeners.descriptor(id()), fd);
    EXPECT_TRUE(accept_from(fd, 5000)) << "who came before is still there";
}

TEST_F(UnixSockets, AStaleFileIsReplaced) {
    {
        const Fd dead(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(bind(dead.get(), &bind_.address.any.base, bind_.address.length), 0);
        ASSERT_EQ(listen(dead.get(), 1), 0);
    }
    ASSERT_EQ(look_at(bind_.address).what, AtPath::What::stale);
    Listeners listeners({});
    ASSERT_EQ(open(listeners), "");
    EXPECT_TRUE(connect_to(bind_.address));
}

TEST_F(UnixSockets, ALiveOneOfAnotherProcessIsAnErrorThatNamesIt) {
    Fd theirs(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(theirs.get(), &bind_.address.any.base, bind_.address.length), 0);
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
        // The kernel remembers who called listen(2).
        if (listen(theirs.get(), 1) != 0 || write(ready[1], "x", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
    theirs.reset();
    const ino_t before = inode();
    Listeners listeners({});
    const std::string error = open(listeners);
    EXPECT_EQ(error, "unix:" + path() + ": the path is in use, held by unit_master (pid " +
                         std::to_string(pid) + ")");
    EXPECT_TRUE(listeners.groups().empty());
    EXPECT_EQ(inode(), before);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    EXPECT_EQ(open(listeners), "") << "now nobody holds it";
}

TEST_F(UnixSockets, AFullQueueIsALiveOne) {
    const Fd theirs(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(theirs.get(), &bind_.address.any.base, bind_.address.length), 0);
    ASSERT_EQ(listen(theirs.get(), 0), 0);
    const Fd first = connect_to(bind_.address);
    EXPECT_EQ(look_at(bind_.address).what, AtPath::What::listening);
    Listeners listeners({});
    EXPECT_EQ(open(listeners), "unix:" + path() + ": the path is in use");
}

TEST_F(UnixSockets, WhatIsNoSocketStays) {
    std::ofstream(path()) << "precious";
    fs::create_symlink(path("nowhere"), path("link.sock"));
    fs::create_directory(path("directory.sock"));
    for (const char* name : {"web.sock", "link.sock", "directory.sock"}) {
        bind_.address = unix_address(path(name));
        Listeners listeners({});
        EXPECT_EQ(open(listeners), "unix:" + path(name) + ": there is something else at this path");
    }
    std::string text;
    std::ifstream(path()) >> text;
    EXPECT_EQ(text, "precious");
    EXPECT_EQ(files(), 3U);
}

TEST_F(UnixSockets, AFileThatSomebodyPutThereSinceIsNotRemoved) {
    Listeners listeners({});
    ASSERT_EQ(open(listeners), "");
    fs::remove(path());
    std::ofstream(path()) << "another one's";
    listeners.retire(id());
    listeners.close_all();
    EXPECT_TRUE(fs::is_regular_file(path()));
    EXPECT_EQ(files(), 1U);
}

TEST_F(UnixSockets, ErrorsNameThePath) {
    bind_.address = unix_address(path("missing/web.sock"));
    Listeners listeners({});
    EXPECT_EQ(open(listeners), "unix:" + path("missing/web.sock") + ": No such file or directory");
}

TEST_F(UnixSockets, ARetiringOneIsNotFoundAnyMoreAndItsQueueIsServed) {
    Listeners listeners({});
    ASSERT_EQ(open(listeners), "");
    Retirement retirement(listeners);
    const Fd waiting = connect_to(bind_.address);
    const int fd = listeners.descriptor(id());
    const Micros start = monotonic_now();
    retirement.begin(id(), start);
    EXPECT_FALSE(connect_to(bind_.address)) << "nobody new";
    EXPECT_FALSE(fs::exists(path()));
    retirement.poll(start + 5'000'000);
    EXPECT_TRUE(retirement.waits_for(id())) << "closing now would reset the one who waits";
    EXPECT_EQ(accept_queue(fd), 1U);
    const Fd accepted = accept_from(fd, 5000);
    ASSERT_TRUE(accepted);
    retirement.poll(start + 5'100'000);
    EXPECT_EQ(retirement.quiet_ones(), std::vector<SocketId>{id()});
    listeners.close(id());
    EXPECT_EQ(files(), 0U);
    EXPECT_EQ(send(accepted.get(), "x", 1, MSG_NOSIGNAL), 1);
    char byte = 0;
    EXPECT_EQ(recv(waiting.get(), &byte, 1, 0), 1) << "the connection outlives the listening socket";
}

TEST_F(UnixSockets, ARetiringOneThatIsNamedAgainIsTheSameSocket) {
    Listeners listeners({});
    ASSERT_EQ(open(listeners), "");
    const ino_t before = inode();
    const Fd waiting = connect_to(bind_.address);
    listeners.retire(id());
    ASSERT_EQ(open(listeners), "");
    EXPECT_TRUE(opened_.empty());
    EXPECT_EQ(inode(), before);
    EXPECT_EQ(files(), 1U);
    const Fd later = connect_to(bind_.address);
    EXPECT_TRUE(later);
    EXPECT_TRUE(accept_from(listeners.descriptor(id()), 5000));
    EXPECT_TRUE(accept_from(listeners.descriptor(id()), 5000));
}

TEST_F(UnixSockets, ARetiringOneWhosePathWasTakenCannotComeBack) {
    Listeners listeners({});
    ASSERT_EQ(open(listeners), "");
    listeners.retire(id());
    std::ofstream(path()) << "another one's";
    EXPECT_EQ(open(listeners), "unix:" + path() + ": another process took the path");
    listeners.close_all();
    EXPECT_TRUE(fs::is_regular_file(path()));
    EXPECT_EQ(files(), 1U);
}

TEST_F(UnixSockets, OneWhoseFileSomebodyRemovedIsMadeAnewWhenItIsNamedAgain) {
    Listeners listeners({});
    ASSERT_EQ(open(listeners), "");
    const Fd waits = connect_to(bind_.address);
    const Fd workers(dup(listeners.descriptor(id())));  // has the first socket
    for (const bool replaced : {false, true}) {
        fs::remove(path());
        if (replaced) {
            const Fd other(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
            ASSERT_EQ(bind(other.get(), &bind_.address.any.base, bind_.address.length), 0);
        }
        ASSERT_EQ(open(listeners), "");
        EXPECT_EQ(opened_, (std::vector<SocketId>{id()})) << "a reload that fails takes it back";
        const Fd client = connect_to(bind_.address);
        ASSERT_TRUE(client);
        EXPECT_TRUE(accept_from(listeners.descriptor(id()), 5000));
    }
    EXPECT_TRUE(accept_from(workers.get(), 5000)) << "the queue of the first one is still served";
    ASSERT_EQ(open(listeners), "");
    EXPECT_TRUE(opened_.empty());
    listeners.close_all();
    EXPECT_EQ(files(), 0U);
}

TEST_F(UnixSockets, OneWhosePathSomebodyElseListensOnIsAnErrorAndStays) {
    Listeners listeners({});
    ASSERT_EQ(open(listeners), "");
    fs::remove(path());
    const Fd other(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(other.get(), &bind_.address.any.base, bind_.address.length), 0);
    ASSERT_EQ(listen(other.get(), 5), 0);
    const int fd = listeners.descriptor(id());
    const std::string error = open(listeners);
    EXPECT_TRUE(error.starts_with("unix:" + path() + ": the path is in use, ")) << error;
    EXPECT_EQ(listeners.descriptor(id()), fd);
    listeners.close_all();
    EXPECT_EQ(files(), 1U) << "his stays";
}

TEST_F(UnixSockets, HaveNothingHalfOpenAndNoSteering) {
    EXPECT_EQ(half_open(AF_UNIX, 0), std::vector<HalfOpen>{});
    Listeners listeners({});
    ASSERT_EQ(open(listeners), "");
    listeners.set_live(key_of(bind_), std::vector<std::uint32_t>{});
    EXPECT_TRUE(listeners.group(key_of(bind_))->steered.empty());
    EXPECT_TRUE(listeners.group(key_of(bind_))->members.front().slot == 0);
}

TEST_F(UnixSockets, AnInheritedOneIsNeverRemoved) {
    Fd given(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(given.get(), &bind_.address.any.base, bind_.address.length), 0);
    ASSERT_EQ(listen(given.get(), 16), 0);
    EXPECT_EQ(inherited_problem(given.get()), "");
    const int fd = given.get();
    {
        Listeners listeners({fd});
        config::Bind bind;
        bind.inherited_fd = fd;
        ASSERT_EQ(listeners.open(bind, 1, true, opened_), "");
        EXPECT_EQ(to_string(listeners.group(key_of(bind))->address), "unix:" + path());
        EXPECT_FALSE(listeners.group(key_of(bind))->local());
        given.release();  // the listeners own it now
        EXPECT_TRUE(connect_to(bind_.address));
    }
    EXPECT_TRUE(fs::exists(path())) << "it is systemd's";
}

}  // namespace
}  // namespace lb
