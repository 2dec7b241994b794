// worker/client/client_conn.cpp -- the life of a connection: readiness, deadlines, one exchange after the other, the end.
#include "worker/client/client_conn.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "shared/net/socket.h"
#include "worker/client/client_conns.h"

namespace lb {
namespace {

constexpr int most_requests = 32;  // answered by lb itself, of one client before others have their turn

// A client that goes on sending reads its last answer when it has sent all, or never if a reset comes before that.
constexpr Micros linger_limit = 5'000'000;  // of silence
constexpr Micros linger_most = 30'000'000;  // in all, however busily it sends
constexpr int most_drops = 16;              // reads of a lingering connection before others have their turn

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
    wait_until(limit == 0 ? 0 : now + limit, now);
}

void ClientConn::wait_until(Micros at, Micros now) noexcept {
    if (exchange_deadline_ != 0 && (at == 0 || exchange_deadline_ < at)) at = exchange_deadline_;
    if (at != deadline) io_.wheel.set(*this, at, now);
}

void ClientConn::wait_for_client() noexcept {
    if (tunnel_) {
        wait(body_timeout_);
        return;
    }
    const Micros now = io_.clock.now();
    if (sending() && !waited_to_send_) {
        // How it sent says nothing of how it takes.
        waited_to_send_ = true;
        pace_.begin();
        (void)newly_taken();
    }
    if (!reading() && !sending()) {
        pace_.rests(now);
        wait_until(0, now);
        return;
    }
    pace_.waits(now);
    wait_until(pace_.due(pace_limits()), now);
}

// A socket is writable again only when a third of its buffer is free, which a slow client takes long to free: how far it
// really is the kernel says. On a unix socket it says so in whole pieces as they were sent, with what they cost.
std::uint64_t ClientConn::newly_taken() noexcept {
    int queued = 0;
    if (ioctl(fd_.get(), SIOCOUTQ, &queued) != 0) return 0;
    const std::int64_t taken = static_cast<std::int64_t>(sent_) - queued;
    const std::int64_t before = std::exchange(taken_, taken);
    return taken > before ? static_cast<std::uint64_t>(taken - before) : 0;
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
    pace_.moved(0, io_.clock.now());  // there was room again; how much it took is asked when it is judged
    wait_for_client();
    if (flow == Flow::ok) exchange_->on_client_drained();
}

void ClientConn::on_deadline() {
    switch (phase_) {
        case Phase::dead: return;
        case Phase::proxy: refuse_proxy("none came within header_timeout"); return;
        case Phase::idle:
            owner_.count(*this, metrics::closed_idle);
            die();
            return;
        case Phase::lingering:
            owner_.count(*this, metrics::closed_lingering);
            die();
            return;
        case Phase::head:
            if (in_.view().find_first_not_of("\r\n") == std::string_view::npos) {
                owner_.count(*this, metrics::closed_silent);
                die();  // not a byte, or empty lines behind the last request: nobody to answer
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
    } else if (!reading() && !sending()) {
        wait(0);  // for nothing of the client any more; the exchange as a whole may still have its time
    } else {
        if (const std::uint64_t taken = newly_taken(); taken > 0) pace_.moved(taken, now);
        if (pace_.too_slow(pace_limits(), now)) {
            if (sending()) {
                reset_at_close();
                exchange_->on_client_failed(End::client_stalled);
            } else {
                exchange_->on_client_failed(End::body_timeout);
            }
        } else {
            wait_for_client();
        }
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

void ClientConn::set_times(Micros body_timeout, std::uint64_t min_rate, Micros request_timeout) {
    body_timeout_ = body_timeout;
    min_rate_ = min_rate;
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
    if (until_close_) reset_at_close();  // its end would look like the end of the answer
    die();
}

// What the kernel still has for the client goes with the connection. Otherwise it would offer that for minutes to one
// that does not read, beyond every bound on connections.
void ClientConn::reset_at_close() noexcept {
    if (!fd_) return;
    const ::linger hard{1, 0};
    (void)setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

void ClientConn::linger() {
    phase_ = Phase::lingering;
    in_.release();
    unread_ = false;
    if (::shutdown(fd_.get(), SHUT_WR) != 0 || !watch()) {
        die();
        return;
    }
    exchange_deadline_ = io_.clock.now() + linger_most;
    wait(linger_limit);
    discard();
}

// TCP drops what MSG_TRUNC asks for without copying it; a unix socket does not know it there, and copies into the area.
void ClientConn::discard() {
    bool heard = false;
    for (int reads = 0; readable_; reads++) {
        if (reads == most_drops) {
            again_later();
            break;
        }
        const ssize_t n = recv(fd_.get(), io_.in.area(), io::Scratch::size, MSG_TRUNC | MSG_DONTWAIT);
        if (n > 0) {
            heard = true;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            readable_ = false;
        } else if (n == 0 || errno != EINTR) {
            die();
            return;
        }
    }
    if (heard) wait(linger_limit);
}

ssize_t ClientConn::peek() const noexcept {
    char byte;
    return recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

void ClientConn::close_if_idle() {
    if (phase_ != Phase::idle || !in_.empty() || pending() || peek() > 0) return;
    owner_.count(*this, metrics::closed_stopped);
    die();
}

// When it began is told by its deadline: no clock is kept for what is rarely asked.
std::optional<Resting> ClientConn::rests() noexcept {
    switch (phase_) {
        case Phase::lingering: return Resting{exchange_deadline_ - linger_most, this, Rest::lingering};
        case Phase::idle:
            if (!in_.empty() || pending()) return {};
            return Resting{deadline - to_micros(traffic().idle_timeout), this, Rest::idle};
        case Phase::proxy:
        case Phase::head: return Resting{deadline - to_micros(traffic().header_timeout), this, Rest::head};
        case Phase::exchange:
        case Phase::dead: break;
    }
    return {};
}

bool ClientConn::give_place() {
    if (phase_ == Phase::lingering) {
        owner_.count(*this, metrics::closed_room_lingering);
    } else {
        if (peek() > 0) return false;
        owner_.count(*this, phase_ == Phase::idle ? metrics::closed_room_idle : metrics::closed_room_head);
    }
    die();
    return true;
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
