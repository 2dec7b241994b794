// worker/exchange/pump.h -- moves a long body from socket to socket inside the kernel: splice(2) through a pooled pipe.
// Owns:  the pipe and what is in it. A pipe with bytes left in it is closed, never pooled.
// Never: knows what the bytes mean; the caller says how many belong to the body. SIGPIPE must be ignored.
#pragma once
#include <cstdint>

#include "worker/io/pipes.h"
#include "worker/io/turn_share.h"

namespace lb {

class Pump {
 public:
    // False: no descriptor for a pipe; copy instead.
    bool begin(io::PipePool& pool) noexcept;
    void end(io::PipePool& pool) noexcept;
    [[nodiscard]] bool active() const noexcept { return static_cast<bool>(pipe_); }
    [[nodiscard]] std::uint64_t held() const noexcept { return held_; }

    enum class Step : std::uint8_t {
        finished,
        source_empty,
        source_ended,   // its last byte went into the pipe before
        source_failed,  // reset, or worse
        sink_full,
        sink_failed,
        turn_over
    };
    struct Moved {
        Step step = Step::finished;
        std::uint64_t taken = 0;  // from the source into the pipe
        std::uint64_t sent = 0;   // from the pipe into the sink
    };
    // Whatever ends it at the source, the pipe was emptied into the sink before.
    // Moves until one side has no more, `left` bytes of the source are through, or others should have their turn.
    // source -1: only empties the pipe (source_empty when bytes of the source are still to come).
    Moved move(int source, int sink, std::uint64_t left, io::TurnShare& share) noexcept;

 private:
    io::Pipe pipe_;
    std::uint64_t held_ = 0;
};

}  // namespace lb
