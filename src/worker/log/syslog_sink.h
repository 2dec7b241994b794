// worker/log/syslog_sink.h -- lines to the syslog daemon of this machine: one datagram for each, as RFC 3164 has it and every
// daemon's local socket takes it: "<30>Nov 21 10:00:00 lb[123]: LINE". Facility daemon, severity info.
// Owns:  a datagram socket, connected to the daemon's.
// Never: waits. Tries to connect more often than once a second: what gathers until then is lost when it fails again.
#pragma once
#include <array>
#include <string>
#include <string_view>

#include "shared/net/fd.h"
#include "worker/log/log_sink.h"

namespace lb {

class SyslogSink final : public LogSink {
 public:
    explicit SyslogSink(std::string_view socket_path);

    int reopen(Micros now) override;

 private:
    bool connect(Micros now) noexcept;
    void disconnect() noexcept { fd_.reset(); }
    void write_out(Micros now) noexcept override;
    // errno of the first line that was not taken; 0: all were.
    int send_lines() noexcept;
    [[nodiscard]] std::string_view header() noexcept;

    std::string path_;
    Fd fd_;
    Micros connect_at_ = 0;  // not earlier
    std::array<char, 64> header_{};
    int pid_;
};

}  // namespace lb
