// master/discovery/file_source.cpp -- see file_source.h, inotify(7).
#include "master/discovery/file_source.h"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>
#include <unordered_map>
#include <utility>

#include "master/discovery/small_file.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/config/backend_text.h"
#include "shared/net/socket.h"

namespace lb::discovery {
namespace {

constexpr std::size_t longest_line = 8192;
constexpr std::uint32_t mask = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                               IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

// Without the comment, as in lb.ini: a # or ; at the start or after a blank, not inside quotes.
std::string_view without_comment(std::string_view line) noexcept {
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); i++) {
        const char c = line[i];
        if (quoted && c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == '#' || c == ';') &&
                   (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) {
            return line.substr(0, i);
        }
    }
    return line;
}

bool just_written(const struct stat& info) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const Micros age =
        (Micros{now.tv_sec} - info.st_mtim.tv_sec) * 1'000'000 + (now.tv_nsec - info.st_mtim.tv_nsec) / 1000;
    return age >= 0 && age < FileSource::writing;
}

}  // namespace

Result<Members, std::string> parse_members(std::string_view text, const std::string& path) {
    const std::string directory = directory_of(path);
    Members out;
    std::unordered_map<std::string, std::size_t> lines;
    for (std::size_t number = 1; !text.empty(); number++) {
        const auto end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const auto wrong = [&](std::string_view what) {
            return Failed{fmt::format("{}:{}: {}", path, number, what)};
        };
        if (line.size() > longest_line)
            return wrong(fmt::format("a line longer than {} bytes", longest_line));
        if (line.find('\0') != std::string_view::npos) return wrong("a zero byte");
        if (line.ends_with('\r')) line.remove_suffix(1);
        line = text::trim(without_comment(line));
        if (line.empty()) continue;
        if (out.size() == FileSource::most_members) {
            return wrong(fmt::format("more than {} backends", FileSource::most_members));
        }
        auto backend = config::parse_backend(line, directory);
        if (!backend) {
            const config::Problem& problem = backend.error();
            return wrong(problem.hint.empty() ? problem.what
                                              : fmt::format("{} ({})", problem.what, problem.hint));
        }
        const auto [first, fresh] = lines.try_emplace(backend.value().name, number);
        if (!fresh) {
            return wrong(
                fmt::format("backend {} is named twice, first in line {}", first->first, first->second));
        }
        out.push_back(std::move(backend).value());
    }
    if (out.empty()) return Failed{fmt::format("{}: it names no backend", path)};
    return out;
}

FileSource::FileSource(event_base* base, std::string path, Calls calls)
    : base_(base),
      path_(std::move(path)),
      directory_(directory_of(path_)),
      file_(path_.substr(path_.rfind('/') + 1)) {
    watch_directory();
    timer_.reset(evtimer_new(
        base_, [](evutil_socket_t, short, void* self) { static_cast<FileSource*>(self)->look(false); },
        this));
    if (!timer_) log::error("{}: no memory for a timer", path_);
    wait(look_interval);
    take();
    calls_ = std::move(calls);
}

void FileSource::wait(Micros time) {
    const timeval t{time / 1'000'000, time % 1'000'000};
    if (timer_) evtimer_add(timer_.get(), &t);
}

// Without a watch the file is still looked at every few seconds.
void FileSource::watch_directory() {
    event_.reset();
    watch_.reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!watch_ || inotify_add_watch(watch_.get(), directory_.c_str(), mask | IN_ONLYDIR) < 0) {
        if (!std::exchange(unwatched_said_, true)) {
            log::info("{}: its directory is not watched ({}), but the file is looked at every {} s", path_,
                      errno_text(errno), look_interval / 1'000'000);
        }
        watch_.reset();
        return;
    }
    event_.reset(event_new(
        base_, watch_.get(), EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<FileSource*>(self)->on_events(); }, this));
    if (!event_ || event_add(event_.get(), nullptr) != 0) {
        event_.reset();
        watch_.reset();
    }
}

void FileSource::on_events() {
    alignas(inotify_event) char buffer[16384];
    bool finished = false;
    bool touched = false;
    bool lost = false;
    for (;;) {
        const ssize_t n = read(watch_.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(n);) {
            const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
            at += sizeof(inotify_event) + event->len;
            const std::string_view name = event->len > 0 ? std::string_view(event->name) : std::string_view();
            const bool ours = name == file_;
            lost = lost || (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0;
            // A file that is closed or put in place is finished. A name beginning with ".." is how a mounted
            // configuration map is switched: the file itself is a link through it.
            finished =
                finished ||
                (ours && (event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) != 0) ||
                (name.starts_with("..") && (event->mask & IN_MOVED_TO) != 0);
            touched = touched || ours || (event->mask & IN_Q_OVERFLOW) != 0;
        }
    }
    if (lost) watch_directory();
    if (finished || touched || lost) look(finished);
}

// `finished`: nobody is writing it.
void FileSource::look(bool finished) {
    wait(look_interval);
    if (!watch_) watch_directory();
    struct stat now {};
    const bool there = stat(path_.c_str(), &now) == 0;
    if (there && read_ && same_file(now, seen_)) return;
    if (there && !finished && just_written(now)) {
        wait(writing);
        return;
    }
    take();
}

void FileSource::take() {
    const std::string before = error_;
    read_ = false;
    auto file = read_small_file(path_, most_bytes);
    if (!file) {
        // What cannot be opened may be there again at any time: nothing to compare with. What is too long is read anew.
        error_ = fmt::format("{}: {}", path_, file.error());
        return report(false, before);
    }
    seen_ = file.value().info;
    read_ = true;
    auto members = parse_members(file.value().text, path_);
    if (!members) {
        error_ = members.error();
        return report(false, before);
    }
    error_.clear();
    const bool changed = !known_ || members.value() != members_;
    known_ = true;
    members_ = std::move(members).value();
    report(changed, before);
}

void FileSource::report(bool changed, const std::string& before) {
    if (error_ != before && calls_.trouble) calls_.trouble(error_);
    if (changed && calls_.changed) calls_.changed();
}

}  // namespace lb::discovery
