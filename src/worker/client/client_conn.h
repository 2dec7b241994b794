// worker/client/client_conn.h -- one plain HTTP/1 connection of a client: read heads, one exchange at a time, frame answers.
// Owns:  its socket, the bytes of an incomplete or pipelined request, the framing of both bodies.
// Never: routes, picks or retries (the exchange does); reads the next request before this one's answer is out.
// Where: client_conn.cpp is the life of the connection, client_requests.cpp what is read of it, client_answers.cpp what
//        is sent on it.
//
//   proxy --its header--> head
//    |late/bad/end
//    v
//   dead
//
//   idle --byte--> head --whole--> exchange --over--> idle
//    |late/end      |bad: refused      |cut, the last one, or a tunnel: closing
//    v              v                  v
//   dead         exchange           lingering (input is read and dropped, so that the answer is not lost to a reset) --> dead
//
// A head with 101 makes the exchange a tunnel: both bodies are what comes until that side ends, and an end goes on as an
// end. The connection closes with the exchange.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "shared/http/http1_parser.h"
#include "shared/net/address.h"
#include "worker/client/pace.h"
#include "worker/client/room.h"
#include "worker/exchange/exchange.h"
#include "worker/exchange/services.h"
#include "worker/io/conn.h"
#include "worker/stream/body.h"
#include "worker/stream/client_stream.h"

namespace lb {

class ClientConns;

// Where connections of one listening socket come in.
struct Entrance {
    std::uint32_t listener = 0;   // index into Config::listeners
    bool deferred = false;        // the request is usually there when accept returns
    bool proxy_protocol = false;  // a PROXY header comes first, from trusted senders only
};

class ClientConn final : public io::Conn, public stream::ClientStream {
 public:
    ClientConn(Services& services, ClientConns& owner, const Entrance& entrance, Fd fd, const Address& peer);

    // Right after accept: the request is usually there already. An unregistered connection that is answered within
    // the tick and closes costs no epoll_ctl.
    void accepted(bool deferred);
    // The tick: what waits for longer than a turn enters the epoll set.
    void settle() {
        if (phase_ != Phase::dead && !watch()) stop();  // and with it its exchange
    }
    // Drain at the end of lb: closes the connection if it rests between two requests with nothing to read.
    void close_if_idle();
    // What it does and since when, if it could be closed to make room for others: never with an exchange.
    [[nodiscard]] std::optional<Resting> rests() noexcept;
    // Closes it, if nothing of a request lies unread; one that only lingers anyway. Returns whether it did.
    bool give_place();
    // lb stops, or its patience ended: closes it whatever it does.
    void stop();

    stream::Flow send_head(const http::ResponseHead& head, const stream::FieldRules& rules,
                           std::string_view payload, bool fin, bool close) override;
    stream::Flow send_body(std::string_view payload, bool fin) override;
    stream::Flow send_interim(const http::ResponseHead& head, const stream::FieldRules& rules) override;
    void set_trailers(std::string_view lines) override { writer_.set_trailers(lines); }
    void set_times(Micros body_timeout, std::uint64_t min_rate, Micros request_timeout) override;
    void body_wanted() override;
    void exchange_over() override;
    void cut() override;
    int raw_sink() override;
    void raw_sent(std::uint64_t bytes, bool fin) override;
    void raw_sink_full() override;
    int raw_source(std::uint64_t& left) override;
    void raw_taken(std::uint64_t bytes) override;
    void raw_source_empty() override;
    [[nodiscard]] std::uint64_t bytes_sent() const noexcept override { return sent_; }
    [[nodiscard]] std::uint64_t bytes_received() const noexcept override { return received_; }
    [[nodiscard]] stream::ClientOrigin origin() const noexcept override {
        return {peer_, proxied_ ? proxied_->client : peer_, {address_.data(), address_size_}, requests_};
    }
    [[nodiscard]] Address local_address() const noexcept override;

 private:
    friend class ClientConns;
    enum class Phase : std::uint8_t { proxy, idle, head, exchange, lingering, dead };

    // client_conn.cpp
    void on_io() override;
    void on_deadline() override;
    void send_what_was_kept();
    void run();
    void watch_for_end();
    void linger();
    void discard();
    // What recv says of one byte that stays where it is.
    [[nodiscard]] ssize_t peek() const noexcept;
    void stop_for(End why);
    void reset_at_close() noexcept;
    void leave_tunnel() noexcept;
    void die();
    void set_client(const Address& client);
    // Each wait of the client's side has its own time; the exchange as a whole may have one too.
    void wait(Micros limit) noexcept;
    void wait_until(Micros at, Micros now) noexcept;  // at 0: no limit of its own
    // What an exchange waits for of the client: more of its request, or that it takes what was sent. Otherwise nothing.
    void wait_for_client() noexcept;
    [[nodiscard]] bool reading() const noexcept { return !reader_.done() && !paused_; }
    [[nodiscard]] bool sending() const noexcept { return pending() || sink_full_; }
    [[nodiscard]] Pace::Limits pace_limits() const noexcept { return {body_timeout_, min_rate_}; }
    // Asks the kernel what the client has taken since it was asked last.
    std::uint64_t newly_taken() noexcept;
    [[nodiscard]] const config::Traffic& traffic() const noexcept;

    // client_requests.cpp
    [[nodiscard]] bool trusts_peer() const noexcept;
    void refuse_proxy(const char* why);
    bool read_proxy_header();
    bool read_request();
    void begin(const http::RequestHead& head, char* rest, std::size_t size, bool from_socket, std::size_t got,
               std::size_t room);
    void refuse(const http::HeadResult& result, std::string_view bytes);
    void read_body();
    bool read_raw();
    bool read_some_body();
    bool give_what_came_early();
    bool give_body(std::string_view payload);
    stream::Flow give_end(std::string_view payload);

    // client_answers.cpp
    bool begin_tunnel();
    stream::Flow sent(stream::Flow flow, bool fin);
    void shut_sending() noexcept;

    // The two ends as a PROXY header named them.
    struct Proxied {
        Address client, local;
    };

    Services& s_;
    ClientConns& owner_;
    Exchange* exchange_ = nullptr;
    Micros began_ = 0;              // first byte of the present request
    Micros body_timeout_ = 0;       // of the present exchange; in a tunnel, of rest
    Micros exchange_deadline_ = 0;  // request_timeout; 0: off. While lingering, the end of it
    std::uint64_t min_rate_ = 0;    // of the present exchange, tunnels aside
    Pace pace_;                     // of the client in this exchange, of both its sides together
    std::int64_t taken_ = 0;      // of sent_, as the kernel said last; below 0 while it holds bytes of before
    std::uint64_t received_ = 0;  // bytes of the present exchange
    std::uint32_t listener_;
    std::uint32_t requests_ = 0;
    Phase phase_;
    bool running_ = false;
    bool unread_ = false;      // in_ holds bytes that were not looked at yet
    bool keep_alive_ = false;  // as the client asked
    bool http10_ = false;
    bool answering_ = false;       // the final head was sent
    bool close_ = false;           // the answer said that the connection ends
    bool paused_ = false;          // of the request's body
    bool raw_ = false;             // the request's body moves inside the kernel
    bool bulk_ = false;            // of a tunnel: much at a time comes from the client
    bool sink_full_ = false;       // the answer's body waits for room, inside the kernel
    bool waited_to_send_ = false;  // the client did not take all of the present answer at once
    bool until_close_ = false;     // the answer ends with the connection
    bool tunnel_ = false;
    bool fin_sent_ = false;  // of a tunnel: our side ends once nothing is pending
    std::uint8_t address_size_ = 0;
    std::array<char, 46> address_;  // INET6_ADDRSTRLEN
    io::Buffer in_;
    stream::BodyReader reader_;
    stream::BodyWriter writer_;
    stream::Trailers trailers_;  // of the request
    Address peer_;
    std::unique_ptr<Proxied> proxied_;  // only behind a PROXY header
    std::uint32_t unsettled_at_ =
        not_unsettled;  // place in the owner's list of connections not registered yet
    static constexpr std::uint32_t not_unsettled = UINT32_MAX;
    ClientConn* next_ = nullptr;  // in the owner's list of all connections
    ClientConn* previous_ = nullptr;
};

}  // namespace lb
