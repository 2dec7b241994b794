// worker/io/io.h -- what all connections of one worker share.
// Owns:   the event base, the turn's clock, the scratch areas, the pools and the wheel. One worker, one of these.
// Never:  holds a byte of a message over the end of a callback: the scratch areas belong to whoever runs.
#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/random.h"
#include "shared/net/event_ptr.h"
#include "worker/io/buffers.h"
#include "worker/io/pipes.h"
#include "worker/io/turn_share.h"
#include "worker/io/wheel.h"

namespace lb::io {

// Everybody receives into `area()`. In front of it is room, so that a rewritten head can be put directly before the
// payload that came behind the old one, and both leave in one send without moving the payload.
class Scratch {
 public:
    static constexpr std::size_t size = 65536;

    explicit Scratch(std::size_t headroom)
        : headroom_(headroom), memory_(std::make_unique_for_overwrite<char[]>(headroom + size)) {}
    [[nodiscard]] char* area() noexcept { return memory_.get() + headroom_; }
    // Bytes in front of `at` when it points into the area; 0 when it is elsewhere.
    [[nodiscard]] std::size_t room_before(const char* at) const noexcept {
        const char* first = memory_.get();
        return at >= first + headroom_ && at < first + headroom_ + size ? static_cast<std::size_t>(at - first)
                                                                        : 0;
    }

 private:
    std::size_t headroom_;
    std::unique_ptr<char[]> memory_;
};

// "Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n" (RFC 9110 6.6.1) and the logs' time, refreshed by the tick.
class WallClock {
 public:
    void refresh() noexcept;
    [[nodiscard]] std::string_view date_line() const noexcept { return {date_.data(), date_size_}; }
    [[nodiscard]] std::string_view log_time() const noexcept {
        return {log_.data(), log_size_};
    }  // 21/Nov/2026:10:00:00 +0000
    [[nodiscard]] std::string_view iso_time() const noexcept {
        return {iso_.data(), iso_size_};
    }  // 2026-11-21T10:00:00Z

 private:
    std::int64_t second_ = -1;
    std::array<char, 48> date_{};
    std::array<char, 40> log_{};
    std::array<char, 32> iso_{};
    std::size_t date_size_ = 0, log_size_ = 0, iso_size_ = 0;
};

class Conn;

// A turn may serve thousands of connections on a machine that is short of CPU, and what ticks comes behind them. Told in
// between that the loop gets on, nobody takes this worker for one that hangs.
class Progress {
 public:
    static constexpr unsigned every = 64;
    void tells(void (*whom)(void*), void* self) noexcept {
        whom_ = whom;
        self_ = self;
    }
    // One connection was served.
    void made() noexcept {
        if (++served_ % every == 0 && whom_ != nullptr) whom_(self_);
    }

 private:
    void (*whom_)(void*) = nullptr;
    void* self_ = nullptr;
    unsigned served_ = 0;
};

struct Io {
    // Connections that have more to do than one turn allows. libevent would call an event that is activated from a
    // callback within the same turn, and a fast connection could keep the loop from polling; so they wait here.
    std::vector<Conn*> again;
    // Between two turns.
    void wake_again();

    // longest_head: of any head that may have to be written, in bytes.
    Io(std::uint64_t seed, std::size_t longest_head)
        : base(make_event_base()),
          random(seed),
          in(longest_head + 64),
          head(std::make_unique_for_overwrite<char[]>(longest_head)),
          head_room(longest_head) {}
    EventBasePtr base;
    TurnClock clock;
    TurnShare share;
    Progress progress;
    WallClock wall;
    Random random;
    BufferPool buffers;
    PipePool pipes;
    Wheel wheel;
    Scratch in;                    // what was received last
    std::unique_ptr<char[]> head;  // where heads are written, head_room bytes
    std::size_t head_room;
};

}  // namespace lb::io
