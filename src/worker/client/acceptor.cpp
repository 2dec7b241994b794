#include "worker/client/acceptor.h"

#include <sys/socket.h>

#include <cerrno>

namespace lb {
namespace {

constexpr int most_a_turn = 64;

}  // namespace

Acceptor::Acceptor(Services& services, ClientConns& conns, std::uint32_t listener, Fd fd, bool deferred,
                   std::uint64_t lent)
    : s_(services), conns_(conns), listener_(listener), deferred_(deferred), lent_(lent), fd_(std::move(fd)) {
    event_.reset(event_new(s_.io.base.get(), fd_.get(), EV_READ | EV_PERSIST, callback, this));
    if (event_ && event_add(event_.get(), nullptr) != 0) event_.reset();
}

void Acceptor::callback(int, short, void* self) { (void)static_cast<Acceptor*>(self)->accept_some(); }

bool Acceptor::accept_some() {
    for (int i = 0; i < most_a_turn; i++) {
        if (conns_.full()) {
            pause(metrics::refused_limit);
            return false;
        }
        Address address;
        socklen_t size = sizeof address.any;
        const int fd = accept4(fd_.get(), &address.any.base, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            address.length = size;
            conns_.add(listener_, Fd(fd), address, deferred_);
            continue;
        }
        switch (errno) {
            case EINTR:
            case ECONNABORTED:
            case EPROTO: continue;  // that one client is gone
            case EMFILE:
            case ENFILE: pause(metrics::refused_descriptors); return false;
            case ENOBUFS:
            case ENOMEM: pause(metrics::refused_memory); return false;
            default: return false;  // EAGAIN
        }
    }
    return true;
}

// Level-triggered and not accepted, the event would fire for ever. The clients wait in the queue until the next tick.
void Acceptor::pause(std::uint32_t reason) {
    s_.column.add<"lb_accept_pauses_total">(s_.config.listeners[listener_].slot, reason);
    paused_ = true;
    if (event_) event_del(event_.get());
}

void Acceptor::resume() {
    if (!paused_ || conns_.full()) return;
    paused_ = false;
    if (event_ && event_add(event_.get(), nullptr) != 0) paused_ = true;
}

void Acceptor::accept_all() {
    while (accept_some()) {
    }
}

}  // namespace lb
