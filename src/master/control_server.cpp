// master/control_server.cpp -- see control_server.h. Credentials: unix(7), SO_PEERCRED.
#include "master/control_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/net/socket.h"
#include "shared/process/control.h"

namespace lb {
namespace {

constexpr std::size_t most_output = std::size_t{4} << 20;  // of one answer; what is beyond it is left out

Result<sockaddr_un, std::string> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return Failed{
            fmt::format("control socket {}: longer than {} bytes", path, sizeof address.sun_path - 1)};
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

ucred credentials(int fd) noexcept {
    ucred who{};
    who.uid = static_cast<uid_t>(-1);
    socklen_t size = sizeof who;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
    return who;
}

std::string problem(const std::string& path, int error) {
    return fmt::format("control socket {}: {}", path, errno_text(error));
}

}  // namespace

// One connection. `answered` once the last line is in `out`; then it is closed when `out` is empty.
struct ControlServer::Client {
    ControlServer* server = nullptr;
    Fd fd;
    EventPtr event;
    std::string in, out;
    Micros deadline = 0;
    bool asked = false, answered = false;
};

class ControlServer::Answer : public Caller {
 public:
    explicit Answer(std::weak_ptr<Client> client) : client_(std::move(client)) {}
    ~Answer() override { done(false, "the request was given up"); }
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;
    void info(std::string_view text) override { line(control::info, text); }
    void error(std::string_view text) override { line(control::error, text); }
    [[nodiscard]] std::optional<Who> who() const override {
        const auto client = client_.lock();
        if (!client) return std::nullopt;
        const ucred peer = credentials(client->fd.get());
        if (peer.uid == static_cast<uid_t>(-1)) return std::nullopt;
        return Who{peer.uid, peer.pid};
    }
    bool flush() override {
        const auto client = client_.lock();
        if (!client) return false;
        // Somebody who asked and shut down his side only still waits: that is POLLRDHUP alone.
        pollfd state{client->fd.get(), 0, 0};
        if (poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0) {
            client->server->drop(*client);
            return false;
        }
        client->server->write(*client);
        return true;
    }
    void done(bool ok, std::string_view text) override {
        line(ok ? control::ok : control::failed, text);
        const auto client = client_.lock();
        client_.reset();
        if (!client) return;
        client->answered = true;
        client->server->write(*client);
    }
    [[nodiscard]] std::optional<std::size_t> held() const override {
        const auto client = client_.lock();
        return client ? std::optional(client->out.size()) : std::nullopt;
    }

 private:
    void line(std::string_view word, std::string_view text) {
        const auto client = client_.lock();
        if (!client) return;
        const bool last = word == control::ok || word == control::failed;
        if (!last && client->out.size() > most_output) return;
        const std::size_t begin = client->out.size();
        client->out += word;
        client->out += text.substr(0, control::max_line - word.size() - 1);
        for (std::size_t i = begin; i < client->out.size(); i++) {
            if (client->out[i] == '\n' || client->out[i] == '\r') client->out[i] = ' ';
        }
        client->out += '\n';
    }
    std::weak_ptr<Client> client_;
};

Result<pid_t, std::string> running_master(const std::string& path) {
    auto address = unix_address(path);
    if (!address) return Failed{address.error()};
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return 0;
        return Failed{problem(path, errno)};
    }
    if (!S_ISSOCK(info.st_mode)) {
        return Failed{fmt::format("control socket {}: there is something else at this path", path)};
    }
    const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return Failed{problem(path, errno)};
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address.value()), sizeof(sockaddr_un)) != 0) {
        if (errno == ECONNREFUSED || errno == ENOENT) return 0;
        if (errno != EAGAIN) return Failed{problem(path, errno)};
        return Failed{fmt::format("control socket {}: a master that does not answer holds it", path)};
    }
    return credentials(fd.get()).pid;  // of the process that called listen(2)
}

ControlServer::ControlServer(event_base* base, uid_t started_by, Handler handler, Micros patience)
    : base_(base),
      started_by_(started_by),
      handler_(std::move(handler)),
      patience_{patience / 1'000'000, static_cast<suseconds_t>(patience % 1'000'000)} {}

ControlServer::~ControlServer() { close(); }

std::string ControlServer::listen(const std::string& path) {
    if (path == path_ && listening_) return {};
    const auto running = running_master(path);
    if (!running) return running.error();
    if (running.value() != 0) return fmt::format("{}: already running, pid {}", path, running.value());
    // Bound under another name and renamed: nobody can connect before the mode is right, and a stale file is replaced
    // in one step.
    const std::string temporary = fmt::format("{}.{}", path, getpid());
    auto address = unix_address(temporary);
    if (!address) return address.error();
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return problem(path, errno);
    unlink(temporary.c_str());
    const mode_t before = umask(0777 & ~0660);
    const int bound = bind(fd.get(), reinterpret_cast<sockaddr*>(&address.value()), sizeof(sockaddr_un));
    const int bind_error = errno;
    umask(before);
    if (bound != 0) return problem(path, bind_error);
    struct stat info {};
    if (stat(temporary.c_str(), &info) != 0 || ::listen(fd.get(), most_clients) != 0 ||
        rename(temporary.c_str(), path.c_str()) != 0) {
        std::string error = problem(path, errno);
        unlink(temporary.c_str());
        return error;
    }
    close();
    path_ = path;
    device_ = info.st_dev;
    inode_ = info.st_ino;
    listening_ = std::move(fd);
    accept_event_.reset(event_new(base_, listening_.get(), EV_READ | EV_PERSIST, on_accept, this));
    if (!accept_event_ || event_add(accept_event_.get(), nullptr) != 0) {
        close();
        return problem(path, ENOMEM);
    }
    return {};
}

void ControlServer::close() noexcept {
    accept_event_.reset();
    if (!listening_) return;
    struct stat info {};
    if (lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_) {
        unlink(path_.c_str());
    }
    listening_.reset();
    path_.clear();
}

void ControlServer::on_accept(int, short, void* self) { static_cast<ControlServer*>(self)->accept_one(); }

// One per call: the event is level-triggered, and other events get their turn between two clients.
void ControlServer::accept_one() {
    Fd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    if (clients_.size() >= most_clients) {
        const std::string text = fmt::format("{}too many requests at once\n", control::failed);
        send(fd.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
    auto client = std::make_shared<Client>();
    client->server = this;
    client->fd = std::move(fd);
    client->deadline = monotonic_now() + Micros{patience_.tv_sec} * 1'000'000 + patience_.tv_usec;
    client->event.reset(event_new(base_, client->fd.get(), EV_READ | EV_PERSIST, on_client, client.get()));
    if (!client->event || event_add(client->event.get(), &patience_) != 0) return;
    clients_.push_back(std::move(client));
}

void ControlServer::on_client(int, short what, void* pointer) {
    auto& client = *static_cast<Client*>(pointer);
    if ((what & EV_TIMEOUT) != 0) {
        client.server->drop(client);
    } else if (client.asked) {
        client.server->write(client);
    } else {
        client.server->read(client);
    }
}

bool ControlServer::allowed(const Client& client) const noexcept {
    const uid_t uid = credentials(client.fd.get()).uid;
    return uid == 0 || uid == geteuid() || uid == started_by_;
}

void ControlServer::read(Client& client) {
    std::array<char, control::max_request> bytes{};
    const ssize_t got = recv(client.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    // The deadline is for the whole line; each byte restarts the event's own timeout.
    if (got <= 0 || monotonic_now() >= client.deadline) return drop(client);
    client.in.append(bytes.data(), static_cast<std::size_t>(got));
    const auto end = client.in.find('\n');
    if (end == std::string::npos && client.in.size() < control::max_request) return;
    client.asked = true;
    event_del(client.event.get());
    const auto self =
        std::find_if(clients_.begin(), clients_.end(), [&](auto& c) { return c.get() == &client; });
    const auto answer = std::make_shared<Answer>(std::weak_ptr(*self));
    std::string line = client.in.substr(0, std::min(end, control::max_request));
    if (line.ends_with('\r')) line.pop_back();
    if (end >= control::max_request) {  // or there is none
        answer->done(false, fmt::format("the request is longer than {} bytes", control::max_request));
    } else if (!allowed(client)) {
        const uid_t uid = credentials(client.fd.get()).uid;
        log::warn("control: '{}' refused to user {}", line, uid);
        answer->done(false, fmt::format("user {} may not control this master", uid));
    } else {
        handler_(line, answer);
    }
}

void ControlServer::write(Client& client) {
    while (!client.out.empty()) {
        const ssize_t sent =
            send(client.fd.get(), client.out.data(), client.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) {
            event_del(client.event.get());
            event_assign(client.event.get(), base_, client.fd.get(), EV_WRITE | EV_PERSIST, on_client,
                         &client);
            if (event_add(client.event.get(), &patience_) == 0) return;
        }
        if (sent < 0) return drop(client);
        client.out.erase(0, static_cast<std::size_t>(sent));
    }
    if (client.answered) return drop(client);
    event_del(client.event.get());  // until there is more to say
}

void ControlServer::drop(Client& client) {
    std::erase_if(clients_, [&](const std::shared_ptr<Client>& each) { return each.get() == &client; });
}

}  // namespace lb
