#include "worker/log/access_logs.h"

#include "worker/log/file_sink.h"
#include "worker/log/syslog_sink.h"

namespace lb {
namespace {

std::unique_ptr<LogSink> make_sink(const config::AccessLog& log, int standard_output,
                                   std::string_view syslog_socket) {
    switch (log.sink) {
        case config::LogSink::file: return std::make_unique<FileSink>(log.path);
        case config::LogSink::standard_output: return std::make_unique<FileSink>(standard_output);
        case config::LogSink::syslog: return std::make_unique<SyslogSink>(syslog_socket);
    }
    return nullptr;
}

}  // namespace

AccessLogs::AccessLogs(const std::vector<config::AccessLog>& logs, int standard_output,
                       std::string_view syslog_socket) {
    logs_.reserve(logs.size());
    for (const config::AccessLog& each : logs)
        logs_.push_back({LineFormat(each), each.sample, make_sink(each, standard_output, syslog_socket)});
}

AccessLogs::~AccessLogs() { close(now_); }

void AccessLogs::write(std::uint32_t log, std::string_view request_capture, std::string_view answer_capture,
                       const RequestFacts& request, const AnswerFacts& answer, const EndFacts& end) {
    LogSink& sink = *logs_[log].sink;
    std::string* room = sink.room(now_);
    if (room == nullptr) return;
    logs_[log].format.append_line(*room, request_capture, answer_capture, request, answer, end);
    sink.line_added(now_);
}

void AccessLogs::flush(Micros now) noexcept {
    now_ = now;
    for (Log& log : logs_) log.sink->flush(now);
}

int AccessLogs::reopen() {
    int first = 0;
    for (Log& log : logs_) {
        log.sink->flush(now_);
        if (const int error = log.sink->reopen(now_); first == 0) first = error;
    }
    return first;
}

void AccessLogs::close(Micros now) noexcept {
    now_ = now;
    for (Log& log : logs_) log.sink->close(now);
}

std::uint64_t AccessLogs::take_written() noexcept {
    std::uint64_t sum = 0;
    for (Log& log : logs_) sum += log.sink->take_written();
    return sum;
}

std::uint64_t AccessLogs::take_dropped() noexcept {
    std::uint64_t sum = 0;
    for (Log& log : logs_) sum += log.sink->take_dropped();
    return sum;
}

}  // namespace lb
