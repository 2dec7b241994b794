// Connections over loopback, with deadlines and no sleeps; and the owners of descriptors and bases.
#include "shared/net/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <cerrno>
#include <utility>

#include "shared/net/event_ptr.h"

namespace lb {
namespace {

constexpr int deadline_ms = 5000;

// A socket bound to a free port of `host`; listening if asked.
Fd bound(const char* host, bool listening) {
    const Address address = parse_host(host, 0).value();
    Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd || bind(fd.get(), &address.any.base, address.length) != 0) return Fd();
    if (listening && listen(fd.get(), 8) != 0) return Fd();
    return fd;
}

bool wait_writable(int fd) {
    pollfd p{fd, POLLOUT, 0};
    return poll(&p, 1, deadline_ms) == 1;
}

class ConnectTest : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, ConnectTest, testing::Values("127.0.0.1", "::1"));

TEST_P(ConnectTest, ReachesAListener) {
    const Fd listener = bound(GetParam(), true);
    if (!listener && errno == EADDRNOTAVAIL) GTEST_SKIP() << "no such address on this machine";
    ASSERT_TRUE(listener);
    const Address address = local_address(listener.get());
    ASSERT_NE(address.port(), 0);

    const Connecting c = start_connect(address);
    ASSERT_TRUE(c.fd) << errno_text(c.error);
    EXPECT_EQ(c.error, 0);
    ASSERT_TRUE(wait_writable(c.fd.get()));
    EXPECT_EQ(take_socket_error(c.fd.get()), 0);
    const Fd accepted(accept(listener.get(), nullptr, nullptr));
    ASSERT_TRUE(accepted);

    EXPECT_NE(fcntl(c.fd.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(fcntl(c.fd.get(), F_GETFD) & FD_CLOEXEC, 0);
    int no_delay = 0;
    socklen_t size = sizeof no_delay;
    ASSERT_EQ(getsockopt(c.fd.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
    EXPECT_NE(no_delay, 0);
    EXPECT_EQ(local_address(accepted.get()), address);
}

TEST(Connect, ToAPortThatNobodyListensOnIsRefused) {
    const Fd holder = bound("127.0.0.1", false);  // keeps the port, so that no one else opens it meanwhile
    ASSERT_TRUE(holder);
    const Connecting c = start_connect(local_address(holder.get()));
    if (!c.fd) {
        EXPECT_EQ(c.error, ECONNREFUSED);
        return;
    }
    EXPECT_FALSE(c.connected);
    ASSERT_TRUE(wait_writable(c.fd.get()));
    EXPECT_EQ(take_socket_error(c.fd.get()), ECONNREFUSED);
    EXPECT_EQ(take_socket_error(c.fd.get()), 0) << "asking clears it";
}

TEST(Connect, FailsAtOnceWithoutAnAddress) {
    const Connecting c = start_connect(Address{});
    EXPECT_FALSE(c.fd);
    EXPECT_FALSE(c.connected);
    EXPECT_EQ(c.error, EDESTADDRREQ);
}

TEST(Connect, FailsAtOnceForAnImpossibleAddress) {
    const Connecting c = start_connect(parse_host("255.255.255.255", 80).value());
    EXPECT_FALSE(c.fd);
    EXPECT_NE(c.error, 0);
}

TEST(SocketHelpers, ReportBadDescriptorsAsErrors) {
    EXPECT_EQ(take_socket_error(-1), EBADF);
    EXPECT_EQ(local_address(-1).length, 0U);
    EXPECT_EQ(errno_text(ECONNREFUSED), "Connection refused");
    EXPECT_EQ(errno_text(99999), "error 99999");
}

TEST(FdTest, HasOneOwnerAtATime) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const auto is_open = [](int fd) { return fcntl(fd, F_GETFD) >= 0; };
    {
        Fd first(pipe_ends[0]);
        Fd second(std::move(first));
        EXPECT_FALSE(first);
        EXPECT_EQ(second.get(), pipe_ends[0]);
        Fd third(pipe_ends[1]);
        third = std::move(second);
        EXPECT_FALSE(is_open(pipe_ends[1])) << "what it held before is closed";
        EXPECT_TRUE(is_open(pipe_ends[0]));
    }
    EXPECT_FALSE(is_open(pipe_ends[0]));
}

TEST(EventBase, IsEpollWithEdgeTriggersAndRuns) {
    const EventBasePtr base = make_event_base();
    ASSERT_TRUE(base);
    EXPECT_NE(event_base_get_features(base.get()) & EV_FEATURE_ET, 0);
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const Fd reader(pipe_ends[0]);
    const Fd writer(pipe_ends[1]);
    int calls = 0;
    const EventPtr event(event_new(
        base.get(), reader.get(), EV_READ | EV_ET | EV_PERSIST,
        [](evutil_socket_t, short, void* arg) { ++*static_cast<int*>(arg); }, &calls));
    ASSERT_EQ(event_add(event.get(), nullptr), 0);
    ASSERT_EQ(write(writer.get(), "x", 1), 1);
    ASSERT_EQ(event_base_loop(base.get(), EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
    EXPECT_EQ(calls, 1);
    ASSERT_EQ(event_base_loop(base.get(), EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
    EXPECT_EQ(calls, 1) << "one edge, one call";
}

}  // namespace
}  // namespace lb
