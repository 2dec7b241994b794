#include "worker/exchange/pump.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

namespace lb {
namespace {

constexpr unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

}  // namespace

bool Pump::begin(io::PipePool& pool) noexcept {
    pipe_ = pool.take();
    held_ = 0;
    return active();
}

void Pump::end(io::PipePool& pool) noexcept {
    if (!active()) return;
    pool.give_back(std::move(pipe_), held_ == 0);
    held_ = 0;
}

Pump::Moved Pump::move(int source, int sink, std::uint64_t left, io::TurnShare& share) noexcept {
    const std::uint64_t most = share.one();
    Moved moved;
    for (;;) {
        while (held_ > 0) {
            const ssize_t n = splice(pipe_.read.get(), nullptr, sink, nullptr, held_, flags);
            if (n > 0) {
                held_ -= static_cast<std::uint64_t>(n);
                moved.sent += static_cast<std::uint64_t>(n);
                continue;
            }
            if (n < 0 && errno == EINTR) continue;
            moved.step = n < 0 && errno == EAGAIN ? Step::sink_full : Step::sink_failed;
            return moved;
        }
        if (left == 0) {
            moved.step = Step::finished;
            return moved;
        }
        if (source < 0) {
            moved.step = Step::source_empty;
            return moved;
        }
        if (moved.taken >= most) {
            moved.step = Step::turn_over;
            return moved;
        }
        const auto want = static_cast<std::size_t>(
            std::min({left, most - moved.taken, std::uint64_t{io::PipePool::capacity}}));
        const ssize_t n = splice(source, nullptr, pipe_.write.get(), nullptr, want, flags);
        if (n > 0) {
            held_ += static_cast<std::uint64_t>(n);
            left -= static_cast<std::uint64_t>(n);
            moved.taken += static_cast<std::uint64_t>(n);
            share.took(static_cast<std::uint64_t>(n));
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        moved.step = n == 0 ? Step::source_ended : errno == EAGAIN ? Step::source_empty : Step::source_failed;
        return moved;
    }
}

}  // namespace lb
