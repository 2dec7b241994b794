// tests/unit/shm/processes.h -- real processes and patient waiting for tests of the shared table.
#pragma once
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "shared/base/clock.h"
#include "shared/shm/segment.h"

namespace lb::test {

inline constexpr Micros patience = 20'000'000;

// True once `condition` holds; false when it did not within the patience of a test.
template <class Condition>
bool eventually(Condition condition) {
    const auto end = monotonic_now() + patience;
    while (!condition()) {
        if (monotonic_now() > end) return false;
        sched_yield();
    }
    return true;
}

// A forked process that runs `body` and exits with what it returns. Killed at the end if nobody waited.
class Process {
 public:
    template <class Body>
    explicit Process(Body body) : pid_(fork()) {
        if (pid_ == 0) {
            for (const int s : {SIGSEGV, SIGBUS, SIGABRT})
                signal(s, SIG_DFL);  // sanitizers have handlers of their own
            _exit(body());
        }
        EXPECT_GT(pid_, 0);
    }
    Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    Process& operator=(Process&& other) noexcept {
        std::swap(pid_, other.pid_);
        return *this;
    }
    ~Process() {
        if (pid_ > 0) {
            send(SIGKILL);
            wait();
        }
    }
    void send(int signal) const { kill(pid_, signal); }
    [[nodiscard]] pid_t pid() const { return pid_; }
    // The status of waitpid, after the end.
    int wait() {
        int status = -1;
        EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
        pid_ = -1;
        return status;
    }
    // The exit code; 1000 + signal if it was killed.
    int result() {
        const int status = wait();
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }

 private:
    pid_t pid_;
};

inline std::uint64_t bytes_in_memory(const shm::Segment& segment) {
    struct stat s {};
    EXPECT_EQ(fstat(segment.descriptor(), &s), 0);
    return static_cast<std::uint64_t>(s.st_blocks) * 512;
}

inline shm::Segment make_segment(const shm::Capacity& capacity) {
    auto made = shm::Segment::create(capacity);
    if (!made) {
        ADD_FAILURE() << made.error();
        abort();
    }
    return std::move(made).value();
}

}  // namespace lb::test
