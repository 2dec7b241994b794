// worker/client/client_conns.h -- all client connections of a worker.
// Owns:  them, and the bound on their number.
#pragma once
#include <cstdint>
#include <vector>

#include "worker/client/client_conn.h"
#include "worker/io/object_pool.h"

namespace lb {

class ClientConns {
 public:
    explicit ClientConns(Services& services) : s_(services) {}
    ClientConns(const ClientConns&) = delete;
    ClientConns& operator=(const ClientConns&) = delete;
    ~ClientConns();

    // Takes an accepted socket.
    void add(const Entrance& entrance, Fd fd, const Address& peer);
    [[nodiscard]] std::size_t open() const noexcept { return open_; }
    [[nodiscard]] bool full() const noexcept { return open_ >= s_.config.global.connections; }
    // Once a tick: connections accepted before the last tick and not answered yet enter the epoll set.
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
    // A connection is closed because of its PROXY header, or for want of one.
    void proxy_error(const ClientConn& conn, const char* why);

    Services& s_;
    io::ObjectPool<ClientConn> pool_;
    ClientConn* first_ = nullptr;
    std::size_t open_ = 0;
    std::vector<ClientConn*> unsettled_;  // accepted, not registered
    Micros proxy_error_logged_ = 0;
};

}  // namespace lb
