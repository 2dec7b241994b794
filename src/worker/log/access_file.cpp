#include "worker/log/access_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "shared/base/log.h"
#include "shared/net/socket.h"

namespace lb {
namespace {

constexpr std::size_t write_at = 32768;  // as much as one write takes without waiting for the tick
constexpr std::size_t most_kept =
    262144;  // when the file takes nothing: older lines stay, new ones are dropped

}  // namespace

AccessLogs::AccessLogs(const std::vector<config::AccessLog>& logs, int standard_output)
    : files_(logs.size()) {
    for (std::size_t i = 0; i < logs.size(); i++) {
        File& file = files_[i];
        file.settings = &logs[i];
        if (logs[i].path.empty()) {
            file.fd = standard_output;
        } else {
            file.own = open_file(logs[i].path);
            file.fd = file.own.get();
        }
        file.buffer.reserve(write_at + 4096);
    }
}

Fd AccessLogs::open_file(const std::string& path) {
    // O_NONBLOCK: a FIFO that nobody empties costs lines, not traffic.
    Fd fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640));
    if (!fd) log::error("access log {}: {}", path, errno_text(errno));
    return fd;
}

void AccessLogs::write(std::uint32_t log, const AccessEntry& entry) {
    File& file = files_[log];
    if (file.buffer.size() >= most_kept) {
        dropped_++;
        return;
    }
    append_access_line(file.buffer, file.settings->format, entry);
    file.lines++;
    if (file.buffer.size() >= write_at) flush(file);
}

void AccessLogs::flush() noexcept {
    for (File& file : files_) flush(file);
}

void AccessLogs::flush(File& file) noexcept {
    if (file.buffer.empty()) return;
    const ssize_t n = ::write(file.fd, file.buffer.data(), file.buffer.size());
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) return;  // a pipe that is full: kept up to most_kept
        dropped_ += std::exchange(file.lines, 0);
        file.buffer.clear();
        return;
    }
    const auto size = static_cast<std::size_t>(n);
    if (size == file.buffer.size()) {
        file.lines = 0;
        file.buffer.clear();
        return;
    }
    // Cut short, by a full pipe or a full disk. The rest of a line that was begun must follow; nothing else is lost yet.
    file.lines -= static_cast<std::uint64_t>(std::count(file.buffer.begin(), file.buffer.begin() + n, '\n'));
    file.buffer.erase(0, size);
}

void AccessLogs::reopen() {
    flush();
    for (File& file : files_) {
        if (file.settings->path.empty()) continue;
        Fd fresh = open_file(file.settings->path);
        if (!fresh) continue;
        file.own = std::move(fresh);
        file.fd = file.own.get();
    }
}

std::uint64_t AccessLogs::take_dropped() noexcept { return std::exchange(dropped_, 0); }

}  // namespace lb
