#include "worker/backend/backend_conn.h"

#include <algorithm>

#include "shared/net/socket.h"
#include "worker/backend/backends.h"

namespace lb {
namespace {

constexpr std::uint8_t most_interim = 16;  // 1xx answers before the final one; more is an attack or a fault
constexpr int most_reads = 16;             // of one connection before others have their turn
constexpr std::uint64_t raw_min = 32768;   // shorter rests of a body are cheaper to copy than to splice

}  // namespace

using io::Flow;
using stream::Failure;

BackendConn::BackendConn(io::Io& io, Backends& owner, std::uint32_t pool, std::uint32_t slot,
                         std::uint32_t incarnation, Fd fd, bool connected)
    : Conn(io, std::move(fd)),
      owner_(owner),
      pool_(pool),
      slot_(slot),
      incarnation_(incarnation),
      state_(connected ? State::ready : State::connecting) {
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
    paused_ = request_done_ = keep_alive_ = leftover_ = raw_ = sink_full_ = false;
    if (state_ != State::connecting) {
        state_ = State::ready;
        deadline = 0;
    }
}

void BackendConn::connected() {
    const int error = take_socket_error(fd_.get());
    if (error != 0) {
        fail(Failure::connect);
        return;
    }
    state_ = State::ready;
    deadline = 0;
    user_->on_backend_ready();
}

void BackendConn::on_io() {
    switch (state_) {
        case State::dead: return;
        case State::connecting:
            if (writable_ || readable_) connected();
            if (readable_ && user_ != nullptr) read();
            return;
        case State::idle:
            // Nothing was asked: bytes or an end here mean that this connection is of no use (a smuggled or late
            // answer must never meet the next request). The edge of becoming writable says nothing.
            if (readable_) {
                owner_.forget(*this);
                die();
            }
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
        if (flow == Flow::ok && user_ != nullptr) user_->on_backend_drained();
    } else if (writable_ && sink_full_) {
        sink_full_ = false;
        user_->on_backend_drained();
    }
    if (readable_ && user_ != nullptr) read();
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
    writer_.begin(request.body.kind);
    request_done_ = request.fin;
    iovec parts[1 + stream::BodyWriter::most_parts];
    int count = 0;
    if (!writer_.chunked()) {
        // The payload lies directly behind the head: one block, one send.
        parts[count++] = {const_cast<char*>(request.head.data()),
                          request.head.size() + request.payload.size()};
    } else {
        parts[count++] = {const_cast<char*>(request.head.data()), request.head.size()};
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
    return pending() ? Flow::full : Flow::ok;
}

void BackendConn::sink_failed() {
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
        deadline = io_.clock.now() + response_limit_;
    } else {
        // Bytes wait for the backend: it must take some in time. None wait: the client is the slow one.
        deadline = pending() || !writable_ ? io_.clock.now() + between_reads_ : 0;
    }
}

void BackendConn::resume() {
    if (!paused_) return;
    paused_ = false;
    if (state_ == State::body) deadline = io_.clock.now() + between_reads_;
    if (readable_ && user_ != nullptr) read();
}

void BackendConn::read() {
    for (int reads = 0; readable_ && user_ != nullptr && !paused_; reads++) {
        if (reads == most_reads) {
            again_later();
            return;
        }
        if (state_ == State::ready || state_ == State::waiting) {
            if (!read_head()) return;
        } else if (state_ == State::body) {
            if (raw_ || reader_.raw_left() >= raw_min) {
                // Before the call: it may end the exchange and lend this connection to the next one. Once bytes went
                // into the pipe nothing may overtake them.
                raw_ = true;
                const io::Raw raw = user_->on_response_raw();
                if (raw == io::Raw::refused) {
                    raw_ = false;
                } else {
                    if (raw == io::Raw::full && user_ != nullptr) pause();
                    if (readable_ && user_ != nullptr && !paused_) again_later();
                    return;
                }
            }
            read_body();
        } else {
            return;
        }
    }
}

// Returns whether reading may go on.
bool BackendConn::read_head() {
    const bool buffered = !partial_.empty();
    const config::Traffic& limits = owner_.pool(pool_).traffic;
    char* at;
    std::size_t room;
    if (buffered) {
        if (!partial_.reserve(io_.buffers, 2048)) {
            fail(Failure::bad_response);
            return false;
        }
        at = partial_.tail();
        room = partial_.room();
    } else {
        at = io_.in.area();
        room = io::Scratch::size;
    }
    const Received got = receive(at, room);
    switch (got.what) {
        case Received::What::nothing: return false;
        case Received::What::end:
        case Received::What::failed:
            fail(buffered || interim_ > 0 ? Failure::bad_response : Failure::closed);
            return false;
        case Received::What::data: break;
    }
    owner_.column_.add<"lb_backend_received_bytes_total">(slot_, 0, got.size);
    if (state_ == State::ready) {  // an answer to a request that was not sent
        fail(Failure::bad_response);
        return false;
    }
    std::size_t seen = 0;
    if (buffered) {
        seen = partial_.size();
        partial_.produced(got.size);
        at = partial_.data();
    }
    std::size_t size = buffered ? partial_.size() : got.size;
    http::ResponseHead& head = owner_.response_;
    const http::HeadLimits head_limits{limits.max_header, limits.max_headers};
    for (;;) {
        const auto parsed = http::parse_response({at, size}, seen, head_limits, method_, head);
        if (parsed.state == http::HeadResult::State::incomplete) {
            if (!buffered || at != partial_.data()) {
                // What is left of the received bytes moves to a buffer of its own until the rest arrives.
                io::Buffer fresh;
                if (!fresh.append(io_.buffers, {at, size})) {
                    fail(Failure::bad_response);
                    return false;
                }
                partial_ = std::move(fresh);
            }
            return true;
        }
        if (parsed.state == http::HeadResult::State::error ||
            head.status == 101) {  // no upgrade was asked for
            fail(Failure::bad_response);
            return false;
        }
        at += parsed.consumed;
        size -= parsed.consumed;
        if (head.status >= 200) break;
        // Interim answers end here (RFC 9110 15.2: a proxy may drop them if it did not ask itself).
        if (++interim_ > most_interim) {
            fail(Failure::bad_response);
            return false;
        }
        seen = 0;
        if (size == 0) {
            partial_.release();
            return true;
        }
    }
    keep_alive_ = head.keep_alive;
    idle_seconds_ = head.keep_alive_timeout;
    reader_.begin(head.body);
    const auto taken = reader_.take(at, size);
    if (taken.error) {
        fail(Failure::bad_response);
        return false;
    }
    leftover_ = taken.consumed < size;
    const bool fin = reader_.done();
    state_ = fin ? State::complete : State::body;
    if (fin && !leftover_) drained(got.size, room);
    deadline = fin || paused_ ? 0 : io_.clock.now() + between_reads_;
    // The head's views may point into partial_: it must outlive the call.
    const io::Buffer held = std::move(partial_);
    user_->on_response(head, taken.payload, fin);
    return true;
}

void BackendConn::read_body() {
    const Received got = receive(io_.in.area(), io::Scratch::size);
    switch (got.what) {
        case Received::What::nothing: return;
        case Received::What::failed: fail(Failure::cut); return;
        case Received::What::end:
            if (!reader_.ended()) {
                fail(Failure::cut);
                return;
            }
            state_ = State::complete;
            deadline = 0;
            user_->on_response_body({}, true);
            return;
        case Received::What::data: break;
    }
    owner_.column_.add<"lb_backend_received_bytes_total">(slot_, 0, got.size);
    const auto taken = reader_.take(io_.in.area(), got.size);
    if (taken.error) {
        fail(Failure::cut);
        return;
    }
    leftover_ = taken.consumed < got.size;
    const bool fin = reader_.done();
    if (fin) state_ = State::complete;
    if (fin && !leftover_) drained(got.size, io::Scratch::size);
    deadline = fin ? 0 : io_.clock.now() + between_reads_;
    user_->on_response_body(taken.payload, fin);
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
    owner_.column_.sub<"lb_backend_connections">(slot_);
    owner_.retire(*this);
}

int BackendConn::raw_sink() {
    const bool sending = (state_ == State::waiting || state_ == State::body) && !request_done_;
    return sending && !writer_.chunked() && !pending() ? fd_.get() : -1;
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

int BackendConn::raw_source(std::uint64_t& left) {
    left = reader_.raw_left();
    return left > 0 && readable_ && state_ == State::body ? fd_.get() : -1;
}

void BackendConn::raw_taken(std::uint64_t bytes) {
    owner_.column_.add<"lb_backend_received_bytes_total">(slot_, 0, bytes);
    reader_.raw_taken(bytes);
    if (reader_.done()) {
        state_ = State::complete;
        deadline = 0;
    } else {
        deadline = paused_ ? 0 : io_.clock.now() + between_reads_;
    }
}

void BackendConn::raw_source_empty() { readable_ = false; }

}  // namespace lb
