#include "worker/client/client_conn.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "shared/http/http1_writer.h"
#include "worker/client/client_conns.h"

namespace lb {
namespace {

constexpr std::uint64_t raw_min = 32768;         // shorter bodies are cheaper to copy than to splice
constexpr int most_reads = 16;                   // of one body before others have their turn
constexpr Micros linger_limit = 5'000'000;       // how long a client may take to read its last answer
constexpr std::uint32_t linger_bytes = 1 << 20;  // what is read and dropped meanwhile

constexpr std::string_view continue_answer = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

using io::Flow;

ClientConn::ClientConn(Services& services, ClientConns& owner, std::uint32_t listener, Fd fd,
                       const Address& address)
    : Conn(services.io, std::move(fd)), s_(services), owner_(owner), listener_(listener) {
    std::string text;
    append_host(text, address);
    address_size_ = static_cast<std::uint8_t>(std::min(text.size(), address_.size()));
    std::copy_n(text.begin(), address_size_, address_.begin());
    const config::Traffic& t = traffic();
    Micros horizon = to_micros(std::min({t.header_timeout, t.body_timeout, t.idle_timeout}));
    if (t.request_timeout.count() > 0) horizon = std::min(horizon, to_micros(t.request_timeout));
    const Micros now = io_.clock.now();
    deadline = now + to_micros(t.header_timeout);
    io_.wheel.add(*this, std::min(horizon, linger_limit), now);
}

const config::Traffic& ClientConn::traffic() const noexcept { return s_.config.listeners[listener_].traffic; }

void ClientConn::wait(Micros limit) noexcept {
    deadline = limit == 0 ? 0 : io_.clock.now() + limit;
    if (exchange_deadline_ != 0 && (deadline == 0 || exchange_deadline_ < deadline))
        deadline = exchange_deadline_;
}

void ClientConn::wait_for_client() noexcept {
    const bool reading = !reader_.done() && !paused_;
    wait(reading || pending() || sink_full_ ? to_micros(traffic().body_timeout) : 0);
}

void ClientConn::accepted(bool deferred) {
    readable_ = true;
    if (deferred) {
        run();
        if (phase_ == Phase::dead || registered()) return;
        // Waiting for its answer: if that comes soon and is the last one, the epoll set never hears of it.
        if (phase_ == Phase::exchange && !pending() && reader_.done()) {
            owner_.unsettled(*this);
            return;
        }
    }
    settle();
}

void ClientConn::on_io() {
    if (phase_ == Phase::dead) return;
    if (writable_ && pending()) {
        const Flow flow = flush();
        if (flow == Flow::gone) {
            if (exchange_ != nullptr) {
                exchange_->on_client_failed(End::client_gone);
            } else {
                die();
            }
            return;
        }
        if (exchange_ != nullptr) wait_for_client();
        if (flow == Flow::ok && exchange_ != nullptr) exchange_->on_client_drained();
    } else if (writable_ && sink_full_) {
        sink_full_ = false;
        if (exchange_ != nullptr) {
            wait_for_client();
            exchange_->on_client_drained();
        }
    }
    switch (phase_) {
        case Phase::idle:
        case Phase::head: run(); return;
        case Phase::exchange:
            read_body();
            watch_for_end();
            return;
        case Phase::lingering: discard(); return;
        case Phase::dead: return;
    }
}

void ClientConn::on_deadline() {
    switch (phase_) {
        case Phase::dead: return;
        case Phase::idle:
        case Phase::lingering: die(); return;
        case Phase::head:
            if (in_.empty()) {
                die();  // not a byte: nobody to answer
            } else {
                http::HeadResult late;
                late.why = "the head took longer than header_timeout";
                refuse(late, in_.view());
            }
            return;
        case Phase::exchange: break;
    }
    const Micros now = io_.clock.now();
    if (exchange_deadline_ != 0 && exchange_deadline_ <= now) {
        exchange_deadline_ = 0;
        exchange_->on_client_failed(End::request_timeout);
    } else if (pending() || sink_full_) {
        exchange_->on_client_failed(End::client_stalled);
    } else if (!reader_.done() && !paused_) {
        exchange_->on_client_failed(End::body_timeout);
    } else {
        wait(
            0);  // nothing is expected of the client any more; the exchange as a whole may still have its time
    }
}

// Requests one after the other, until one waits for something. Not recursive: an exchange that ends at once (its
// answer was lb's own) comes back to this loop, however many a client sends ahead.
void ClientConn::run() {
    if (running_) return;
    running_ = true;
    while ((phase_ == Phase::idle || phase_ == Phase::head) && read_request()) {
    }
    running_ = false;
    if (phase_ == Phase::exchange && exchange_ != nullptr && !paused_ && !reader_.done()) read_body();
}

// Returns whether to go on.
bool ClientConn::read_request() {
    const bool buffered = !in_.empty();
    char* at = nullptr;
    std::size_t size = 0;
    std::size_t seen = 0;
    std::size_t got_size = 0;
    std::size_t room = 0;
    if (unread_) {
        unread_ = false;
        at = in_.data();
        size = in_.size();
    } else {
        if (!readable_) return false;
        if (buffered && !in_.reserve(io_.buffers, 2048)) {
            die();
            return false;
        }
        at = buffered ? in_.tail() : io_.in.area();
        room = buffered ? in_.room() : io::Scratch::size;
        const Received got = receive(at, room);
        if (got.what == Received::What::nothing) return false;
        if (got.what != Received::What::data) {
            die();  // between two requests, or inside a head that nobody will finish
            return false;
        }
        got_size = got.size;
        received_ += got_size;
        if (buffered) {
            seen = in_.size();
            in_.produced(got_size);
            at = in_.data();
            size = in_.size();
        } else {
            size = got_size;
        }
    }
    if (phase_ == Phase::idle || began_ == 0) {
        began_ = io_.clock.now();
        if (phase_ == Phase::idle) wait(to_micros(traffic().header_timeout));
        phase_ = Phase::head;
    }
    http::RequestHead& head = s_.request;
    const http::HeadLimits limits{traffic().max_header, traffic().max_headers};
    const auto parsed = http::parse_request({at, size}, seen, limits, head);
    switch (parsed.state) {
        case http::HeadResult::State::incomplete:
            if (at != in_.data() && !in_.append(io_.buffers, {at, size})) {
                die();
                return false;
            }
            return true;
        case http::HeadResult::State::error: refuse(parsed, {at, size}); return false;
        case http::HeadResult::State::complete: break;
    }
    begin(head, at + parsed.consumed, size - parsed.consumed, got_size > 0, got_size, room);
    return true;
}

void ClientConn::begin(const http::RequestHead& head, char* rest, std::size_t size, bool from_socket,
                       std::size_t got, std::size_t room) {
    keep_alive_ = head.keep_alive;
    http10_ = head.minor == 0;
    close_ = paused_ = raw_ = sink_full_ = until_close_ = false;
    requests_++;
    reader_.begin(head.body);
    const auto taken = reader_.take(rest, size);
    // What lies behind this request waits in a buffer of its own; the head's views stay valid until begin returns.
    const io::Buffer held = std::move(in_);
    if (taken.consumed < size && !taken.error) {
        if (!in_.append(io_.buffers, {rest + taken.consumed, size - taken.consumed})) {
            die();
            return;
        }
        unread_ = reader_.done();
        received_ -= size - taken.consumed;
    } else if (from_socket && reader_.done()) {
        drained(got, room);
    }
    phase_ = Phase::exchange;
    const Micros limit = to_micros(traffic().request_timeout);
    exchange_deadline_ = limit == 0 ? 0 : began_ + limit;
    wait(reader_.done() ? 0 : to_micros(traffic().body_timeout));
    exchange_ = &s_.exchanges.make(s_, *this, listener_, began_);
    if (taken.error) {
        exchange_->refuse(End::bad_request, 400, "bad chunked body", head.line);
        return;
    }
    paused_ = !reader_.done();  // until the exchange has somebody to give it to
    exchange_->begin(head, taken.payload, reader_.done());
}

void ClientConn::refuse(const http::HeadResult& result, std::string_view bytes) {
    End end = End::bad_request;
    std::uint16_t status = 400;
    switch (result.error) {
        case http::HeadError::none:  // no error of the parser: the head is late
            end = End::header_timeout;
            status = 408;
            break;
        case http::HeadError::uri_too_long:
            end = End::header_too_large;
            status = 414;
            break;
        case http::HeadError::too_large:
            end = End::header_too_large;
            status = 431;
            break;
        case http::HeadError::not_implemented: status = 501; break;
        case http::HeadError::bad_version: status = 505; break;
        case http::HeadError::expectation: status = 417; break;
        case http::HeadError::bad_request:
        case http::HeadError::bad_response: break;
    }
    keep_alive_ = http10_ = raw_ = sink_full_ = until_close_ = false;
    paused_ = true;
    phase_ = Phase::exchange;
    exchange_deadline_ = 0;
    requests_++;
    if (began_ == 0) began_ = io_.clock.now();
    wait(0);
    const std::string_view line = bytes.substr(0, bytes.find_first_of("\r\n"));
    exchange_ = &s_.exchanges.make(s_, *this, listener_, began_);
    exchange_->refuse(end, status, result.why, line);
}

void ClientConn::read_body() {
    for (int reads = 0; phase_ == Phase::exchange && exchange_ != nullptr && !paused_ && !reader_.done();
         reads++) {
        if (!readable_) return;
        if (reads == most_reads) {
            again_later();
            return;
        }
        if (raw_ || reader_.raw_left() >= raw_min) {
            const io::Raw raw = exchange_->on_request_raw();
            if (raw != io::Raw::refused) {
                raw_ = true;
                if (phase_ != Phase::exchange) return;
                if (raw == io::Raw::full) paused_ = true;
                if (paused_) {
                    wait_for_client();
                } else if (readable_ && !reader_.done()) {
                    again_later();
                }
                return;
            }
        }
        char* at = io_.in.area();
        const Received got = receive(at, io::Scratch::size);
        if (got.what == Received::What::nothing) return;
        if (got.what != Received::What::data) {
            exchange_->on_client_failed(End::client_gone);
            return;
        }
        const std::size_t size = got.size;
        received_ += size;
        const auto taken = reader_.take(at, size);
        if (taken.error) {
            exchange_->on_client_failed(End::bad_request);
            return;
        }
        if (taken.consumed < size) {
            if (!in_.append(io_.buffers, {at + taken.consumed, size - taken.consumed})) {
                exchange_->on_client_failed(End::overload);
                return;
            }
            unread_ = true;
            received_ -= size - taken.consumed;
        } else if (reader_.done()) {
            drained(size, io::Scratch::size);
        }
        wait_for_client();
        if (taken.payload.empty() && !reader_.done()) continue;
        // Paused from before the call, and body_wanted() from within it does not come back here: the call may end the
        // exchange, begin the next one, or try another backend that wants the body at once.
        Exchange* const mine = exchange_;
        paused_ = true;
        const bool nested = std::exchange(running_, true);
        const Flow flow = mine->on_request_body(taken.payload, reader_.done());
        running_ = nested;
        if (exchange_ != mine) {
            if (phase_ == Phase::idle || (phase_ == Phase::exchange && exchange_ != nullptr)) run();
            return;
        }
        if (flow == Flow::ok) paused_ = false;
        wait_for_client();
    }
}

// While the answer is on its way nothing is read. An edge then is either the next request, which waits, or the end of
// a client that nobody needs to work for any more: its exchange is given up, and the backend sees that too. (A client
// that only shut down its sending side looks the same; as with nginx it counts as gone.)
void ClientConn::watch_for_end() {
    if (phase_ != Phase::exchange || exchange_ == nullptr || !readable_ || !reader_.done() || !in_.empty())
        return;
    char byte;
    const ssize_t n = recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0 || (n < 0 && errno == EINTR)) return;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        readable_ = false;
        return;
    }
    exchange_->on_client_failed(End::client_gone);
}

void ClientConn::body_wanted() {
    if (!paused_ || reader_.done()) return;
    paused_ = false;
    wait_for_client();
    if (!running_) read_body();
}

Flow ClientConn::send_head(const http::ResponseHead& head, const stream::FieldRules& rules,
                           std::string_view payload, bool fin, bool close) {
    http::BodyKind framing = head.body.kind;
    bool chunked = false;
    if (framing == http::BodyKind::chunked || framing == http::BodyKind::until_close) {
        chunked = !http10_;
        until_close_ = http10_;
        framing = chunked ? http::BodyKind::chunked : http::BodyKind::until_close;
    }
    const auto& settings = traffic();
    close_ = close || !keep_alive_ || until_close_ || s_.draining || requests_ >= settings.keepalive_requests;

    http::Sink out(io_.head.get(), io_.head_room);
    out.put("HTTP/1.1 ");
    out.put(std::uint64_t{head.status});
    out.put(" ");
    out.put(head.reason.empty() ? http::reason_phrase(head.status) : head.reason);
    out.put("\r\n");
    if (rules.keep != nullptr) {
        http::put_fields(out, head.fields,
                         [&](const http::Field& field) noexcept { return rules.keep(field); });
    }
    out.put(rules.added);
    if (chunked) out.put("Transfer-Encoding: chunked\r\n");
    if (close_) {
        out.put("Connection: close\r\n");
    } else if (http10_) {
        out.put("Connection: keep-alive\r\n");
    }
    out.put("\r\n");
    if (out.overflow()) return Flow::gone;

    writer_.begin(framing);
    Flow flow;
    if (!chunked && !payload.empty() && io_.in.room_before(payload.data()) >= out.size()) {
        // The old head lay where the new one goes: everything leaves in one piece.
        char* at = const_cast<char*>(payload.data()) - out.size();
        std::copy_n(out.view().data(), out.size(), at);
        flow = send({at, out.size() + payload.size()});
    } else {
        iovec parts[1 + stream::BodyWriter::most_parts];
        int count = 0;
        parts[count++] = {io_.head.get(), out.size()};
        writer_.frame(payload, fin, parts, count);
        flow = send(parts, count);
    }
    if (flow == Flow::full) {
        wait(to_micros(settings.body_timeout));
        if (!watch()) return Flow::gone;
    }
    return flow;
}

Flow ClientConn::send_body(std::string_view payload, bool fin) {
    iovec parts[stream::BodyWriter::most_parts];
    int count = 0;
    writer_.frame(payload, fin, parts, count);
    if (count == 0) return Flow::ok;
    const Flow flow = send(parts, count);
    if (flow == Flow::full) {
        wait(to_micros(traffic().body_timeout));
        if (!watch()) return Flow::gone;
    }
    return flow;
}

Flow ClientConn::send_continue() { return send(continue_answer) == Flow::gone ? Flow::gone : Flow::ok; }

void ClientConn::exchange_over() {
    exchange_ = nullptr;
    exchange_deadline_ = 0;
    sent_ = 0;
    received_ = 0;
    began_ = 0;
    if (close_ || !reader_.done()) {
        // Unread input would turn the close into a reset, and the reset could overtake the answer.
        if (!reader_.done() || !in_.empty() || readable_) {
            linger();
        } else {
            die();
        }
        return;
    }
    phase_ = Phase::idle;
    received_ = in_.size();
    wait(to_micros(traffic().idle_timeout));
    if (!watch()) {
        die();
        return;
    }
    run();
}

void ClientConn::cut() {
    exchange_ = nullptr;
    if (until_close_ && fd_) {
        // The end of the connection would look like the end of the answer: a reset does not.
        const ::linger hard{1, 0};
        (void)setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    die();
}

void ClientConn::linger() {
    phase_ = Phase::lingering;
    in_.release();
    unread_ = false;
    if (::shutdown(fd_.get(), SHUT_WR) != 0 || !watch()) {
        die();
        return;
    }
    discarded_ = 0;
    deadline = io_.clock.now() + linger_limit;
    discard();
}

void ClientConn::discard() {
    while (readable_) {
        const Received got = receive(io_.in.area(), io::Scratch::size);
        if (got.what == Received::What::nothing) return;
        if (got.what != Received::What::data ||
            (discarded_ += static_cast<std::uint32_t>(got.size)) > linger_bytes) {
            die();
            return;
        }
    }
}

void ClientConn::close_if_idle() {
    if (phase_ != Phase::idle || !in_.empty() || pending()) return;
    char byte;
    const ssize_t n = recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0) die();
}

void ClientConn::stop() {
    if (exchange_ != nullptr) {
        exchange_->on_client_failed(End::stopped);
    } else {
        die();
    }
}

void ClientConn::die() {
    if (phase_ == Phase::dead) return;
    phase_ = Phase::dead;
    exchange_ = nullptr;
    shut();
    in_.release();
    owner_.gone(*this);
}

int ClientConn::raw_sink() { return !writer_.chunked() && !pending() && watch() ? fd_.get() : -1; }

void ClientConn::raw_sent(std::uint64_t bytes, bool) {
    sent_ += bytes;
    wait_for_client();
}

void ClientConn::raw_sink_full() {
    writable_ = false;
    sink_full_ = true;
    wait(to_micros(traffic().body_timeout));
}

int ClientConn::raw_source(std::uint64_t& left) {
    left = reader_.raw_left();
    return left > 0 && readable_ ? fd_.get() : -1;
}

void ClientConn::raw_taken(std::uint64_t bytes) {
    received_ += bytes;
    reader_.raw_taken(bytes);
    wait_for_client();
}

void ClientConn::raw_source_empty() { readable_ = false; }

}  // namespace lb
