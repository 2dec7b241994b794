// master/service/manager.cpp -- see manager.h.
#include "master/service/manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "master/service/environment.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/net/socket.h"

namespace lb::service {
namespace {

// A path, or with '@' in front a name of the abstract kind.
Fd connect_to(const std::string& where) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (where.size() < 2 || where.size() > sizeof address.sun_path - 1 ||
        (where[0] != '/' && where[0] != '@')) {
        log::warn("NOTIFY_SOCKET: no address of a unix socket");
        return {};
    }
    std::memcpy(address.sun_path, where.data(), where.size());
    const bool abstract = where[0] == '@';
    if (abstract) address.sun_path[0] = '\0';
    const auto length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + where.size() + (abstract ? 0 : 1));
    Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_storage any{};
    std::memcpy(&any, &address, sizeof address);
    if (fd && connect(fd.get(), reinterpret_cast<const sockaddr*>(&any), length) == 0) return fd;
    log::warn("NOTIFY_SOCKET: {}", errno_text(errno));
    return {};
}

}  // namespace

Manager Manager::from_environment() {
    const std::string where = take_variable("NOTIFY_SOCKET"), time = take_variable("WATCHDOG_USEC"),
                      whose = take_variable("WATCHDOG_PID");
    if (where.empty()) return {};
    Fd fd = connect_to(where);
    if (!fd) return {};
    const auto due = text::number(time);
    const bool ours = whose.empty() || text::number(whose) == static_cast<std::uint64_t>(getpid());
    constexpr std::uint64_t longest = std::uint64_t{1} << 50;
    return {std::move(fd), due && ours && *due <= longest ? static_cast<Micros>(*due) : 0};
}

Manager::Sent Manager::send(const Waiting& message) noexcept {
    iovec part{const_cast<char*>(message.text.data()), message.text.size()};
    msghdr head{};
    head.msg_iov = &part;
    head.msg_iovlen = 1;
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))]{};
    if (message.fd >= 0) {
        head.msg_control = space;
        head.msg_controllen = sizeof space;
        cmsghdr* control = CMSG_FIRSTHDR(&head);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(control), &message.fd, sizeof(int));
    }
    while (sendmsg(socket_.get(), &head, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EINTR) continue;
        // ETOOMANYREFS: so many descriptors are on their way that the kernel wants some to arrive first, unix(7).
        if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) return Sent::later;
        return Sent::never;
    }
    return Sent::yes;
}

void Manager::flush() {
    while (!waiting_.empty()) {
        const Sent sent = send(waiting_.front());
        if (sent == Sent::later) return;
        if (sent == Sent::never) log::warn("the service manager cannot be told: {}", errno_text(errno));
        waiting_.pop_front();
    }
}

void Manager::say(std::string text, int fd, std::string name, Fd given) {
    if (!present()) return;
    if (waiting_.size() >= most_waiting) {
        log::warn("the service manager does not listen");
        waiting_.clear();
    }
    waiting_.push_back({std::move(text), fd, std::move(name), std::move(given)});
    flush();
}

void Manager::ready() { say("READY=1"); }

void Manager::reloading(Micros now) { say(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now)); }

void Manager::stopping() { say("STOPPING=1"); }

void Manager::need_time(Micros time) { say(fmt::format("EXTEND_TIMEOUT_USEC={}", time)); }

void Manager::status(const std::string& text) {
    if (!present() || text == status_) return;
    status_ = text;
    std::string line = "STATUS=" + text;
    std::replace(line.begin(), line.end(), '\n', ' ');
    say(std::move(line));
}

void Manager::tick(Micros now) {
    if (!present()) return;
    flush();
    if (watchdog_ == 0 || (fed_ != 0 && now - fed_ < watchdog_ / 3)) return;
    fed_ = now;
    say("WATCHDOG=1");
}

void Manager::keep(int fd, const std::string& name) { say("FDSTORE=1\nFDNAME=" + name, fd, name); }

void Manager::give(Fd fd, const std::string& name) {
    const int number = fd.get();
    say("FDSTORE=1\nFDNAME=" + name, number, name, std::move(fd));
}

void Manager::forget(const std::string& name) {
    // One that is still here was never kept, and its descriptor is about to be closed.
    const auto waiting = std::find_if(waiting_.begin(), waiting_.end(),
                                      [&](const Waiting& each) { return each.fd >= 0 && each.name == name; });
    if (waiting != waiting_.end()) {
        waiting_.erase(waiting);
        return;
    }
    say("FDSTOREREMOVE=1\nFDNAME=" + name);
}

}  // namespace lb::service
