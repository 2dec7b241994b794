// worker/exchange/exchange.h -- one request and its answer, from the parsed head to the access log line.
// Owns:   the request record (head and small bodies, for another try), the backend's stream while it holds one, the
//         pumps of long bodies, its place in the in-flight figures.
// Never:  sees a protocol: it talks to ClientStream and BackendStream. Never ends twice. See states.h.
// Memory: retired at its end and destroyed at the end of the turn, so that its callers may still return through it.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "worker/exchange/failure.h"
#include "worker/exchange/pump.h"
#include "worker/exchange/services.h"
#include "worker/exchange/states.h"
#include "worker/stream/backend_stream.h"
#include "worker/stream/client_stream.h"

namespace lb {

class Exchange final : public stream::RequestUser, public stream::ResponseUser {
 public:
    Exchange(Services& services, stream::ClientStream& client, std::uint32_t listener,
             Micros started) noexcept
        : s_(services), client_(client), listener_(listener), started_(started) {}

    // The request's head and what has come of its body. The head's views end with the call.
    void begin(const http::RequestHead& head, std::string_view payload, bool fin);
    // A request whose head could not be used: answers, logs and counts it. `line`: what was read of it, for the log.
    void refuse(End why, std::uint16_t status, std::string_view detail, std::string_view line);

    stream::Flow on_request_body(std::string_view payload, bool fin) override;
    io::Raw on_request_raw() override;
    void on_client_drained() override;
    void on_client_failed(End why) override;

    void on_backend_ready() override;
    void on_response(const http::ResponseHead& head, std::string_view payload, bool fin) override;
    void on_response_body(std::string_view payload, bool fin) override;
    io::Raw on_response_raw() override;
    void on_backend_drained() override;
    void on_backend_failed(stream::Failure how) override;

 private:
    void record(const http::RequestHead& head, std::string_view payload);
    void attempt(Reuse reuse);
    void try_backend(BackendId backend, Reuse reuse);
    void connect(Reuse reuse);
    void send_request();
    void failed(stream::Failure how);
    void answer(End why, std::uint16_t status, std::string_view detail);
    void relayed(stream::Flow flow, bool fin);
    void given(stream::Flow flow);
    // `whole`: the last byte of the answer is with the client's kernel; otherwise the client gets a cut.
    void finish(End why, bool whole = false);
    void let_go();  // of the backend's stream and its place in flight
    io::Raw pump_answer();
    io::Raw pump_request();
    void count(Micros now);
    void write_log(Micros now);
    [[nodiscard]] std::string_view backend_name() const noexcept;  // valid until the end of the turn
    [[nodiscard]] bool answer_started() const noexcept { return state_ >= State::relaying; }
    void move_to(Event event) noexcept { state_ = next(state_, event); }
    [[nodiscard]] const config::Listener& listener() const noexcept { return s_.config.listeners[listener_]; }
    [[nodiscard]] const config::Pool& pool() const noexcept { return s_.config.pools[pool_]; }
    [[nodiscard]] std::string_view part(std::uint32_t from, std::uint32_t to) noexcept {
        return {record_.data() + from, to - from};
    }

    Services& s_;
    stream::ClientStream& client_;
    stream::BackendStream* backend_ = nullptr;
    State state_ = State::picking;
    End end_ = End::done;
    http::Method method_ = http::Method::other;
    bool request_done_ = false;  // the client has given the whole request
    bool replayable_ = true;     // the record holds everything that was taken from the client
    bool fresh_used_ = false;
    bool reused_ = false;          // the present connection had carried another request before
    bool sent_ = false;            // a byte of the request may have reached the present backend
    bool more_addresses_ = false;  // of the present backend
    std::uint8_t tried_count_ = 0;
    std::uint32_t skip_ = 0;  // its addresses that were tried in vain
    std::uint16_t status_ = 0;
    std::uint32_t listener_;
    std::uint32_t pool_ = config::no_index;
    std::uint32_t attempts_ = 0;
    BackendId current_;   // the backend of the present or last attempt
    bool holds_ = false;  // `current_` counts this exchange as in flight
    http::Framing framing_;
    // Texts in the record: request line, referer, user agent (for the log), then the head, then the payload.
    std::uint32_t line_end_ = 0, referer_end_ = 0, agent_end_ = 0, head_end_ = 0;
    io::Buffer record_;
    std::uint64_t request_bytes_ = 0;   // payload of the request
    std::uint64_t response_bytes_ = 0;  // payload of the answer
    Micros started_;
    Micros first_attempt_ = 0;
    Micros attempt_at_ = 0;
    Micros sent_at_ = 0;
    Micros connect_time_ = -1;
    Micros response_time_ = -1;
    std::array<std::uint32_t, 8> tried_{};
    Pump answer_pump_, request_pump_;
};

}  // namespace lb
