#include "worker/client/client_conns.h"

#include <algorithm>
#include <span>
#include <vector>

#include "shared/base/log.h"
#include "worker/client/room.h"

namespace lb {
namespace {

// Of all connections, closed at once when room is needed: each newcomer then pays for a look at 64 others, a few
// microseconds and at worst (all of them out of the caches) about twenty, however many there are.
constexpr std::size_t room_part = 64;
// Looks that find too few who rest take at most 1/20 of the time.
constexpr Micros room_pause = 20;
constexpr std::size_t most_asked = 4;  // for each one wanted: some have bytes that nobody read yet, and stay

constexpr std::size_t lowered_part = 8;    // of the connections that there were no descriptors for
constexpr std::size_t restored_part = 64;  // of those left, given back each tick

}  // namespace

ClientConns::~ClientConns() { stop_all(); }

void ClientConns::add(const Entrance& entrance, Fd fd, const Address& peer) {
    ClientConn& conn = pool_.make(s_, *this, entrance, std::move(fd), peer);
    conn.next_ = first_;
    if (first_ != nullptr) first_->previous_ = &conn;
    first_ = &conn;
    open_++;
    const std::uint32_t slot = s_.config.listeners[entrance.listener].slot;
    s_.column.add<"lb_client_connections_total">(slot);
    s_.column.add<"lb_client_connections">(slot);
    conn.accepted(entrance.deferred);
}

void ClientConns::gone(ClientConn& conn) noexcept {
    if (conn.previous_ != nullptr) {
        conn.previous_->next_ = conn.next_;
    } else {
        first_ = conn.next_;
    }
    if (conn.next_ != nullptr) conn.next_->previous_ = conn.previous_;
    open_--;
    s_.column.sub<"lb_client_connections">(s_.config.listeners[conn.listener_].slot);
    if (conn.unsettled_at_ != ClientConn::not_unsettled) {
        unsettled_.back()->unsettled_at_ = conn.unsettled_at_;
        unsettled_[conn.unsettled_at_] = unsettled_.back();
        unsettled_.pop_back();
    }
    pool_.retire(conn);
}

bool ClientConns::make_room() {
    const Micros now = monotonic_now();
    if (now < room_not_before_) return !full();
    const std::size_t wanted =
        (open_ > limit_ ? open_ - limit_ : 0) + std::max<std::size_t>(1, open_ / room_part);
    std::vector<Resting> resting;  // not kept: it is large, and needed in bad times only
    for (ClientConn* conn = first_; conn != nullptr; conn = conn->next_) {
        if (const auto rest = conn->rests()) resting.push_back(*rest);
    }
    std::size_t closed = 0;
    std::span<Resting> left(resting);
    for (std::size_t asked = 0; closed < wanted && asked < wanted * most_asked && !left.empty();) {
        const std::size_t chosen = choose_for_room(left, wanted - closed, now);
        for (const Resting& each : left.first(chosen)) closed += each.conn->give_place() ? 1 : 0;
        left = left.subspan(chosen);
        asked += chosen;
    }
    if (closed < wanted) {
        const Micros end = monotonic_now();
        room_not_before_ = end + (end - now) * room_pause;
    }
    return !full();
}

bool ClientConns::lower() {
    const Micros now = s_.io.clock.now();
    if (lowered_ != 0 && now - lowered_ < io::Wheel::tick) return false;
    lowered_ = now;
    limit_ = std::max<std::size_t>(1, std::min(limit_, open_ - open_ / lowered_part));
    return true;
}

void ClientConns::proxy_error(const ClientConn& conn, const char* why) {
    constexpr Micros log_every = 1'000'000;
    const config::Listener& listener = s_.config.listeners[conn.listener_];
    s_.column.add<"lb_proxy_header_errors_total">(listener.slot);
    const Micros now = s_.io.clock.now();
    if (proxy_error_logged_ != 0 && now - proxy_error_logged_ < log_every) return;
    proxy_error_logged_ = now;
    log::info("listener {}: closed a connection from {}, its PROXY header: {}", listener.name,
              to_string(conn.peer_), why);
}

void ClientConns::settle() {
    while (!unsettled_.empty()) {
        ClientConn& conn = *unsettled_.back();
        unsettled_.pop_back();
        conn.unsettled_at_ = ClientConn::not_unsettled;
        conn.settle();
    }
    const std::size_t configured = s_.config.global.connections;
    if (limit_ < configured) limit_ = std::min(configured, limit_ + 1 + limit_ / restored_part);
}

void ClientConns::close_idle() {
    for (ClientConn* conn = first_; conn != nullptr;) {
        ClientConn* next = conn->next_;
        conn->close_if_idle();
        conn = next;
    }
}

void ClientConns::stop_all() {
    while (first_ != nullptr) {
        ClientConn* conn = first_;
        if (conn->exchange_ == nullptr) count(*conn, metrics::closed_stopped);
        conn->stop();
        if (first_ == conn) conn->die();
    }
}

}  // namespace lb
