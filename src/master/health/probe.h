// master/health/probe.h -- one check of one backend: a connection, what is said on it, and how it went.
// Owns:   its socket. Whoever drives it owns the event and the deadline.
// Never:  blocks, waits on its own or keeps time; judges more than this one check; reads without a bound.
// Driving: start() once, then ready() whenever the socket became readable or writable (edge-triggered: a
// probe
//          goes on to EAGAIN), until a step says `over`. The outcome comes once, with or before the last
//          step. A probe may be dropped at any time.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "shared/config/model.h"
#include "shared/net/fd.h"

namespace lb::health {

struct Outcome {
    enum class Kind : std::uint8_t {
        pass,
        fail,
        local,  // this host had no descriptor, port or memory for it: it says nothing about the backend
    };
    Kind kind = Kind::pass;
    std::string reason;  // of fail and local: "connection refused", "status 503, expected 200-299"
};

struct Step {
    bool over = false;  // nothing more to do: drop the probe
    std::optional<Outcome> outcome{};
};

class Probe {
 public:
    virtual ~Probe() = default;
    Probe() = default;
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    Probe(Probe&&) = delete;
    Probe& operator=(Probe&&) = delete;

    virtual Step start() = 0;
    virtual Step ready() = 0;
    // What it waits for, as the end of "timeout after 1s: ...".
    [[nodiscard]] virtual const char* waiting_for() const noexcept = 0;
    // The socket to watch, valid after a start() that was not over.
    [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }

 protected:
    // Starts the connection; a step with an outcome when it failed at once.
    Step connect(const Address& address);
    // Whether the connection stands: nothing while it is being made, 0 when it does, else errno.
    [[nodiscard]] std::optional<int> connected() noexcept;
    // Reads and drops what has arrived, so that close sends FIN and not RST: a backend should not log an
    // error for each check. At most `limit` bytes. True at the end of the stream, at an error or at the
    // limit.
    bool discard(std::size_t& limit) noexcept;

    Fd fd_;
};

// Connects, and that is all.
std::unique_ptr<Probe> make_tcp_probe(const Address& address);
// Sends one request, behind a PROXY header of lb's own where the pool has them, and judges the status of the answer
// (RFC 9110 15); the body is not looked at.
std::unique_ptr<Probe> make_http_probe(const config::Pool& pool, const config::Backend& backend,
                                       const Address& address);
// The probe that a pool's check asks for, of one of the backend's addresses; null for CheckKind::off.
std::unique_ptr<Probe> make_probe(const config::Pool& pool, const config::Backend& backend,
                                  const Address& address);

// An errno of a connection as an outcome: what this host lacked is `local`, everything else the backend's
// failure.
Outcome failed_with(int error);

}  // namespace lb::health
