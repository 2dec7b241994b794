// master/retirement.h -- listening sockets on their way out: when may one be closed without resetting a client?
// Owns:  the list of retiring sockets, and for each the handshakes that were half open when it was steered away from.
// Never: waits longer than `patience`; decides who serves the queue meanwhile (accepting does).
//
// Closing resets what is in the accept queue and kills what is half open. A socket is quiet when every handshake seen
// shortly after the steering has ended, and its queue is empty. Handshakes of the same port that began later belong to
// other sockets, or will be dropped.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "master/half_open.h"
#include "master/listeners.h"
#include "shared/base/clock.h"

namespace lb {

class Retirement {
 public:
    static constexpr Micros patience = 10'000'000;
    static constexpr Micros blind_wait = 3'000'000;  // when the kernel tells nothing about half open ones
    static constexpr Micros poll_interval = 20'000;

    using Ask = std::function<std::optional<std::vector<HalfOpen>>(int family, std::uint16_t port)>;
    explicit Retirement(Listeners& listeners, Ask ask = half_open)
        : listeners_(listeners), ask_(std::move(ask)) {}

    // Steers away from the socket and begins to watch it. Inherited ones are left alone.
    void begin(const SocketId& id, Micros now);
    // It is closed, or a generation names it again.
    void forget(const SocketId& id);
    // About every poll_interval: looks which sockets have become quiet, or ran out of time.
    void poll(Micros now);
    // Those that are, until forget(): to be closed as soon as no worker of their own accepts from them any more. Not
    // before: a worker would see a socket that is ready for ever and has nothing to accept.
    [[nodiscard]] std::vector<SocketId> quiet_ones() const;
    // Whether a socket is still being waited for.
    [[nodiscard]] bool waits_for(const SocketId& id) const noexcept;
    [[nodiscard]] bool waits() const noexcept;
    // Whether there is anything on the list, quiet or not.
    [[nodiscard]] bool active() const noexcept { return !leaving_.empty(); }

 private:
    struct Leaving {
        SocketId id;
        Micros since = 0;
        bool quiet = false;
        bool seen = false;              // `waiting` has been taken
        std::vector<HalfOpen> waiting;  // sorted; only ever shrinks
    };
    bool is_quiet(Leaving& one, Micros now);

    Listeners& listeners_;
    Ask ask_;
    std::vector<Leaving> leaving_;
};

}  // namespace lb
