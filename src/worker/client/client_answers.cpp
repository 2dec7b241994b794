// worker/client/client_answers.cpp -- what goes to a client: heads, framed bodies, and our side of a tunnel.
#include <sys/socket.h>

#include <algorithm>

#include "shared/http/http1_writer.h"
#include "worker/client/client_conn.h"

namespace lb {
namespace {

// Status line and fields, without the empty line.
void put_head(http::Sink& out, const http::ResponseHead& head, const stream::FieldRules& rules) noexcept {
    http::put_status_line(out, head.status,
                          head.reason.empty() ? http::reason_phrase(head.status) : head.reason);
    if (rules.keep != nullptr) {
        http::put_fields(out, head.fields,
                         [&](const http::Field& field) noexcept { return rules.keep(field, rules.context); });
    }
    out.put(rules.added);
}

}  // namespace

using io::Flow;

Flow ClientConn::send_head(const http::ResponseHead& head, const stream::FieldRules& rules,
                           std::string_view payload, bool fin, bool close) {
    answering_ = true;
    if (head.status == 101 && !begin_tunnel()) return Flow::gone;
    http::BodyKind framing = tunnel_ ? http::BodyKind::none : head.body.kind;
    bool chunked = false;
    if (framing == http::BodyKind::chunked || framing == http::BodyKind::until_close) {
        chunked = !http10_;
        until_close_ = http10_;
        framing = chunked ? http::BodyKind::chunked : http::BodyKind::until_close;
    }
    close_ = tunnel_ || close || !keep_alive_ || until_close_ || s_.draining ||
             requests_ >= traffic().keepalive_requests;

    http::Sink out(io_.head.get(), io_.head_room);
    put_head(out, head, rules);
    if (chunked) out.put("Transfer-Encoding: chunked\r\n");
    if (tunnel_) {
        // Its Connection line came with the rules.
    } else if (close_) {
        out.put("Connection: close\r\n");
    } else if (http10_) {
        out.put("Connection: keep-alive\r\n");
    }
    out.put("\r\n");
    if (out.overflow()) return Flow::gone;

    writer_.begin(framing);
    if (!chunked && !payload.empty() && io_.in.room_before(payload.data()) >= out.size()) {
        // The old head lay where the new one goes: everything leaves in one piece.
        char* at = const_cast<char*>(payload.data()) - out.size();
        std::copy_n(out.view().data(), out.size(), at);
        return sent(send({at, out.size() + payload.size()}), fin);
    }
    iovec parts[1 + stream::BodyWriter::most_parts];
    int count = 0;
    parts[count++] = {io_.head.get(), out.size()};
    writer_.frame(payload, fin, parts, count);
    return sent(send(parts, count), fin);
}

Flow ClientConn::send_body(std::string_view payload, bool fin) {
    iovec parts[stream::BodyWriter::most_parts];
    int count = 0;
    writer_.frame(payload, fin, parts, count);
    if (count > 0) return sent(send(parts, count), fin);
    return sent(pending() ? Flow::full : Flow::ok, fin);
}

Flow ClientConn::send_interim(const http::ResponseHead& head, const stream::FieldRules& rules) {
    if (http10_ || answering_ || pending()) return Flow::ok;
    http::Sink out(io_.head.get(), io_.head_room);
    put_head(out, head, rules);
    out.put("\r\n");
    if (out.overflow()) return Flow::ok;
    if (sent(send(out.view()), false) == Flow::gone) return Flow::gone;
    if (head.status == 100 && !reader_.done()) {  // it may have waited for this with its body
        pace_.begin();
        wait_for_client();
    }
    return Flow::ok;
}

// After a send, whatever it was of.
Flow ClientConn::sent(Flow flow, bool fin) {
    if (flow == Flow::gone) return flow;
    if (tunnel_ && fin) {
        fin_sent_ = true;
        if (flow == Flow::ok) shut_sending();
    }
    if (tunnel_ || flow == Flow::full) wait_for_client();
    return flow == Flow::full && !watch() ? Flow::gone : flow;
}

// From here on the request's body is what the client sends until it ends its side. False: no descriptor to be had for the
// epoll set.
bool ClientConn::begin_tunnel() {
    tunnel_ = true;
    s_.column.add<"lb_tunnels">(s_.config.listeners[listener_].slot);
    reader_.begin({http::BodyKind::until_close, 0});
    paused_ = true;
    body_timeout_ = to_micros(traffic().tunnel_timeout);
    exchange_deadline_ = 0;
    return watch();
}

// Its failure says that the connection is broken, which reading tells as well.
void ClientConn::shut_sending() noexcept { (void)::shutdown(fd_.get(), SHUT_WR); }

int ClientConn::raw_sink() {
    return !writer_.chunked() && !pending() && !fin_sent_ && watch() ? fd_.get() : -1;
}

void ClientConn::raw_sent(std::uint64_t bytes, bool) {
    sent_ += bytes;
    pace_.moved(0, io_.clock.now());
    wait_for_client();
}

void ClientConn::raw_sink_full() {
    writable_ = false;
    sink_full_ = true;
    wait_for_client();
}

}  // namespace lb
