// master/pidfile.cpp -- see pidfile.h.
#include "master/pidfile.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <utility>

#include "shared/base/text.h"
#include "shared/net/fd.h"
#include "shared/net/socket.h"

namespace lb {

PidFile::PidFile(PidFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}

PidFile& PidFile::operator=(PidFile&& other) noexcept {
    if (this != &other) {
        remove();
        path_ = std::exchange(other.path_, {});
    }
    return *this;
}

std::string PidFile::write(const std::string& path) {
    if (path == path_) return {};
    if (!path.empty()) {
        const std::string temporary = fmt::format("{}.{}", path, getpid());
        const std::string text = fmt::format("{}\n", getpid());
        Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
        if (!fd) return fmt::format("pid file {}: {}", path, errno_text(errno));
        const bool written = ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
        if (!written || rename(temporary.c_str(), path.c_str()) != 0) {
            std::string error = fmt::format("pid file {}: {}", path, errno_text(errno));
            unlink(temporary.c_str());
            return error;
        }
    }
    remove();
    path_ = path;
    return {};
}

void PidFile::remove() noexcept {
    if (path_.empty()) return;
    // Another master may have started since, if this one was thought dead: its file is not ours to remove.
    if (read(path_) == getpid()) unlink(path_.c_str());
    path_.clear();
}

std::optional<pid_t> PidFile::read(const std::string& path) {
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) return std::nullopt;
    std::array<char, 32> bytes{};
    const ssize_t got = ::read(fd.get(), bytes.data(), bytes.size());
    if (got <= 0) return std::nullopt;
    std::string_view text(bytes.data(), static_cast<std::size_t>(got));
    if (text.ends_with('\n')) text.remove_suffix(1);
    const auto number = text::number(text);
    if (!number || *number == 0 || *number > std::numeric_limits<pid_t>::max()) return std::nullopt;
    return static_cast<pid_t>(*number);
}

}  // namespace lb
