// worker/client/client_requests.cpp -- what a client sends: the PROXY header, heads, bodies, and its side of a tunnel.
#include <algorithm>
#include <utility>

#include "shared/net/proxy_protocol.h"
#include "worker/client/client_conn.h"
#include "worker/client/client_conns.h"

namespace lb {
namespace {

constexpr std::uint64_t raw_min = 32768;  // shorter bodies are cheaper to copy than to splice
constexpr int most_reads = 16;            // of one body before others have their turn
constexpr std::size_t read_room = 512;    // at least, behind bytes that were kept

}  // namespace

using io::Flow;

// Who could connect to a unix socket is this machine's own, as its permissions say.
bool ClientConn::trusts_peer() const noexcept {
    if (peer_.family() == AF_UNIX) return true;
    const auto& trusted = s_.config.listeners[listener_].trusted;
    return std::any_of(trusted.begin(), trusted.end(),
                       [this](const Cidr& range) { return range.contains(peer_); });
}

void ClientConn::refuse_proxy(const char* why) {
    owner_.proxy_error(*this, why);
    die();
}

// Returns whether to go on.
bool ClientConn::read_proxy_header() {
    if (!readable_) return false;
    if (!in_.reserve(io_.buffers, read_room)) {
        die();
        return false;
    }
    const Received got = receive(in_.tail(), in_.room());
    if (got.what == Received::What::nothing) return false;
    if (got.what != Received::What::data) {
        // One that connects and goes only looks whether lb is there.
        if (in_.empty()) {
            owner_.count(*this, metrics::closed_client);
            die();
        } else {
            refuse_proxy("the connection ended inside it");
        }
        return false;
    }
    in_.produced(got.size);
    const ProxyHeader header = parse_proxy_header(in_.view());
    if (header.state == ProxyHeader::State::error) refuse_proxy(header.why);
    if (header.state != ProxyHeader::State::complete) return header.state == ProxyHeader::State::incomplete;
    if (header.proxied) {
        proxied_ = std::make_unique<Proxied>(Proxied{header.source, header.destination});
        set_client(header.source);
    }
    in_.consume(header.consumed);
    received_ = in_.size();
    unread_ = !in_.empty();
    phase_ = Phase::head;
    wait(to_micros(traffic().header_timeout));
    return true;
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
        if (buffered && !in_.reserve(io_.buffers, read_room)) {
            die();
            return false;
        }
        at = buffered ? in_.tail() : io_.in.area();
        room = buffered ? in_.room() : io::Scratch::size;
        const Received got = receive(at, room);
        if (got.what == Received::What::nothing) return false;
        if (got.what != Received::What::data) {
            owner_.count(*this, in_.empty() ? metrics::closed_client : metrics::closed_half_head);
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
            if (got_size > 0) drained(got_size, room);
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
    close_ = paused_ = raw_ = sink_full_ = until_close_ = answering_ = waited_to_send_ = false;
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
    body_timeout_ = to_micros(traffic().body_timeout);
    min_rate_ = traffic().min_rate;
    if (!reader_.done()) {
        pace_.begin();
        pace_.moved(taken.payload.size(), io_.clock.now());
        taken_ = 0;
    }
    wait(reader_.done() ? 0 : body_timeout_);
    exchange_ = &s_.exchanges.make(s_, *this, listener_, began_);
    if (taken.error || !trailers_.add(io_.buffers, taken.trailers)) {
        exchange_->refuse(End::bad_request, 400, "bad chunked body", head.line);
        return;
    }
    // Of trailers that are here already the exchange hears behind the head, and so of the end.
    const bool trailed = reader_.done() && !trailers_.empty();
    paused_ = !reader_.done();  // until the exchange has somebody to give it to
    Exchange* const mine = exchange_;
    mine->begin(head, taken.payload, reader_.done() && !trailed);
    if (trailed && exchange_ == mine) (void)give_end({});
    // Its end may have come with it, or while an earlier one was served, and comes no second time.
    if (exchange_ == mine && mine->waiting()) again_later();
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
    keep_alive_ = http10_ = raw_ = sink_full_ = until_close_ = answering_ = waited_to_send_ = false;
    paused_ = true;
    phase_ = Phase::exchange;
    exchange_deadline_ = 0;
    body_timeout_ = to_micros(traffic().body_timeout);
    min_rate_ = traffic().min_rate;
    requests_++;
    if (began_ == 0) began_ = io_.clock.now();
    wait(0);
    bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));  // empty lines may lead
    const std::string_view line = bytes.substr(0, bytes.find_first_of("\r\n"));
    exchange_ = &s_.exchanges.make(s_, *this, listener_, began_);
    exchange_->refuse(end, status, result.why, line);
}

void ClientConn::body_wanted() {
    if (!paused_ || reader_.done()) return;
    paused_ = false;
    wait_for_client();
    if (!running_) read_body();
}

void ClientConn::read_body() {
    for (int reads = 0; phase_ == Phase::exchange && exchange_ != nullptr && !paused_ && !reader_.done();
         reads++) {
        if (tunnel_ && !in_.empty()) {
            if (!give_what_came_early()) return;
            continue;
        }
        if (!readable_) return;
        if (reads == most_reads || (reads > 0 && io_.share.spent())) {
            again_later();
            return;
        }
        const bool worth_raw = raw_ || (tunnel_ ? bulk_ : reader_.raw_left() >= raw_min);
        if ((worth_raw && !read_raw()) || !read_some_body()) return;
    }
}

// Returns whether to read instead.
bool ClientConn::read_raw() {
    raw_ = true;  // before the call, which may end the exchange and begin the next one
    Exchange* const mine = exchange_;
    const io::Raw raw = mine->on_request_raw();
    if (exchange_ != mine) return false;
    if (raw == io::Raw::refused) {
        raw_ = bulk_ = false;
        return true;
    }
    if (raw == io::Raw::full) paused_ = true;
    if (paused_) {
        wait_for_client();
    } else if (readable_ && !reader_.done()) {
        again_later();
    }
    return false;
}

// Returns whether to go on.
bool ClientConn::read_some_body() {
    const Received got = receive(io_.in.area(), io::Scratch::size);
    if (got.what == Received::What::nothing) return false;
    if (got.what == Received::What::end && reader_.ended()) {  // of the client's side of a tunnel
        (void)give_body({});
        return false;
    }
    if (got.what != Received::What::data) {
        exchange_->on_client_failed(End::client_gone);
        return false;
    }
    received_ += got.size;
    io_.share.took(got.size);
    const auto taken = reader_.take(io_.in.area(), got.size);
    if (taken.error) {
        exchange_->on_client_failed(End::bad_request);
        return false;
    }
    const std::string_view behind(io_.in.area() + taken.consumed, got.size - taken.consumed);
    if (!trailers_.add(io_.buffers, taken.trailers) || !in_.append(io_.buffers, behind)) {
        exchange_->on_client_failed(End::overload);
        return false;
    }
    unread_ = !behind.empty();
    received_ -= behind.size();
    bulk_ = tunnel_ && got.size == io::Scratch::size;
    pace_.moved(taken.payload.size(), io_.clock.now());  // framing is no progress, but no silence either
    if (reader_.done() && behind.empty()) drained(got.size, io::Scratch::size);
    if (taken.payload.empty() && !reader_.done()) {
        wait_for_client();
        return true;
    }
    return give_body(taken.payload);
}

// What a client sent behind its request before the answer said that it is a tunnel. Returns whether to go on.
bool ClientConn::give_what_came_early() {
    const io::Buffer early = std::move(in_);
    unread_ = false;
    received_ += early.size();
    return give_body(early.view());
}

// Returns whether to go on with this exchange. Paused from before the call, and body_wanted() from within it does not
// come back here: the call may end the exchange, begin the next one, or try another backend that wants the body at once.
bool ClientConn::give_body(std::string_view payload) {
    Exchange* const mine = exchange_;
    paused_ = true;
    const bool nested = std::exchange(running_, true);
    const Flow flow = reader_.done() ? give_end(payload) : mine->on_request_body(payload, false);
    running_ = nested;
    if (exchange_ != mine) {
        if (phase_ == Phase::idle || (phase_ == Phase::exchange && exchange_ != nullptr)) run();
        return false;
    }
    if (flow == Flow::ok) paused_ = false;
    wait_for_client();
    return true;
}

// The last of a body, and its trailers before it.
Flow ClientConn::give_end(std::string_view payload) {
    Exchange* const mine = exchange_;
    stream::Trailers held =
        std::move(trailers_);  // the lines must outlive the end, and this connection may not
    if (const std::string_view lines = held.lines(); !lines.empty()) mine->on_request_trailers(lines);
    return exchange_ == mine ? mine->on_request_body(payload, true) : Flow::full;
}

int ClientConn::raw_source(std::uint64_t& left) {
    left = tunnel_ ? endless : reader_.raw_left();
    return left > 0 && readable_ && !reader_.done() ? fd_.get() : -1;
}

void ClientConn::raw_taken(std::uint64_t bytes) {
    received_ += bytes;
    if (!tunnel_) reader_.raw_taken(bytes);
    pace_.moved(bytes, io_.clock.now());
    wait_for_client();
}

void ClientConn::raw_source_empty() {
    readable_ = false;
    if (tunnel_) raw_ = bulk_ = false;
}

}  // namespace lb
