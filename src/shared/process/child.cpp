// shared/process/child.cpp -- see child.h.
#include "shared/process/child.h"

#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "shared/base/log.h"
#include "shared/process/privileges.h"

extern char** environ;

namespace lb {
namespace {

struct TitleArea {
    char* begin = nullptr;
    std::size_t size = 0;
};
TitleArea title_area;

void close_between(unsigned first, unsigned last) noexcept {
    if (first > last || close_range(first, last, 0) == 0) return;
    // A sandbox may refuse the call; then one by one, up to what this process could have opened.
    const long limit = sysconf(_SC_OPEN_MAX);
    const unsigned end = limit > 0 ? static_cast<unsigned>(limit) : 1U << 20;
    for (unsigned fd = first; fd <= last && fd < end; fd++) ::close(static_cast<int>(fd));
}

void reset_signals() noexcept {
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action {};
        const bool ignored = number == SIGPIPE || number == SIGINT || number == SIGHUP || number == SIGUSR1 ||
                             number == SIGUSR2 || number == SIGWINCH;
        action.sa_handler = ignored ? SIG_IGN : SIG_DFL;
        sigaction(number, &action, nullptr);  // fails for SIGKILL and SIGSTOP, and for two that libc keeps
    }
    // The master blocks everything around the fork: a handler inherited from it would write into the master's own
    // wake-up pipe, and the master would act on a signal that was sent to a child.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

// The master can have died between the fork and now; then nobody would ever tell this child anything.
bool master_gone(const Channel& channel) noexcept {
    if (channel.descriptor() < 0) return false;
    pollfd watched{channel.descriptor(), 0, 0};
    return poll(&watched, 1, 0) > 0 && (watched.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

}  // namespace

void close_all_but(std::vector<int> keep) noexcept {
    std::sort(keep.begin(), keep.end());
    unsigned next = 3;
    for (const int fd : keep) {
        if (fd < static_cast<int>(next)) continue;  // 0-2, -1 for "none", and repeats
        close_between(next, static_cast<unsigned>(fd) - 1);
        next = static_cast<unsigned>(fd) + 1;
    }
    close_between(next, UINT_MAX);
}

namespace {

// A daemon's caller waits for the end of its pipes: the master lets go of them when it serves, its children at once.
void let_go_of_terminal() noexcept {
    const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return;
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null.get(), fd);
}

}  // namespace

void begin_child(event_base* inherited, ChildContext& context, const std::string& role) {
    if (inherited != nullptr) {
        // First reinit: without it the free would take the master's registrations out of the epoll set both share.
        event_reinit(inherited);
        event_base_free(inherited);
    }
    reset_signals();
    log::set_role(role);
    set_process_title("lb: " + role);
    if (context.config && context.config->global.daemon) let_go_of_terminal();
    std::vector<int> keep{log::descriptor(), context.channel.descriptor(), context.standard_output,
                          context.lifeline};
    for (const ListenFd& socket : context.listen) keep.push_back(socket.fd);
    if (context.wakeups != nullptr) context.wakeups->append_to(keep);
    close_all_but(std::move(keep));
    if (master_gone(context.channel)) _exit(0);
    if (const std::string error = privileges::drop_all(); !error.empty()) {
        log::error("cannot give up privileges: {}", error);
        _exit(1);
    }
    if (context.table != nullptr) context.table->protect_master_part();
}

void init_process_title(int argc, char** argv) noexcept {
    if (argc < 1 || argv == nullptr || argv[0] == nullptr) return;
    // The kernel puts the strings of argv and of the environment one after the other. Only while that holds may the
    // area be written over, and the environment must have moved away before.
    char* end = argv[0];
    for (int i = 0; i < argc && argv[i] != nullptr; i++) {
        if (argv[i] == end) end = argv[i] + std::strlen(argv[i]) + 1;
    }
    char* const behind_arguments = end;
    for (char** variable = environ; variable != nullptr && *variable != nullptr; variable++) {
        if (*variable == end) end += std::strlen(end) + 1;
    }
    const auto size = static_cast<std::size_t>(end - behind_arguments);
    // Lives as long as the process, as the environment does.
    static char* const moved = static_cast<char*>(std::malloc(size + 1));
    if (moved == nullptr) return;
    std::memcpy(moved, behind_arguments, size);
    for (char** variable = environ; variable != nullptr && *variable != nullptr; variable++) {
        if (*variable >= behind_arguments && *variable < end)
            *variable = moved + (*variable - behind_arguments);
    }
    title_area = {argv[0], static_cast<std::size_t>(end - argv[0])};
}

void set_process_title(const std::string& title) noexcept {
    if (title_area.size < 2) return;
    const std::size_t length = std::min(title.size(), title_area.size - 1);
    std::memcpy(title_area.begin, title.data(), length);
    std::memset(title_area.begin + length, 0, title_area.size - length);
}

}  // namespace lb
