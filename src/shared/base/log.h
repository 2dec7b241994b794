// shared/base/log.h -- the error log: what lb says to its operator.
// Owns:   the destination (stderr, a file opened O_APPEND, or syslog) and the level of this process.
// Never:  used per request above level debug; writes part of a line; ends the process.
// Format: 2026-11-21T10:00:00.123Z LEVEL [role pid] text. Control bytes in the text are written as \xNN, so that
//         nothing from outside can forge a line. On standard error that is the journal's ($JOURNAL_STREAM says so) each
//         line begins with its priority, as in sd-daemon(3): <3> is an error.
#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace lb::log {

enum class Level : std::uint8_t { debug, info, notice, warn, error };
inline constexpr std::string_view level_names[] = {"debug", "info", "notice", "warn", "error"};

enum class Kind : std::uint8_t { stderr_stream, file, syslog };
struct Target {
    Kind kind = Kind::stderr_stream;
    std::string path;  // for Kind::file
    Level level = Level::notice;
    bool operator==(const Target&) const = default;
};

// Sends the log of this process to `target`. On failure the old destination stays, and the path and why are returned.
// Returns an empty string on success.
std::string open(const Target& target);
// Opens the same file again after it was moved away. Keeps the old one if that fails; returns errno or 0.
int reopen();
// "master", "worker 2", "admin": shown in each line from now on.
void set_role(std::string_view role);
// Gives this process descriptions of its own, non-blocking, of standard output and error where these are pipes or
// terminals: a reader that stops reading then costs lines, not traffic. (O_NONBLOCK on the inherited ones would change
// them for whoever else holds them.) Before privileges are dropped; not in a daemon, which lets go of its streams.
void own_standard_streams() noexcept;
// What a command or a start says on standard error, where no log is open (yet) or a person waits for the answer: the text
// as it is and a line break. The journal gets its priority before each line. Blocks like any write there.
void say_error(std::string_view text) noexcept;
void say_warning(std::string_view text) noexcept;
// Standard output as access logs write to it.
int standard_output() noexcept;
// The descriptor in use, or -1 (syslog): a forked child keeps it when it closes what it does not own.
int descriptor() noexcept;

namespace detail {
inline Level threshold = Level::notice;
void write(Level level, std::string_view text) noexcept;
}  // namespace detail

inline bool enabled(Level level) noexcept { return level >= detail::threshold; }

template <class... A>
void line(Level level, fmt::format_string<A...> text, A&&... args) {
    if (enabled(level)) detail::write(level, fmt::format(text, std::forward<A>(args)...));
}
template <class... A>
void debug(fmt::format_string<A...> text, A&&... args) {
    line(Level::debug, text, std::forward<A>(args)...);
}
template <class... A>
void info(fmt::format_string<A...> text, A&&... args) {
    line(Level::info, text, std::forward<A>(args)...);
}
template <class... A>
void notice(fmt::format_string<A...> text, A&&... args) {
    line(Level::notice, text, std::forward<A>(args)...);
}
template <class... A>
void warn(fmt::format_string<A...> text, A&&... args) {
    line(Level::warn, text, std::forward<A>(args)...);
}
template <class... A>
void error(fmt::format_string<A...> text, A&&... args) {
    line(Level::error, text, std::forward<A>(args)...);
}

}  // namespace lb::log
