#include "worker/log/syslog_sink.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "shared/net/socket.h"

namespace lb {
namespace {

constexpr Micros patience = 1'000'000;
constexpr std::size_t batch = 65536;
// The kernel lets as few as ten datagrams wait for a daemon (net.unix.max_dgram_qlen).
constexpr std::uint64_t batch_lines = 8;
constexpr std::size_t at_once = 16;

}  // namespace

SyslogSink::SyslogSink(std::string_view socket_path)
    : LogSink("syslog", batch, batch_lines), path_(socket_path), pid_(getpid()) {
    if (connect(0)) return;
    failing(0, errno_text(errno));
    connect_at_ = 0;
}

bool SyslogSink::connect(Micros now) noexcept {
    connect_at_ = now + patience;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    std::memcpy(address.sun_path, path_.data(), path_.size());
    fd_.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_) return false;
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
    const int error = errno;
    fd_.reset();
    errno = error;
    return false;
}

std::string_view SyslogSink::header() noexcept {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    std::array<char, 24> when{};
    const std::size_t size = std::strftime(when.data(), when.size(), "%b %e %H:%M:%S", &local);
    const auto end =
        fmt::format_to_n(header_.data(), header_.size(), "<{}>{} lb[{}]: ", LOG_DAEMON | LOG_INFO,
                         std::string_view(when.data(), size), pid_);
    return {header_.data(), std::min(end.size, header_.size())};
}

int SyslogSink::send_lines() noexcept {
    const std::string_view head = header();
    while (!waiting().empty()) {
        std::array<mmsghdr, at_once> messages{};
        std::array<std::array<iovec, 2>, at_once> parts{};
        std::array<std::size_t, at_once> sizes{};
        unsigned count = 0;
        for (std::string_view rest = waiting(); !rest.empty() && count < at_once; count++) {
            const std::size_t line = rest.find('\n');
            parts[count][0] = {const_cast<char*>(head.data()), head.size()};
            parts[count][1] = {const_cast<char*>(rest.data()), line};
            messages[count].msg_hdr.msg_iov = parts[count].data();
            messages[count].msg_hdr.msg_iovlen = 2;
            sizes[count] = line + 1;
            rest.remove_prefix(line + 1);
        }
        const int sent = sendmmsg(fd_.get(), messages.data(), count, MSG_NOSIGNAL);
        if (sent > 0) {
            std::size_t bytes = 0;
            for (int i = 0; i < sent; i++) bytes += sizes[static_cast<std::size_t>(i)];
            taken(bytes, static_cast<std::uint64_t>(sent));
        } else if (errno == EMSGSIZE) {
            lose_line(sizes[0]);
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

void SyslogSink::write_out(Micros now) noexcept {
    for (;;) {
        if (!fd_) {
            if (now < connect_at_) return;
            if (!connect(now)) {
                failing(now, errno_text(errno));
                lose(0);
                return;
            }
        }
        const int error = send_lines();
        if (error == 0) working(now);
        if (error == 0 || error == EAGAIN || error == ENOBUFS || error == ENOMEM) return;
        disconnect();  // the daemon is gone or was started anew
    }
}

// A daemon that is away is no file that somebody waits for: its lines say so, and it is tried again by itself.
int SyslogSink::reopen(Micros now) {
    disconnect();
    if (!connect(now)) failing(now, errno_text(errno));
    return 0;
}

}  // namespace lb
