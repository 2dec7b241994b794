// tests/unit/service/handed_test.cpp -- descriptors handed over at the start, each case in a process of its own: they
// come at fixed numbers.
#include "master/service/handed.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

namespace lb::service {
namespace {

// Runs `check` in a child with /dev/null at 3, 4 and 5; true when it returned true there.
bool in_child(const std::string& pid, const char* count, const char* names,
              const std::function<bool()>& check) {
    const pid_t child = fork();
    if (child == 0) {
        const int null = open("/dev/null", O_RDONLY);
        for (int fd = 3; fd <= 5; fd++) {
            if (null != fd) dup2(null, fd);
        }
        setenv("LISTEN_PID", pid.empty() ? std::to_string(getpid()).c_str() : pid.c_str(), 1);
        setenv("LISTEN_FDS", count, 1);
        setenv("LISTEN_FDNAMES", names, 1);
        _exit(check() ? 0 : 1);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool none() { return take_stored().empty(); }

TEST(Handed, TakesOursAndLeavesTheSocketsOfAUnit) {
    EXPECT_TRUE(in_child("", "3", "web.socket:lb.listen.0.0.1:lb.life.1", [] {
        const auto stored = take_stored();
        const bool right = stored.size() == 2 && stored[0].name == "lb.listen.0.0.1" &&
                           stored[0].fd.get() == 4 && stored[1].name == "lb.life.1" &&
                           stored[1].fd.get() == 5;
        const bool kept = fcntl(3, F_GETFD) == 0 && fcntl(4, F_GETFD) == FD_CLOEXEC;
        return right && kept && std::getenv("LISTEN_FDS") == nullptr &&
               std::getenv("LISTEN_PID") == nullptr && std::getenv("LISTEN_FDNAMES") == nullptr;
    }));
}

TEST(Handed, LeavesAUnitThatIsCalledAsWeAre) {
    EXPECT_TRUE(in_child("", "3", "lb.socket:lb.web.socket:lb.life.1", [] {
        const auto stored = take_stored();
        return stored.size() == 1 && stored[0].fd.get() == 5 && fcntl(3, F_GETFD) == 0;
    }));
}

TEST(Handed, IsNotTakenInByAnothersVariables) {
    EXPECT_TRUE(in_child("1", "3", "lb.a:lb.b:lb.c", none));
    EXPECT_TRUE(in_child("x", "3", "lb.a:lb.b:lb.c", none));
    EXPECT_TRUE(in_child("", "-1", "lb.a", none));
    EXPECT_TRUE(in_child("", "99999999999", "lb.a", none));
    EXPECT_TRUE(in_child("", "", "lb.a", none));
}

TEST(Handed, SurvivesNamesAndNumbersThatDoNotAgree) {
    EXPECT_TRUE(in_child("", "3", "lb.a", [] { return take_stored().size() == 1; }));
    EXPECT_TRUE(in_child("", "1", "lb.a:lb.b:lb.c", [] { return take_stored().size() == 1; }));
    EXPECT_TRUE(in_child("", "3", "", none));
    EXPECT_TRUE(in_child("", "3", ":::", none));
    EXPECT_TRUE(in_child("", "60000", "lb.a", [] { return take_stored().size() == 1; }));
}

}  // namespace
}  // namespace lb::service
