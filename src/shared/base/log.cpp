// shared/base/log.cpp -- lines to stderr, a file or syslog.
// Owns:  the file's descriptor and the path to open it again by.
// Never: blocks on a full FIFO; splits a line over two writes; keeps syslog's hidden descriptor between
// lines.
#include "shared/base/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace lb::log {
namespace {

// PIPE_BUF: up to this length the kernel never mixes lines that several processes write to one pipe.
constexpr std::size_t line_max = PIPE_BUF;
constexpr std::string_view cut_mark = "...";

// systemd names in $JOURNAL_STREAM the device and inode of the stream it made. Whoever gets that variable may have been
// given another standard error since, so only the same file counts.
bool is_journal(int fd) noexcept {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat info {};
    if (stream == nullptr || fstat(fd, &info) != 0) return false;
    char name[64];
    const auto end =
        fmt::format_to_n(name, sizeof name, "{}:{}", std::uint64_t{info.st_dev}, std::uint64_t{info.st_ino});
    return std::string_view(stream) == std::string_view(name, std::min(end.size, sizeof name));
}

struct State {
    Kind kind = Kind::stderr_stream;
    int fd = STDERR_FILENO;
    bool journal = is_journal(STDERR_FILENO);  // what `fd` is
    std::string path;
    std::string role = "lb";
};
State& state() noexcept {
    static State s;
    return s;
}

// A line of bounded length on the stack. What does not fit is cut, and the cut is shown.
class Line {
 public:
    void put(char c) noexcept {
        if (size_ < room) {
            bytes_[size_++] = c;
        } else {
            cut_ = true;
        }
    }
    void put(std::string_view s) noexcept {
        for (char c : s) put(c);
    }
    void put_escaped(std::string_view s) noexcept {
        constexpr char hex[] = "0123456789abcdef";
        for (char c : s) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte < 0x20 || byte == 0x7f || c == '\\') {
                if (size_ + 4 > room) {
                    cut_ = true;
                    return;
                }
                put('\\');
                put('x');
                put(hex[byte >> 4]);
                put(hex[byte & 15]);
            } else {
                put(c);
            }
            if (cut_) return;
        }
    }
    // `width` decimal digits with leading zeros.
    void put_digits(long value, int width) noexcept {
        char digits[20];
        for (int i = width - 1; i >= 0; i--) {
            digits[i] = static_cast<char>('0' + value % 10);
            value /= 10;
        }
        put(std::string_view(digits, static_cast<std::size_t>(width)));
    }
    std::string_view finish(char last) noexcept {
        if (cut_) {
            std::memcpy(bytes_ + size_, cut_mark.data(), cut_mark.size());
            size_ += cut_mark.size();
        }
        bytes_[size_] = last;
        return {bytes_, size_ + 1};
    }

 private:
    static constexpr std::size_t room = line_max - cut_mark.size() - 1;
    char bytes_[line_max];
    std::size_t size_ = 0;
    bool cut_ = false;
};

void put_time(Line& line) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tm utc{};
    gmtime_r(&now.tv_sec, &utc);
    line.put_digits(utc.tm_year + 1900, 4);
    line.put('-');
    line.put_digits(utc.tm_mon + 1, 2);
    line.put('-');
    line.put_digits(utc.tm_mday, 2);
    line.put('T');
    line.put_digits(utc.tm_hour, 2);
    line.put(':');
    line.put_digits(utc.tm_min, 2);
    line.put(':');
    line.put_digits(utc.tm_sec, 2);
    line.put('.');
    line.put_digits(now.tv_nsec / 1'000'000, 3);
    line.put("Z ");
}

void put_sender(Line& line) noexcept {
    line.put('[');
    line.put_escaped(state().role);
    line.put(' ');
    char pid[16];
    const auto end = fmt::format_to_n(pid, sizeof pid, "{}", getpid());
    line.put(std::string_view(pid, std::min(end.size, sizeof pid)));
    line.put("] ");
}

int syslog_priority(Level level) noexcept {
    switch (level) {
        case Level::debug: return LOG_DEBUG;
        case Level::info: return LOG_INFO;
        case Level::notice: return LOG_NOTICE;
        case Level::warn: return LOG_WARNING;
        case Level::error: return LOG_ERR;
    }
    return LOG_ERR;
}

// <3> for an error.
void put_priority(Line& line, Level level) noexcept {
    line.put('<');
    line.put(static_cast<char>('0' + syslog_priority(level)));
    line.put('>');
}

void write_whole(int fd, std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t wrote = ::write(fd, text.data(), text.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return;  // nobody can be told
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
}

void say(Level level, std::string_view text) noexcept {
    const int saved = errno;
    const bool journal = is_journal(STDERR_FILENO);
    std::string out;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        if (journal) out += fmt::format("<{}>", syslog_priority(level));
        out.append(text.substr(at, end - at)).push_back('\n');
        at = end + 1;
    }
    write_whole(STDERR_FILENO, out);
    errno = saved;
}

std::string last_error() {
    const char* text = strerrordesc_np(errno);
    return text != nullptr ? text : "unknown error";
}

// O_NONBLOCK: a FIFO without a reader must neither hold up the start nor, when it is full, a process that
// serves.
int open_file(const std::string& path) noexcept {
    return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

// What is written to instead of descriptors 1 and 2; never closed, so that every child finds them.
struct Streams {
    int out = STDOUT_FILENO;
    int error = STDERR_FILENO;
};
Streams& streams() noexcept {
    static Streams instance;
    return instance;
}

int own_description(int fd) noexcept {
    struct stat what {};
    if (fstat(fd, &what) != 0 || (!S_ISFIFO(what.st_mode) && isatty(fd) == 0)) return fd;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const int own = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return own >= 0 ? own : fd;
}

void close_own_file() noexcept {
    if (state().kind == Kind::file && state().fd >= 0) close(state().fd);
}

}  // namespace

std::string open(const Target& target) {
    int fd = -1;
    if (target.kind == Kind::stderr_stream) {
        fd = streams().error;
    } else if (target.kind == Kind::file) {
        fd = open_file(target.path);
        if (fd < 0) return target.path + ": " + last_error();
    }
    close_own_file();
    state().kind = target.kind;
    state().fd = fd;
    state().journal = target.kind == Kind::stderr_stream && is_journal(fd);
    state().path = target.kind == Kind::file ? target.path : std::string();
    detail::threshold = target.level;
    return {};
}

int reopen() {
    if (state().kind != Kind::file) return 0;
    const int fd = open_file(state().path);
    if (fd < 0) return errno;
    close(state().fd);
    state().fd = fd;
    return 0;
}

void say_error(std::string_view text) noexcept { say(Level::error, text); }
void say_warning(std::string_view text) noexcept { say(Level::warn, text); }

void own_standard_streams() noexcept {
    streams() = {own_description(STDOUT_FILENO), own_description(STDERR_FILENO)};
    if (state().kind == Kind::stderr_stream) state().fd = streams().error;
}

int standard_output() noexcept { return streams().out; }

void set_role(std::string_view role) { state().role = role; }

int descriptor() noexcept { return state().fd; }

void detail::write(Level level, std::string_view text) noexcept {
    const int saved = errno;
    Line line;
    if (state().kind == Kind::syslog) {
        put_sender(line);
        line.put_escaped(text);
        const std::string_view whole = line.finish('\0');
        // Opened and closed around each line: a child that closes what it does not own would otherwise leave
        // the C library with the number of a descriptor that soon belongs to a connection.
        openlog("lb", 0, LOG_DAEMON);
        syslog(syslog_priority(level), "%s", whole.data());
        closelog();
    } else {
        if (state().journal) put_priority(line, level);
        put_time(line);
        line.put(level_names[static_cast<std::size_t>(level)]);
        line.put(' ');
        put_sender(line);
        line.put_escaped(text);
        const std::string_view whole = line.finish('\n');
        // A full disk or pipe loses the line: there is nowhere to report it, and waiting would stop the
        // traffic.
        while (::write(state().fd, whole.data(), whole.size()) < 0 && errno == EINTR) {
        }
    }
    errno = saved;
}

}  // namespace lb::log
