// tests/unit/service/manager_test.cpp -- what is said to a service manager, when, and what becomes of what it does not take.
#include "master/service/manager.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

#include "manager_told.h"

namespace lb {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Manager, SaysNothingToNobody) {
    service::Manager nobody;
    EXPECT_FALSE(nobody.present());
    nobody.ready();
    nobody.status("x");
    nobody.keep(0, "lb.x");
    nobody.forget("lb.x");
    nobody.tick(1);
}

TEST(Manager, SpeaksTheProtocol) {
    Told told;
    told.manager.reloading(42);
    told.manager.ready();
    told.manager.stopping();
    told.manager.need_time(7);
    EXPECT_THAT(told.texts(), ElementsAre("RELOADING=1\nMONOTONIC_USEC=42", "READY=1", "STOPPING=1",
                                          "EXTEND_TIMEOUT_USEC=7"));
}

TEST(Manager, SaysAStatusOnceAndOnOneLine) {
    Told told;
    told.manager.status("a\nREADY=1");
    told.manager.status("a\nREADY=1");
    told.manager.status("b");
    EXPECT_THAT(told.texts(), ElementsAre("STATUS=a READY=1", "STATUS=b"));
}

TEST(Manager, FeedsTheWatchdogThreeTimesAsOftenAsItMust) {
    Told told(900);
    told.manager.tick(1000);
    told.manager.tick(1299);
    EXPECT_THAT(told.texts(), ElementsAre("WATCHDOG=1"));
    told.manager.tick(1300);
    EXPECT_THAT(told.texts(), ElementsAre("WATCHDOG=1"));
}

TEST(Manager, FeedsNoWatchdogThatIsNotThere) {
    Told told;
    told.manager.tick(1000);
    EXPECT_THAT(told.texts(), IsEmpty());
}

TEST(Manager, SendsADescriptorWithItsName) {
    Told told;
    const Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
    told.manager.keep(file.get(), "lb.x.1");
    const Told::Message message = told.next();
    EXPECT_EQ(message.text, "FDSTORE=1\nFDNAME=lb.x.1");
    EXPECT_EQ(inode_of(message.fd.get()), inode_of(file.get()));
    told.manager.forget("lb.x.1");
    EXPECT_THAT(told.texts(), ElementsAre("FDSTOREREMOVE=1\nFDNAME=lb.x.1"));
}

TEST(Manager, KeepsTheOrderWhileTheManagerIsBusyAndTakesBackWhatWasNotSent) {
    Told told;
    unsigned sent = 0;
    // A queue of datagrams has a length of its own; more than that waits here.
    constexpr unsigned many = 2000;
    for (; sent < many; sent++) told.manager.need_time(sent);
    const Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
    told.manager.keep(file.get(), "lb.gone");
    told.manager.keep(file.get(), "lb.stays");
    told.manager.forget("lb.gone");
    std::vector<std::string> all;
    for (unsigned turn = 0; turn < many; turn++) {
        const auto some = told.texts();
        if (some.empty()) break;
        all.insert(all.end(), some.begin(), some.end());
        told.manager.tick(1);
    }
    ASSERT_EQ(all.size(), many + 1);
    for (unsigned i = 0; i < many; i++) EXPECT_EQ(all[i], "EXTEND_TIMEOUT_USEC=" + std::to_string(i));
    EXPECT_EQ(all.back(), "FDSTORE=1\nFDNAME=lb.stays");
}

TEST(Manager, IsBehindUntilEverythingIsTaken) {
    Told told;
    EXPECT_FALSE(told.manager.behind());
    unsigned sent = 0;
    while (!told.manager.behind()) told.manager.need_time(sent++);
    pollfd room{told.manager.descriptor(), POLLOUT, 0};
    EXPECT_EQ(poll(&room, 1, 0), 0) << "the descriptor says when to go on";
    std::size_t taken = told.texts().size();
    EXPECT_EQ(poll(&room, 1, 0), 1);
    told.manager.flush();
    EXPECT_FALSE(told.manager.behind());
    taken += told.texts().size();
    EXPECT_EQ(taken, sent);
}

struct Environment {
    ~Environment() {
        for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
    }
};

TEST(Manager, IsFoundByTheEnvironmentOnce) {
    const Environment clean;
    const std::string name = "@lb-test-" + std::to_string(getpid());
    const Fd theirs(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data() + 1, name.size() - 1);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    ASSERT_EQ(bind(theirs.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    setenv("WATCHDOG_USEC", "3000", 1);
    service::Manager manager = service::Manager::from_environment();
    EXPECT_TRUE(manager.present());
    manager.tick(5);
    char text[64]{};
    EXPECT_EQ(recv(theirs.get(), text, sizeof text, 0), 10);
    EXPECT_STREQ(text, "WATCHDOG=1");
    EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
    EXPECT_EQ(std::getenv("WATCHDOG_USEC"), nullptr);
    EXPECT_FALSE(service::Manager::from_environment().present());
}

TEST(Manager, IsNotFoundByNonsense) {
    const Environment clean;
    const std::string hostile[] = {
        "", "/", "@", "relative", "tcp:1", "/nowhere/at/all", std::string(200, '/')};
    for (const std::string& value : hostile) {
        setenv("NOTIFY_SOCKET", value.c_str(), 1);
        EXPECT_FALSE(service::Manager::from_environment().present()) << value;
    }
}

}  // namespace
}  // namespace lb
