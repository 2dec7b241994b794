// tests/unit/master/listeners_test.cpp -- real sockets on the loopback: opening, conflicts, steering, inherited ones.
#include "master/listeners.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <map>

#include "master/half_open.h"
#include "master/port_holder.h"
#include "sockets.h"

namespace lb {
namespace {

int option(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    getsockopt(fd, level, name, &value, &size);
    return value;
}

struct Opened {
    Listeners listeners{{}};
    config::Bind bind = any_port();
    std::vector<SocketId> ids;
    std::string key = key_of(bind);

    explicit Opened(std::uint32_t slots, bool defer = false) {
        EXPECT_EQ(listeners.open(bind, slots, defer, ids), "");
        EXPECT_EQ(ids.size(), slots);
    }
    int fd(std::uint32_t slot) { return listeners.descriptor({key, slot}); }
    const Address& address() { return listeners.group(key)->address; }
    void live(const std::vector<std::uint32_t>& slots) { listeners.set_live(key, slots); }

    // Connects so often and counts which slot each connection came to.
    std::map<std::uint32_t, int> spread(int connections) {
        std::vector<Fd> clients;
        clients.reserve(static_cast<std::size_t>(connections));
        for (int i = 0; i < connections; i++) clients.push_back(connect_to(address()));
        std::map<std::uint32_t, int> count;
        int total = 0;
        eventually([&] {
            for (const auto& member : listeners.group(key)->members) {
                while (accept_from(member.fd.get())) {
                    count[member.slot]++;
                    total++;
                }
            }
            return total == connections;
        });
        EXPECT_EQ(total, connections);
        return count;
    }
};

TEST(Listeners, OpensOneSocketPerSlotOnOnePortWithItsOptions) {
    Opened opened(3, true);
    for (std::uint32_t slot = 0; slot < 3; slot++) {
        const int fd = opened.fd(slot);
        ASSERT_GE(fd, 0);
        EXPECT_EQ(local_address(fd), opened.address());
        EXPECT_EQ(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
        EXPECT_EQ(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
        EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
        EXPECT_GE(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 1);
        EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    }
    EXPECT_EQ(opened.fd(3), -1);
}

TEST(Listeners, AcceptedSocketsInheritNoDelay) {
    Opened opened(1);
    const Fd client = connect_to(opened.address());
    const Fd accepted = accept_from(opened.fd(0), 5000);
    ASSERT_TRUE(accepted);
    EXPECT_EQ(option(accepted.get(), IPPROTO_TCP, TCP_NODELAY), 1);
}

TEST(Listeners, KeepTheSocketsTheyHave) {
    Opened opened(2);
    config::Bind bind = opened.bind;
    const int first = opened.fd(0);
    std::vector<SocketId> more;
    ASSERT_EQ(opened.listeners.open(bind, 3, false, more), "");
    EXPECT_EQ(more, (std::vector<SocketId>{{opened.key, 2}}));
    EXPECT_EQ(opened.fd(0), first);
}

TEST(Listeners, RefuseAnAddressThatSomebodyElseListensOnAndNameHim) {
    Opened holder(1);  // with SO_REUSEPORT and of the same user: a plain bind of a second lb would succeed
    Listeners second({});
    config::Bind bind;
    bind.address = holder.address();
    std::vector<SocketId> ids;
    const std::string error = second.open(bind, 2, true, ids);
    EXPECT_NE(error.find(to_string(holder.address())), std::string::npos) << error;
    EXPECT_NE(error.find("in use"), std::string::npos) << error;
    EXPECT_NE(error.find("pid " + std::to_string(getpid())), std::string::npos) << error;
    EXPECT_TRUE(ids.empty());
    EXPECT_TRUE(second.groups().empty());
    EXPECT_EQ(probe_bind(bind.address), EADDRINUSE);
}

TEST(Listeners, AnAddressOfOursIsNoConflictForAMoreSpecificOne) {
    Listeners listeners({});
    std::vector<SocketId> ids;
    const config::Bind wide = any_port("0.0.0.0:0");
    ASSERT_EQ(listeners.open(wide, 1, false, ids), "");
    config::Bind narrow = any_port("127.0.0.1:0");
    narrow.address.any.in.sin_port = htons(listeners.group(key_of(wide))->address.port());
    EXPECT_EQ(listeners.open(narrow, 1, false, ids), "");
}

TEST(Listeners, BothFamiliesCanHaveTheSamePort) {
    Listeners listeners({});
    std::vector<SocketId> ids;
    const config::Bind four = any_port("0.0.0.0:0");
    ASSERT_EQ(listeners.open(four, 1, false, ids), "");
    config::Bind six = any_port("[::]:0");
    six.address.any.in6.sin6_port = htons(listeners.group(key_of(four))->address.port());
    EXPECT_EQ(listeners.open(six, 1, false, ids), "");
}

TEST(Listeners, ErrorsOfBindNameTheAddress) {
    Listeners listeners({});
    std::vector<SocketId> ids;
    config::Bind bind;
    bind.address = parse_address("192.0.2.1:8080").value();  // TEST-NET-1: not an address of this machine
    const std::string error = listeners.open(bind, 1, false, ids);
    EXPECT_NE(error.find("192.0.2.1:8080"), std::string::npos) << error;
    EXPECT_TRUE(listeners.groups().empty());
}

TEST(Steering, WithoutAnyAllSocketsGetConnections) {
    Opened opened(3);
    opened.live({0, 1, 2});
    const auto count = opened.spread(120);
    EXPECT_EQ(count.size(), 3U);
}

TEST(Steering, ConnectionsAvoidTheSlotsThatAreNotLive) {
    Opened opened(4);
    opened.live({0, 1, 2, 3});
    opened.live({0, 2});
    auto count = opened.spread(200);
    EXPECT_EQ(count[1] + count[3], 0);
    EXPECT_GT(count[0], 50) << "chance, not one place";
    EXPECT_GT(count[2], 50);
    opened.live({0, 1, 2, 3});
    count = opened.spread(200);
    for (std::uint32_t slot = 0; slot < 4; slot++) EXPECT_GT(count[slot], 10) << slot;
}

TEST(Steering, ConnectionsMadeBeforeStayWhereTheyAre) {
    Opened opened(2);
    opened.live({0});
    std::vector<Fd> clients;
    clients.reserve(40);
    for (int i = 0; i < 20; i++) clients.push_back(connect_to(opened.address()));
    opened.live({1});
    EXPECT_TRUE(eventually([&] { return accept_queue(opened.fd(0)) == 20; }));
    EXPECT_EQ(accept_queue(opened.fd(1)), 0U);
    for (int i = 0; i < 20; i++) clients.push_back(connect_to(opened.address()));
    EXPECT_TRUE(eventually([&] { return accept_queue(opened.fd(1)) == 20; }));
    EXPECT_EQ(accept_queue(opened.fd(0)), 20U);
}

TEST(Steering, ANewMemberGetsNothingBeforeItIsLive) {
    Opened opened(1);
    opened.live({0});
    std::vector<SocketId> more;
    ASSERT_EQ(opened.listeners.open(opened.bind, 3, false, more), "");
    auto count = opened.spread(100);
    EXPECT_EQ(count[0], 100);
    opened.live({0, 1, 2});
    count = opened.spread(100);
    EXPECT_GT(count[1] + count[2], 0);
}

TEST(Steering, FollowsTheKernelWhenAMemberIsClosed) {
    Opened opened(4);
    opened.live({0, 1, 2, 3});
    opened.listeners.retire({opened.key, 1});
    opened.listeners.close({opened.key, 1});  // the last one, slot 3, moves into its place
    EXPECT_EQ(opened.fd(1), -1);
    opened.live({0, 3});
    auto count = opened.spread(120);
    EXPECT_EQ(count[2], 0);
    EXPECT_GT(count[0], 20);
    EXPECT_GT(count[3], 20);
    opened.live({2});
    EXPECT_EQ(opened.spread(60)[2], 60);
}

TEST(Steering, ACopyThatIsStillOpenElsewhereTakesNoConnection) {
    Opened opened(2);
    opened.live({0, 1});
    const Fd copy(fcntl(opened.fd(1), F_DUPFD_CLOEXEC, 3));  // as a child that hangs would hold it
    opened.listeners.retire({opened.key, 1});
    opened.listeners.close({opened.key, 1});
    EXPECT_EQ(opened.spread(60)[0], 60);
    EXPECT_EQ(accept4(copy.get(), nullptr, nullptr, SOCK_NONBLOCK), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST(Inherited, IsSharedKeptAndMadeNonBlocking) {
    Fd given(socket(AF_INET, SOCK_STREAM, 0));
    Address address = parse_address("127.0.0.1:0", true).value();
    ASSERT_EQ(bind(given.get(), &address.any.base, address.length), 0);
    ASSERT_EQ(listen(given.get(), 16), 0);
    address = local_address(given.get());
    Listeners listeners({given.get()});
    config::Bind bind;
    bind.inherited_fd = given.get();
    std::vector<SocketId> ids;
    ASSERT_EQ(listeners.open(bind, 1, true, ids), "");
    EXPECT_TRUE(ids.empty()) << "it was not opened here, so a failed reload must not close it";
    const SocketId id{key_of(bind), 0};
    EXPECT_EQ(listeners.descriptor(id), given.get());
    EXPECT_NE(fcntl(given.get(), F_GETFL) & O_NONBLOCK, 0);
    listeners.retire(id);
    listeners.close(id);
    ASSERT_EQ(listeners.open(bind, 1, true, ids), "") << "named again after a reload without it";
    EXPECT_EQ(listeners.descriptor(id), given.get());
    EXPECT_TRUE(connect_to(address));
    given.release();  // the listeners own it now
}

TEST(Inherited, ErrorsSayWhatIsWrongWithTheDescriptor) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const Fd reading(ends[0]);
    const Fd writing(ends[1]);
    const Fd datagram(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const Fd connected(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Fd local(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Fd vsock(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
    std::map<int, std::string> wrong{{reading.get(), "is not a socket"},
                                     {datagram.get(), "is not a stream socket"},
                                     {connected.get(), "is not listening"},
                                     {local.get(), "is not listening"},
                                     {900, "is not open"}};
    if (vsock) wrong.emplace(vsock.get(), "is not an IPv4, IPv6 or unix socket");  // not every kernel has it
    for (const auto& [fd, text] : wrong) {
        Listeners listeners({fd});
        config::Bind bind;
        bind.inherited_fd = fd;
        std::vector<SocketId> ids;
        const std::string error = listeners.open(bind, 1, true, ids);
        EXPECT_NE(error.find(text), std::string::npos) << fd << ": " << error;
        EXPECT_NE(error.find("fd:" + std::to_string(fd)), std::string::npos) << error;
    }
}

TEST(Inherited, ADescriptorOfOurOwnCannotBeNamed) {
    Opened opened(1);
    config::Bind bind;
    bind.inherited_fd = opened.fd(0);
    std::vector<SocketId> ids;
    EXPECT_NE(opened.listeners.open(bind, 1, true, ids), "");
}

TEST(OpenDescriptors, ListsWhatIsOpenButTheStandardStreams) {
    const Fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const auto list = open_descriptors();
    EXPECT_NE(std::find(list.begin(), list.end(), fd.get()), list.end());
    EXPECT_TRUE(std::all_of(list.begin(), list.end(), [](int each) { return each > 2; }));
    EXPECT_TRUE(std::all_of(list.begin(), list.end(), [](int each) { return fcntl(each, F_GETFD) != -1; }));
}

TEST(PortHolder, ReadsTheKernelsTables) {
    const char* four =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 "
        "1 0\n"
        "   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 "
        "1 0\n"
        "   2: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 "
        "1 0\n"
        "   3: 0200007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0 "
        "1 0\n"
        "   4: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 555 1 0 "
        "1 0\n"
        "short line\n";
    using List = std::vector<ino_t>;
    EXPECT_EQ(listening_inodes(four, parse_address("127.0.0.1:8080").value()), (List{111, 222}));
    EXPECT_EQ(listening_inodes(four, parse_address("0.0.0.0:8080").value()), (List{111, 222, 444}));
    EXPECT_EQ(listening_inodes(four, parse_address("127.0.0.1:8082").value()), List{});
    EXPECT_EQ(listening_inodes(four, parse_address("[::1]:8080").value()), List{});
    const char* six =
        "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 "
        "66 1\n"
        "   1: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 "
        "77 1\n";
    EXPECT_EQ(listening_inodes(six, parse_address("[::1]:8080").value()), (List{66, 77}));
    EXPECT_EQ(listening_inodes(six, parse_address("[::2]:8080").value()), (List{77}));
    EXPECT_EQ(listening_inodes(six, parse_address("127.0.0.1:8080").value()), (List{77}));
}

}  // namespace
}  // namespace lb
