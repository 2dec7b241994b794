// worker/io/conn.h -- one stream socket in the event loop: readiness bits, sends that keep what did not fit, a deadline.
// Owns:  the descriptor, its one event and the bytes waiting to be sent.
// Never: parses; decides when to read. Reading stops by not reading.
//
// One persistent edge-triggered event for the whole life of the socket. libevent tells each edge once, so the bits
// stay set until a call shows that there is nothing more: EAGAIN, or a short read that completed a message (see
// drained()). A socket need not be registered at all while it is expected to be answered within the turn.
#pragma once
#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/net/fd.h"
#include "worker/io/io.h"

namespace lb::io {

enum class Flow : std::uint8_t {
    ok,    // all of it is with the kernel
    full,  // kept; stop giving more until the drained call
    gone,  // the connection is of no use any more
};

// The answer to "a long body is waiting on a socket".
enum class Raw : std::uint8_t {
    refused,  // it cannot be moved inside the kernel: read it
    moved,    // as much as there was, or as fits a turn
    full,     // the other side takes no more: stop until told to go on
};

class Conn : public WheelEntry {
 public:
    Conn(Io& io, Fd fd) noexcept : io_(io), fd_(std::move(fd)) {}

    [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }
    [[nodiscard]] bool registered() const noexcept { return registered_; }
    // Whether this turn brought bytes or an end, and the call of on_io for it is still to come.
    [[nodiscard]] bool told() const noexcept {
        return (event_.ev_evcallback.evcb_flags & EVLIST_ACTIVE) != 0 &&
               (event_.ev_res & (EV_READ | EV_CLOSED)) != 0;
    }
    // Enters the epoll set; false when the kernel refuses.
    bool watch() noexcept;

 protected:
    ~Conn() { shut(); }
    // Readiness changed; the bits below say how.
    virtual void on_io() = 0;

    struct Received {
        enum class What : std::uint8_t { data, nothing, end, failed };
        What what;
        std::size_t size = 0;
    };
    // One recv. Clears readable_ when there was nothing.
    Received receive(char* at, std::size_t room) noexcept;
    // After a receive of `size` bytes into `room` that ended exactly with a message: a short read then means that the
    // socket is empty -- unless the end was reported too: data with FIN raises one edge and then nothing.
    void drained(std::size_t size, std::size_t room) noexcept {
        if (size < room && !ended_) readable_ = false;
    }
    // One send; what does not fit is kept and sent when the socket drains. Given while pending(), it is kept behind the
    // rest: for an end or an interim answer, not for payload.
    Flow send(std::string_view bytes) noexcept;
    Flow send(iovec* parts, int count) noexcept;  // changes the parts
    [[nodiscard]] bool pending() const noexcept { return !out_.empty(); }
    // On a writable edge: ok when all that was kept is gone.
    Flow flush() noexcept;
    // Calls on_io once more in the next turn, after a look at what the others have.
    void again_later();
    // Removes the event, then closes the descriptor; forgets what was pending.
    void shut() noexcept;

    Io& io_;
    Fd fd_;
    bool registered_ = false;
    bool readable_ = false;
    bool writable_ = true;
    bool ended_ = false;      // the other side has sent its last byte (EV_CLOSED)
    std::uint64_t sent_ = 0;  // bytes given to the kernel since the owner last took the figure

 private:
    static void callback(evutil_socket_t fd, short what, void* self);
    friend struct Io;
    static constexpr std::uint32_t not_again = UINT32_MAX;
    std::uint32_t again_at_ = not_again;  // place in Io::again
    Buffer out_;
    event event_{};
};

}  // namespace lb::io
