// master/cli/demo.cpp -- lb demo: example backends to try lb with.
// Owns:  one child process for each backend, so that a person can kill one and watch it leave and return.
// Never: restarts a backend by itself; serves anything but the loopback.
#include <event2/buffer.h>
#include <event2/http.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "master/cli/options.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/net/address.h"
#include "shared/net/event_ptr.h"
#include "shared/net/fd.h"
#include "shared/net/socket.h"
#include "shared/process/child.h"

namespace lb::cli {
namespace {

using HttpPtr = std::unique_ptr<evhttp, Frees<evhttp_free>>;

constexpr std::size_t most_backends = 16;

struct DemoBackend {
    std::string name;
    std::uint16_t port = 0;
    Fd listening;  // until the child has it: a killed backend must refuse connections
    pid_t pid = -1;
};

// The name follows the port and not the place on the command line, so that a backend that is brought back
// alone has the name it had before.
std::string name_of(std::uint16_t port) {
    switch (port) {
        case 8081: return "one";
        case 8082: return "two";
        case 8083: return "three";
        default: return fmt::format("demo-{}", port);
    }
}

// --- a backend, in its own process
// ----------------------------------------------------------------------------------

struct Reply {
    std::string hello;
    std::string name;
};

void answer(evhttp_request* request, void* arg) {
    const auto& reply = *static_cast<const Reply*>(arg);
    const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
    const char* path = uri != nullptr ? evhttp_uri_get_path(uri) : nullptr;
    const bool healthcheck = path != nullptr && std::string_view(path) == "/healthcheck";
    const std::string_view body = healthcheck ? "ok\n" : std::string_view(reply.hello);

    evkeyvalq* headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Content-Type", "text/plain");
    evhttp_add_header(headers, "X-Backend", reply.name.c_str());
    evbuffer* out = evhttp_request_get_output_buffer(request);
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
        evhttp_add_header(headers, "Content-Length", std::to_string(body.size()).c_str());
    } else if (evbuffer_add(out, body.data(), body.size()) != 0) {
        evhttp_send_error(request, 500, nullptr);
        return;
    }
    evhttp_send_reply(request, 200, "OK", nullptr);
}

// Until a signal ends the process; its exit status when it cannot begin.
int serve(DemoBackend& backend) {
    Reply reply{fmt::format("hello from {} (port {})\n", backend.name, backend.port), backend.name};
    EventBasePtr base = make_event_base();
    HttpPtr http(base ? evhttp_new(base.get()) : nullptr);
    if (!http) return 1;
    evhttp_set_max_headers_size(http.get(), 65536);
    evhttp_set_max_body_size(http.get(), 64 << 20);
    evhttp_set_timeout(http.get(), 75);
    evhttp_set_allowed_methods(http.get(), EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                               EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
                                               EVHTTP_REQ_PATCH);
    evhttp_set_gencb(http.get(), answer, &reply);
    if (evhttp_accept_socket(http.get(), backend.listening.get()) != 0) return 1;
    backend.listening.release();  // evhttp's from now on
    return event_base_dispatch(base.get()) == 0 ? 0 : 1;
}

[[noreturn]] void become_backend(DemoBackend& backend, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(0);  // it died before the line above
    signal(SIGINT, SIG_IGN);            // a terminal's Ctrl-C goes to the parent, too, and the parent decides
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    close_all_but({backend.listening.get()});
    set_process_title(fmt::format("lb: demo backend {}", backend.port));
    _exit(serve(backend));
}

// --- the parent
// -----------------------------------------------------------------------------------------------------

void say(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
}
int complain(const std::string& text, int status) {
    log::say_error("lb demo: " + text);
    return status;
}

Result<std::vector<DemoBackend>, std::string> read_arguments(const std::vector<std::string>& arguments) {
    const std::vector<std::string> defaults{"8081", "8082", "8083"};
    const auto& words = arguments.empty() ? defaults : arguments;
    if (words.size() > most_backends) return Failed{fmt::format("at most {} ports", most_backends)};
    std::vector<DemoBackend> backends;
    for (const std::string& word : words) {
        const auto port = text::number(word);
        if (!port || *port == 0 || *port > std::numeric_limits<std::uint16_t>::max()) {
            return Failed{fmt::format("'{}' is no port: expected numbers from 1 to 65535", word)};
        }
        DemoBackend backend;
        backend.port = static_cast<std::uint16_t>(*port);
        backend.name = name_of(backend.port);
        for (const DemoBackend& other : backends) {
            if (other.port == backend.port)
                return Failed{fmt::format("port {} is given twice", backend.port)};
        }
        backends.push_back(std::move(backend));
    }
    return backends;
}

// Listens on the backend's port; errno text on failure.
std::string open_port(DemoBackend& backend) {
    const auto address = parse_host("127.0.0.1", backend.port);
    if (!address) return address.error();
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return errno_text(errno);
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on,
               sizeof on);  // connections of an earlier run in TIME_WAIT
    if (bind(fd.get(), &address.value().any.base, address.value().length) != 0 ||
        listen(fd.get(), 1024) != 0) {
        return errno_text(errno);
    }
    backend.listening = std::move(fd);
    return "";
}

// Starts the child; false when there can be none.
bool start(DemoBackend& backend) {
    const pid_t parent = getpid();
    std::fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) become_backend(backend, parent);
    if (pid < 0) return false;
    backend.pid = pid;
    backend.listening.reset();
    return true;
}

void end_all(const std::vector<DemoBackend>& backends) {
    for (const DemoBackend& backend : backends) {
        if (backend.pid > 0) kill(backend.pid, SIGTERM);
    }
    for (const DemoBackend& backend : backends) {
        if (backend.pid > 0) waitpid(backend.pid, nullptr, 0);  // SIGTERM has its default action there
    }
}

// Reports the children that have ended; how many are left.
std::size_t reap(std::vector<DemoBackend>& backends) {
    std::size_t left = 0;
    for (DemoBackend& backend : backends) {
        if (backend.pid > 0 && waitpid(backend.pid, nullptr, WNOHANG) == backend.pid) {
            say(fmt::format("backend {} (port {}, pid {}) ended; bring it back with: lb demo {}\n",
                            backend.name, backend.port, backend.pid, backend.port));
            backend.pid = -1;
        }
        if (backend.pid > 0) left++;
    }
    return left;
}

}  // namespace

int demo(const Options& options) {
    auto read = read_arguments(options.arguments);
    if (!read) return complain(read.error() + "\nTry 'lb --help'.", 2);
    std::vector<DemoBackend>& backends = read.value();

    // All ports before the first child: either everything starts, or nothing does.
    for (DemoBackend& backend : backends) {
        if (const std::string error = open_port(backend); !error.empty()) {
            return complain(fmt::format("cannot listen on 127.0.0.1:{}: {}", backend.port, error), 1);
        }
    }
    sigset_t awaited;
    sigemptyset(&awaited);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&awaited, number);
    sigset_t before;
    sigprocmask(SIG_BLOCK, &awaited, &before);

    int status = 0;
    for (DemoBackend& backend : backends) {
        if (!start(backend)) {
            status = complain(fmt::format("cannot start a process: {}", errno_text(errno)), 1);
            break;
        }
        say(fmt::format("backend {:<6} http://127.0.0.1:{}  pid {}\n", backend.name, backend.port,
                        backend.pid));
    }
    while (status == 0) {
        siginfo_t info{};
        const int number = sigwaitinfo(&awaited, &info);
        if (number == SIGCHLD) {
            if (reap(backends) == 0) status = complain("no backend is left", 1);
        } else if (number > 0) {
            break;
        }
    }
    end_all(backends);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    return status;
}

}  // namespace lb::cli
