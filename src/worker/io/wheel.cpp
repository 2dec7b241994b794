#include "worker/io/wheel.h"

#include <algorithm>

namespace lb::io {

Wheel::Wheel() {
    for (Head& head : heads_) head.next_ = head.previous_ = &head;
}

void Wheel::insert(WheelEntry& head, WheelEntry& entry) noexcept {
    entry.next_ = &head;
    entry.previous_ = head.previous_;
    head.previous_->next_ = &entry;
    head.previous_ = &entry;
}

void Wheel::file(WheelEntry& entry, Micros now) noexcept {
    Micros look = now + entry.horizon_;
    if (entry.deadline != 0) look = std::min(look, entry.deadline);
    // Rounded up, and never into a bucket that this advance has passed already.
    const std::int64_t number = std::max((look + tick - 1) / tick, at_ + 1);
    insert(heads_[static_cast<std::size_t>(number) % buckets], entry);
}

void Wheel::add(WheelEntry& entry, Micros horizon, Micros now) noexcept {
    entry.unlink();
    entry.horizon_ = std::clamp(horizon, tick, longest_horizon);
    if (at_ < 0) at_ = now / tick - 1;
    file(entry, now);
}

void Wheel::refile(WheelEntry& entry, Micros now) noexcept {
    if (entry.next_ == nullptr) return;  // nobody looks at it
    entry.unlink();
    file(entry, now);
}

void Wheel::advance(Micros now) {
    const std::int64_t current = now / tick;
    if (at_ < 0) at_ = current - 1;
    // After a long pause each bucket is looked at once; their entries are filed anew.
    std::int64_t from = std::max(at_ + 1, current - static_cast<std::int64_t>(buckets) + 1);
    for (; from <= current; from++) {
        at_ = from;
        Head& head = heads_[static_cast<std::size_t>(from) % buckets];
        // Taken off as one list: an entry filed again meanwhile goes to a later bucket or waits for the next advance.
        Head due;
        if (head.next_ == &head) continue;
        due.next_ = head.next_;
        due.previous_ = head.previous_;
        due.next_->previous_ = due.previous_->next_ = &due;
        head.next_ = head.previous_ = &head;
        while (due.next_ != &due) {
            WheelEntry& entry = *due.next_;
            entry.unlink();
            if (entry.deadline != 0 && entry.deadline <= now) {
                entry.deadline = 0;
                file(entry, now);  // it may live on with another deadline
                entry.on_deadline();
            } else {
                file(entry, now);
            }
        }
        due.next_ = due.previous_ = nullptr;
    }
}

}  // namespace lb::io
