// worker/backend/backend_answers.cpp -- what a backend sends: interim heads, the final one, its body, and its side of a tunnel.
#include <utility>

#include "worker/backend/backend_conn.h"
#include "worker/backend/backends.h"

namespace lb {
namespace {

constexpr std::uint8_t most_interim = 64;  // 1xx answers before the final one; more is an attack or a fault
constexpr int most_reads = 16;             // of one connection before others have their turn
constexpr std::uint64_t raw_min = 32768;   // shorter rests of a body are cheaper to copy than to splice

}  // namespace

using stream::Failure;

void BackendConn::read() {
    for (int reads = 0; readable_ && user_ != nullptr && !paused_; reads++) {
        if (reads == most_reads || (reads > 0 && io_.share.spent())) {
            again_later();
            return;
        }
        if (state_ == State::ready || state_ == State::waiting) {
            if (!read_head()) return;
        } else if (state_ == State::body) {
            if (worth_raw() && !read_raw()) return;
            read_body();
        } else {
            return;
        }
    }
}

bool BackendConn::worth_raw() const noexcept {
    return raw_ || (tunnel_ ? bulk_ : reader_.raw_left() >= raw_min);
}

// Returns whether to read instead.
bool BackendConn::read_raw() {
    // Before the call: it may end the exchange and lend this connection to the next one. Once bytes went into the pipe
    // nothing may overtake them.
    raw_ = true;
    const io::Raw raw = user_->on_response_raw();
    if (raw == io::Raw::refused) {
        raw_ = bulk_ = false;
        return true;
    }
    if (raw == io::Raw::full && user_ != nullptr) pause();
    if (readable_ && user_ != nullptr && !paused_) again_later();
    return false;
}

// Returns whether reading may go on.
bool BackendConn::read_head() {
    const bool buffered = !partial_.empty();
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
    if (!buffered) return take_heads(at, got.size, 0, got.size, room);
    const std::size_t seen = partial_.size();
    partial_.produced(got.size);
    return take_heads(partial_.data(), partial_.size(), seen, got.size, room);
}

// The heads in front of `size` bytes, `seen` of which were looked at before: interim ones, then the final one. The last
// receive brought `got` bytes into `room`.
bool BackendConn::take_heads(char* at, std::size_t size, std::size_t seen, std::size_t got,
                             std::size_t room) {
    const config::Traffic& settings = owner_.pool(pool_).traffic;
    const http::HeadLimits limits{settings.max_header, settings.max_headers};
    http::ResponseHead& head = owner_.response_;
    for (;;) {
        const auto parsed = http::parse_response({at, size}, seen, limits, method_, head);
        if (parsed.state == http::HeadResult::State::incomplete) {
            // What was received waits in a buffer of its own until the rest arrives.
            if (at == partial_.data() || partial_.append(io_.buffers, {at, size})) return true;
            fail(Failure::bad_response);
            return false;
        }
        if (parsed.state == http::HeadResult::State::error || (head.status == 101 && !upgrade_)) {
            fail(Failure::bad_response);
            return false;
        }
        at += parsed.consumed;
        size -= parsed.consumed;
        if (head.status >= 200 || head.status == 101) return begin_body(head, at, size, got, room);
        if (!take_interim(head, {at, size})) return false;
        if (partial_.empty()) return true;
        at = partial_.data();
        size = partial_.size();
        seen = 0;
    }
}

// Returns whether the exchange goes on. `rest`: what lies behind the head.
bool BackendConn::take_interim(const http::ResponseHead& head, std::string_view rest) {
    // The head's views may point into partial_: it must outlive the call. And the call may receive something else into
    // the area where the rest lies.
    const io::Buffer held = std::move(partial_);
    if (++interim_ > most_interim || !partial_.append(io_.buffers, rest)) {
        fail(Failure::bad_response);
        return false;
    }
    used_up_ = used_up_ || !head.keep_alive;
    stream::ResponseUser* const mine = user_;
    mine->on_interim(head);
    return user_ == mine && state_ == State::waiting;
}

// The final head, and what came of its body.
bool BackendConn::begin_body(const http::ResponseHead& head, char* at, std::size_t size, std::size_t got,
                             std::size_t room) {
    tunnel_ = head.status == 101;
    keep_alive_ = head.keep_alive && !used_up_ && !tunnel_;
    idle_seconds_ = head.keep_alive_timeout;
    if (tunnel_) {
        reader_.begin({http::BodyKind::until_close, 0});
        writer_.begin(http::BodyKind::none);
        request_done_ = false;  // our side of the tunnel is open
    } else {
        reader_.begin(head.body);
    }
    const auto taken = reader_.take(at, size);
    if (taken.error || !trailers_.add(io_.buffers, taken.trailers)) {
        fail(Failure::bad_response);
        return false;
    }
    leftover_ = taken.consumed < size;
    const bool whole = reader_.done();
    state_ = whole ? State::complete : State::body;
    if (whole && !leftover_) drained(got, room);
    wait_for_more();
    // The head's views may point into partial_: it must outlive the call.
    const io::Buffer held = std::move(partial_);
    stream::ResponseUser* const mine = user_;
    const bool trailed = whole && !trailers_.empty();  // they come behind the head, so the end does too
    mine->on_response(head, taken.payload, whole && !trailed);
    if (trailed && user_ == mine) give_end({});
    return true;
}

// The last of a body, and its trailers before it.
void BackendConn::give_end(std::string_view payload) {
    stream::ResponseUser* const mine = user_;
    stream::Trailers held =
        std::move(trailers_);  // the lines must outlive the end, and this connection may not
    if (const std::string_view lines = held.lines(); !lines.empty()) mine->on_response_trailers(lines);
    if (user_ == mine) mine->on_response_body(payload, true);
}

void BackendConn::read_body() {
    const Received got = receive(io_.in.area(), io::Scratch::size);
    switch (got.what) {
        case Received::What::nothing: return;
        case Received::What::failed: fail(Failure::cut); return;
        case Received::What::end:
            // Once a send has failed the kernel may have thrown away what was to be read, and an end proves nothing.
            if ((broken_ && !tunnel_) || !reader_.ended()) {
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
    io_.share.took(got.size);
    const auto taken = reader_.take(io_.in.area(), got.size);
    if (taken.error || !trailers_.add(io_.buffers, taken.trailers)) {
        fail(Failure::cut);
        return;
    }
    leftover_ = taken.consumed < got.size;
    bulk_ = tunnel_ && got.size == io::Scratch::size;
    const bool fin = reader_.done();
    if (fin) state_ = State::complete;
    if (fin && !leftover_) drained(got.size, io::Scratch::size);
    wait_for_more();
    if (fin) {
        give_end(taken.payload);
    } else {
        user_->on_response_body(taken.payload, false);
    }
}

int BackendConn::raw_source(std::uint64_t& left) {
    left = tunnel_ ? endless : reader_.raw_left();
    return left > 0 && readable_ && state_ == State::body ? fd_.get() : -1;
}

void BackendConn::raw_taken(std::uint64_t bytes) {
    owner_.column_.add<"lb_backend_received_bytes_total">(slot_, 0, bytes);
    if (tunnel_) return;
    reader_.raw_taken(bytes);
    if (reader_.done()) state_ = State::complete;
    wait_for_more();
}

void BackendConn::raw_source_empty() {
    readable_ = false;
    if (tunnel_) raw_ = bulk_ = false;
}

}  // namespace lb
