// master/discovery/small_file.cpp -- see small_file.h.
#include "master/discovery/small_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "shared/net/fd.h"
#include "shared/net/socket.h"

namespace lb::discovery {

Result<SmallFile, std::string> read_small_file(const std::string& path, std::size_t most_bytes) {
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) return Failed{errno_text(errno)};
    SmallFile out;
    if (fstat(fd.get(), &out.info) != 0) return Failed{errno_text(errno)};
    if (!S_ISREG(out.info.st_mode)) return Failed{std::string("not a regular file")};
    char piece[16384];
    for (;;) {
        const ssize_t n = read(fd.get(), piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return Failed{errno_text(errno)};
        if (n == 0) return out;
        out.text.append(piece, static_cast<std::size_t>(n));
        if (out.text.size() > most_bytes) return Failed{fmt::format("larger than {} bytes", most_bytes)};
    }
}

bool same_file(const struct stat& a, const struct stat& b) noexcept {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
           a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace lb::discovery
