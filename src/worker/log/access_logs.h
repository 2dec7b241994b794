// worker/log/access_logs.h -- the access logs of one worker: lines are gathered and written once a tick, or when there are many.
// Owns:  for each [log]: its format, its destination, and the lines that wait.
// Never: delays or fails a request: a destination that takes no more costs lines, which are counted. Keeps more than
//        LogBuffer::most_kept bytes of a log.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/random.h"
#include "shared/config/model.h"
#include "worker/log/line_format.h"
#include "worker/log/log_sink.h"

namespace lb {

class AccessLogs {
 public:
    // Opens every destination. What cannot be opened is said in the error log and drops lines.
    AccessLogs(const std::vector<config::AccessLog>& logs, int standard_output,
               std::string_view syslog_socket = "/dev/log");
    ~AccessLogs();
    AccessLogs(const AccessLogs&) = delete;
    AccessLogs& operator=(const AccessLogs&) = delete;

    // Whether this exchange gets a line: asked once, when it begins. Without sample = no chance is taken.
    [[nodiscard]] bool wanted(std::uint32_t log, Random& random) const noexcept {
        const std::uint32_t share = logs_[log].share;
        return share >= whole || random.below(whole) < share;
    }
    [[nodiscard]] const LineFormat& format(std::uint32_t log) const noexcept { return logs_[log].format; }
    // One line, of an exchange that was wanted.
    void write(std::uint32_t log, std::string_view request_capture, std::string_view answer_capture,
               const RequestFacts& request, const AnswerFacts& answer, const EndFacts& end);

    // Once a tick. `now` is the time by which what could not be opened is tried again.
    void flush(Micros now) noexcept;
    // At the end: writes out what waits; what is not taken now is lost, and counted.
    void close(Micros now) noexcept;
    // The files were moved away: writes out what waits, opens the names again. A file that cannot be opened keeps its
    // descriptor; errno of the first such, or 0.
    int reopen();
    // Since the last call: lines that the destinations took, and lines that were lost.
    std::uint64_t take_written() noexcept;
    std::uint64_t take_dropped() noexcept;

 private:
    static constexpr std::uint32_t whole = 1'000'000;
    struct Log {
        LineFormat format;
        std::uint32_t share = whole;
        std::unique_ptr<LogSink> sink;
    };
    std::vector<Log> logs_;
    Micros now_ = 0;
};

}  // namespace lb
