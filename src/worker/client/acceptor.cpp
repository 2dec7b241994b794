#include "worker/client/acceptor.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "shared/net/socket.h"

namespace lb {
namespace {

constexpr int most_a_turn = 64;

bool same_host(const Address& a, const Address& b) {
    std::string first, second;
    append_host(first, a);
    append_host(second, b);
    return a.family() == b.family() && first == second;
}

// Which bind of its listener a socket belongs to: by where it is bound (an inherited one keeps its number). One that is lent
// may be of a bind that is gone; then the listener's first one says what its clients are used to.
bool wants_proxy_header(const config::Listener& listener, int fd) {
    const Address local = local_address(fd);
    const auto is = [&](const config::Bind& bind) {
        if (bind.inherited_fd >= 0) return bind.inherited_fd == fd;
        if (local.family() == AF_UNIX || bind.address.port() != 0)
            return to_string(bind.address) == to_string(local);
        return same_host(bind.address, local);  // any port
    };
    const auto found = std::find_if(listener.binds.begin(), listener.binds.end(), is);
    if (found != listener.binds.end()) return found->proxy_protocol;
    return !listener.binds.empty() && listener.binds.front().proxy_protocol;
}

}  // namespace

Acceptor::Acceptor(Services& services, ClientConns& conns, std::uint32_t listener, Fd fd, bool deferred,
                   std::uint64_t lent)
    : s_(services),
      conns_(conns),
      entrance_{listener, deferred, wants_proxy_header(services.config.listeners[listener], fd.get())},
      lent_(lent),
      fd_(std::move(fd)) {
    event_.reset(event_new(s_.io.base.get(), fd_.get(), EV_READ | EV_PERSIST, callback, this));
    if (event_ && event_add(event_.get(), nullptr) != 0) event_.reset();
}

void Acceptor::callback(int, short, void* self) { (void)static_cast<Acceptor*>(self)->accept_some(); }

bool Acceptor::accept_some() {
    for (int i = 0; i < most_a_turn; i++) {
        if (conns_.full()) {
            if (!somebody_waits()) return false;
            if (conns_.make_room()) continue;
            pause(conns_.lowered() ? metrics::refused_descriptors : metrics::refused_limit);
            return false;
        }
        Address address;
        socklen_t size = sizeof address.any;
        const int fd = accept4(fd_.get(), &address.any.base, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            // A unix client may have bound a path without its NUL: the kernel then says more than there is room for.
            address.length = std::min<socklen_t>(size, sizeof address.any.un);
            conns_.add(entrance_, Fd(fd), address);
            continue;
        }
        switch (errno) {
            case EINTR:
            case ECONNABORTED:
            case EPROTO: continue;  // that one client is gone
            case EMFILE:
            case ENFILE:
                if (!out_of(metrics::refused_descriptors)) return false;
                continue;
            case ENOBUFS:
            case ENOMEM:
                if (!out_of(metrics::refused_memory)) return false;
                continue;
            default: return false;  // EAGAIN
        }
    }
    return true;
}

bool Acceptor::somebody_waits() const noexcept {
    pollfd queue{fd_.get(), POLLIN, 0};
    return poll(&queue, 1, 0) == 1;
}

bool Acceptor::out_of(std::uint32_t reason) {
    // A descriptor is asked for before the queue is looked at.
    if (!somebody_waits()) return false;
    if (conns_.lower() && conns_.make_room()) return true;
    pause(reason);
    return false;
}

// Level-triggered and not accepted, the event would fire for ever. The clients wait in the queue until the next tick.
void Acceptor::pause(std::uint32_t reason) {
    s_.column.add<"lb_accept_pauses_total">(s_.config.listeners[entrance_.listener].slot, reason);
    paused_ = true;
    if (event_) event_del(event_.get());
}

void Acceptor::resume() {
    if (!paused_ || (conns_.full() && somebody_waits() && !conns_.make_room())) return;
    paused_ = false;
    if (event_ && event_add(event_.get(), nullptr) != 0) paused_ = true;
}

void Acceptor::accept_all() {
    while (accept_some()) {
    }
}

}  // namespace lb
