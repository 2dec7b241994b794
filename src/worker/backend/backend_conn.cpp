// worker/backend/backend_conn.cpp -- the life of a connection: connecting, requests, deadlines, when it is kept, the end.
#include "worker/backend/backend_conn.h"

#include <sys/socket.h>

#include <algorithm>

#include "shared/net/socket.h"
#include "worker/backend/backends.h"

namespace lb {

using io::Flow;
using stream::Failure;

BackendConn::BackendConn(io::Io& io, Backends& owner, std::uint32_t pool, std::uint32_t slot,
                         std::uint32_t incarnation, const Address& address, Fd fd, bool connected)
    : Conn(io, std::move(fd)),
      owner_(owner),
      pool_(pool),
      slot_(slot),
      incarnation_(incarnation),
      state_(connected ? State::ready : State::connecting),
      address_(address) {
    writable_ = connected;
    const Micros now = io.clock.now();
    if (!connected) deadline = now + to_micros(owner.pool(pool).traffic.connect_timeout);
    io.wheel.add(*this, horizon(), now);
    owner.column_.add<"lb_backend_connections">(slot_);
}

BackendConn::~BackendConn() = default;

Micros BackendConn::horizon() const noexcept {
    const config::Pool& pool = owner_.pool(pool_);
    return to_micros(std::min({pool.traffic.connect_timeout, pool.traffic.response_timeout,
                               pool.traffic.body_timeout, pool.keepalive_timeout, config::Millis(1000)}));
}

void BackendConn::lend(stream::ResponseUser& user) noexcept {
    user_ = &user;
    interim_ = 0;
    paused_ = request_done_ = keep_alive_ = leftover_ = raw_ = sink_full_ = upgrade_ = used_up_ = false;
    if (state_ != State::connecting) {
        state_ = State::ready;
        deadline = 0;
    }
}

void BackendConn::wait(Micros limit) noexcept {
    const Micros now = io_.clock.now();
    io_.wheel.set(*this, limit == 0 ? 0 : now + limit, now);
}

// Inside an answer. The time of a tunnel is the client's side to watch.
void BackendConn::wait_for_more() noexcept {
    wait(state_ != State::body || paused_ || tunnel_ ? 0 : between_reads_);
}

void BackendConn::connected() {
    const int error = take_socket_error(fd_.get());
    if (error != 0) {
        fail(Failure::connect);
        return;
    }
    if (readable_) {
        // Nothing was sent yet, so what is there answers nothing.
        char byte;
        const Received::What got = receive(&byte, 1).what;
        if (got != Received::What::nothing) {
            fail(got == Received::What::data ? Failure::bad_response : Failure::closed);
            return;
        }
    }
    state_ = State::ready;
    deadline = 0;
    user_->on_backend_ready();
}

// Of an idle connection about which something was told. Nothing was asked: bytes or an end mean that it is of no use (a
// smuggled or late answer must never meet the next request), and it ends.
bool BackendConn::still_idle() {
    char byte;
    const Received::What got = receive(&byte, 1).what;
    if (got == Received::What::nothing) return true;
    if (got == Received::What::end) owner_.closed_by_backend(*this);
    owner_.forget(*this);
    die();
    return false;
}

void BackendConn::on_io() {
    switch (state_) {
        case State::dead: return;
        case State::connecting:
            if (writable_ || readable_) connected();
            if (readable_ && user_ != nullptr) read();
            return;
        case State::idle:
            if (readable_) (void)still_idle();  // the edge of becoming writable says nothing
            return;
        case State::ready:
        case State::waiting:
        case State::body:
        case State::complete: break;
    }
    if (writable_ && pending()) {
        const Flow flow = flush();
        request_progress();
        // A send that fails may still have an answer waiting behind it: read() decides.
        broken_ = broken_ || flow == Flow::gone;
        if (flow == Flow::ok) {
            if (tunnel_ && request_done_) shut_sending();
            user_->on_backend_drained();
        }
    } else if (writable_ && sink_full_) {
        sink_full_ = false;
        user_->on_backend_drained();
    }
    if (readable_ && user_ != nullptr) read();
    if (tunnel_ && state_ == State::complete && user_ != nullptr) watch_for_reset();
}

// The backend has ended its side of a tunnel, and ours goes on: there is nothing to read, only to be told.
void BackendConn::watch_for_reset() {
    if (broken_ || (readable_ && take_socket_error(fd_.get()) != 0)) {
        fail(Failure::cut);
    } else {
        readable_ = false;
    }
}

void BackendConn::on_deadline() {
    switch (state_) {
        case State::dead:
        case State::complete:
        case State::ready: return;
        case State::connecting: fail(Failure::connect_timeout); return;
        case State::waiting:
            fail(request_done_ && !pending() ? Failure::response_timeout : Failure::stalled);
            return;
        case State::body: fail(Failure::stalled); return;
        case State::idle:
            owner_.forget(*this);
            die();
            return;
    }
}

Flow BackendConn::send_request(const stream::RequestRecord& request) {
    state_ = State::waiting;
    method_ = request.method;
    upgrade_ = request.upgrade;
    writer_.begin(request.body.kind);
    request_done_ = request.fin;
    iovec parts[2 + stream::BodyWriter::most_parts];
    int count = 0;
    const auto add = [&](std::string_view bytes) {
        parts[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
    };
    if (!request.proxy_header.empty()) add(request.proxy_header);
    if (!writer_.chunked()) {
        // The payload lies directly behind the head: one block, one send.
        add({request.head.data(), request.head.size() + request.payload.size()});
    } else {
        add(request.head);
        if (request.fin) writer_.set_trailers(request.trailers);
        writer_.frame(request.payload, request.fin, parts, count);
    }
    return send(parts, count);
}

Flow BackendConn::send_body(std::string_view payload, bool fin) {
    iovec parts[stream::BodyWriter::most_parts];
    int count = 0;
    writer_.frame(payload, fin, parts, count);
    request_done_ = fin;
    if (send(parts, count) == Flow::gone) {
        sink_failed();
        return Flow::full;
    }
    request_progress();
    if (tunnel_ && fin && !pending()) shut_sending();
    return pending() ? Flow::full : Flow::ok;
}

// Its failure says that the connection is broken, which reading tells as well.
void BackendConn::shut_sending() noexcept { (void)::shutdown(fd_.get(), SHUT_WR); }

void BackendConn::sink_failed() {
    broken_ = true;
    writable_ = false;
    readable_ = true;
    again_later();
    request_progress();
}

void BackendConn::wait_for_response(Micros limit, Micros between_reads) {
    response_limit_ = limit;
    between_reads_ = between_reads;
    request_progress();
}

// The clock of the answer starts when the request is out; until then each step of the request has its own time.
void BackendConn::request_progress() noexcept {
    if (state_ != State::waiting) return;
    if (request_done_ && !pending()) {
        wait(response_limit_);
    } else {
        // Bytes wait for the backend: it must take some in time. None wait: the client is the slow one.
        wait(pending() || !writable_ ? between_reads_ : 0);
    }
}

void BackendConn::resume() {
    if (!paused_) return;
    paused_ = false;
    if (state_ == State::body) wait_for_more();
    if (readable_ && user_ != nullptr) read();
}

bool BackendConn::certain() noexcept {
    if (state_ != State::complete || !keep_alive_ || !request_done_ || pending() || leftover_ || ended_)
        return false;
    if (reader_.kind() == http::BodyKind::until_close) return false;
    if (readable_) {
        // Not known to be empty: ask. Anything but "nothing there" ends this connection.
        char byte;
        return receive(&byte, 1).what == Received::What::nothing;
    }
    return true;
}

void BackendConn::release() {
    user_ = nullptr;
    partial_.release();
    trailers_.clear();
    owner_.column_.add<"lb_backend_sent_bytes_total">(slot_, 0, std::exchange(sent_, 0));
    if (certain()) {
        owner_.keep(*this);
    } else {
        die();
    }
}

void BackendConn::fail(Failure how) {
    stream::ResponseUser* user = std::exchange(user_, nullptr);
    owner_.column_.add<"lb_backend_sent_bytes_total">(slot_, 0, std::exchange(sent_, 0));
    die();
    user->on_backend_failed(how);
}

void BackendConn::die() {
    if (state_ == State::dead) return;
    state_ = State::dead;
    shut();
    partial_.release();
    trailers_.clear();
    owner_.column_.sub<"lb_backend_connections">(slot_);
    owner_.retire(*this);
}

int BackendConn::raw_sink() {
    const bool sending =
        state_ == State::waiting || state_ == State::body || (tunnel_ && state_ == State::complete);
    return sending && !request_done_ && !writer_.chunked() && !pending() && !broken_ ? fd_.get() : -1;
}

void BackendConn::raw_sent(std::uint64_t bytes, bool fin) {
    sent_ += bytes;
    request_done_ = fin;
    request_progress();
}

void BackendConn::raw_sink_full() {
    writable_ = false;
    sink_full_ = true;
    request_progress();
}

}  // namespace lb
