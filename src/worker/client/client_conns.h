// worker/client/client_conns.h -- all client connections of a worker.
// Owns:  them, the bound on their number, and who goes when it is reached.
// Never: gives up one with an exchange; looks at all of them while there is room.
#pragma once
#include <cstdint>
#include <vector>

#include "worker/client/client_conn.h"
#include "worker/io/object_pool.h"

namespace lb {

class ClientConns {
 public:
    explicit ClientConns(Services& services) : s_(services), limit_(services.config.global.connections) {}
    ClientConns(const ClientConns&) = delete;
    ClientConns& operator=(const ClientConns&) = delete;
    ~ClientConns();

    // Takes an accepted socket.
    void add(const Entrance& entrance, Fd fd, const Address& peer);
    [[nodiscard]] std::size_t open() const noexcept { return open_; }
    [[nodiscard]] bool full() const noexcept { return open_ >= limit_; }
    // Closes some of those that rest, the least worth first (room.h); returns whether one more can be let in.
    bool make_room();
    // The kernel had no descriptor or no memory for one more: fewer connections than are configured, for a while, so
    // that backends find some too. False: it was told so a moment ago, and that did not help.
    bool lower();
    [[nodiscard]] bool lowered() const noexcept { return limit_ < s_.config.global.connections; }
    // Once a tick: connections accepted before the last tick and not answered yet enter the epoll set, and what lower()
    // took is given back bit by bit.
    void settle();
    // See ClientConn.
    void close_idle();
    void stop_all();
    void sweep() noexcept { pool_.sweep(); }

 private:
    friend class ClientConn;
    void unsettled(ClientConn& conn) {
        conn.unsettled_at_ = static_cast<std::uint32_t>(unsettled_.size());
        unsettled_.push_back(&conn);
    }
    void gone(ClientConn& conn) noexcept;
    // One ended outside of an exchange.
    void count(const ClientConn& conn, metrics::ClosedLabel why) noexcept {
        s_.column.add<"lb_client_connections_closed_total">(s_.config.listeners[conn.listener_].slot, why);
    }
    // A connection is closed because of its PROXY header, or for want of one.
    void proxy_error(const ClientConn& conn, const char* why);

    Services& s_;
    io::ObjectPool<ClientConn> pool_;
    ClientConn* first_ = nullptr;
    std::size_t open_ = 0;
    std::size_t limit_;           // connections, or less after lower()
    Micros room_not_before_ = 0;  // making room has cost its part until then
    Micros lowered_ = 0;
    std::vector<ClientConn*> unsettled_;  // accepted, not registered
    Micros proxy_error_logged_ = 0;
};

}  // namespace lb
