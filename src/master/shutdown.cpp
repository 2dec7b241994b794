// master/shutdown.cpp -- see shutdown.h.
#include "master/shutdown.h"

#include <utility>

#include "shared/base/log.h"

namespace lb {

void Shutdown::announce(const CallerPtr& caller) {
    if (caller) waiting_.push_back(caller);
    core_.segment.header().stopping.store(1, std::memory_order_relaxed);
    core_.manager.stopping();
}

void Shutdown::quit(const CallerPtr& caller) {
    announce(caller);
    if (phase_ != Phase::none) return;
    log::notice("quitting: finishing what is open");
    const Generation* serving = core_.generations.serving();
    if (serving == nullptr) {
        if (core_.predecessors.left() == 0) return begin_stopping();
        // Nobody here serves yet, but workers of an earlier master do.
        const auto& started = core_.generations.all();
        const config::Global global = started.empty() ? config::Global() : started.back().config->global;
        const Micros now = monotonic_now();
        quit_ends_ = now + to_micros(global.quit_timeout);
        reload_.end();
        begin_draining(now);
        return look(now);
    }
    phase_ = Phase::grace;
    grace_ends_ = monotonic_now() + to_micros(serving->config->global.shutdown_grace);
    look(monotonic_now());
}

void Shutdown::stop(const CallerPtr& caller) {
    announce(caller);
    if (phase_ >= Phase::stopping) return;
    log::notice("stopping");
    begin_stopping();
}

void Shutdown::hand_over(const CallerPtr& caller) {
    if (phase_ != Phase::none) {
        if (caller) caller->done(false, "lb is stopping");
        return;
    }
    const bool serving = core_.generations.serving() != nullptr;
    if (!core_.manager.present() || !serving) {
        if (caller) {
            caller->done(false,
                         serving ? "no service manager keeps the listening sockets; use quit" : "starting");
        }
        return;
    }
    if (core_.manager.behind()) {
        if (caller) caller->done(false, "the service manager has not taken every listening socket yet");
        return;
    }
    if (caller) waiting_.push_back(caller);
    log::notice("handing over: the workers go on until another master's accept");
    reload_.end();
    core_.manager.stopping();
    for (const auto& child : core_.children.all()) {
        if (child->role == shm::Role::admin) core_.children.stop(*child);
    }
    handed_over_ = true;
    phase_ = Phase::over;
    over_();
}

// Closing a listening socket resets those whose handshake or first bytes are under way. So first nobody new gets in,
// then the workers empty the queues, and only then they stop accepting.
void Shutdown::begin_quieting(Micros now) {
    reload_.end();
    phase_ = Phase::quieting;
    const Generation* serving = core_.generations.serving();
    quit_ends_ = now + (serving == nullptr ? 0 : to_micros(serving->config->global.quit_timeout));
    std::vector<SocketId> all;
    for (const auto& [key, group] : core_.listeners.groups()) {
        if (group.inherited() || !core_.accepting.has_successor(key)) continue;
        for (const auto& member : group.members) {
            if (member.slot != Listeners::decoy) all.push_back({key, member.slot});
        }
    }
    for (const SocketId& id : all) core_.retirement.begin(id, now);
    core_.watch_retirement();
}

void Shutdown::begin_draining(Micros now) {
    phase_ = Phase::draining;
    const Micros left = quit_ends_ > now ? quit_ends_ - now : 0;
    core_.predecessors.quit();
    for (const auto& child : core_.children.all()) {
        if (child->role == shm::Role::worker) core_.children.drain(*child, left, true);
    }
}

void Shutdown::begin_stopping() {
    reload_.end();
    phase_ = Phase::stopping;
    for (const auto& child : core_.children.all()) core_.children.stop(*child);
    look(monotonic_now());
}

void Shutdown::look(Micros now) {
    if (phase_ == Phase::grace && now >= grace_ends_) begin_quieting(now);
    if (phase_ == Phase::quieting && (!core_.retirement.waits() || now >= quit_ends_)) begin_draining(now);
    if (phase_ == Phase::draining) {
        const bool gone = core_.children.count(shm::Role::worker) == 0 && core_.predecessors.left() == 0;
        if (!gone && now >= quit_ends_) log::warn("quit_timeout is over: closing what is still open");
        if (gone || now >= quit_ends_) begin_stopping();
    }
    if (phase_ == Phase::stopping && core_.children.all().empty()) {
        phase_ = Phase::over;
        over_();
    }
}

void Shutdown::answer() {
    for (const CallerPtr& caller : std::exchange(waiting_, {})) {
        caller->done(true, handed_over_ ? "the workers go on until another master's accept" : "lb has ended");
    }
}

}  // namespace lb
