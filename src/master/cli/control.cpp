// master/cli/control.cpp -- lb -s NAME, lb explain, lb status and lb backend: ask the running master and show what it answers.
// Owns:  the client's end of the control socket (shared/process/control.h is the protocol).
// Never: waits more than 5 seconds for the connection; ends before the master has said how it went.
#include "shared/process/control.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <optional>
#include <utility>

#include "master/cli/options.h"
#include "master/cli/status_table.h"
#include "shared/base/log.h"
#include "shared/net/fd.h"
#include "shared/net/socket.h"

namespace lb::cli {
namespace {

constexpr timeval patience{5, 0};

// What cannot be written leaves ferror() behind: a full disk must neither end lb -s with a signal nor look like success.
void say_out(std::string_view text) {
    (void)std::fwrite(text.data(), 1, text.size(), stdout);
    (void)std::fputc('\n', stdout);
    std::fflush(stdout);  // progress must be seen as it comes, through a pipe too
}

int fail(std::string_view text) {
    log::say_error(fmt::format("lb: {}", text));
    return 1;
}

// Connected, or why not.
Result<Fd, std::string> connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return Failed{fmt::format("the path '{}' is too long for a socket", path)};
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);

    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return Failed{"no socket: " + errno_text(errno)};
    // Bounds connect(2) on a full queue and the one short write; reading waits for as long as the work takes.
    if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) {
        return Failed{"no socket: " + errno_text(errno)};
    }
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    const int error = errno;
    if (error == ENOENT || error == ECONNREFUSED) {
        return Failed{fmt::format("no lb is running (control socket {}): {}", path, errno_text(error))};
    }
    if (error == EAGAIN || error == EINPROGRESS) {
        return Failed{fmt::format("the running lb does not answer (control socket {})", path)};
    }
    return Failed{fmt::format("cannot speak to lb (control socket {}): {}", path, errno_text(error))};
}

// What becomes of an answer that is not an error.
struct Shown {
    std::function<void(std::string_view)> info;
    std::function<void(std::string_view)> outcome;  // the last line, when it is a good one
};
void say_nothing(std::string_view) {}
const Shown all{say_out, say_out};
const Shown nothing{say_nothing, say_nothing};

// Shows one line of the answer; the exit status when it is the last one.
std::optional<int> show_line(std::string_view line, const Shown& shown) {
    if (line.starts_with(control::info)) {
        shown.info(line.substr(control::info.size()));
        return std::nullopt;
    }
    if (line.starts_with(control::error)) {
        log::say_error(line.substr(control::error.size()));
        return std::nullopt;
    }
    if (line.starts_with(control::ok)) {
        shown.outcome(line.substr(control::ok.size()));
        return 0;
    }
    if (line.starts_with(control::failed)) return fail(line.substr(control::failed.size()));
    return fail("what answers at the control socket is no lb");
}

int show_answer(int fd, const Shown& shown) {
    std::string pending;
    char block[65536];
    while (true) {
        const ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            return fail(got == 0 ? std::string("the connection ended before lb said how it went")
                                 : "reading the answer: " + errno_text(errno));
        }
        pending.append(block, static_cast<std::size_t>(got));
        std::size_t start = 0;
        for (std::size_t end; (end = pending.find('\n', start)) != std::string::npos; start = end + 1) {
            if (const auto status = show_line(std::string_view(pending).substr(start, end - start), shown))
                return *status;
        }
        pending.erase(0, start);
        if (pending.size() > control::max_line) return fail("what answers at the control socket is no lb");
    }
}

// One request line to the master that these settings mean, and its whole answer.
int ask(const config::Source& source, std::string request, const Shown& shown) {
    const auto path = config::load_control(source);
    if (!path) {
        for (const config::ConfigError& error : path.error())
            log::say_error(fmt::format("lb: {}", config::show(error)));
        return 1;
    }
    auto connected = connect_to(path.value());
    if (!connected) return fail(connected.error());
    const Fd fd = std::move(connected).value();
    request += '\n';
    // A line within the protocol's limit always fits the buffer of a new connection, so a short write is an error like
    // any other.
    if (send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
        return fail(
            fmt::format("cannot speak to lb (control socket {}): {}", path.value(), errno_text(errno)));
    }
    const int status = show_answer(fd.get(), shown);
    return status == 0 && std::ferror(stdout) != 0 ? fail("standard output cannot be written") : status;
}

}  // namespace

int send_signal(const Options& options) {
    return ask(options.source, options.signal, options.quiet ? nothing : all);
}

int change_backends(const Options& options) {
    // What export prints goes into a file: no word of ours among it.
    const bool exports = options.request == "backend\texport";
    return ask(options.source, options.request,
               options.quiet ? nothing
               : exports     ? Shown{say_out, say_nothing}
                             : all);
}

int show_status(const Options& options) {
    constexpr std::string_view request = "status\tjson";
    std::string page;
    const auto keep = [&](std::string_view line) { page.append(line).push_back('\n'); };
    // Whole or not at all: half a page is no JSON.
    if (const int failed = ask(options.source, std::string(request), {keep, say_nothing}); failed != 0)
        return failed;
    std::string text = std::move(page);
    if (!options.json) {
        const bool terminal = isatty(STDOUT_FILENO) == 1;
        const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org
        winsize window{};
        const bool measured = terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0;
        const auto table =
            status_table(text, {std::time(nullptr), measured ? window.ws_col : std::size_t{100},
                                terminal && (no_color == nullptr || *no_color == '\0')});
        if (!table) return fail(table.error());
        text = table.value();
    }
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    return std::fflush(stdout) == 0 && written ? 0 : fail("standard output cannot be written");
}

int explain(const Options& options) {
    constexpr int usage_error = 2;
    const Explain& asked = options.explain;
    std::string line =
        fmt::format("explain\t{}\t{}\t{}\t{}", asked.method, asked.target, asked.from, asked.listener);
    for (const std::string& header : asked.headers) line += fmt::format("\t{}", header);
    if (line.size() >= control::max_request) {
        log::say_error(fmt::format(
            "lb: the request is too long to be explained: {} bytes where the control socket takes {}\n"
            "Try 'lb explain --help'.",
            line.size(), control::max_request - 1));
        return usage_error;
    }
    return ask(options.source, std::move(line), all);
}

}  // namespace lb::cli
