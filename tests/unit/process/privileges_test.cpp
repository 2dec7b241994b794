// tests/unit/process/privileges_test.cpp -- becoming another user for good. The tests that need root skip only without.
#include "shared/process/privileges.h"

#include <arpa/inet.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forked.h"
#include "shared/net/fd.h"

namespace lb::privileges {
namespace {

// Binds the first low port of the loopback that is free: 0, or errno of the last try.
int bind_low() {
    int error = 0;
    for (std::uint16_t port = 1; port < 200; port++) {
        const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return 0;
        error = errno;
        if (error != EADDRINUSE) return error;
    }
    return error;
}

Account nobody() {
    const auto found = find_account("nobody");
    EXPECT_TRUE(found.ok() && found.value().has_value());
    return found.ok() ? found.value().value_or(Account{}) : Account{};
}

TEST(Account, IsFoundByName) {
    const auto root = find_account("root");
    ASSERT_TRUE(root.ok() && root.value());
    EXPECT_EQ(root.value()->uid, 0U);
    const auto none = find_account("no-such-user-here");
    ASSERT_TRUE(none.ok());
    EXPECT_FALSE(none.value());
}

class AsRoot : public ::testing::Test {
 protected:
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "needs root";
    }
};

TEST_F(AsRoot, BecomesTheUserForGood) {
    const Account account = nobody();
    EXPECT_EQ(in_child([&] {
                  if (!become(account).empty()) return 1;
                  uid_t real = 0;
                  uid_t effective = 0;
                  uid_t saved = 0;
                  getresuid(&real, &effective, &saved);
                  if (real != account.uid || effective != account.uid || saved != account.uid) return 2;
                  if (getgid() != account.gid || getegid() != account.gid) return 3;
                  gid_t groups[64];
                  const int count = getgroups(64, groups);
                  for (int i = 0; i < count; i++) {
                      if (groups[i] == 0) return 4;
                  }
                  if (setuid(0) == 0 || seteuid(0) == 0) return 5;
                  if (setgid(0) == 0) return 6;
                  return 0;
              }),
              0);
}

TEST_F(AsRoot, KeepsOnlyTheRightToBindLowPorts) {
    const Account account = nobody();
    EXPECT_EQ(in_child([&] {
                  if (!become(account).empty()) return 1;
                  if (!may_bind_low_ports()) return 2;
                  if (bind_low() != 0) return 3;
                  return sethostname("x", 1) == 0 || errno != EPERM ? 4 : 0;
              }),
              0);
}

TEST_F(AsRoot, AChildLosesThatToo) {
    const Account account = nobody();
    EXPECT_EQ(in_child([&] {
                  if (!become(account).empty() || !drop_all().empty()) return 1;
                  if (may_bind_low_ports()) return 2;
                  if (bind_low() == 0) return 3;
                  return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 4;
              }),
              0);
}

TEST(Privileges, DropAllWorksWithoutAny) {
    EXPECT_EQ(in_child([] {
                  if (!drop_all().empty()) return 1;
                  return drop_all().empty() ? 0 : 2;
              }),
              0);
}

}  // namespace
}  // namespace lb::privileges
