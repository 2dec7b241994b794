// tests/unit/master/sockets.h -- loopback clients and the like for the tests of listening sockets.
#pragma once
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>

#include "master/listeners.h"
#include "shared/base/clock.h"
#include "shared/net/fd.h"
#include "shared/net/socket.h"

namespace lb {

inline constexpr Micros test_patience = 15'000'000;

// Asks again and again, with short waits in between, until it is so or the time is over.
inline bool eventually(const std::function<bool()>& condition, Micros patience = test_patience) {
    const Micros end = monotonic_now() + patience;
    while (!condition()) {
        if (monotonic_now() > end) return false;
        poll(nullptr, 0, 2);
    }
    return true;
}

// A client connection whose calls block, but not for ever; empty when refused.
inline Fd connect_to(const Address& address) {
    Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{15, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd.get(), &address.any.base, address.length) != 0) fd.reset();
    return fd;
}

// What is waiting in a queue now. With `patience`, the first one may take so long to come.
inline Fd accept_from(int listening, int patience_ms = 0) {
    pollfd watched{listening, POLLIN, 0};
    if (poll(&watched, 1, patience_ms) <= 0) return Fd();
    return Fd(accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

inline config::Bind any_port(const char* text = "127.0.0.1:0") {
    config::Bind bind;
    bind.address = parse_address(text, true).value();
    bind.backlog = 512;
    return bind;
}

inline Address unix_address(const std::string& path) {
    Address address;
    address.any.un.sun_family = AF_UNIX;
    std::memcpy(address.any.un.sun_path, path.data(), path.size());
    address.length = static_cast<std::uint32_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return address;
}

}  // namespace lb
