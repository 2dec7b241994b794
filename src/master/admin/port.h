// master/admin/port.h -- HTTP/1 of the admin port: whole requests in, one answer to each.
// Owns:  its listening sockets, its connections with their limits and deadlines, and the bytes of answers on their way.
// Never: knows what a path means; reads what shared/http refuses; says anything to who is not allowed but 403.
//
// Bounds: a head has 8 KiB and 64 fields, a body 16 KiB; a request must be complete 10 s after its connection was free
//         for it; an answer must move within 10 s; answers on their way hold at most 256 MiB. Who is not allowed has
//         at most 64 connections in all, so that nobody outside can take the descriptors of who is.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "master/admin/answer.h"
#include "shared/http/message.h"
#include "shared/net/address.h"

struct event_base;
struct evconnlistener;

namespace lb::admin {

class Port {
 public:
    using Id = std::uint64_t;  // of a connection; none is used twice
    struct Request {
        http::Method method = http::Method::other;
        std::string method_text;
        std::string path;           // without the query; "*" of OPTIONS
        std::string authorization;  // the field's value; "": none
        std::string body;
    };
    // Called with each whole request of who is allowed. answer(id) may come at once or later, from the same loop.
    using Handler = std::function<void(Id id, const Request& request)>;

    // The loop outlives it.
    Port(event_base* base, const std::vector<Cidr>& allow, Handler handler);
    ~Port();
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    // The socket is the port's from now on. False when it cannot be watched.
    bool listen_on(int fd);
    // After descriptors ran out.
    void accept_again();
    // No more connections, and none stays open behind its answer. A client that was accepted just before is about to ask,
    // see expected().
    void wind_down();
    // Nothing happens when the connection is gone.
    void answer(Id id, const Answer& answer);
    // Answers of which some bytes have not left yet.
    [[nodiscard]] std::size_t under_way() const noexcept { return totals_->answers; }
    // Connections so new that their first request may be on its way.
    [[nodiscard]] std::size_t expected() const noexcept;

 private:
    struct Connection;
    // Outlives the port: libevent lets go of a body some time after its connection ended.
    struct Totals {
        std::size_t bytes = 0;
        std::size_t answers = 0;
    };
    struct Held;

    void accept(int fd, const Address& from);
    void on_read(Connection& connection);
    void on_written(Connection& connection);
    void on_deadline(Connection& connection);
    void advance(Connection& connection);
    bool read_head(Connection& connection);
    bool read_body(Connection& connection);
    bool read_chunks(Connection& connection, std::string_view bytes);
    void ask(Connection& connection);
    void refuse(Connection& connection, const Answer& answer);
    void write(Connection& connection, const Answer& answer);
    void await_request(Connection& connection);
    void drop(Connection& connection);

    event_base* base_;
    std::vector<Cidr> allow_;
    Handler handler_;
    std::shared_ptr<Totals> totals_ = std::make_shared<Totals>();
    bool winding_down_ = false;
    Id next_ = 1;
    std::size_t strangers_ = 0;  // connections of who is not allowed
    std::map<Id, std::unique_ptr<Connection>> connections_;
    struct Unlistens {
        void operator()(evconnlistener* listener) const noexcept;
    };
    std::vector<std::unique_ptr<evconnlistener, Unlistens>> listeners_;
};

}  // namespace lb::admin
