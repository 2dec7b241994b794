// tests/unit/process/channel_test.cpp -- messages and descriptors between two ends, and what a stranger may send.
#include "shared/process/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

namespace lb {
namespace {

struct Pair {
    Channel a, b;
};
Pair make() {
    auto pair = Channel::pair();
    EXPECT_TRUE(pair.ok());
    auto [a, b] = std::move(pair).value();
    return {std::move(a), std::move(b)};
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

TEST(Channel, CarriesAMessageWhole) {
    auto [a, b] = make();
    ASSERT_TRUE(a.send({MessageKind::serve, 7, 0x1122334455667788}));
    const auto got = b.receive();
    ASSERT_EQ(got.got, Channel::Got::message);
    EXPECT_EQ(got.message.kind, MessageKind::serve);
    EXPECT_EQ(got.message.listener, 7U);
    EXPECT_EQ(got.message.value, 0x1122334455667788U);
    EXPECT_FALSE(got.fd);
    EXPECT_EQ(b.receive().got, Channel::Got::nothing);
}

TEST(Channel, PassesADescriptorThatIsCloseOnExec) {
    auto [a, b] = make();
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const Fd reading(ends[0]);
    Fd writing(ends[1]);
    ASSERT_TRUE(a.send({MessageKind::serve, 0, 1}, writing.get()));
    writing.reset();
    const auto got = b.receive();
    ASSERT_EQ(got.got, Channel::Got::message);
    ASSERT_TRUE(got.fd);
    EXPECT_NE(fcntl(got.fd.get(), F_GETFD) & FD_CLOEXEC, 0);
    ASSERT_EQ(write(got.fd.get(), "x", 1), 1);
    char byte = 0;
    ASSERT_EQ(read(reading.get(), &byte, 1), 1);
    EXPECT_EQ(byte, 'x');
}

TEST(Channel, ReportsTheOtherEndClosedAfterWhatItSaid) {
    auto [a, b] = make();
    ASSERT_TRUE(a.send({MessageKind::ready, 0, 0}));
    a.close();
    EXPECT_EQ(b.receive().got, Channel::Got::message);
    EXPECT_EQ(b.receive().got, Channel::Got::closed);
    EXPECT_FALSE(b.send({MessageKind::stop, 0, 0})) << "nobody is there to get it";
}

TEST(Channel, SendFailsInsteadOfWaitingWhenTheOtherEndDoesNotRead) {
    auto [a, b] = make();
    unsigned sent = 0;
    while (sent < 100000 && a.send({MessageKind::suspect, 0, sent})) sent++;
    EXPECT_GE(sent, 64U) << "so many may be behind";
    EXPECT_LT(sent, 100000U);
    EXPECT_EQ(b.receive().message.value, 0U) << "and none of them is lost";
    EXPECT_TRUE(a.send({MessageKind::suspect, 0, 1}));
}

TEST(Channel, TreatsAWrongSizeAsClosed) {
    for (const std::size_t size :
         {std::size_t{1}, sizeof(Message) - 1, sizeof(Message) + 1, std::size_t{200}}) {
        auto [a, b] = make();
        const std::vector<char> bytes(size);
        ASSERT_EQ(::send(a.descriptor(), bytes.data(), size, 0), static_cast<ssize_t>(size));
        EXPECT_EQ(b.receive().got, Channel::Got::closed) << size;
    }
}

TEST(Channel, ClosesEveryDescriptorOfAMessageWithMoreThanOne) {
    auto [a, b] = make();
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    Message message;
    iovec bytes{&message, sizeof message};
    msghdr header{};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(2 * sizeof(int));
    const std::array<int, 2> both{ends[1], ends[1]};
    std::memcpy(CMSG_DATA(part), both.data(), sizeof both);
    ASSERT_EQ(sendmsg(a.descriptor(), &header, 0), static_cast<ssize_t>(sizeof message));
    close(ends[1]);
    const auto got = b.receive();
    EXPECT_EQ(got.got, Channel::Got::closed);
    EXPECT_FALSE(got.fd);
    char byte = 0;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    EXPECT_EQ(read(ends[0], &byte, 1), 0) << "end of file only when both copies are closed";
    close(ends[0]);
}

TEST(Channel, AnEmptyChannelIsClosed) {
    Channel none;
    EXPECT_EQ(none.receive().got, Channel::Got::closed);
    EXPECT_FALSE(none.send({MessageKind::ready, 0, 0}));
    auto [a, b] = make();
    const int fd = a.descriptor();
    a.close();
    EXPECT_FALSE(is_open(fd));
}

}  // namespace
}  // namespace lb
