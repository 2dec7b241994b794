// worker/exchange/mirror.h -- a client that throws its answer away: the other end of an exchange that carries the copy of a
// request to a shadow pool.
// Owns:   the place in the bound on copies in flight, the address of the client it stands for, the copy's time limit.
// Never:  holds up the original: it takes whatever comes and asks for nothing; what is over the bound is dropped.
//
// How a copy begins, once the original's request is whole, was sent, and is still in its record; last in the function,
// since the copy may use the worker's scratch areas and may be over when begin_copy returns:
//     if (Mirror* mirror = mirrors.make(client.origin(), local, limit)) {   // else count it as dropped
//         Exchange& copy = exchanges.make(services, *mirror, listener, now);
//         mirror->serve(copy);                                               // before begin_copy
//         copy.begin_copy(original, pool);
//     }
// Requests that ask for another protocol are not mirrored: a tunnel has no copy.
// Mirrors::sweep() at the end of each turn, as for exchanges; stop_all() when the worker ends.
// A draining worker does not wait for copies: only client connections keep it.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/base/random.h"
#include "shared/net/address.h"
#include "worker/io/object_pool.h"
#include "worker/io/wheel.h"
#include "worker/stream/client_stream.h"

namespace lb {

// Whether a request is among the share of so many in a million.
inline bool is_chosen(std::uint32_t per_million, Random& random) noexcept {
    constexpr std::uint32_t million = 1'000'000;
    return per_million >= million || (per_million > 0 && random.below(million) < per_million);
}

class Mirrors;

class Mirror final : public stream::ClientStream, public io::WheelEntry {
 public:
    Mirror(Mirrors& owner, const stream::ClientOrigin& origin, const Address& local) noexcept;

    void serve(stream::RequestUser& exchange) noexcept { exchange_ = &exchange; }

    stream::Flow send_head(const http::ResponseHead& head, const stream::FieldRules& rules,
                           std::string_view payload, bool fin, bool close) override;
    stream::Flow send_body(std::string_view payload, bool fin) override;
    stream::Flow send_interim(const http::ResponseHead& head, const stream::FieldRules& rules) override;
    void set_trailers(std::string_view) override {}
    void set_times(Micros, std::uint64_t, Micros) override {}  // its one limit was given when it was made
    void body_wanted() override {}                             // the request is whole
    void exchange_over() override;
    void cut() override;
    [[nodiscard]] std::uint64_t bytes_sent() const noexcept override { return 0; }
    [[nodiscard]] std::uint64_t bytes_received() const noexcept override { return 0; }
    [[nodiscard]] stream::ClientOrigin origin() const noexcept override;
    [[nodiscard]] Address local_address() const noexcept override { return local_; }
    // No socket: payload comes by send_body.
    int raw_sink() override { return -1; }
    void raw_sent(std::uint64_t, bool) override {}
    void raw_sink_full() override {}
    int raw_source(std::uint64_t& left) override;
    void raw_taken(std::uint64_t) override {}
    void raw_source_empty() override {}

 private:
    friend class Mirrors;
    void on_deadline() override;
    Mirrors& owner_;
    stream::RequestUser* exchange_ = nullptr;
    bool over_ = false;
    Address peer_, client_, local_;
    std::array<char, INET6_ADDRSTRLEN> text_{};
    std::uint8_t text_size_ = 0;
    std::uint32_t request_;
    Mirror* next_ = nullptr;  // in the owner's list
    Mirror* previous_ = nullptr;
};

// All mirrors of a worker.
class Mirrors {
 public:
    static constexpr std::size_t most_in_flight = 1024;
    static constexpr Micros longest = 60'000'000;  // of a copy, where its route has no request_timeout

    Mirrors(io::Wheel& wheel, TurnClock& clock, std::size_t most = most_in_flight) noexcept
        : wheel_(wheel), clock_(clock), most_(most) {}
    Mirrors(const Mirrors&) = delete;
    Mirrors& operator=(const Mirrors&) = delete;

    // Null: too many in flight. `local`: what the client connected to, for pools with send_proxy. `limit`: the whole copy's
    // time; 0: `longest`.
    Mirror* make(const stream::ClientOrigin& origin, const Address& local, Micros limit);
    void stop_all();
    // At the end of a turn, with no function of a mirror or an exchange on the stack.
    void sweep() noexcept { mirrors_.sweep(); }
    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

 private:
    friend class Mirror;
    void over(Mirror& mirror) noexcept;
    io::Wheel& wheel_;
    TurnClock& clock_;
    std::size_t most_;
    std::size_t in_flight_ = 0;
    Mirror* first_ = nullptr;
    io::ObjectPool<Mirror> mirrors_;
};

}  // namespace lb
