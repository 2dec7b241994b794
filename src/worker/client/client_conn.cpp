// worker/client/client_conn.cpp -- the life of a connection: readiness, deadlines, one exchange after the other, the end.
#include "worker/client/client_conn.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "shared/net/socket.h"
#include "worker/client/client_conns.h"

namespace lb {
namespace {

constexpr int most_requests = 32;  // answered by lb itself, of one client before others have their turn

constexpr Micros linger_limit = 5'000'000;       // how long a client may take to read its last answer
constexpr std::uint32_t linger_bytes = 1 << 20;  // what is read and dropped meanwhile

}  // namespace

using io::Flow;

ClientConn::ClientConn(Services& services, ClientConns& owner, const Entrance& entrance, Fd fd,
                       const Address& peer)
    : Conn(services.io, std::move(fd)),
      s_(services),
      owner_(owner),
      listener_(entrance.listener),
      phase_(entrance.proxy_protocol ? Phase::proxy : Phase::head),
      peer_(peer) {
    set_client(peer_);
    const config::Traffic& t = traffic();
    Micros horizon = to_micros(std::min({t.header_timeout, t.body_timeout, t.idle_timeout}));
    if (t.request_timeout.count() > 0) horizon = std::min(horizon, to_micros(t.request_timeout));
    const Micros now = io_.clock.now();
    deadline = now + to_micros(t.header_timeout);
    io_.wheel.add(*this, std::min(horizon, linger_limit), now);
}

void ClientConn::set_client(const Address& client) {
    std::string text;
    append_host(text, client);
    address_size_ = static_cast<std::uint8_t>(std::min(text.size(), address_.size()));
    std::copy_n(text.begin(), address_size_, address_.begin());
}

const config::Traffic& ClientConn::traffic() const noexcept { return s_.config.listeners[listener_].traffic; }

Address ClientConn::local_address() const noexcept {
    return proxied_ ? proxied_->local : lb::local_address(fd_.get());
}

void ClientConn::wait(Micros limit) noexcept {
    const Micros now = io_.clock.now();
    Micros at = limit == 0 ? 0 : now + limit;
    if (exchange_deadline_ != 0 && (at == 0 || exchange_deadline_ < at)) at = exchange_deadline_;
    io_.wheel.set(*this, at, now);
}

void ClientConn::wait_for_client() noexcept {
    const bool reading = !reader_.done() && !paused_;
    wait(tunnel_ || reading || pending() || sink_full_ ? body_timeout_ : 0);
}

void ClientConn::accepted(bool deferred) {
    if (phase_ == Phase::proxy && !trusts_peer()) {
        refuse_proxy("its sender is not trusted");
        return;
    }
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
    if (writable_ && (pending() || sink_full_)) send_what_was_kept();
    switch (phase_) {
        case Phase::proxy:
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

void ClientConn::send_what_was_kept() {
    const Flow flow = flush();
    if (flow == Flow::gone) {
        stop_for(End::client_gone);
        return;
    }
    if (flow == Flow::ok && fin_sent_) shut_sending();
    if (exchange_ == nullptr) return;
    if (flow == Flow::ok) sink_full_ = false;
    wait_for_client();
    if (flow == Flow::ok) exchange_->on_client_drained();
}

void ClientConn::on_deadline() {
    switch (phase_) {
        case Phase::dead: return;
        case Phase::proxy: refuse_proxy("none came within header_timeout"); return;
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
    } else if (tunnel_) {
        exchange_->on_client_failed(End::tunnel_timeout);
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
    int done = 0;
    while ((phase_ == Phase::proxy && read_proxy_header()) ||
           ((phase_ == Phase::idle || phase_ == Phase::head) && read_request())) {
        if (++done < most_requests || (phase_ != Phase::idle && phase_ != Phase::head)) continue;
        // Answered by lb itself, one like the other: others have their turn, and what has ended is swept away.
        running_ = false;
        if (watch()) {
            again_later();
        } else {
            stop();
        }
        return;
    }
    running_ = false;
    read_body();
}

// While the answer is on its way nothing is read. An edge then is either the next request, which waits, or the end of
// a client that nobody needs to work for any more: its exchange is given up, and the backend sees that too. (A client
// that only shut down its sending side looks the same; as with nginx it counts as gone.) In a tunnel that end went to
// the backend long ago, and only a broken connection is news.
void ClientConn::watch_for_end() {
    if (phase_ != Phase::exchange || exchange_ == nullptr || !readable_) return;
    if (!reader_.done() || !in_.empty()) {
        // Unread bytes lie before the end. One that waits for a place is not to have it for nobody.
        if (exchange_->waiting() && (ended_ || take_socket_error(fd_.get()) != 0))
            exchange_->on_client_failed(End::client_gone);
        return;
    }
    if (tunnel_) {
        readable_ = false;
        if (take_socket_error(fd_.get()) != 0) exchange_->on_client_failed(End::client_gone);
        return;
    }
    char byte;
    const ssize_t n = recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0 || (n < 0 && errno == EINTR)) return;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        readable_ = false;
        return;
    }
    exchange_->on_client_failed(End::client_gone);
}

void ClientConn::set_times(Micros body_timeout, Micros request_timeout) {
    body_timeout_ = body_timeout;
    exchange_deadline_ = request_timeout == 0 ? 0 : began_ + request_timeout;
    wait_for_client();
}

void ClientConn::exchange_over() {
    exchange_ = nullptr;
    exchange_deadline_ = 0;
    sent_ = 0;
    received_ = 0;
    began_ = 0;
    if (close_ || !reader_.done()) {
        // Unread input would turn the close into a reset, and the reset could overtake the answer. Behind a tunnel that
        // the client has ended there is none.
        const bool unread = !reader_.done() || !in_.empty() || (readable_ && !tunnel_);
        leave_tunnel();
        if (unread) {
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
    wait(linger_limit);
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

void ClientConn::stop() { stop_for(End::stopped); }

void ClientConn::stop_for(End why) {
    if (exchange_ != nullptr) {
        exchange_->on_client_failed(why);
    } else {
        die();
    }
}

void ClientConn::leave_tunnel() noexcept {
    if (!tunnel_) return;
    tunnel_ = false;
    s_.column.sub<"lb_tunnels">(s_.config.listeners[listener_].slot);
}

void ClientConn::die() {
    if (phase_ == Phase::dead) return;
    phase_ = Phase::dead;
    exchange_ = nullptr;
    leave_tunnel();
    shut();
    in_.release();
    trailers_.clear();
    owner_.gone(*this);
}

}  // namespace lb
