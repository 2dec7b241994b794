// master/health/schedule.cpp -- see schedule.h. The heap is the textbook one, with where_ kept beside every
// move.
#include "master/health/schedule.h"

#include <algorithm>

namespace lb::health {

Micros delay(Micros interval, Pace pace, std::uint32_t down_checks, Random& random) noexcept {
    Micros base = interval;
    switch (pace) {
        case Pace::first: return interval * (500 + random.below(501)) / 1000;
        case Pace::steady: break;
        case Pace::transition: base = std::min(interval, std::max(interval / 2, least_transition)); break;
        case Pace::down: base = interval + interval / 4 * std::min<std::uint32_t>(down_checks, 4); break;
    }
    return std::min(base * (900 + random.below(201)) / 1000, 2 * interval);
}

void Agenda::set(std::uint32_t id, Micros due) {
    if (id >= where_.size()) where_.resize(std::size_t{id} + 1, absent);
    if (where_[id] == absent) {
        heap_.push_back({due, id});
        where_[id] = static_cast<std::uint32_t>(heap_.size() - 1);
    } else {
        heap_[where_[id]].due = due;
    }
    rise(where_[id]);
    sink(where_[id]);
}

void Agenda::remove(std::uint32_t id) noexcept {
    if (contains(id)) erase(where_[id]);
}

void Agenda::clear() noexcept {
    heap_.clear();
    where_.clear();
}

bool Agenda::contains(std::uint32_t id) const noexcept { return id < where_.size() && where_[id] != absent; }

std::optional<std::uint32_t> Agenda::pop(Micros now) noexcept {
    if (heap_.empty() || heap_.front().due > now) return std::nullopt;
    const std::uint32_t id = heap_.front().id;
    erase(0);
    return id;
}

std::optional<Micros> Agenda::next() const noexcept {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().due;
}

std::optional<Micros> Agenda::due(std::uint32_t id) const noexcept {
    if (!contains(id)) return std::nullopt;
    return heap_[where_[id]].due;
}

void Agenda::place(std::size_t at, Item item) noexcept {
    heap_[at] = item;
    where_[item.id] = static_cast<std::uint32_t>(at);
}

void Agenda::rise(std::size_t at) noexcept {
    const Item item = heap_[at];
    while (at > 0 && item.due < heap_[(at - 1) / 2].due) {
        place(at, heap_[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(at, item);
}

void Agenda::sink(std::size_t at) noexcept {
    const Item item = heap_[at];
    for (std::size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
        if (child + 1 < heap_.size() && heap_[child + 1].due < heap_[child].due) child++;
        if (item.due <= heap_[child].due) break;
        place(at, heap_[child]);
        at = child;
    }
    place(at, item);
}

void Agenda::erase(std::size_t at) noexcept {
    where_[heap_[at].id] = absent;
    const Item last = heap_.back();
    heap_.pop_back();
    if (at == heap_.size()) return;
    place(at, last);
    rise(at);
    sink(where_[last.id]);
}

}  // namespace lb::health
