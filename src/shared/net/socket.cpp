// shared/net/socket.cpp -- the few socket calls that more than one part of lb makes.
#include "shared/net/socket.h"

#include <fmt/format.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

namespace lb {

Connecting start_connect(const Address& address) noexcept {
    Connecting out;
    if (address.length == 0) {
        out.error = EDESTADDRREQ;
        return out;
    }
    Fd fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) {
        out.error = errno;
        return out;
    }
    if (address.family() == AF_INET || address.family() == AF_INET6) {
        // Cannot fail on a fresh TCP socket, and a connection without it still works.
        const int on = 1;
        setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (connect(fd.get(), &address.any.base, address.length) == 0) {
        out.connected = true;
    } else if (errno != EINPROGRESS && errno != EINTR) {
        // After EINTR the kernel goes on connecting by itself (POSIX), as after EINPROGRESS.
        out.error = errno;
        return out;
    }
    out.fd = std::move(fd);
    return out;
}

int take_socket_error(int fd) noexcept {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
    return error;
}

std::string errno_text(int error) {
    const char* text = strerrordesc_np(error);
    return text != nullptr ? text : fmt::format("error {}", error);
}

Address local_address(int fd) noexcept {
    Address address;
    socklen_t size = sizeof address.any;
    if (getsockname(fd, &address.any.base, &size) != 0 || size > sizeof address.any) return {};
    address.length = size;
    return address;
}

}  // namespace lb
