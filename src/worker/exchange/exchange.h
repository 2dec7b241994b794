// worker/exchange/exchange.h -- one request and its answer, from the parsed head to the access log line.
// Owns:   the request record (head and small bodies, for another try), the backend's stream while it holds one, the
//         pumps of long bodies, its place in the in-flight figures.
// Never:  sees a protocol: it talks to ClientStream and BackendStream. Never ends twice. See states.h.
// Memory: retired at its end and destroyed at the end of the turn, so that its callers may still return through it.
//
// Its functions lie in four files: exchange.cpp (the request, its route, lb's own answers), attempts.cpp (a place at a
// backend, the connection, other tries), relay.cpp (what passes between client and backend) and ending.cpp (the end, the
// figures, the log).
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "worker/exchange/failure.h"
#include "worker/exchange/gzip.h"
#include "worker/exchange/pump.h"
#include "worker/exchange/rules.h"
#include "worker/exchange/services.h"
#include "worker/exchange/states.h"
#include "worker/stream/backend_stream.h"
#include "worker/stream/client_stream.h"

namespace lb {

class Hops;

class Exchange final : public stream::RequestUser, public stream::ResponseUser, public Waiter {
 public:
    Exchange(Services& services, stream::ClientStream& client, std::uint32_t listener,
             Micros started) noexcept
        : s_(services),
          client_(client),
          rules_{&services.config.listeners[listener]},
          listener_(listener),
          started_(started) {}

    // The request's head and what has come of its body. The head's views end with the call.
    void begin(const http::RequestHead& head, std::string_view payload, bool fin);
    // A request whose head could not be used: answers, logs and counts it. `line`: what was read of it, for the log.
    void refuse(End why, std::uint16_t status, std::string_view detail, std::string_view line);
    // The copy of another exchange's request, whole, for a shadow pool (mirror.h). In no listener's or route's figures
    // and in no log.
    void begin_copy(const Exchange& of, std::uint32_t pool);

    void on_request_trailers(std::string_view lines) override;
    stream::Flow on_request_body(std::string_view payload, bool fin) override;
    io::Raw on_request_raw() override;
    void on_client_drained() override;
    void on_client_failed(End why) override;

    void on_backend_ready() override;
    void on_interim(const http::ResponseHead& head) override;
    void on_response(const http::ResponseHead& head, std::string_view payload, bool fin) override;
    void on_response_trailers(std::string_view lines) override;
    void on_response_body(std::string_view payload, bool fin) override;
    io::Raw on_response_raw() override;
    void on_backend_drained() override;
    void on_backend_failed(stream::Failure how) override;

    void on_place(const Place& place) override;
    void on_waited_too_long() override;

 private:
    // Status line, framing and connection fields around what an answer's head is made of.
    static constexpr std::size_t head_reserve = 256;

    // --- exchange.cpp
    void choose_route(const http::RequestHead& head, const Hops& hops);
    void add_names(RequestFacts& facts) const noexcept;
    bool record(const http::RequestHead& head, std::string_view payload, const Hops& hops,
                const RequestFacts& known, bool rewritten);
    bool refused(const http::RequestHead& head);
    bool answered_here(const RequestFacts& known);
    void answer(End why, std::uint16_t status, std::string_view detail, std::uint32_t retry_after = 0);
    void answer_with(std::uint16_t status, std::string_view fields, std::string_view body, End why);
    void mirror();

    // --- attempts.cpp
    [[nodiscard]] Reuse reuse() const noexcept;
    void attempt();
    void note_retry();
    void try_backend(const Place& place, Reuse reuse);
    void begin_attempt(Reuse reuse);
    void connect(Reuse reuse);
    void send_request();
    void failed(stream::Failure how);
    [[nodiscard]] Attempt attempt_facts(stream::Failure how) const noexcept;
    bool try_other_for(std::uint16_t status);
    [[nodiscard]] bool wants_address() const noexcept;
    void settle();  // the backend has done its part: its place in flight is free
    void close_stream();
    void let_go();  // of the backend's stream and its place in flight

    // --- relay.cpp
    void send_answer_head(const http::ResponseHead& head, std::string_view payload, bool fin);
    [[nodiscard]] bool fits(const http::ResponseHead& head, std::string_view added) const noexcept;
    void note_for_log(const AnswerFacts& answer);
    [[nodiscard]] AnswerFacts answer_facts(const http::ResponseHead* head) const noexcept;
    void begin_tunnel(const http::ResponseHead& head, std::string_view payload);
    void backend_ended_tunnel();
    void client_ended_tunnel();
    void relayed(stream::Flow flow, bool fin);
    void given(stream::Flow flow);
    [[nodiscard]] bool compressing() const noexcept { return extras_ && extras_->gzip; }
    std::string_view compress(std::string_view payload, bool fin);
    io::Raw pump_answer();
    io::Raw pump_request();

    // --- ending.cpp
    // `whole`: the last byte of the answer is with the client's kernel; otherwise the client gets a cut.
    void finish(End why, bool whole = false);
    void count(Micros now);
    void write_log(Micros now, std::string_view ended_in);
    [[nodiscard]] std::string_view backend_name() const noexcept;  // valid until the end of the turn
    [[nodiscard]] std::string_view phase() const noexcept;

    // Whether the client is to hear which backend it has from now on.
    [[nodiscard]] bool sets_cookie() const noexcept {
        return pool().sticky.kind == config::StickyKind::cookie && !place_.by_cookie &&
               !place_.session_stands;
    }
    [[nodiscard]] bool answer_started() const noexcept { return state_ >= State::relaying; }
    void move_to(Event event) noexcept { state_ = next(state_, event); }
    [[nodiscard]] const config::Listener& listener() const noexcept { return *rules_.listener; }
    [[nodiscard]] const config::Pool& pool() const noexcept { return *rules_.pool; }
    void use_pool(std::uint32_t pool) noexcept {
        pool_ = pool;
        rules_.pool = pool == config::no_index ? nullptr : &s_.config.pools[pool];
    }
    [[nodiscard]] std::string_view part(std::uint32_t from, std::uint32_t to) const noexcept {
        return record_.view().substr(from, to - from);
    }

    Services& s_;
    stream::ClientStream& client_;
    stream::BackendStream* backend_ = nullptr;
    Rules rules_;
    State state_ = State::picking;
    State gave_up_in_ = State::over;  // where lb decided to answer itself; over: it did not
    End end_ = End::done;
    http::Method method_ = http::Method::other;
    bool request_done_ = false;  // the client has given the whole request
    bool replayable_ = true;     // the record holds everything that was taken from the client
    bool fresh_used_ = false;
    bool reused_ = false;          // the present connection had carried another request before
    bool sent_ = false;            // a byte of the request may have reached the present backend
    bool more_addresses_ = false;  // of the present backend
    bool expects_ = false;         // the client waits for 100 Continue
    bool tunnel_ = false;          // after 101: no more HTTP
    bool answer_over_ = false;     // of a tunnel: the backend has ended its side
    bool mirrors_ = false;         // a copy goes to the route's mirror once the request is whole
    bool copy_ = false;            // this is such a copy
    bool gzip_accepted_ = false;   // and the route compresses
    std::uint8_t tried_count_ = 0;
    std::uint32_t skip_ = 0;  // addresses of the present backend that were tried in vain
    std::uint16_t status_ = 0;
    std::uint16_t backend_status_ = 0;
    std::uint32_t listener_;
    std::uint32_t pool_ = config::no_index;
    std::uint32_t log_ = config::no_index;  // where this exchange is logged; no_index: it is not
    std::uint32_t attempts_ = 0;
    Place place_;         // at the backend of the present or last attempt
    bool holds_ = false;  // the place was not given back yet
    Preference prefer_;
    worker::Held held_;  // of the limits; given back at the end
    http::Framing framing_;
    // In the record: what the log captured, the head as backends get it, the payload.
    std::uint32_t capture_end_ = 0, head_end_ = 0;
    io::Buffer record_;
    std::uint64_t request_bytes_ = 0;   // payload of the request
    std::uint64_t response_bytes_ = 0;  // payload of the answer
    Micros started_;
    Micros headed_ = -1;  // when the request's head was there
    Micros first_attempt_ = 0;
    Micros attempt_at_ = 0;
    Micros sent_at_ = 0;
    Micros connect_time_ = -1;
    Micros response_time_ = -1;
    std::array<std::uint32_t, 8> tried_{};
    Pump answer_pump_, request_pump_;

    // What few exchanges need.
    struct Extras {
        std::string upgrade;                       // the protocols the client asked for
        std::string trailers;                      // of the request, kept as its payload is
        std::string request_named, answer_named;   // trailers to drop; named_trailers.h
        std::string answer_capture;                // the log's values of the answer's head
        std::string backends;                      // for the log: those that failed, each with a comma
        std::string address;                       // for the log: that of the last attempt
        std::vector<config::Edit> response_edits;  // with the request's variables filled in
        CompressorLoan gzip;                       // while the answer is compressed
    };
    // Of the route; with the request's variables filled in where it uses any.
    [[nodiscard]] std::span<const config::Edit> response_edits() const noexcept {
        if (rules_.route == nullptr) return {};
        if (extras_ && !extras_->response_edits.empty()) return extras_->response_edits;
        return rules_.route->response_edits;
    }
    Extras& extras() {
        if (!extras_) extras_ = std::make_unique<Extras>();
        return *extras_;
    }
    void note_named_trailers(const std::vector<http::Field>& fields, std::string Extras::*into);
    std::unique_ptr<Extras> extras_;
};

}  // namespace lb
