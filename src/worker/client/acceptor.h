// worker/client/acceptor.h -- one listening socket of a worker: take connections; make room for them when there is
//        none, or leave them waiting when none can be made.
// Owns:  its copy of the descriptor and a level-triggered event on it.
// Never: accepts more than a bounded number a turn; spins when descriptors run out.
#pragma once
#include <cstdint>

#include "shared/net/event_ptr.h"
#include "shared/net/fd.h"
#include "worker/client/client_conns.h"

namespace lb {

class Acceptor {
 public:
    // lent: the number under which the master lent this socket; 0 for the worker's own.
    Acceptor(Services& services, ClientConns& conns, std::uint32_t listener, Fd fd, bool deferred,
             std::uint64_t lent);
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;

    [[nodiscard]] bool listening() const noexcept { return static_cast<bool>(event_); }
    [[nodiscard]] std::uint64_t lent() const noexcept { return lent_; }
    // Once a tick: tries again after there was no room.
    void resume();
    // Whatever waits now is taken before a lent socket is closed.
    void accept_all();

 private:
    static void callback(int fd, short what, void* self);
    // Returns whether there may be more.
    bool accept_some();
    // Whether somebody is in the queue: nobody is closed to make room for nobody.
    [[nodiscard]] bool somebody_waits() const noexcept;
    // The kernel has nothing left for one more connection. Returns whether it is worth asking again.
    bool out_of(std::uint32_t reason);
    void pause(std::uint32_t reason);

    Services& s_;
    ClientConns& conns_;
    Entrance entrance_;
    bool paused_ = false;
    std::uint64_t lent_;
    Fd fd_;
    EventPtr event_;
};

}  // namespace lb
