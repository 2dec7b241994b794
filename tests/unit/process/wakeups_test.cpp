// One process wakes another, by the column of the table that it has.
#include "shared/process/wakeups.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>

#include "forked.h"
#include "shared/process/child.h"

namespace lb {
namespace {

bool readable(const Wakeups& wakeups, std::uint32_t column, int patience = 0) {
    pollfd watched{wakeups.descriptor(column), POLLIN, 0};
    return poll(&watched, 1, patience) == 1;
}

TEST(Wakeups, WakeOneColumnUntilItHasHeard) {
    const Wakeups wakeups = Wakeups::make(4);
    ASSERT_FALSE(wakeups.empty());
    wakeups.wake(2);
    wakeups.wake(2);
    EXPECT_TRUE(readable(wakeups, 2));
    EXPECT_FALSE(readable(wakeups, 1));
    wakeups.heard(2);
    EXPECT_FALSE(readable(wakeups, 2));
    wakeups.heard(2);  // does not block
    wakeups.wake(99);  // nobody
    EXPECT_EQ(wakeups.descriptor(99), -1);
}

TEST(Wakeups, WorkFromAChildThatClosedEverythingElse) {
    const Wakeups wakeups = Wakeups::make(4);
    ASSERT_FALSE(wakeups.empty());
    EXPECT_EQ(in_child([&] {
                  std::vector<int> keep;
                  wakeups.append_to(keep);
                  close_all_but(keep);
                  wakeups.wake(3);
                  return 0;
              }),
              0);
    EXPECT_TRUE(readable(wakeups, 3, 10'000));
}

TEST(Wakeups, WithoutDescriptorsThereAreNone) {
    EXPECT_EQ(in_child([] {
                  const rlimit few{20, 20};
                  if (setrlimit(RLIMIT_NOFILE, &few) != 0) return 1;
                  const Wakeups wakeups = Wakeups::make(128);
                  wakeups.wake(1);  // harmless
                  const int free_again = open("/dev/null", O_RDONLY | O_CLOEXEC);
                  return wakeups.empty() && free_again >= 0 ? 0 : 2;
              }),
              0);
}

}  // namespace
}  // namespace lb
