// tests/unit/master/files_test.cpp -- the pid file, directories made at the start, and who may serve.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "master/pidfile.h"
#include "master/startup.h"

namespace lb {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
    void SetUp() override {
        char name[] = "/tmp/lb-unit-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        dir_ = name;
    }
    void TearDown() override { fs::remove_all(dir_); }
    std::string path(const std::string& name) const { return (dir_ / name).string(); }
    fs::path dir_;
};
using PidFiles = Files;
using Directories = Files;

TEST_F(PidFiles, HoldTheNumberAndGoWithTheirOwner) {
    const std::string file = path("lb.pid");
    {
        PidFile pid;
        ASSERT_EQ(pid.write(file), "");
        EXPECT_EQ(PidFile::read(file), getpid());
    }
    EXPECT_FALSE(fs::exists(file));
    EXPECT_TRUE(fs::is_empty(dir_)) << "nothing else is left behind either";
}

TEST_F(PidFiles, AreReplacedWhole) {
    const std::string file = path("lb.pid");
    std::ofstream(file) << "1234567 and more text than the new one has\n";
    PidFile pid;
    ASSERT_EQ(pid.write(file), "");
    EXPECT_EQ(PidFile::read(file), getpid());
    EXPECT_EQ(fs::file_size(file), std::to_string(getpid()).size() + 1);
}

TEST_F(PidFiles, OfAnotherMasterStay) {
    const std::string file = path("lb.pid");
    {
        PidFile pid;
        ASSERT_EQ(pid.write(file), "");
        std::ofstream(file) << "1\n";
    }
    EXPECT_EQ(PidFile::read(file), 1);
}

TEST_F(PidFiles, MoveWithTheSetting) {
    PidFile pid;
    ASSERT_EQ(pid.write(path("a")), "");
    ASSERT_EQ(pid.write(path("b")), "");
    EXPECT_FALSE(fs::exists(path("a")));
    EXPECT_EQ(PidFile::read(path("b")), getpid());
    ASSERT_EQ(pid.write(""), "");
    EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(PidFiles, KeepTheOldOneWhenTheNewOneCannotBeWritten) {
    PidFile pid;
    ASSERT_EQ(pid.write(path("a")), "");
    const std::string error = pid.write(path("missing/b"));
    EXPECT_NE(error.find(path("missing/b")), std::string::npos) << error;
    EXPECT_EQ(PidFile::read(path("a")), getpid());
}

TEST_F(PidFiles, ThatAreNoneAreNotRead) {
    for (const char* text : {"", "x", "12x", "-3", "0", "99999999999", "1 2"}) {
        std::ofstream(path("f"), std::ios::trunc) << text;
        EXPECT_EQ(PidFile::read(path("f")), std::nullopt) << text;
    }
    EXPECT_EQ(PidFile::read(path("none")), std::nullopt);
}

TEST_F(Directories, AreMadeAllTheWayAndOnlyForThisUser) {
    ASSERT_EQ(startup::make_directories(path("a/b/control.sock"), {}), "");
    struct stat info {};
    ASSERT_EQ(stat(path("a/b").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
    EXPECT_FALSE(fs::exists(path("a/b/control.sock")));
    EXPECT_EQ(startup::make_directories(path("a/b/control.sock"), {}), "") << "again";
    EXPECT_EQ(startup::make_directories("", {}), "");
}

TEST_F(Directories, BelongToTheUserToServeAs) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    const auto nobody = privileges::find_account("nobody").value();
    ASSERT_EQ(startup::make_directories(path("run/lb/lb.pid"), nobody), "");
    struct stat info {};
    ASSERT_EQ(stat(path("run/lb").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, nobody->uid);
    EXPECT_EQ(info.st_mode & 0777U, 0755U);
}

TEST_F(Directories, OfSomebodyElseInAPublicPlaceAreRefused) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    fs::create_directories(path("public/lb"));
    ASSERT_EQ(chmod(path("public").c_str(), 01777), 0);
    ASSERT_EQ(chown(path("public/lb").c_str(), 12345, 12345), 0);
    EXPECT_NE(startup::make_directories(path("public/lb/control.sock"), {}), "");
}

TEST_F(Directories, ErrorsNameThePath) {
    std::ofstream(path("file")) << "x";
    const std::string error = startup::make_directories(path("file/lb/lb.pid"), {});
    EXPECT_NE(error.find("file/lb"), std::string::npos) << error;
}

// What make_directories() would answer, without making anything.
TEST_F(Directories, ProblemsAreFoundWithoutMakingThem) {
    EXPECT_EQ(startup::directories_problem(path("a/b/control.sock"), {}), "");
    EXPECT_EQ(startup::directories_problem("", {}), "");
    EXPECT_TRUE(fs::is_empty(dir_));
    std::ofstream(path("file")) << "x";
    for (const char* name : {"file/lb.pid", "file/lb/lb.pid", "file/x/lb/lb.pid"}) {
        const std::string problem = startup::directories_problem(path(name), {});
        EXPECT_EQ(problem.empty(), startup::make_directories(path(name), {}).empty()) << name << problem;
    }
    EXPECT_NE(startup::directories_problem(path("file/lb/lb.pid"), {}), "");
}

TEST_F(Directories, ThatThisUserMayNotMakeAreAProblem) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else first";
    fs::create_directory(path("closed"));
    fs::create_directory(path("open"));
    ASSERT_EQ(chmod(dir_.c_str(), 0755), 0);
    ASSERT_EQ(chmod(path("open").c_str(), 0777), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        if (setuid(65534) != 0) _exit(1);
        if (startup::directories_problem(path("closed/lb/lb.pid"), {}).empty()) _exit(2);
        if (!startup::directories_problem(path("open/lb/lb.pid"), {}).empty()) _exit(3);
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
}

TEST_F(Directories, OfSomebodyElseInAPublicPlaceAreAProblemToo) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    fs::create_directories(path("public/lb"));
    ASSERT_EQ(chmod(path("public").c_str(), 01777), 0);
    ASSERT_EQ(chown(path("public/lb").c_str(), 12345, 12345), 0);
    EXPECT_NE(startup::directories_problem(path("public/lb/control.sock"), {}), "");
    EXPECT_NE(startup::directories_problem(path("public/lb/deeper/control.sock"), {}), "");
}

// Started as root it becomes another user, so it is done in a child. Directories of unix sockets are made on the way, for
// that user, and the variables of socket activation go.
TEST_F(Directories, AreMadeForUnixListenersBeforeTheUserChanges) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(chmod(dir_.c_str(), 0755), 0);
    config::Config config;
    config.global.user = "nobody";
    config.global.control = path("control/control.sock");
    config.listeners.resize(1);
    config::Bind bind;
    bind.address.any.un.sun_family = AF_UNIX;
    const std::string socket = path("web/web.sock");
    ASSERT_LT(socket.size(), sizeof bind.address.any.un.sun_path);
    socket.copy(bind.address.any.un.sun_path, socket.size());
    bind.address.length = sizeof(sockaddr_un);
    config.listeners[0].binds.push_back(bind);
    EXPECT_EQ(startup::socket_files(config), std::vector<std::string>{socket});
    const pid_t pid = fork();
    if (pid == 0) {
        std::vector<std::string> notices;
        if (!startup::settle_in(config, notices).empty()) _exit(1);
        _exit(access(path("web").c_str(), W_OK) == 0 ? 0 : 4);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
}

TEST(ChooseUser, AnUnknownOneIsAnError) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    const auto who = startup::choose_user("no-such-user-here");
    ASSERT_FALSE(who.ok());
    EXPECT_NE(who.error().find("no-such-user-here"), std::string::npos);
    EXPECT_FALSE(startup::choose_user("root").ok()) << "nobody is root while serving";
}

TEST(ChooseUser, WithoutASettingItIsNeverRoot) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    const auto who = startup::choose_user("");
    ASSERT_TRUE(who.ok()) << who.error();
    ASSERT_TRUE(who.value().account);
    EXPECT_NE(who.value().account->uid, 0U);
    const auto lb = privileges::find_account(startup::default_user);
    if (lb.ok() && lb.value()) {
        EXPECT_EQ(who.value().account->name, startup::default_user);
    } else {
        EXPECT_EQ(who.value().account->name, startup::last_resort_user);
        EXPECT_NE(who.value().notice, "");
    }
}

TEST(ChooseUser, ThatIsNotRootStaysAndIsToldSo) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else first";
    const pid_t pid = fork();
    if (pid == 0) {
        if (setuid(65534) != 0) _exit(1);
        const auto none = startup::choose_user("");
        if (!none.ok() || none.value().account || !none.value().notice.empty()) _exit(2);
        const auto other = startup::choose_user("root");
        if (!other.ok() || other.value().account || other.value().notice.empty()) _exit(3);
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace lb
