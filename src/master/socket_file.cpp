// master/socket_file.cpp -- see socket_file.h. Stale or not: a connection is refused when nobody listens, unix(7).
#include "master/socket_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "master/port_holder.h"
#include "shared/net/fd.h"
#include "shared/net/socket.h"

namespace lb {
namespace {

using What = AtPath::What;

std::string path_of(const Address& address) { return to_string(address).substr(std::strlen("unix:")); }

// Removes a file only while it is the one that was found stale.
bool remove_stale(const std::string& path, const struct stat& seen) noexcept {
    struct stat now {};
    if (lstat(path.c_str(), &now) != 0) return errno == ENOENT;
    if (now.st_dev != seen.st_dev || now.st_ino != seen.st_ino) return false;
    return unlink(path.c_str()) == 0;
}

int bind_file(int fd, const Address& address) noexcept {
    const mode_t before = umask(0777 & ~socket_file_mode);
    const int bound = bind(fd, &address.any.base, address.length) == 0 ? 0 : errno;
    umask(before);
    return bound;
}

}  // namespace

AtPath look_at(const Address& address) {
    struct stat info {};
    if (lstat(path_of(address).c_str(), &info) != 0) {
        if (errno == ENOENT) return {};
        return {What::unknown, 0, errno};
    }
    if (!S_ISSOCK(info.st_mode)) return {What::no_socket, 0, 0};
    const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return {What::unknown, 0, errno};
    if (connect(fd.get(), &address.any.base, address.length) == 0) {
        ucred who{};
        socklen_t size = sizeof who;
        const bool told = getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0;
        return {What::listening, told ? who.pid : 0, 0};
    }
    switch (errno) {
        case ECONNREFUSED: return {What::stale, 0, 0};
        case ENOENT: return {};                           // it went meanwhile
        case EAGAIN:                                      // its queue is full
        case EPROTOTYPE: return {What::listening, 0, 0};  // a socket of another type
        default: return {What::unknown, 0, errno};
    }
}

std::string path_problem(const AtPath& there) {
    switch (there.what) {
        case What::nothing:
        case What::stale: return {};
        case What::no_socket: return "there is something else at this path";
        case What::unknown: return errno_text(there.error);
        case What::listening: break;
    }
    if (there.holder == 0) return "the path is in use";
    return "the path is in use, " + show({false, {{there.holder, process_name(there.holder)}}});
}

SocketFile::SocketFile(SocketFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      hidden_as_(std::exchange(other.hidden_as_, {})),
      device_(other.device_),
      inode_(other.inode_) {}

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
    if (this == &other) return *this;
    remove();
    path_ = std::exchange(other.path_, {});
    hidden_as_ = std::exchange(other.hidden_as_, {});
    device_ = other.device_;
    inode_ = other.inode_;
    return *this;
}

std::string SocketFile::bind_to(int fd, const Address& address) {
    const std::string path = path_of(address);
    int error = bind_file(fd, address);
    if (error == EADDRINUSE) {
        struct stat seen {};
        const bool there = lstat(path.c_str(), &seen) == 0;
        if (std::string problem = path_problem(look_at(address)); !problem.empty()) return problem;
        if (there && !remove_stale(path, seen)) return "another process took the path";
        error = bind_file(fd, address);
    }
    if (error != 0) return errno_text(error);
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0) return errno_text(errno);
    path_ = path;
    device_ = info.st_dev;
    inode_ = info.st_ino;
    return {};
}

void SocketFile::adopt(const Address& address, std::uint64_t device, std::uint64_t inode) {
    path_ = path_of(address);
    device_ = static_cast<dev_t>(device);
    inode_ = static_cast<ino_t>(inode);
    // Its master ended while it was on its way out.
    if (std::string other = hidden_name(); !still_ours(path_) && still_ours(other))
        hidden_as_ = std::move(other);
}

// The next master must find it, too.
std::string SocketFile::hidden_name() const { return fmt::format("{}.{}", path_, inode_); }

void SocketFile::release() noexcept {
    path_.clear();
    hidden_as_.clear();
}

std::string SocketFile::hide() {
    if (path_.empty() || !hidden_as_.empty() || !still_ours(path_)) return {};
    std::string other = hidden_name();
    if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, other.c_str(), RENAME_NOREPLACE) != 0) {
        return errno_text(errno);
    }
    hidden_as_ = std::move(other);
    return {};
}

std::string SocketFile::show() {
    if (hidden_as_.empty()) return {};
    if (renameat2(AT_FDCWD, hidden_as_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
        return errno == EEXIST ? "another process took the path" : errno_text(errno);
    }
    hidden_as_.clear();
    return {};
}

bool SocketFile::still_ours(const std::string& path) const noexcept {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_;
}

void SocketFile::remove() noexcept {
    const std::string& path = hidden_as_.empty() ? path_ : hidden_as_;
    if (!path.empty() && still_ours(path)) unlink(path.c_str());
    path_.clear();
    hidden_as_.clear();
}

}  // namespace lb
