// master/operator/state_file.cpp -- see state_file.h.
#include "master/operator/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "master/operator/state_text.h"
#include "shared/net/fd.h"
#include "shared/net/socket.h"

namespace lb::operators {
namespace {

// As if it were an errno. A link counts as one of these, which ELOOP says.
constexpr int not_a_file = -1;

std::string why(int error) {
    if (error == not_a_file || error == ELOOP) return "it is no regular file";
    return errno_text(error);
}

// Whether something is at the path that we neither read nor put a file in place of.
bool is_other(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
}

// errno, or 0. Nothing but a regular file is read: another kind could block, or never end.
int read_all(const std::string& path, std::string& out) {
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    if (!fd) return errno;
    struct stat info {};
    if (fstat(fd.get(), &info) != 0) return errno;
    if (!S_ISREG(info.st_mode)) return not_a_file;
    // One byte more than may be: read_state() says that it is too large.
    const std::size_t most = most_state_bytes + 1;
    out.resize(std::min(most, static_cast<std::size_t>(info.st_size)));
    std::size_t length = 0;
    while (length < out.size()) {
        const ssize_t got = read(fd.get(), out.data() + length, out.size() - length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) break;
        length += static_cast<std::size_t>(got);
    }
    out.resize(length);
    return 0;
}

bool write_all(int fd, std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t wrote = write(fd, text.data(), text.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
}

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::vector<std::string> StateFile::read(Store& store, const Moment& moment) const {
    if (path_.empty()) return {};
    std::string text;
    const int error = read_all(path_, text);
    if (error == ENOENT || error == ENOTDIR) return {};
    std::vector<std::string> lines;
    if (error != 0) {
        lines.push_back(fmt::format("state_file {}: {}; nothing of it is in force", path_, why(error)));
    } else {
        for (const std::string& each : read_state(text, store, moment)) {
            lines.push_back(fmt::format("state_file {}: {}", path_, each));
        }
    }
    return lines;
}

std::vector<std::string> StateFile::problems(const Moment& moment) const {
    Store unused;
    return read(unused, moment);
}

std::vector<std::string> StateFile::load(Store& store, const Moment& moment) {
    std::vector<std::string> lines = read(store, moment);
    // A directory, a device or a link is somebody else's, and the setting is a mistake: it is left as it is.
    if (lines.empty() || is_other(path_)) return lines;
    const std::string aside = path_ + ".bad";
    if (rename(path_.c_str(), aside.c_str()) == 0) {
        lines.push_back(fmt::format("state_file {}: {} of its changes are in force; it is kept as {}", path_,
                                    store.entries(), aside));
    } else {
        lines.push_back(
            fmt::format("state_file {}: cannot be kept as {}: {}", path_, aside, errno_text(errno)));
    }
    return lines;
}

std::string StateFile::save(const Store& store, const Moment& moment, bool sure) const {
    if (path_.empty()) return {};
    const std::string text = print_state(store, moment);
    const std::string temporary = fmt::format("{}.{}", path_, getpid());
    const auto problem = [&](int error) { return fmt::format("state_file {}: {}", path_, why(error)); };
    if (is_other(path_)) return problem(not_a_file);
    // What a process of the same number left there; a link that somebody put there is not followed.
    unlink(temporary.c_str());
    Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640));
    if (!fd) return problem(errno);
    // Always: some file systems put the new name on the disk before the bytes, and a file without these is no state at all.
    const bool written = fchmod(fd.get(), 0640) == 0 && write_all(fd.get(), text) && fdatasync(fd.get()) == 0;
    if (!written || rename(temporary.c_str(), path_.c_str()) != 0) {
        std::string error = problem(errno);
        unlink(temporary.c_str());
        return error;
    }
    if (!sure) return {};
    // The new name is on the disk when its directory is. Some file systems cannot say so; that is no failure.
    const Fd directory(open(directory_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory) fsync(directory.get());
    return {};
}

}  // namespace lb::operators
