// master/signals.h -- what each signal means to the master. Delivered by the event loop, never inside a handler.
//   TERM, INT  stop at once          HUP   reload         CHLD  a child ended
//   QUIT       stop gracefully       USR1  reopen logs    WINCH, USR2, PIPE  ignored
#pragma once
#include <csignal>
#include <functional>
#include <vector>

#include "shared/net/event_ptr.h"

namespace lb {

struct SignalActions {
    std::function<void()> stop, quit, reload, reopen, child_ended;
};

class Signals {
 public:
    // False when the loop cannot take them.
    bool start(event_base* base, SignalActions actions);
    void end() noexcept { events_.clear(); }

 private:
    SignalActions actions_;
    std::vector<EventPtr> events_;
};

// Blocks every signal while it lives: around fork, so that a child cannot run a handler of the master's.
class SignalsBlocked {
 public:
    SignalsBlocked() noexcept;
    ~SignalsBlocked();
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
    sigset_t before_;
};

}  // namespace lb
