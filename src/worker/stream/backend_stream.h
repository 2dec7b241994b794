// worker/stream/backend_stream.h -- the backend's half of an exchange: where its request goes and its answer comes from.
//
// HTTP/1 (backend/backend_conn): the stream is a whole connection, borrowed until release().
// HTTP/2 will fit as one object per stream of a shared connection: send_request turns the lines of the request record
// (see RequestRecord) into header fields and submits them, send_body feeds the stream's data provider, pause() stops
// consuming flow-control credit, release() after the end is free and before it resets the stream with CANCEL.
#pragma once
#include <cstdint>
#include <string_view>

#include "shared/base/clock.h"
#include "shared/http/message.h"
#include "worker/io/conn.h"
#include "worker/stream/raw_end.h"

namespace lb::stream {

using io::Flow;

// How an attempt failed; with what is known about it, this decides about another try (exchange/failure.h).
enum class Failure : std::uint8_t {
    connect,  // refused, unreachable, no descriptor
    connect_timeout,
    closed,  // ended or reset before the first byte of an answer
    response_timeout,
    bad_response,  // not HTTP, or over the limits
    cut,           // ended or broke inside the answer
    stalled,       // stopped sending inside the answer, or stopped taking the request
};

// A request as it is kept until its answer begins, so that it can be sent again: the head in the text form of
// HTTP/1.1 with all fields that go to a backend, framing too and the empty line; behind it the payload, unframed.
struct RequestRecord {
    std::string_view head;
    std::string_view payload;
    http::Method method = http::Method::get;
    http::Framing body;  // how the payload is framed towards the backend: length as announced, or chunked
    bool fin = false;    // the payload is the whole body
    std::string_view trailers{};  // whole lines, to go behind the payload; only with fin and a chunked body
    std::string_view proxy_header{};  // sent before the head on a new connection; empty: none
    bool upgrade = false;             // the head asks for another protocol: 101 is an answer
};

class BackendStream : public RawEnd {
 public:
    // Once, on a ready stream. full: on_backend_drained will come.
    virtual Flow send_request(const RequestRecord& request) = 0;
    // Never `gone`: a backend may answer and close before it has read everything, and what it said decides.
    // In a tunnel, fin ends our side of the connection.
    virtual Flow send_body(std::string_view payload, bool fin) = 0;
    // Trailer fields to go behind the body: whole lines, valid until the send_body(..., true) that follows returns.
    virtual void set_trailers(std::string_view lines) = 0;
    // A raw send failed; the same holds.
    virtual void sink_failed() = 0;
    // From now on, how long the stream may wait without progress; 0: no limit. Ends in on_backend_failed.
    virtual void wait_for_response(Micros limit, Micros between_reads) = 0;
    virtual void pause() = 0;  // no more of the answer until resume()
    virtual void resume() = 0;
    // The exchange needs it no more: kept for the next one if it may be, else closed. No callback comes afterwards.
    virtual void release() = 0;

 protected:
    ~BackendStream() = default;
};

// What a backend's stream tells the exchange that holds it.
class ResponseUser {
 public:
    virtual void on_backend_ready() = 0;  // connected; only after an open that was not ready at once
    // An interim answer, 1xx but 101. May come several times before on_response.
    virtual void on_interim(const http::ResponseHead& head) = 0;
    // The final answer's head. Status 101 comes only after a request with `upgrade`: the stream is a tunnel then, payload is
    // its first bytes, and on_response_body carries on until fin.
    virtual void on_response(const http::ResponseHead& head, std::string_view payload, bool fin) = 0;
    // The trailer fields of the body that may be forwarded: whole lines, valid until the call with fin, which comes next,
    // returns. Only when there are any.
    virtual void on_response_trailers(std::string_view lines) = 0;
    virtual void on_response_body(std::string_view payload, bool fin) = 0;
    // A long rest of the answer is waiting on raw_source(). full: paused until resume().
    virtual io::Raw on_response_raw() = 0;
    virtual void on_backend_drained() = 0;
    virtual void on_backend_failed(Failure how) = 0;

 protected:
    ~ResponseUser() = default;
};

}  // namespace lb::stream
