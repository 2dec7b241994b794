#include "worker/io/conn.h"

#include <sys/socket.h>

#include <cerrno>

namespace lb::io {

void Conn::callback(evutil_socket_t, short what, void* self) {
    Conn& conn = *static_cast<Conn*>(self);
    conn.io_.progress.made();
    if ((what & EV_READ) != 0) conn.readable_ = true;
    if ((what & EV_WRITE) != 0) conn.writable_ = true;
    if ((what & EV_CLOSED) != 0) conn.ended_ = conn.readable_ = true;
    conn.on_io();
}

bool Conn::watch() noexcept {
    if (registered_) return true;
    event_assign(&event_, io_.base.get(), fd_.get(), EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST,
                 callback, this);
    registered_ = event_add(&event_, nullptr) == 0;
    return registered_;
}

Conn::Received Conn::receive(char* at, std::size_t room) noexcept {
    for (;;) {
        const ssize_t n = recv(fd_.get(), at, room, MSG_DONTWAIT);
        if (n > 0) return {Received::What::data, static_cast<std::size_t>(n)};
        if (n == 0) {
            ended_ = true;
            return {Received::What::end};
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            readable_ = false;
            return {Received::What::nothing};
        }
        return {Received::What::failed};
    }
}

Flow Conn::send(std::string_view bytes) noexcept {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    return send(&part, 1);
}

Flow Conn::send(iovec* parts, int count) noexcept {
    while (count > 0 && writable_ && !pending()) {
        ssize_t n;
        if (count == 1) {
            n = ::send(fd_.get(), parts->iov_base, parts->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
            msghdr message{};
            message.msg_iov = parts;
            message.msg_iovlen = static_cast<std::size_t>(count);
            n = sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) return Flow::gone;
            writable_ = false;
            break;
        }
        auto left = static_cast<std::size_t>(n);
        sent_ += left;
        while (count > 0 && left >= parts->iov_len) {
            left -= parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            // A short count: the socket's buffer is full. An edge will tell when there is room.
            parts->iov_base = static_cast<char*>(parts->iov_base) + left;
            parts->iov_len -= left;
            writable_ = false;
        }
    }
    if (count == 0) return Flow::ok;
    for (; count > 0; parts++, count--) {
        if (!out_.append(io_.buffers, {static_cast<char*>(parts->iov_base), parts->iov_len}))
            return Flow::gone;
    }
    return Flow::full;
}

Flow Conn::flush() noexcept {
    while (pending()) {
        const ssize_t n = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) return Flow::gone;
            writable_ = false;
            return Flow::full;
        }
        sent_ += static_cast<std::size_t>(n);
        out_.consume(static_cast<std::size_t>(n));
        // After a short count the next try says EAGAIN, or takes more: asking is safer than trusting the count.
    }
    return Flow::ok;
}

void Conn::again_later() {
    if (!registered_ || again_at_ != not_again) return;
    again_at_ = static_cast<std::uint32_t>(io_.again.size());
    io_.again.push_back(this);
}

void Io::wake_again() {
    for (Conn* conn : again) {
        conn->again_at_ = Conn::not_again;
        event_active(&conn->event_, EV_READ, 0);
    }
    again.clear();
}

void Conn::shut() noexcept {
    if (registered_) {
        event_del(&event_);
        registered_ = false;
        if (again_at_ != not_again) {
            io_.again[again_at_] = io_.again.back();
            io_.again[again_at_]->again_at_ = again_at_;
            io_.again.pop_back();
            again_at_ = not_again;
        }
    }
    Wheel::remove(*this);
    fd_.reset();
    out_.release();
    deadline = 0;
}

}  // namespace lb::io
