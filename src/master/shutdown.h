// master/shutdown.h -- the ways to end: quit (let everybody finish), stop (now), and hand over.
//
//   none --quit--> grace --shutdown_grace--> quieting --sockets quiet--> draining --workers gone--> stopping --> over
//     \              still accepting,         no new handshakes,          quit_timeout, then stop    everybody   exit
//      \             /readyz fails            queues are emptied                                     is told
//       `---------- stop, at any time -------------------------------------------------------------->'
//
// Handing over is ending as a master that is killed does, but tidily: the workers go on accepting from the sockets that the
// service manager keeps, until it has started the next master and its workers accept; then they drain.
//
// Owns:  the state of the end, and who waits for it.
// Never: blocks; leaves a child behind, but when handing over: what does not end on "stop" is killed after Children::stop_patience.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "master/caller.h"
#include "master/core.h"
#include "master/reload.h"

namespace lb {

class Shutdown {
 public:
    // `over` is called once, when every child has ended and everything that was created is removed.
    Shutdown(Core& core, Reload& reload, std::function<void()> over)
        : core_(core), reload_(reload), over_(std::move(over)) {}

    void quit(const CallerPtr& caller);
    void stop(const CallerPtr& caller);
    // Refused when no service manager keeps the sockets, or lb ends already.
    void hand_over(const CallerPtr& caller);
    // From the tick, and whenever a child ended or a socket was retired.
    void look(Micros now);

    // Past the grace: no new child is started any more.
    [[nodiscard]] bool winding_down() const noexcept { return phase_ > Phase::grace; }
    [[nodiscard]] bool asked() const noexcept { return phase_ != Phase::none; }
    [[nodiscard]] bool handed_over() const noexcept { return handed_over_; }
    // Tells those who wait that it is done. After the files are gone.
    void answer();

 private:
    enum class Phase : std::uint8_t { none, grace, quieting, draining, stopping, over };
    void announce(const CallerPtr& caller);
    void begin_quieting(Micros now);
    void begin_draining(Micros now);
    void begin_stopping();

    Core& core_;
    Reload& reload_;
    std::function<void()> over_;
    Phase phase_ = Phase::none;
    bool handed_over_ = false;
    Micros grace_ends_ = 0, quit_ends_ = 0;
    std::vector<CallerPtr> waiting_;
};

}  // namespace lb
