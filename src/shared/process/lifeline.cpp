// shared/process/lifeline.cpp -- see lifeline.h. pipe(7), poll(2): POLLERR on a writing end says that no reader is left.
#include "shared/process/lifeline.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/net/socket.h"

namespace lb {
namespace {

int bytes_in(int fd) noexcept {
    int count = 0;
    return ioctl(fd, FIONREAD, &count) == 0 ? count : 0;
}

}  // namespace

Result<Lifeline::Ends, std::string> Lifeline::make() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return Failed{errno_text(errno)};
    return Ends{Fd(ends[0]), Fd(ends[1])};
}

Told Lifeline::told(int read_end) noexcept {
    pollfd watched{read_end, POLLIN, 0};
    if (poll(&watched, 1, 0) <= 0) return Told::nothing;
    if ((watched.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) return Told::end;
    const int count = bytes_in(read_end);
    return count == 0 ? Told::nothing : count == 1 ? Told::drain : Told::quit;
}

bool Lifeline::spoken(int read_end) noexcept { return bytes_in(read_end) > 0; }

void Lifeline::tell(int write_end, Told what) noexcept {
    const int wanted = what == Told::drain ? 1 : 2;
    for (int count = bytes_in(write_end); count < wanted; count++) {
        if (write(write_end, "", 1) != 1) return;  // EPIPE: nobody is left to hear it
    }
}

bool Lifeline::heard(int write_end) noexcept {
    struct stat info {};
    if (fstat(write_end, &info) != 0 || !S_ISFIFO(info.st_mode)) return false;
    pollfd watched{write_end, 0, 0};
    return poll(&watched, 1, 0) >= 0 && (watched.revents & (POLLERR | POLLNVAL)) == 0;
}

}  // namespace lb
