// master/admin/control_client.h -- asks the master over its control socket, from an event loop that must not wait.
// Owns:  its connections, at most `most_at_once`, each for one line and its answer (shared/process/control.h).
// Never: blocks; waits longer than `patience` for the outcome; keeps more than 64 KiB of an answer.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/clock.h"

struct event_base;

namespace lb::admin {

class ControlClient {
 public:
    static constexpr std::size_t most_at_once = 16;
    static constexpr Micros default_patience = 5'000'000;

    enum class How : std::uint8_t {
        ok,
        failed,       // the master said no, and why
        unreachable,  // nobody listens, or the connection ended early
        late,         // no outcome in time; it may still happen
        busy,         // too many at once; nothing was asked
    };
    struct Outcome {
        How how = How::unreachable;
        std::string text;  // of the last line; with `failed`, behind the master's errors
    };
    using Then = std::function<void(const Outcome&)>;

    // The loop outlives it. `path`: of the control socket.
    ControlClient(event_base* base, std::string path, Micros patience = default_patience);
    // Whoever still waits is not told.
    ~ControlClient();
    ControlClient(const ControlClient&) = delete;
    ControlClient& operator=(const ControlClient&) = delete;

    // `line` without its end. `then` is called once, from the loop or before this returns.
    void ask(std::string_view line, Then then);
    [[nodiscard]] std::size_t under_way() const noexcept { return calls_.size(); }

 private:
    struct Call;
    void read(Call& call);
    void end(Call& call, const Outcome& outcome);

    event_base* base_;
    std::string path_;
    Micros patience_;
    std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace lb::admin
