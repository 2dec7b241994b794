#include "worker/log/log_sink.h"

#include "shared/base/log.h"

namespace lb {
namespace {

constexpr Micros quiet = 60'000'000;  // between two complaints about one log

}  // namespace

LogSink::LogSink(std::string name, std::size_t batch_bytes, std::uint64_t batch_lines)
    : name_(std::move(name)),
      batch_bytes_(batch_bytes),
      batch_lines_(batch_lines),
      flush_at_bytes_(batch_bytes),
      flush_at_lines_(batch_lines) {
    waiting_.reserve(batch_bytes + 4096);
}

std::string* LogSink::room(Micros now) noexcept {
    if (waiting_.size() < most_kept) return &waiting_;
    failing(now, "it takes lines too slowly");
    dropped_++;
    lost_++;
    return nullptr;
}

void LogSink::flush(Micros now) noexcept {
    if (!waiting_.empty()) write_out(now);
    // What is left was refused just now: not asked again for each line.
    flush_at_bytes_ = waiting_.size() + batch_bytes_;
    flush_at_lines_ = lines_ + batch_lines_;
}

void LogSink::close(Micros now) noexcept {
    flush(now);
    lose(0);
}

void LogSink::taken(std::size_t bytes, std::uint64_t lines) noexcept {
    waiting_.erase(0, bytes);
    lines_ -= lines;
    written_ += lines;
}

void LogSink::lose(std::size_t keep) noexcept {
    const std::uint64_t kept = keep > 0 ? 1 : 0;
    dropped_ += lines_ - kept;
    lost_ += lines_ - kept;
    lines_ = kept;
    waiting_.resize(keep);
}

void LogSink::lose_line(std::size_t bytes) noexcept {
    waiting_.erase(0, bytes);
    lines_--;
    dropped_++;
    lost_++;
}

void LogSink::failing(Micros now, std::string_view why) noexcept {
    if (failing_) return;
    failing_ = true;
    lost_ = 0;
    if (now < quiet_until_) return;
    quiet_until_ = now + quiet;
    said_ = true;
    log::error("access log {}: {}; its lines are lost, and counted", name_, why);
}

void LogSink::working(Micros now) noexcept {
    if (!failing_) return;
    failing_ = false;
    if (!std::exchange(said_, false)) return;
    quiet_until_ = now + quiet;
    log::notice("access log {} takes lines again; {} of this process were lost", name_, lost_);
}

}  // namespace lb
