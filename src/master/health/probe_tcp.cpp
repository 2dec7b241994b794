// master/health/probe_tcp.cpp -- the tcp check, and what every probe does with its connection.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "master/health/probe.h"
#include "shared/net/socket.h"

namespace lb::health {

Outcome failed_with(int error) {
    using Kind = Outcome::Kind;
    switch (error) {
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case ENOBUFS:
        case EADDRNOTAVAIL:  // out of local ports; no_way_to() knows the other meaning
        case EAGAIN: return {Kind::local, errno_text(error)};
        case ECONNREFUSED: return {Kind::fail, "connection refused"};
        case ECONNRESET: return {Kind::fail, "connection reset"};
        case EPIPE: return {Kind::fail, "connection closed"};
        case ETIMEDOUT: return {Kind::fail, "connection timed out"};
        case EHOSTUNREACH: return {Kind::fail, "no route to host"};
        case ENETUNREACH: return {Kind::fail, "network unreachable"};
        default: return {Kind::fail, errno_text(error)};
    }
}

namespace {

// Whether this host has no address of its own from which to reach that one, such as any IPv6 address where IPv6 is off.
// connect() says the same when the local ports are used up, but those of UDP are others.
bool no_way_to(const Address& address) noexcept {
    const Fd fd(socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    return fd && ::connect(fd.get(), &address.any.base, address.length) != 0 && errno == EADDRNOTAVAIL;
}

}  // namespace

Step Probe::connect(const Address& address) {
    Connecting made = start_connect(address);
    // Of a unix socket this says that its queue is full, which is not for want of anything here.
    if (!made.fd && made.error == EAGAIN && address.family() == AF_UNIX) {
        return {true, Outcome{Outcome::Kind::fail, "its queue of connections is full"}};
    }
    if (!made.fd && made.error == EADDRNOTAVAIL && no_way_to(address)) {
        return {true, Outcome{Outcome::Kind::fail, "this host has no address to reach it from"}};
    }
    if (!made.fd) return {true, failed_with(made.error)};
    fd_ = std::move(made.fd);
    return {};
}

std::optional<int> Probe::connected() noexcept {
    const int error = take_socket_error(fd_.get());
    if (error != 0) return error;
    // SO_ERROR is 0 before the connection stands, too; only a writable socket has one.
    pollfd waiting{fd_.get(), POLLOUT, 0};
    if (poll(&waiting, 1, 0) != 1) return std::nullopt;
    return take_socket_error(fd_.get());
}

bool Probe::discard(std::size_t& limit) noexcept {
    char scratch[4096];
    while (limit > 0) {
        const ssize_t n = recv(fd_.get(), scratch, std::min(limit, sizeof scratch), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno != EAGAIN;
        if (n == 0) return true;
        limit -= static_cast<std::size_t>(n);
    }
    return true;
}

namespace {

class TcpProbe final : public Probe {
 public:
    explicit TcpProbe(const Address& address) : address_(address) {}
    Step start() override {
        Step step = connect(address_);
        return step.over ? step : ready();
    }
    Step ready() override {
        const std::optional<int> error = connected();
        if (!error) return {};
        if (*error != 0) return {true, failed_with(*error)};
        std::size_t banner = 4096;  // a server that speaks first
        discard(banner);
        return {true, Outcome{}};
    }
    [[nodiscard]] const char* waiting_for() const noexcept override { return "no connection"; }

 private:
    Address address_;
};

}  // namespace

std::unique_ptr<Probe> make_tcp_probe(const Address& address) { return std::make_unique<TcpProbe>(address); }

std::unique_ptr<Probe> make_probe(const config::Pool& pool, const config::Backend& backend,
                                  const Address& address) {
    switch (pool.check.kind) {
        case config::CheckKind::off: return nullptr;
        case config::CheckKind::tcp: return make_tcp_probe(address);
        case config::CheckKind::http: return make_http_probe(pool, backend, address);
    }
    return nullptr;
}

}  // namespace lb::health
