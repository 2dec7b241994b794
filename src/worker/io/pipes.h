// worker/io/pipes.h -- pipes for splice(2), kept for the next long body.
// Owns:  idle pipes, a bounded number of them, always empty. A lent pipe belongs to the body it moves.
#pragma once
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
    // Empty when no descriptor is left: the caller copies instead.
    Pipe take() noexcept;
    // Only an empty pipe may come back; one with bytes in it is closed by its owner.
    void give_back(Pipe pipe) {
        if (idle_.size() < most_idle) idle_.push_back(std::move(pipe));
    }

 private:
    static constexpr std::size_t most_idle = 32;
    std::vector<Pipe> idle_;
};

}  // namespace lb::io
