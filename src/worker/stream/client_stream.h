// worker/stream/client_stream.h -- the client's half of an exchange: where its answer goes. An exchange talks to this
// and never sees a protocol.
//
// HTTP/1 (client/http1_session): one stream at a time is the connection itself; send_head writes the status line and
// fields before the payload, send_body frames chunks when the length is not known, and exchange_over() lets the
// session read the next request.
// HTTP/2 will fit as one object per stream of a session: send_head submits a response whose fields come from the same
// ResponseHead and FieldRules, send_body queues payload for the stream's data provider and answers `full` while the
// stream's or the connection's window is shut, body_wanted() consumes the stream's flow-control credit, cut() resets
// the stream with INTERNAL_ERROR and leaves the connection alone, and the raw calls answer "no" always. Interim answers
// and trailers are header blocks there.
//
// A final head with status 101 makes the stream a tunnel: from then on the request's body is whatever the client sends
// until it ends its side (fin), and fin towards the client ends ours. There is no framing in a tunnel.
//
// Calls come from the exchange; the other direction are the functions of RequestUser, which the exchange implements.
#pragma once
#include <cstdint>
#include <string_view>

#include "shared/base/clock.h"
#include "shared/http/message.h"
#include "shared/metrics/end_reason.h"
#include "shared/net/address.h"
#include "worker/io/conn.h"
#include "worker/stream/raw_end.h"

namespace lb::stream {

using io::Flow;

// The fields of a head that pass, and lines added behind them. Pure values; see exchange/forward_headers.
struct FieldRules {
    bool (*keep)(const http::Field& field, const void* context) noexcept = nullptr;  // null: none passes
    const void* context = nullptr;
    std::string_view added;  // whole lines "Name: value\r\n"
};

// Where a client's connection comes from. Views and references live as long as the stream.
struct ClientOrigin {
    const Address& peer;    // the other end of the socket
    const Address& client;  // the same, or what a PROXY header said
    std::string_view text;  // of `client`, without its port: "192.0.2.1"; "unix:" for a unix socket
    std::uint32_t request;  // which request of its connection this is, from 1 on
};

class ClientStream : public RawEnd {
 public:
    // Gives the head of the final answer with the payload that is there already; `fin`: there is no more.
    // `body` says how long the payload is, if that is known; the stream chooses the framing. `close`: the stream's
    // connection takes no further request. full: wait for on_client_drained before giving more.
    virtual Flow send_head(const http::ResponseHead& head, const FieldRules& rules, std::string_view payload,
                           bool fin, bool close) = 0;
    virtual Flow send_body(std::string_view payload, bool fin) = 0;
    // An interim answer, 1xx but 101, before the final one (RFC 9110 15.2). Nothing is sent to a client of HTTP/1.0, and
    // nothing (answer ok) while earlier bytes still wait: interim answers are optional.
    virtual Flow send_interim(const http::ResponseHead& head, const FieldRules& rules) = 0;
    // Trailer fields to go behind the body: whole lines, valid until the send_body(..., true) that follows returns.
    // Dropped where the framing has no place for them.
    virtual void set_trailers(std::string_view lines) = 0;
    // Times of this exchange, where its route has its own: between two reads or writes of a body, with the bytes per second
    // that the client must move meanwhile (UINT64_MAX: any), and for the whole from its first byte on (0: off). The head with
    // 101 sets them anew: body_timeout to the listener's tunnel_timeout, the time without a byte in either direction, and the
    // others to off; a tunnel knows no rate. Call again behind it where the route has its own.
    virtual void set_times(Micros body_timeout, std::uint64_t min_rate, Micros request_timeout) = 0;
    // The request's body may flow: at first, after on_request_body answered `full`, and once a tunnel begins.
    virtual void body_wanted() = 0;
    // Every exchange ends in exactly one of these two; no call comes afterwards.
    // The answer was given whole. The stream may begin the next request.
    virtual void exchange_over() = 0;
    // The answer cannot be finished: the stream makes sure that the client can tell, and sends nothing more.
    virtual void cut() = 0;

    // Of this exchange so far, heads and framing too: what the kernel took, and what came.
    [[nodiscard]] virtual std::uint64_t bytes_sent() const noexcept = 0;
    [[nodiscard]] virtual std::uint64_t bytes_received() const noexcept = 0;
    [[nodiscard]] virtual ClientOrigin origin() const noexcept = 0;
    // What the client connected to, or what a PROXY header said of it. May ask the kernel: only for those who need it.
    [[nodiscard]] virtual Address local_address() const noexcept = 0;

 protected:
    ~ClientStream() = default;
};

// What a client's stream tells the exchange it began.
class RequestUser {
 public:
    // The trailer fields of the request's body that may be forwarded: whole lines, valid until the call with fin, which
    // comes next, returns. Only when there are any.
    virtual void on_request_trailers(std::string_view lines) = 0;
    // More of the request's body. full: stop until body_wanted().
    virtual Flow on_request_body(std::string_view payload, bool fin) = 0;
    // A long rest of the body is waiting on raw_source(). full: paused until body_wanted().
    virtual io::Raw on_request_raw() = 0;
    // All that was kept has gone to the client.
    virtual void on_client_drained() = 0;
    // The client is gone or broke its word in the middle of the exchange.
    virtual void on_client_failed(End why) = 0;

 protected:
    ~RequestUser() = default;
};

}  // namespace lb::stream
