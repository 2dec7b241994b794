// worker/io/pipes.h -- pipes for splice(2), kept for the next long body.
// Owns:  idle pipes, a bounded number of them, always empty. A lent pipe belongs to the body it moves.
// Never: lends more than bound() says: one client that does not read holds a pipe for as long as it likes, and many of
//        them would take the descriptors that connections need.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "shared/net/fd.h"

namespace lb::io {

struct Pipe {
    Fd read, write;
    explicit operator bool() const noexcept { return static_cast<bool>(read); }
};

class PipePool {
 public:
    // How much a pipe is asked to hold; the kernel may give less.
    static constexpr int capacity = 256 * 1024;
    // How many may be lent at a time, of a process with so many descriptors and at most so many clients, each of which
    // may have a backend: half of what is left to pipes, which have two ends.
    static std::size_t affordable(std::uint64_t descriptors, std::uint64_t connections) noexcept {
        const std::uint64_t left = descriptors > 2 * connections ? descriptors - 2 * connections : 0;
        return static_cast<std::size_t>(std::clamp<std::uint64_t>(left / 4, 8, 1024));
    }
    void bound(std::size_t most) noexcept { most_ = most; }
    // Empty when none is to be had: the caller copies instead.
    Pipe take() noexcept;
    // One that was lent is over. It is kept only when it is empty.
    void give_back(Pipe pipe, bool empty) {
        lent_--;
        if (empty && idle_.size() < most_idle) idle_.push_back(std::move(pipe));
    }
    [[nodiscard]] std::size_t lent() const noexcept { return lent_; }

 private:
    static constexpr std::size_t most_idle = 32;
    std::vector<Pipe> idle_;
    std::size_t lent_ = 0;
    std::size_t most_ = 256;
};

}  // namespace lb::io
