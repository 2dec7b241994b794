// master/retirement.cpp -- see retirement.h.
#include "master/retirement.h"

#include <algorithm>
#include <iterator>

#include "shared/base/log.h"

namespace lb {

void Retirement::begin(const SocketId& id, Micros now) {
    const Listeners::Group* group = listeners_.group(id.key);
    if (group == nullptr || group->inherited()) return;
    for (const Leaving& one : leaving_) {
        if (one.id == id) return;
    }
    listeners_.retire(id);
    leaving_.push_back({id, now, false, false, {}});
}

void Retirement::forget(const SocketId& id) {
    std::erase_if(leaving_, [&](const Leaving& one) { return one.id == id; });
}

bool Retirement::waits_for(const SocketId& id) const noexcept {
    return std::any_of(leaving_.begin(), leaving_.end(),
                       [&](const Leaving& one) { return one.id == id && !one.quiet; });
}

bool Retirement::waits() const noexcept {
    return std::any_of(leaving_.begin(), leaving_.end(), [](const Leaving& one) { return !one.quiet; });
}

std::vector<SocketId> Retirement::quiet_ones() const {
    std::vector<SocketId> list;
    for (const Leaving& one : leaving_) {
        if (one.quiet) list.push_back(one.id);
    }
    return list;
}

bool Retirement::is_quiet(Leaving& one, Micros now) {
    const Listeners::Group* group = listeners_.group(one.id.key);
    if (group == nullptr) return true;
    const Micros age = now - one.since;
    if (age >= patience) {
        log::warn("{}: handshakes still open after {} s, closing", one.id.key, patience / 1'000'000);
        return true;
    }
    // Not at once: a handshake may have been on its way past the old program while the new one was attached.
    if (age < poll_interval) return false;
    // The order matters: what ends its handshake after the first question is seen in the queue by the second.
    const auto now_open = ask_(group->address.family(), group->address.port());
    if (!now_open) {
        if (age < blind_wait) return false;
    } else if (!one.seen) {
        one.seen = true;
        one.waiting = *now_open;
    } else {
        std::vector<HalfOpen> still;
        std::set_intersection(one.waiting.begin(), one.waiting.end(), now_open->begin(), now_open->end(),
                              std::back_inserter(still));
        one.waiting = std::move(still);
    }
    return one.waiting.empty() && accept_queue(listeners_.descriptor(one.id)) == 0;
}

void Retirement::poll(Micros now) {
    for (Leaving& one : leaving_) one.quiet = one.quiet || is_quiet(one, now);
}

}  // namespace lb
