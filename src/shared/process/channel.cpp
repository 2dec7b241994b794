// shared/process/channel.cpp -- see channel.h.
#include "shared/process/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <type_traits>

#include "shared/net/socket.h"

namespace lb {
namespace {

static_assert(std::is_trivially_copyable_v<Message> && sizeof(Message) == 16, "it crosses the pair as bytes");

// Room for more descriptors than a message may carry, so that surplus ones arrive here and are closed, not lost.
constexpr std::size_t descriptor_room = 4;

// Takes the descriptors of a received message. False when there is more than one.
bool take_descriptors(msghdr& header, Fd& fd) noexcept {
    std::size_t count = 0;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t bytes = part->cmsg_len - CMSG_LEN(0);
        for (std::size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(part) + at, sizeof number);
            if (count++ == 0) {
                fd.reset(number);
            } else {
                ::close(number);
            }
        }
    }
    return count <= 1 && (header.msg_flags & MSG_CTRUNC) == 0;
}

}  // namespace

Result<std::pair<Channel, Channel>, std::string> Channel::pair() {
    int ends[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
        return Failed{"socketpair: " + errno_text(errno)};
    }
    return std::pair<Channel, Channel>(Channel(Fd(ends[0])), Channel(Fd(ends[1])));
}

bool Channel::send(const Message& message, int fd) noexcept {
    if (!fd_) return false;
    Message copy = message;
    iovec bytes{&copy, sizeof copy};
    msghdr header{};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (fd >= 0) {
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        cmsghdr* part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
    }
    ssize_t sent = -1;
    do {
        sent = sendmsg(fd_.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == static_cast<ssize_t>(sizeof copy);
}

Channel::Received Channel::receive() noexcept {
    Received result;
    if (!fd_) {
        result.got = Got::closed;
        return result;
    }
    iovec bytes{&result.message, sizeof result.message};
    msghdr header{};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * descriptor_room)];
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t got = -1;
    do {
        got = recvmsg(fd_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        result.got = errno == EAGAIN || errno == EWOULDBLOCK ? Got::nothing : Got::closed;
        return result;
    }
    const bool one = take_descriptors(header, result.fd);
    const bool whole =
        got == static_cast<ssize_t>(sizeof result.message) && (header.msg_flags & MSG_TRUNC) == 0;
    if (!one || !whole) {
        result.fd.reset();
        result.got = Got::closed;
        return result;
    }
    result.got = Got::message;
    return result;
}

}  // namespace lb
