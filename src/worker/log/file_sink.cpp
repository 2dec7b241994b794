#include "worker/log/file_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "shared/base/log.h"
#include "shared/net/socket.h"

namespace lb {
namespace {

constexpr std::size_t batch = 65536;
constexpr Micros patience = 1'000'000;

bool same_file(int a, int b) noexcept {
    struct stat one {
    }, two{};
    return fstat(a, &one) == 0 && fstat(b, &two) == 0 && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

}  // namespace

FileSink::FileSink(std::string path) : LogSink(path, batch, UINT64_MAX), path_(std::move(path)) {
    if (!open(0)) failing(0, errno_text(errno));
    try_at_ = 0;
}

FileSink::FileSink(int standard_output) : LogSink("stdout", batch, UINT64_MAX) { use(standard_output); }

bool FileSink::open(Micros now) {
    try_at_ = now + patience;
    Fd fresh(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640));
    if (!fresh) return false;
    // The end of a line that stands in another file means nothing in this one.
    if (torn_ && !same_file(own_.get(), fresh.get())) {
        lose_line(waiting().find('\n') + 1);
        torn_ = false;
    }
    own_ = std::move(fresh);
    use(own_.get());
    return true;
}

void FileSink::use(int fd) noexcept {
    fd_ = fd;
    struct stat what {};
    if (fstat(fd, &what) != 0 || S_ISREG(what.st_mode)) {
        way_ = Way::file;
    } else if (S_ISSOCK(what.st_mode)) {
        way_ = Way::socket;
    } else {
        const int flags = fcntl(fd, F_GETFL);
        way_ = flags >= 0 && (flags & O_NONBLOCK) != 0 ? Way::stream : Way::blocking;
    }
}

std::size_t FileSink::next_piece(std::string_view rest) const noexcept {
    if (way_ == Way::file || rest.size() <= PIPE_BUF) return rest.size();
    const std::size_t last = rest.substr(0, PIPE_BUF).rfind('\n');
    if (last != std::string_view::npos) return last + 1;
    // A line of more than PIPE_BUF. What may block has room for so many bytes when poll() says so, and for no more.
    return way_ == Way::blocking ? PIPE_BUF : rest.find('\n') + 1;
}

ssize_t FileSink::put(std::string_view bytes) const noexcept {
    if (way_ == Way::socket) return send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (way_ == Way::blocking) {
        pollfd ready{fd_, POLLOUT, 0};
        if (poll(&ready, 1, 0) == 0) {
            errno = EAGAIN;
            return -1;
        }
    }
    return ::write(fd_, bytes.data(), bytes.size());
}

void FileSink::write_out(Micros now) noexcept {
    if (fd_ < 0) {
        const bool tried = now >= try_at_;
        if (!tried || !open(now)) {
            if (tried) failing(now, errno_text(errno));
            lose(0);
            return;
        }
    }
    const std::string_view all = waiting();
    std::size_t done = 0;
    int error = 0;
    while (done < all.size() && error == 0) {
        const ssize_t n = put(all.substr(done, next_piece(all.substr(done))));
        if (n > 0) {
            done += static_cast<std::size_t>(n);
        } else if (n == 0 || errno != EINTR) {
            error = n == 0 ? ENOSPC : errno;
        }
    }
    if (done == all.size()) {
        torn_ = false;
        taken(done, lines());
        working(now);
        return;
    }
    // Cut short, by a full pipe or a full disk: the rest of a line that was begun must come before all else.
    if (done > 0) torn_ = all[done - 1] != '\n';
    taken(done, static_cast<std::uint64_t>(
                    std::count(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(done), '\n')));
    if (error == EAGAIN) return;  // kept, up to a bound
    failing(now, errno_text(error));
    lose(torn_ ? waiting().find('\n') + 1 : 0);
}

int FileSink::reopen(Micros now) {
    if (path_.empty() || open(now)) return 0;
    const int error = errno;
    log::error("access log {}: {}", path_, errno_text(error));
    return error;
}

}  // namespace lb
