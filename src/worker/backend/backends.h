// worker/backend/backends.h -- a worker's way to the backends: a place of one, and a connection to it.
// Owns:  every BackendConn of this worker, the idle ones in lists by backend; through its parts the requests that wait
//        for a place (queue.h), and what is told to others of how attempts went (outcomes.h).
// Never: parses HTTP; keeps a pointer into a published table over the end of a turn; retries.
//
// An exchange:  reserve -- yes --> lend ... answered / attempt_failed ... give_back
//                  |saturated: wait -- on_place(place) --> lend ...
//                  |                +- on_waited_too_long, or leave when its client left
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "shared/config/model.h"
#include "shared/process/channel.h"
#include "shared/process/wakeups.h"
#include "shared/shm/counters.h"
#include "shared/shm/segment.h"
#include "worker/backend/backend_conn.h"
#include "worker/backend/idle_limit.h"
#include "worker/backend/outcomes.h"
#include "worker/backend/place.h"
#include "worker/backend/places.h"
#include "worker/backend/queue.h"
#include "worker/io/io.h"
#include "worker/io/object_pool.h"
#include "worker/stream/backend_stream.h"

namespace lb {

// Which idle connections may carry a request (ARCHITECTURE.md section 6): one that can be sent again may go on any;
// one that cannot only on a connection that was idle for less than a second, where a close in flight is unlikely.
enum class Reuse : std::uint8_t { any, recent, none };

class Backends {
 public:
    // wakeups: null: none, the tick does it.
    Backends(io::Io& io, const shm::Segment& table, shm::Column& column, const config::Config& config,
             std::uint32_t worker, std::uint32_t workers, Channel& master, const Wakeups* wakeups = nullptr);
    Backends(const Backends&) = delete;
    Backends& operator=(const Backends&) = delete;
    ~Backends();

    // --- places. pool: index into the configuration.
    // Picks by the pool's policy, and takes a place. `tried`: slots of this exchange's earlier attempts. `first`: its first
    // attempt, which moves the node-wide cursor, is counted, and does not overtake those that wait.
    Place reserve(std::uint32_t pool, const Preference& preference, std::span<const std::uint32_t> tried,
                  bool first) noexcept;
    // Frees it; who waits longest for this pool gets it, from the event loop. One that was not taken is ignored.
    void give_back(std::uint32_t pool, const Place& place) noexcept;
    // After `saturated` of a first attempt. False: the pool has no queue, or it is full. The waiter is told by on_place or
    // on_waited_too_long, never inside this call.
    bool wait(std::uint32_t pool, Waiter& waiter, const Preference& preference) noexcept {
        return queues_.wait(pool, waiter, preference, io_.clock.now());
    }
    // The client left; harmless when it does not wait.
    void leave(Waiter& waiter) noexcept { queues_.leave(waiter, io_.clock.now()); }

    // --- what came of an attempt
    // The response head came, `latency` after the request was sent.
    void answered(std::uint32_t pool, BackendId backend, std::uint16_t status, Micros latency) noexcept {
        outcomes_.answered(pool, backend, status, latency, io_.clock.now());
    }
    // The answer is whole, or a tunnel was begun.
    void completed(std::uint32_t pool, BackendId backend, std::uint16_t status) noexcept {
        outcomes_.completed(pool, backend, status);
    }
    // No connection, or no whole answer. Not for a kept connection that had ended: that says nothing of the backend.
    void attempt_failed(std::uint32_t pool, BackendId backend, Micros elapsed) noexcept {
        outcomes_.failed(pool, backend, elapsed, io_.clock.now());
    }
    // Whether one more retry of a request that a backend may have seen is within the pool's budget; takes it, or counts
    // the refusal. The budget belongs to the pool and is that of its own `retries`, also for routes that set others.
    bool take_retry(std::uint32_t pool) noexcept { return outcomes_.take_retry(pool); }
    // For Set-Cookie; 0: the pool has no sticky cookie.
    [[nodiscard]] std::uint64_t sticky_id(BackendId backend) const noexcept;

    // Usable and configured backends of a pool right now, for messages.
    struct Count {
        std::uint32_t usable, configured;
    };
    [[nodiscard]] Count count(std::uint32_t pool) const noexcept;

    struct Lent {
        stream::BackendStream* stream = nullptr;  // null: the connect failed at once
        bool ready = false;                       // else on_backend_ready comes
        bool reused = false;
        bool more = false;                 // the backend has addresses that were not tried
        const Address* address = nullptr;  // that was tried; valid until the end of the turn, and while lent
        bool exhausted = false;            // lb has no descriptor or memory for it: no fault of the backend
    };
    // skip: how many of the backend's addresses were tried in vain; they go round from the last good one.
    Lent lend(std::uint32_t pool, BackendId backend, stream::ResponseUser& user, Reuse reuse,
              std::uint32_t skip = 0);
    // The address after `skip` vain ones answered: it comes first from now on.
    void reached(std::uint32_t slot, std::uint32_t skip) noexcept;

    // A connection could not be made: the master should look at this backend now.
    void suspect(std::uint32_t slot) noexcept;
    // At the end of a turn, with no function of an exchange or a connection on the stack: serves who waits for places
    // that were freed in it, and destroys connections that are over.
    void sweep();
    // Every 100 ms.
    void tick();
    // This process's wake-up descriptor is readable.
    void wake() { queues_.wake(io_.clock.now()); }
    [[nodiscard]] int wakeup_descriptor() const noexcept { return queues_.descriptor(); }

    const config::Pool& pool(std::uint32_t index) const noexcept { return config_.pools[index]; }

 private:
    friend class BackendConn;
    struct Idle {  // of one backend slot; the newest is the last
        BackendConn* newest = nullptr;
        std::uint32_t incarnation = 0;
        std::uint32_t first_address = 0;  // where to begin among the backend's addresses
        Micros suspected = 0;
        IdleLimit limit;  // of how long this backend keeps idle connections, as far as it is known
    };
    struct PoolState {
        std::uint32_t idle = 0;
        std::uint32_t most_idle = 0;    // this worker's share of the pool's node-wide bound
        BackendConn* oldest = nullptr;  // all idle connections of the pool by age, for eviction
        BackendConn* youngest = nullptr;
    };
    Idle& idle_of(std::uint32_t slot);
    void keep(BackendConn& conn);
    void drop_all(Idle& idle);
    void forget(BackendConn& conn) noexcept;  // takes it off the idle lists
    void retire(BackendConn& conn);
    void closed_by_backend(BackendConn& conn) noexcept;  // an idle one
    void drop_departed();

    io::Io& io_;
    const shm::Segment& table_;
    shm::Column& column_;
    const config::Config& config_;
    Channel& master_;
    Wakeups no_wakeups_;
    Places places_;
    Queues queues_;
    Outcomes outcomes_;
    std::size_t looked_at_ = 0;  // in idle_, by the tick
    std::vector<Idle> idle_;
    std::vector<PoolState> pools_;
    io::ObjectPool<BackendConn> conns_;
    http::ResponseHead response_;  // the head being parsed; valid during one on_response
};

}  // namespace lb
