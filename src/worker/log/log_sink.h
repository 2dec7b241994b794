// worker/log/log_sink.h -- where the lines of one access log go, and those that wait for it.
// Owns:  the lines that the destination has not taken yet, and their number.
// Never: waits for a destination; begins a line before the one begun is whole; keeps more than most_kept bytes and a line.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "shared/base/clock.h"

namespace lb {

class LogSink {
 public:
    static constexpr std::size_t most_kept = 1048576;

    virtual ~LogSink() = default;
    LogSink(const LogSink&) = delete;
    LogSink& operator=(const LogSink&) = delete;

    // Where the next line is to be appended, with its newline; then line_added(). Null: too much waits already, the line is
    // counted as lost.
    std::string* room(Micros now) noexcept;
    void line_added(Micros now) noexcept {
        lines_++;
        if (waiting_.size() >= flush_at_bytes_ || lines_ >= flush_at_lines_) flush(now);
    }
    // Writes what the destination takes now.
    void flush(Micros now) noexcept;
    // Opens the destination anew, after flush(). errno when a file could not be opened; it keeps the old one then.
    virtual int reopen(Micros now) = 0;
    // Nobody will flush again: what still waits is lost.
    void close(Micros now) noexcept;

    std::uint64_t take_written() noexcept { return std::exchange(written_, 0); }
    std::uint64_t take_dropped() noexcept { return std::exchange(dropped_, 0); }

 protected:
    LogSink(std::string name, std::size_t batch_bytes, std::uint64_t batch_lines);
    virtual void write_out(Micros now) noexcept = 0;
    [[nodiscard]] std::string_view waiting() const noexcept { return waiting_; }
    // So many bytes from the front on were taken, and these lines ended in them.
    void taken(std::size_t bytes, std::uint64_t lines) noexcept;
    [[nodiscard]] std::uint64_t lines() const noexcept { return lines_; }
    // Loses all that waits but the first `keep` bytes, which are the end of a line that was begun.
    void lose(std::size_t keep) noexcept;
    // The first line, of so many bytes.
    void lose_line(std::size_t bytes) noexcept;
    // Says once that and why lines are lost, and once that they are not any more.
    void failing(Micros now, std::string_view why) noexcept;
    void working(Micros now) noexcept;

 private:
    std::string name_;
    std::string waiting_;
    std::size_t batch_bytes_;
    std::uint64_t batch_lines_;
    std::size_t flush_at_bytes_;
    std::uint64_t flush_at_lines_;
    std::uint64_t lines_ = 0;  // that end in waiting_
    std::uint64_t written_ = 0, dropped_ = 0;
    std::uint64_t lost_ = 0;  // since it began to fail
    bool failing_ = false;
    bool said_ = false;  // that it fails
    Micros quiet_until_ = 0;
};

}  // namespace lb
