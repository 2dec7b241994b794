// tests/unit/process/forked.h -- runs a piece of code in a forked child and tells how it ended.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace lb {

// The exit status of `body`, or 1000 plus the signal.
template <class Body>
int in_child(Body body) {
    const pid_t pid = fork();
    if (pid == 0) _exit(body());
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

}  // namespace lb
