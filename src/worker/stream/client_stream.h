// worker/stream/client_stream.h -- the client's half of an exchange: where its answer goes. An exchange talks to this
// and never sees a protocol.
//
// HTTP/1 (client/http1_session): one stream at a time is the connection itself; send_head writes the status line and
// fields before the payload, send_body frames chunks when the length is not known, and exchange_over() lets the
// session read the next request.
// HTTP/2 will fit as one object per stream of a session: send_head submits a response whose fields come from the same
// ResponseHead and FieldRules, send_body queues payload for the stream's data provider and answers `full` while the
// stream's or the connection's window is shut, body_wanted() consumes the stream's flow-control credit, cut() resets
// the stream with INTERNAL_ERROR and leaves the connection alone, and the raw calls answer "no" always.
//
// Calls come from the exchange; the other direction are the functions of RequestUser, which the exchange implements.
#pragma once
#include <cstdint>
#include <string_view>

#include "shared/http/message.h"
#include "shared/metrics/end_reason.h"
#include "worker/io/conn.h"
#include "worker/stream/raw_end.h"

namespace lb::stream {

using io::Flow;

// The fields of a head that pass, and lines added behind them. Pure values; see exchange/forward_headers.
struct FieldRules {
    bool (*keep)(const http::Field& field) noexcept = nullptr;
    std::string_view added;  // whole lines "Name: value\r\n"
};

class ClientStream : public RawEnd {
 public:
    // Gives the head of the final answer with the payload that is there already; `fin`: there is no more.
    // `body` says how long the payload is, if that is known; the stream chooses the framing. `close`: the stream's
    // connection takes no further request. full: wait for on_client_drained before giving more.
    virtual Flow send_head(const http::ResponseHead& head, const FieldRules& rules, std::string_view payload,
                           bool fin, bool close) = 0;
    virtual Flow send_body(std::string_view payload, bool fin) = 0;
    // 100 Continue, before any other answer.
    virtual Flow send_continue() = 0;
    // The request's body may flow again, after on_request_body answered `full`.
    virtual void body_wanted() = 0;
    // Every exchange ends in exactly one of these two; no call comes afterwards.
    // The answer was given whole. The stream may begin the next request.
    virtual void exchange_over() = 0;
    // The answer cannot be finished: the stream makes sure that the client can tell, and sends nothing more.
    virtual void cut() = 0;

    // Of this exchange so far, heads and framing too: what the kernel took, and what came.
    [[nodiscard]] virtual std::uint64_t bytes_sent() const noexcept = 0;
    [[nodiscard]] virtual std::uint64_t bytes_received() const noexcept = 0;
    // The client's address as text; lives as long as the stream.
    [[nodiscard]] virtual std::string_view client_address() const noexcept = 0;

 protected:
    ~ClientStream() = default;
};

// What a client's stream tells the exchange it began.
class RequestUser {
 public:
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
