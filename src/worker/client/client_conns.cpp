#include "worker/client/client_conns.h"

#include "shared/base/log.h"

namespace lb {

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
        conn->stop();
        if (first_ == conn) conn->die();
    }
}

}  // namespace lb
