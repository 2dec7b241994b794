#include "worker/backend/backends.h"

#include <algorithm>

#include "shared/balance/least_conn.h"
#include "shared/balance/round_robin.h"
#include "shared/net/socket.h"

namespace lb {
namespace {

constexpr Micros recent_limit = 1'000'000;
constexpr Micros suspect_every = 100'000;

}  // namespace

Backends::Backends(io::Io& io, const shm::Segment& table, shm::Column& column, const config::Config& config,
                   std::uint32_t worker, std::uint32_t workers, Channel& master)
    : io_(io), table_(table), column_(column), config_(config), master_(master), pools_(config.pools.size()) {
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

std::optional<BackendId> Backends::pick(std::uint32_t pool, std::span<const std::uint32_t> tried,
                                        bool first) noexcept {
    const config::Pool& settings = config_.pools[pool];
    const auto* published = table_.block<shm::PublishedPool>(
        table_.pool(settings.slot).published.load(std::memory_order_acquire));
    if (published == nullptr || published->count == 0) return std::nullopt;
    const auto* list = reinterpret_cast<const shm::Eligible*>(published + 1);
    const std::span<const shm::Eligible> eligible(list, published->count);
    const std::span<const std::uint32_t> schedule(
        reinterpret_cast<const std::uint32_t*>(list + published->count), published->schedule_length);
    std::optional<std::uint32_t> chosen;
    switch (settings.policy) {
        case config::Policy::round_robin: {
            auto& cursor = table_.pool_cell(settings.slot).cursor;
            const std::uint64_t at = first ? cursor.fetch_add(1, std::memory_order_relaxed)
                                           : cursor.load(std::memory_order_relaxed);
            chosen = balance::pick_round_robin(eligible, schedule, at, tried);
            break;
        }
        case config::Policy::least_conn:
            chosen = balance::pick_least_conn(
                eligible,
                [this](std::uint32_t slot) noexcept {
                    return table_.backend_cell(slot).in_flight.load(std::memory_order_relaxed);
                },
                tried, io_.random);
            break;
    }
    if (!chosen) return std::nullopt;
    return BackendId{eligible[*chosen].backend, eligible[*chosen].incarnation};
}

Backends::Count Backends::count(std::uint32_t pool) const noexcept {
    const auto* published = table_.block<shm::PublishedPool>(
        table_.pool(config_.pools[pool].slot).published.load(std::memory_order_acquire));
    if (published == nullptr) return {0, 0};
    return {published->count, published->configured};
}

Backends::Lent Backends::lend(std::uint32_t pool, BackendId backend, stream::ResponseUser& user, Reuse reuse,
                              std::uint32_t skip) {
    Idle& idle = idle_of(backend.slot);
    if (idle.incarnation != backend.incarnation) {
        // The slot has another owner now: what was kept leads to the earlier one.
        drop_all(idle);
        idle.incarnation = backend.incarnation;
        idle.first_address = 0;
    }
    if (reuse != Reuse::none && idle.newest != nullptr &&
        (reuse == Reuse::any || io_.clock.now() - idle.newest->idle_since_ < recent_limit)) {
        BackendConn& conn = *idle.newest;
        forget(conn);
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
    if (!begun.fd) return {nullptr, false, false, more, &address};
    BackendConn& conn = conns_.make(io_, *this, pool, backend.slot, backend.incarnation, address,
                                    std::move(begun.fd), begun.connected);
    if (!conn.watch()) {
        conn.die();
        return {};
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
    conn.deadline = conn.idle_since_ + limit;
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

}  // namespace lb
