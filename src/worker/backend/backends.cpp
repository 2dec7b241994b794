#include "worker/backend/backends.h"

#include <algorithm>
#include <cerrno>

#include "shared/net/socket.h"

namespace lb {
namespace {

constexpr Micros recent_limit = 1'000'000;
constexpr Micros suspect_every = 100'000;
constexpr std::size_t looks_per_tick = 4096;  // slots: 40 000 of them in a second

// The kernel had nothing left for lb, whomever it wanted to reach.
bool is_exhaustion(int error) noexcept {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

Backends::Backends(io::Io& io, const shm::Segment& table, shm::Column& column, const config::Config& config,
                   std::uint32_t worker, std::uint32_t workers, Channel& master, const Wakeups* wakeups)
    : io_(io),
      table_(table),
      column_(column),
      config_(config),
      master_(master),
      places_(table, column, config, io.random),
      queues_(table, column, config, places_, wakeups != nullptr ? *wakeups : no_wakeups_),
      outcomes_(table, column, config, master),
      pools_(config.pools.size()) {
    for (std::size_t i = 0; i < pools_.size(); i++) {
        // The pool's bound is for the whole node: each worker has its share, the first ones what is left over.
        // A PROXY header names one client for a whole connection: such a pool keeps none.
        const bool kept = config.pools[i].send_proxy == config::SendProxy::off;
        const std::uint32_t all = kept ? config.pools[i].keepalive : 0;
        pools_[i].most_idle = all / workers + (worker < all % workers ? 1 : 0);
    }
}

// The busy ones went with their exchanges; the idle ones must leave the wheel before it does.
Backends::~Backends() {
    for (Idle& idle : idle_) drop_all(idle);
}

void Backends::drop_all(Idle& idle) {
    while (idle.newest != nullptr) {
        BackendConn& conn = *idle.newest;
        forget(conn);
        conn.die();
    }
}

Place Backends::reserve(std::uint32_t pool, const Preference& preference,
                        std::span<const std::uint32_t> tried, bool first) noexcept {
    const config::Pool& settings = config_.pools[pool];
    Place place;
    if (first && settings.queue.size != 0 &&
        table_.pool_cell(settings.slot).queued.load(std::memory_order_relaxed) != 0) {
        place.pick = Pick::saturated;  // others came before
    } else {
        place = places_.take(pool, preference, tried, first, io_.clock.now());
    }
    if (first && place.pick == Pick::saturated) column_.add<"lb_pool_saturated_total">(settings.slot);
    return place;
}

void Backends::give_back(std::uint32_t pool, const Place& place) noexcept {
    places_.give_back(pool, place);
    if (place.pick == Pick::yes && place.counted) queues_.freed(pool, io_.clock.now());
}

std::uint64_t Backends::sticky_id(BackendId backend) const noexcept {
    return table_.backend(backend.slot).sticky_id.load(std::memory_order_acquire);
}

Backends::Count Backends::count(std::uint32_t pool) const noexcept {
    const auto* published = places_.published(pool);
    if (published == nullptr) return {0, 0};
    return {published->usable, published->configured};
}

Backends::Lent Backends::lend(std::uint32_t pool, BackendId backend, stream::ResponseUser& user, Reuse reuse,
                              std::uint32_t skip) {
    Idle& idle = idle_of(backend.slot);
    if (idle.incarnation != backend.incarnation) {
        // The slot has another owner now: what was kept leads to the earlier one.
        drop_all(idle);
        idle.incarnation = backend.incarnation;
        idle.first_address = 0;
        idle.limit = {};
    }
    while (reuse != Reuse::none && idle.newest != nullptr &&
           (reuse == Reuse::any || io_.clock.now() - idle.newest->idle_since_ < recent_limit)) {
        BackendConn& conn = *idle.newest;
        // Bytes of which this turn's look at the sockets told, but whose callback comes after this one: no answer to
        // what is about to be sent.
        if (conn.told() && !conn.still_idle()) continue;
        forget(conn);
        idle.limit.survived(io_.clock.now() - conn.idle_since_);
        conn.lend(user);
        column_.add<"lb_backend_reuses_total">(backend.slot);
        return {&conn, true, true, false, &conn.address_};
    }
    column_.add<"lb_backend_connects_total">(backend.slot);
    const auto* addresses = table_.block<shm::AddressBlock>(
        table_.backend(backend.slot).addresses.load(std::memory_order_acquire));
    if (addresses == nullptr || addresses->count == 0) return {};
    const bool more = skip + 1 < addresses->count;
    const Address& address = addresses->data()[(idle.first_address + skip) % addresses->count];
    Connecting begun = start_connect(address);
    if (!begun.fd) return {nullptr, false, false, more, &address, is_exhaustion(begun.error)};
    BackendConn& conn = conns_.make(io_, *this, pool, backend.slot, backend.incarnation, address,
                                    std::move(begun.fd), begun.connected);
    if (!conn.watch()) {
        conn.die();
        return {nullptr, false, false, false, nullptr, true};
    }
    conn.lend(user);
    return {&conn, begun.connected, false, more, &conn.address_};
}

void Backends::reached(std::uint32_t slot, std::uint32_t skip) noexcept {
    if (skip > 0) idle_of(slot).first_address += skip;
}

void Backends::suspect(std::uint32_t slot) noexcept {
    Idle& idle = idle_of(slot);
    const Micros now = io_.clock.now();
    if (now - idle.suspected < suspect_every) return;
    idle.suspected = now;
    (void)master_.send({MessageKind::suspect, 0, slot});
}

Backends::Idle& Backends::idle_of(std::uint32_t slot) {
    if (slot >= idle_.size()) idle_.resize(std::max<std::size_t>(slot + 1, idle_.size() * 2));
    return idle_[slot];
}

void Backends::keep(BackendConn& conn) {
    const config::Pool& settings = config_.pools[conn.pool_];
    PoolState& pool = pools_[conn.pool_];
    Idle& idle = idle_of(conn.slot_);
    Micros limit = to_micros(settings.keepalive_timeout);
    if (conn.idle_seconds_ > 0) limit = std::min<Micros>(limit, (Micros{conn.idle_seconds_} - 1) * 1'000'000);
    limit = idle.limit.limit(limit, io_.clock.now());
    if (pool.most_idle == 0 || idle.incarnation != conn.incarnation_ || limit <= 0) {
        conn.die();
        return;
    }
    if (pool.idle >= pool.most_idle) {
        BackendConn& oldest = *pool.oldest;
        forget(oldest);
        oldest.die();
    }
    conn.state_ = BackendConn::State::idle;
    conn.idle_since_ = io_.clock.now();
    io_.wheel.set(conn, conn.idle_since_ + limit, conn.idle_since_);  // a learned limit may be near
    conn.older_ = idle.newest;
    conn.newer_ = nullptr;
    if (idle.newest != nullptr) idle.newest->newer_ = &conn;
    idle.newest = &conn;
    conn.pool_older_ = pool.youngest;
    conn.pool_newer_ = nullptr;
    if (pool.youngest != nullptr) {
        pool.youngest->pool_newer_ = &conn;
    } else {
        pool.oldest = &conn;
    }
    pool.youngest = &conn;
    pool.idle++;
    column_.add<"lb_backend_idle_connections">(conn.slot_);
}

void Backends::forget(BackendConn& conn) noexcept {
    Idle& idle = idle_[conn.slot_];
    PoolState& pool = pools_[conn.pool_];
    if (conn.newer_ != nullptr) {
        conn.newer_->older_ = conn.older_;
    } else {
        idle.newest = conn.older_;
    }
    if (conn.older_ != nullptr) conn.older_->newer_ = conn.newer_;
    if (conn.pool_older_ != nullptr) {
        conn.pool_older_->pool_newer_ = conn.pool_newer_;
    } else {
        pool.oldest = conn.pool_newer_;
    }
    if (conn.pool_newer_ != nullptr) {
        conn.pool_newer_->pool_older_ = conn.pool_older_;
    } else {
        pool.youngest = conn.pool_older_;
    }
    conn.older_ = conn.newer_ = conn.pool_older_ = conn.pool_newer_ = nullptr;
    pool.idle--;
    column_.sub<"lb_backend_idle_connections">(conn.slot_);
}

void Backends::retire(BackendConn& conn) { conns_.retire(conn); }

void Backends::closed_by_backend(BackendConn& conn) noexcept {
    Idle& idle = idle_[conn.slot_];
    if (idle.incarnation == conn.incarnation_)
        idle.limit.closed(io_.clock.now() - conn.idle_since_, io_.clock.now());
}

// A backend that is no member of its pool any more, or whose slot has another owner, gets no request: what is kept to it
// only costs both sides.
void Backends::drop_departed() {
    const std::size_t count = std::min(looks_per_tick, idle_.size());
    for (std::size_t i = 0; i < count; i++) {
        if (++looked_at_ >= idle_.size()) looked_at_ = 0;
        Idle& idle = idle_[looked_at_];
        if (idle.newest == nullptr) continue;
        const shm::BackendSlot& slot = table_.backend(static_cast<std::uint32_t>(looked_at_));
        if (slot.state.load(std::memory_order_acquire) != shm::SlotState::used ||
            slot.incarnation.load(std::memory_order_acquire) != idle.incarnation ||
            slot.member.load(std::memory_order_acquire) == 0) {
            drop_all(idle);
        }
    }
}

void Backends::tick() {
    queues_.tick(io_.clock.now());
    drop_departed();
}

void Backends::sweep() {
    queues_.end_of_turn(io_.clock.now());
    conns_.sweep();
}

}  // namespace lb
