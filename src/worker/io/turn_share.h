// worker/io/turn_share.h -- how many bytes of bodies one connection may move before others have their turn.
// Why:    a turn of the loop serves hundreds of connections, and the tick, which says that this worker lives, comes behind
//         them. With a fixed share for each, a turn of many fast bodies would take seconds; so what is left for
//         one shrinks as the turn grows.
// Never:  nothing at all: each connection moves some, or none would get on.
#pragma once
#include <algorithm>
#include <cstdint>

namespace lb::io {

class TurnShare {
 public:
    static constexpr std::uint64_t whole = std::uint64_t{16} << 20;  // of a turn, before all get the least
    static constexpr std::uint64_t most = std::uint64_t{4} << 20;    // of one connection
    static constexpr std::uint64_t least = std::uint64_t{64} << 10;

    void next_turn() noexcept { left_ = whole; }
    // For the connection whose turn it is.
    [[nodiscard]] std::uint64_t one() const noexcept { return std::clamp(left_, least, most); }
    void took(std::uint64_t bytes) noexcept { left_ -= std::min(left_, bytes); }
    [[nodiscard]] bool spent() const noexcept { return left_ == 0; }

 private:
    std::uint64_t left_ = whole;
};

}  // namespace lb::io
