// master/config/file.cpp -- see file.h.
#include "master/config/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/net/fd.h"
#include "shared/net/socket.h"

namespace lb::config {
namespace {

std::string show_limit(std::size_t bytes) {
    return bytes < 1 << 20 ? fmt::format("{} KiB", bytes >> 10) : fmt::format("{} MiB", bytes >> 20);
}

}  // namespace

Parsed<FileContent> read_file(const std::string& path, std::size_t largest) {
    // O_NONBLOCK: opening a pipe must not wait for its other end.
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) return problem("cannot be read: " + errno_text(errno));
    struct stat info {};
    if (fstat(fd.get(), &info) != 0) return problem("cannot be read: " + errno_text(errno));
    if (!S_ISREG(info.st_mode)) return problem("is not a regular file");
    FileContent content{{}, {info.st_dev, info.st_ino}, info.st_mode};
    char block[65536];
    while (true) {
        const ssize_t got = ::read(fd.get(), block, sizeof block);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return problem("cannot be read: " + errno_text(errno));
        if (got == 0) return content;
        content.bytes.append(block, static_cast<std::size_t>(got));
        if (content.bytes.size() > largest) return problem("is larger than " + show_limit(largest));
    }
}

}  // namespace lb::config
