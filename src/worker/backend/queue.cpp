#include "worker/backend/queue.h"

#include <algorithm>

#include "worker/backend/places.h"

namespace lb {
namespace {

constexpr auto ordered = std::memory_order_seq_cst;
// A process that shows no heartbeat for so long is passed over: it may hang, and others wait behind it.
constexpr Micros stale_after = 1'000'000;
constexpr std::uint32_t most_served = 256;  // of one pool before other work has its turn
constexpr int most_rounds = 16;             // at the end of one turn

}  // namespace

Queues::Queues(const shm::Segment& table, shm::Column& column, const config::Config& config, Places& places,
               const Wakeups& wakeups)
    : table_(table),
      column_(column),
      config_(config),
      places_(places),
      wakeups_(wakeups),
      lines_(config.pools.size()) {}

shm::PoolCell& Queues::cell(std::uint32_t pool) const noexcept {
    return table_.pool_cell(config_.pools[pool].slot);
}

// Shows the least ticket that waits here.
void Queues::show(std::uint32_t pool) noexcept {
    const Waiter* first = lines_[pool].first;
    table_.tickets(column_.index())[config_.pools[pool].slot].store(first == nullptr ? 0 : first->ticket_,
                                                                    ordered);
}

Queues::Least Queues::least(std::uint32_t pool, Micros now) const noexcept {
    const std::uint32_t slot = config_.pools[pool].slot;
    const auto columns = table_.header().columns_touched.load(std::memory_order_acquire);
    Least found;
    for (std::uint32_t c = 0; c < columns; c++) {
        const std::uint64_t ticket = table_.tickets(c)[slot].load(ordered);
        if (ticket == 0 || (found.ticket != 0 && ticket >= found.ticket)) continue;
        if (c != column_.index()) {
            const auto beat = static_cast<Micros>(table_.column(c).heartbeat.load(std::memory_order_relaxed));
            if (now - beat > stale_after) continue;
        }
        found = {ticket, c};
    }
    return found;
}

bool Queues::wait(std::uint32_t pool, Waiter& waiter, const Preference& preference, Micros now) noexcept {
    const config::Pool& settings = config_.pools[pool];
    if (settings.queue.size == 0 || waiter.waiting_) return false;
    shm::PoolCell& shared = cell(pool);
    if (shared.queued.fetch_add(1, ordered) >= settings.queue.size) {
        shared.queued.fetch_sub(1, ordered);
        return false;
    }
    column_.add<"lb_pool_queued">(settings.slot);
    Line& line = lines_[pool];
    // A ticket is shown from the moment it can be had: whoever has a later one must not miss it.
    if (line.first == nullptr)
        table_.tickets(column_.index())[settings.slot].store(shared.tickets.load(ordered) + 1, ordered);
    waiter.ticket_ = shared.tickets.fetch_add(1, ordered) + 1;
    waiter.preference_ = preference;
    waiter.pool_ = pool;
    waiter.since_ = now;
    waiter.waiting_ = true;
    waiter.next_ = nullptr;
    waiter.previous_ = line.last;
    (line.last != nullptr ? line.last->next_ : line.first) = &waiter;
    line.last = &waiter;
    if (line.first == &waiter) {
        show(pool);
        due_ = true;  // what was freed before the ticket was shown told nobody
    }
    if (!line.listed) {
        line.listed = true;
        waited_for_.push_back(pool);
    }
    return true;
}

void Queues::take_out(Waiter& waiter, Micros now) noexcept {
    const std::uint32_t pool = waiter.pool_;
    const std::uint32_t slot = config_.pools[pool].slot;
    Line& line = lines_[pool];
    const bool first = line.first == &waiter;
    (waiter.next_ != nullptr ? waiter.next_->previous_ : line.last) = waiter.previous_;
    (waiter.previous_ != nullptr ? waiter.previous_->next_ : line.first) = waiter.next_;
    waiter.next_ = waiter.previous_ = nullptr;
    waiter.waiting_ = false;
    if (first) show(pool);
    // The gauge says what the master takes off the cell when this process dies: never more than is in it. So it goes first,
    // and in wait() the cell does.
    column_.sub<"lb_pool_queued">(slot);
    cell(pool).queued.fetch_sub(1, ordered);
    column_.add<"lb_pool_queue_seconds_total">(
        slot, 0, static_cast<std::uint64_t>(std::max<Micros>(now - waiter.since_, 0)));
}

void Queues::leave(Waiter& waiter, Micros now) noexcept {
    if (!waiter.waiting_) return;
    const std::uint32_t pool = waiter.pool_;
    const bool first = lines_[pool].first == &waiter;
    take_out(waiter, now);
    if (first) pass_on(pool, now);  // a place may have been meant for it
}

// Somebody else's turn, or another one's of this process.
void Queues::pass_on(std::uint32_t pool, Micros now) noexcept {
    if (cell(pool).queued.load(ordered) == 0 || !places_.maybe_room(pool)) return;
    const Least next = least(pool, now);
    if (next.ticket == 0) return;
    if (next.column == column_.index()) {
        due_ = true;
    } else {
        wakeups_.wake(next.column);
    }
}

void Queues::freed(std::uint32_t pool, Micros now) noexcept {
    if (cell(pool).queued.load(ordered) == 0) return;
    const Least next = least(pool, now);
    if (next.ticket == 0) return;
    if (next.column == column_.index()) {
        due_ = true;
    } else {
        wakeups_.wake(next.column);
    }
}

void Queues::serve(std::uint32_t pool, Micros now) {
    for (std::uint32_t served = 0; lines_[pool].first != nullptr; served++) {
        const Least next = least(pool, now);
        if (next.ticket != 0 && next.column != column_.index()) {
            if (places_.maybe_room(pool)) wakeups_.wake(next.column);
            return;
        }
        if (served == most_served) {
            due_ = true;
            return;
        }
        Waiter& waiter = *lines_[pool].first;
        const Place place = places_.take(pool, waiter.preference_, {}, true, now);
        if (place.pick != Pick::yes) return;
        take_out(waiter, now);
        waiter.on_place(place);
    }
    pass_on(pool, now);
}

void Queues::serve_all(Micros now) {
    // What is called here may begin to wait for other pools.
    round_ = waited_for_;
    for (const std::uint32_t pool : round_) serve(pool, now);
    std::erase_if(waited_for_, [this](std::uint32_t pool) {
        if (lines_[pool].first != nullptr) return false;
        lines_[pool].listed = false;
        return true;
    });
}

void Queues::end_of_turn(Micros now) {
    for (int round = 0; due_ && round < most_rounds; round++) {
        due_ = false;
        serve_all(now);
    }
    // The rest after other work: the loop must not sleep meanwhile.
    if (due_) wakeups_.wake(column_.index());
}

void Queues::tick(Micros now) {
    if (waited_for_.empty()) return;
    round_ = waited_for_;
    for (const std::uint32_t pool : round_) {
        const Micros patience = to_micros(config_.pools[pool].queue.timeout);
        // All wait equally long: the first one's time is over first.
        while (lines_[pool].first != nullptr && now - lines_[pool].first->since_ >= patience) {
            Waiter& waiter = *lines_[pool].first;
            take_out(waiter, now);
            column_.add<"lb_pool_queue_timeouts_total">(config_.pools[pool].slot);
            waiter.on_waited_too_long();
        }
    }
    serve_all(now);
}

void Queues::wake(Micros now) {
    wakeups_.heard(column_.index());
    serve_all(now);
}

}  // namespace lb
