// worker/backend/backends.h -- a worker's way to the backends: pick one from the published table, lend a connection.
// Owns:  every BackendConn of this worker, the idle ones in lists by backend.
// Never: parses HTTP; keeps a pointer into a published table over the end of a turn; retries.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shared/config/model.h"
#include "shared/process/channel.h"
#include "shared/shm/counters.h"
#include "shared/shm/segment.h"
#include "worker/backend/backend_conn.h"
#include "worker/io/io.h"
#include "worker/io/object_pool.h"
#include "worker/stream/backend_stream.h"

namespace lb {

// One backend, as a pick names it. The incarnation tells an earlier owner of the slot from the present one.
struct BackendId {
    std::uint32_t slot = shm::no_slot;
    std::uint32_t incarnation = 0;
};

// Which idle connections may carry a request (ARCHITECTURE.md section 6): one that can be sent again may go on any;
// one that cannot only on a connection that was idle for less than a second, where a close in flight is unlikely.
enum class Reuse : std::uint8_t { any, recent, none };

class Backends {
 public:
    Backends(io::Io& io, const shm::Segment& table, shm::Column& column, const config::Config& config,
             std::uint32_t worker, std::uint32_t workers, Channel& master);
    Backends(const Backends&) = delete;
    Backends& operator=(const Backends&) = delete;
    ~Backends();

    // A backend of the pool (index into the configuration), or nothing when none is usable but those in `tried`.
    // `first`: the first attempt of an exchange, which moves the node-wide cursor.
    std::optional<BackendId> pick(std::uint32_t pool, std::span<const std::uint32_t> tried,
                                  bool first) noexcept;
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
    };
    // skip: how many of the backend's addresses were tried in vain; they go round from the last good one.
    Lent lend(std::uint32_t pool, BackendId backend, stream::ResponseUser& user, Reuse reuse,
              std::uint32_t skip = 0);
    // The address after `skip` vain ones answered: it comes first from now on.
    void reached(std::uint32_t slot, std::uint32_t skip) noexcept;

    // A connection could not be made: the master should look at this backend now.
    void suspect(std::uint32_t slot) noexcept;
    // At the end of a turn.
    void sweep() noexcept { conns_.sweep(); }

    const config::Pool& pool(std::uint32_t index) const noexcept { return config_.pools[index]; }

 private:
    friend class BackendConn;
    struct Idle {  // of one backend slot; the newest is the last
        BackendConn* newest = nullptr;
        std::uint32_t incarnation = 0;
        std::uint32_t first_address = 0;  // where to begin among the backend's addresses
        Micros suspected = 0;
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

    io::Io& io_;
    const shm::Segment& table_;
    shm::Column& column_;
    const config::Config& config_;
    Channel& master_;
    std::vector<Idle> idle_;
    std::vector<PoolState> pools_;
    io::ObjectPool<BackendConn> conns_;
    http::ResponseHead response_;  // the head being parsed; valid during one on_response
};

}  // namespace lb
