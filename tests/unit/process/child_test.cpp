// tests/unit/process/child_test.cpp -- what a child keeps and what it gives up before it does anything.
#include "shared/process/child.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <set>
#include <string>

#include "forked.h"
#include "shared/base/log.h"
#include "shared/net/event_ptr.h"

namespace lb {
namespace {

std::set<int> open_now() {
    std::set<int> found;
    DIR* folder = opendir("/proc/self/fd");
    if (folder == nullptr) return found;
    while (const dirent* entry = readdir(folder)) {
        const int fd = std::atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(folder)) found.insert(fd);
    }
    closedir(folder);
    return found;
}

TEST(CloseAllBut, KeepsTheListAndStandardStreams) {
    EXPECT_EQ(in_child([] {
                  std::vector<int> opened;
                  opened.reserve(20);
                  for (int i = 0; i < 20; i++) opened.push_back(open("/dev/null", O_RDONLY));
                  const int high = fcntl(opened[0], F_DUPFD, 700);
                  close_all_but({opened[15], -1, high, opened[3], opened[15], 1});
                  const std::set<int> wanted{0, 1, 2, opened[3], opened[15], high};
                  return open_now() == wanted ? 0 : 1;
              }),
              0);
}

TEST(CloseAllBut, WithNothingToKeepLeavesTheStandardStreams) {
    EXPECT_EQ(in_child([] {
                  open("/dev/null", O_RDONLY);
                  close_all_but({});
                  return open_now() == std::set<int>{0, 1, 2} ? 0 : 1;
              }),
              0);
}

// What the tests below hand to a child: a loop with an event, a channel, and two sockets of which one is its own.
struct Family {
    EventBasePtr base = make_event_base();
    Channel ours, theirs;
    Fd own{open("/dev/null", O_RDONLY | O_CLOEXEC)}, foreign{open("/dev/null", O_RDONLY | O_CLOEXEC)};
    Family() {
        auto pair = Channel::pair();
        ours = std::move(pair.value().first);
        theirs = std::move(pair.value().second);
    }
    ChildContext context() {
        ChildContext context;
        context.channel = std::move(theirs);
        context.listen.push_back({0, own.get(), false});
        return context;
    }
};

TEST(BeginChild, HoldsExactlyItsOwnDescriptors) {
    Family family;
    EXPECT_EQ(in_child([&] {
                  ChildContext context = family.context();
                  begin_child(family.base.get(), context, "worker 3");
                  const std::set<int> wanted{0, 1, 2, context.channel.descriptor(), family.own.get()};
                  return open_now() == wanted ? 0 : 1;
              }),
              0);
}

TEST(BeginChild, DoesNotTouchTheMastersLoop) {
    Family family;
    int seen = 0;
    EventPtr event(event_new(
        family.base.get(), family.ours.descriptor(), EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* count) { ++*static_cast<int*>(count); }, &seen));
    ASSERT_EQ(event_add(event.get(), nullptr), 0);
    EXPECT_EQ(in_child([&] {
                  ChildContext context = family.context();
                  begin_child(family.base.get(), context, "worker 0");
                  return context.channel.send({MessageKind::ready, 0, 0}) ? 0 : 1;
              }),
              0);
    event_base_loop(family.base.get(), EVLOOP_ONCE | EVLOOP_NONBLOCK);
    EXPECT_EQ(seen, 1) << "the child's free took the registration out of the shared epoll set";
}

TEST(BeginChild, ResetsSignalsAndUnblocksThem) {
    Family family;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    const auto with = [&](int number) {
        return in_child([&] {
            ChildContext context;
            int ends[2];
            if (pipe(ends) != 0) return 1;
            begin_child(nullptr, context, "worker 0");
            raise(number);
            return 0;
        });
    };
    const int term = with(SIGTERM);
    const int usr2 = with(SIGUSR2);
    const int interrupt = with(SIGINT);
    const int hup = with(SIGHUP);
    const int usr1 = with(SIGUSR1);
    const int winch = with(SIGWINCH);
    const int broken_pipe = with(SIGPIPE);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    EXPECT_EQ(term, 1000 + SIGTERM);
    for (const int status : {interrupt, hup, usr1, usr2, winch, broken_pipe}) EXPECT_EQ(status, 0);
}

TEST(BeginChild, EndsWhenTheMasterIsGone) {
    Family family;
    family.ours.close();
    EXPECT_EQ(in_child([&] {
                  ChildContext context = family.context();
                  begin_child(nullptr, context, "worker 0");
                  return 77;
              }),
              0);
}

TEST(BeginChild, GainsNoPrivilege) {
    EXPECT_EQ(in_child([] {
                  ChildContext context;
                  begin_child(nullptr, context, "worker 0");
                  return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1;
              }),
              0);
}

TEST(ProcessTitle, IsWhatPsShows) {
    EXPECT_EQ(in_child([] {
                  // The argument area of a process that was started with these strings, as the kernel lays it out.
                  static char area[] = "lb\0-c\0/etc/lb/lb.ini\0";
                  char* argv[] = {area, area + 3, area + 6, nullptr};
                  init_process_title(3, argv);
                  set_process_title("lb: worker 12");
                  if (std::strcmp(area, "lb: worker 12") != 0) return 1;
                  set_process_title(std::string(100, 'x'));
                  if (std::strlen(area) != sizeof area - 2) return 2;  // cut, and still ended
                  set_process_title("lb");
                  for (std::size_t i = 2; i < sizeof area; i++) {
                      if (area[i] != 0) return 3;
                  }
                  return 0;
              }),
              0);
}

}  // namespace
}  // namespace lb
