// worker/backend/backend_conn.h -- one HTTP/1.1 connection to a backend: connect, send requests, read answers.
// Owns:  its socket, the bytes of an incomplete response head, the framing of both bodies.
// Never: chooses a backend, retries, or keeps a connection whose state is not certain: anything unread or unsent at
//        the end of an exchange closes it.
// Where: backend_conn.cpp is the life of the connection and what is sent on it, backend_answers.cpp what is read of it.
//
//   connecting --writable--> ready --send_request--> waiting --head--> body --end--> complete --release--> idle
//        |failed/late          ^                        |                |                                  |
//        v                     +------------------------|----------------|---------- lent again ------------+
//      on_backend_failed                                +-> on_backend_failed
//
// Behind a 101 the body is a tunnel: it ends when the backend ends, our side when send_body says so, and the connection
// is not used again.
#pragma once
#include <cstdint>

#include "shared/config/model.h"
#include "shared/http/http1_parser.h"
#include "shared/net/address.h"
#include "shared/shm/counters.h"
#include "worker/io/conn.h"
#include "worker/stream/backend_stream.h"
#include "worker/stream/body.h"

namespace lb {

class Backends;

class BackendConn final : public io::Conn, public stream::BackendStream {
 public:
    // A socket whose connect has begun, or is done when `connected`.
    BackendConn(io::Io& io, Backends& owner, std::uint32_t pool, std::uint32_t slot,
                std::uint32_t incarnation, const Address& address, Fd fd, bool connected);
    ~BackendConn();

    // Begins an exchange. The user must not outlive its release().
    void lend(stream::ResponseUser& user) noexcept;

    io::Flow send_request(const stream::RequestRecord& request) override;
    io::Flow send_body(std::string_view payload, bool fin) override;
    void set_trailers(std::string_view lines) override { writer_.set_trailers(lines); }
    void wait_for_response(Micros limit, Micros between_reads) override;
    void sink_failed() override;
    void pause() override {
        paused_ = true;
        deadline = 0;
    }
    void resume() override;
    void release() override;
    int raw_sink() override;
    void raw_sent(std::uint64_t bytes, bool fin) override;
    void raw_sink_full() override;
    int raw_source(std::uint64_t& left) override;
    void raw_taken(std::uint64_t bytes) override;
    void raw_source_empty() override;

 private:
    friend class Backends;
    enum class State : std::uint8_t { connecting, ready, waiting, body, complete, idle, dead };
    void on_io() override;
    void on_deadline() override;
    void connected();
    bool still_idle();
    void read();
    bool read_head();
    bool take_heads(char* at, std::size_t size, std::size_t seen, std::size_t got, std::size_t room);
    bool take_interim(const http::ResponseHead& head, std::string_view rest);
    bool begin_body(const http::ResponseHead& head, char* at, std::size_t size, std::size_t got,
                    std::size_t room);
    bool read_raw();
    void read_body();
    void give_end(std::string_view payload);
    [[nodiscard]] bool worth_raw() const noexcept;
    void wait(Micros limit) noexcept;
    void wait_for_more() noexcept;
    void request_progress() noexcept;
    void shut_sending() noexcept;
    void watch_for_reset();
    void fail(stream::Failure how);
    void die();
    // Everything that was asked was answered, nothing is left over on either side.
    bool certain() noexcept;
    [[nodiscard]] Micros horizon() const noexcept;

    Backends& owner_;
    stream::ResponseUser* user_ = nullptr;
    std::uint32_t pool_;
    std::uint32_t slot_;
    std::uint32_t incarnation_;
    State state_;
    http::Method method_ = http::Method::get;
    bool paused_ = false;
    bool request_done_ = false;  // all of the request was given to us
    bool keep_alive_ = false;
    bool leftover_ = false;     // bytes behind the answer
    bool raw_ = false;          // the answer's body moves inside the kernel
    bool bulk_ = false;         // of a tunnel: much at a time comes from the backend
    bool sink_full_ = false;    // the request's body waits for room, inside the kernel
    bool upgrade_ = false;      // the present request asked for another protocol
    bool tunnel_ = false;       // and got it
    bool broken_ = false;       // a send failed
    bool used_up_ = false;      // an interim answer says so, or announced a body, which might come later
    std::uint8_t interim_ = 0;  // 1xx answers seen in this exchange
    std::uint32_t idle_seconds_ = 0;  // the backend's own Keep-Alive: timeout, less one
    Micros response_limit_ = 0;
    Micros between_reads_ = 0;
    Micros idle_since_ = 0;
    io::Buffer partial_;  // an incomplete head
    stream::BodyReader reader_;
    stream::BodyWriter writer_;
    stream::Trailers trailers_;  // of the answer
    Address address_;            // where it leads
    // Idle lists: of its backend (newest first), and of its pool by age.
    BackendConn* older_ = nullptr;
    BackendConn* newer_ = nullptr;
    BackendConn* pool_older_ = nullptr;
    BackendConn* pool_newer_ = nullptr;
};

}  // namespace lb
