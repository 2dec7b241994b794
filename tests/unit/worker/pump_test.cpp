// A long body through the kernel arrives as it was, whatever either side does in between.
#include "worker/exchange/pump.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <string>

namespace lb {
namespace {

struct Pair {
    Fd a, b;
    Pair() {
        int ends[2] = {-1, -1};
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        a.reset(ends[0]);
        b.reset(ends[1]);
    }
};

TEST(Pump, MovesEverythingAndStopsWhenASideIsNotReady) {
    io::PipePool pipes;
    Pair in, out;
    Pump pump;
    ASSERT_TRUE(pump.begin(pipes));
    std::string body;
    for (int i = 0; body.size() < 3'000'000; i++) body += std::to_string(i);
    std::string got;
    std::size_t offered = 0;
    std::uint64_t left = body.size();
    bool was_empty = false, was_full = false, finished = false;
    for (int turn = 0; turn < 100000 && !finished; turn++) {
        if (offered < body.size()) {
            const ssize_t n = send(in.a.get(), body.data() + offered, body.size() - offered, MSG_DONTWAIT);
            if (n > 0) offered += static_cast<std::size_t>(n);
        }
        io::TurnShare share;
        const auto moved = pump.move(in.b.get(), out.a.get(), left, share);
        left -= moved.taken;
        switch (moved.step) {
            case Pump::Step::source_empty: was_empty = true; break;
            case Pump::Step::sink_full: was_full = true; break;
            case Pump::Step::finished: finished = true; break;
            case Pump::Step::turn_over: break;
            case Pump::Step::source_ended:
            case Pump::Step::source_failed:
            case Pump::Step::sink_failed: FAIL();
        }
        if (turn % 3 != 0 && !finished) continue;  // a slow reader
        char buffer[200'000];
        for (ssize_t n; (n = recv(out.b.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
            got.append(buffer, static_cast<std::size_t>(n));
    }
    EXPECT_TRUE(finished);
    EXPECT_TRUE(was_empty);
    EXPECT_TRUE(was_full);
    EXPECT_EQ(pump.held(), 0u);
    EXPECT_TRUE(got == body);
}

TEST(Pump, TellsWhichSideEnded) {
    signal(SIGPIPE, SIG_IGN);  // as in every child of lb: splice knows no MSG_NOSIGNAL
    io::PipePool pipes;
    Pair in, out;
    Pump pump;
    ASSERT_TRUE(pump.begin(pipes));
    in.a.reset();
    io::TurnShare share;
    EXPECT_EQ(pump.move(in.b.get(), out.a.get(), 10, share).step, Pump::Step::source_ended);
    Pair in2;
    ASSERT_EQ(send(in2.a.get(), "abc", 3, 0), 3);
    out.b.reset();
    EXPECT_EQ(pump.move(in2.b.get(), out.a.get(), 10, share).step, Pump::Step::sink_failed);
    EXPECT_EQ(pump.held(), 3u);
    pump.end(pipes);  // with bytes in it: closed, not pooled
    EXPECT_EQ(pipes.lent(), 0u);
}

TEST(Pump, MovesNoMoreThanItsShare) {
    io::PipePool pipes;
    Pair in, out;
    Pump pump;
    ASSERT_TRUE(pump.begin(pipes));
    const std::string body(100'000, 'x');
    ASSERT_GT(send(in.a.get(), body.data(), body.size(), MSG_DONTWAIT),
              static_cast<ssize_t>(io::TurnShare::least));
    io::TurnShare share;
    share.took(io::TurnShare::whole);
    const auto moved = pump.move(in.b.get(), out.a.get(), body.size(), share);
    EXPECT_EQ(moved.step, Pump::Step::turn_over);
    EXPECT_EQ(moved.taken, io::TurnShare::least) << "however much a pipe holds";
}

TEST(Pump, PipesAreLentUpToTheBound) {
    io::PipePool pipes;
    pipes.bound(2);
    Pump one, two, three;
    EXPECT_TRUE(one.begin(pipes));
    EXPECT_TRUE(two.begin(pipes));
    EXPECT_FALSE(three.begin(pipes)) << "its body is copied";
    EXPECT_EQ(pipes.lent(), 2u);
    one.end(pipes);
    EXPECT_TRUE(three.begin(pipes)) << "a kept one";
    one.end(pipes);  // has none: nothing
    two.end(pipes);
    three.end(pipes);
    EXPECT_EQ(pipes.lent(), 0u);
}

TEST(Pump, PipesLeaveConnectionsTheirDescriptors) {
    EXPECT_EQ(io::PipePool::affordable(20000, 9486), 257u) << "half of what is left, two descriptors each";
    EXPECT_EQ(io::PipePool::affordable(1024, 447), 32u);
    EXPECT_EQ(io::PipePool::affordable(16, 1000), 8u);
    EXPECT_EQ(io::PipePool::affordable(1'000'000, 1000), 1024u) << "they hold kernel memory, too";
}

}  // namespace
}  // namespace lb
