// worker/backend/queue.h -- requests that wait for a place when every usable backend of their pool has its max_inflight.
// Owns:  this worker's waiting requests, a list for each pool; its least ticket of each in its column of the table.
// Never: serves a request out of turn, or calls a waiter from inside a call of an exchange: freed places are handed out
//        at the end of a turn, by the tick, or when another worker wakes this one.
//
// One line of waiting for the whole node. A ticket (PoolCell::tickets) says who came first. Each process shows the least
// one it has; who frees a place looks for the least of all and wakes its process, which takes the place itself and then
// wakes the next. PoolCell::queued counts all who wait and never exceeds the queue's size.
//
//   waiter  queued + 1, ticket shown, then tries for a place     (an atomic read-modify-write, then reads of the cells)
//   releaser  cells - 1, then looks whether anybody is queued    (a release, then a sequentially consistent load)
// One of the two sees the other. The tick tries again every 100 ms, for backends that became usable, for places that
// died with their process, and for processes without a wake-up descriptor.
#pragma once
#include <cstdint>
#include <vector>

#include "shared/base/clock.h"
#include "shared/config/model.h"
#include "shared/process/wakeups.h"
#include "shared/shm/counters.h"
#include "shared/shm/segment.h"
#include "worker/backend/place.h"

namespace lb {

class Places;
class Queues;

// Who can wait: a base of Exchange. Not to be destroyed while it waits (Backends::leave).
class Waiter {
 public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    [[nodiscard]] bool waiting() const noexcept { return waiting_; }
    // Of the last time it waited; 0: never. Lower ones came before.
    [[nodiscard]] std::uint64_t ticket() const noexcept { return ticket_; }

 protected:
    ~Waiter() = default;

 private:
    friend class Queues;
    // Both come when it waits no more, from the event loop itself.
    virtual void on_place(const Place& place) = 0;  // it was taken for this one
    virtual void on_waited_too_long() = 0;

    Waiter* next_ = nullptr;
    Waiter* previous_ = nullptr;
    std::uint64_t ticket_ = 0;
    Micros since_ = 0;
    Preference preference_;
    std::uint32_t pool_ = 0;  // index into the configuration
    bool waiting_ = false;
};

class Queues {
 public:
    Queues(const shm::Segment& table, shm::Column& column, const config::Config& config, Places& places,
           const Wakeups& wakeups);

    // False: the pool has no queue, or it is full.
    bool wait(std::uint32_t pool, Waiter& waiter, const Preference& preference, Micros now) noexcept;
    // It was served otherwise, or its client left. Harmless when it does not wait.
    void leave(Waiter& waiter, Micros now) noexcept;
    // A place of this pool is free again.
    void freed(std::uint32_t pool, Micros now) noexcept;
    // What is due in this process: at the end of a turn, with no exchange on the stack.
    void end_of_turn(Micros now);
    // Every 100 ms: who waited too long, and one try for the others.
    void tick(Micros now);
    // Another process says that it may be this one's turn.
    void wake(Micros now);
    [[nodiscard]] int descriptor() const noexcept { return wakeups_.descriptor(column_.index()); }

 private:
    struct Line {
        Waiter* first = nullptr;
        Waiter* last = nullptr;
        bool listed = false;  // in `waited_for_`
    };
    struct Least {
        std::uint64_t ticket = 0;  // 0: nobody
        std::uint32_t column = 0;
    };
    [[nodiscard]] Least least(std::uint32_t pool, Micros now) const noexcept;
    [[nodiscard]] shm::PoolCell& cell(std::uint32_t pool) const noexcept;
    void show(std::uint32_t pool) noexcept;
    void take_out(Waiter& waiter, Micros now) noexcept;
    void serve(std::uint32_t pool, Micros now);
    void serve_all(Micros now);
    void pass_on(std::uint32_t pool, Micros now) noexcept;

    const shm::Segment& table_;
    shm::Column& column_;
    const config::Config& config_;
    Places& places_;
    const Wakeups& wakeups_;
    std::vector<Line> lines_;                // by index of the pool
    std::vector<std::uint32_t> waited_for_;  // pools whose line may not be empty
    std::vector<std::uint32_t> round_;       // a copy of them while they are served
    bool due_ = false;                       // a place may be free for somebody of this process
};

}  // namespace lb
