// shared/net/socket.h -- the few socket calls that more than one part of lb makes.
#pragma once
#include <string>

#include "shared/net/address.h"
#include "shared/net/fd.h"

namespace lb {

// A connection being made: non-blocking, close-on-exec, TCP_NODELAY.
struct Connecting {
    Fd fd;                   // empty when the socket or the connect failed at once
    int error = 0;           // errno of that failure
    bool connected = false;  // already established (unix sockets, sometimes loopback)
};
Connecting start_connect(const Address& address) noexcept;
// The pending error of a socket (SO_ERROR), cleared by asking; 0: none.
int take_socket_error(int fd) noexcept;
// errno as text, without strerror's shared buffer.
std::string errno_text(int error);
// The local address of a bound socket; length 0 when it has none.
Address local_address(int fd) noexcept;

}  // namespace lb
