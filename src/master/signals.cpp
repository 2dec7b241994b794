// master/signals.cpp -- see signals.h.
#include "master/signals.h"

#include <utility>

namespace lb {

bool Signals::start(event_base* base, SignalActions actions) {
    actions_ = std::move(actions);
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
    sigaction(SIGWINCH, &ignore, nullptr);
    sigaction(SIGUSR2, &ignore, nullptr);  // who knows nginx may send it
    const std::pair<int, std::function<void()>*> table[] = {
        {SIGTERM, &actions_.stop},  {SIGINT, &actions_.stop},    {SIGQUIT, &actions_.quit},
        {SIGHUP, &actions_.reload}, {SIGUSR1, &actions_.reopen}, {SIGCHLD, &actions_.child_ended},
    };
    for (const auto& [number, action] : table) {
        const auto call = [](evutil_socket_t, short, void* what) {
            (*static_cast<std::function<void()>*>(what))();
        };
        EventPtr event(event_new(base, number, EV_SIGNAL | EV_PERSIST, call, action));
        if (!event || event_add(event.get(), nullptr) != 0) return false;
        events_.push_back(std::move(event));
    }
    // A parent may have left them blocked (nohup-like wrappers and some test runners do).
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, nullptr);
    return true;
}

SignalsBlocked::SignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    sigemptyset(&before_);
    sigprocmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace lb
