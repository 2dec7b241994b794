#include "worker/io/io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

namespace lb::io {

void WallClock::refresh() noexcept {
    const std::time_t now = std::time(nullptr);
    if (now == second_) return;
    second_ = now;
    std::tm t{};
    gmtime_r(&now, &t);
    date_size_ = std::strftime(date_.data(), date_.size(), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &t);
    iso_size_ = std::strftime(iso_.data(), iso_.size(), "%Y-%m-%dT%H:%M:%SZ", &t);
    localtime_r(&now, &t);
    log_size_ = std::strftime(log_.data(), log_.size(), "%d/%b/%Y:%H:%M:%S %z", &t);
}

Pipe PipePool::take() noexcept {
    if (!idle_.empty()) {
        Pipe pipe = std::move(idle_.back());
        idle_.pop_back();
        lent_++;
        return pipe;
    }
    if (lent_ >= most_) return {};
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return {};
    // The default of 64 KiB works too; more halves the calls for long bodies.
    (void)fcntl(ends[1], F_SETPIPE_SZ, capacity);
    lent_++;
    return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace lb::io
