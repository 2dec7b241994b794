// worker/log/access_line.h -- one line from one finished exchange. Pure: no I/O, no clock.
// Never: lets a byte from outside end or forge a line: control bytes, quotes and backslashes are escaped.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/clock.h"
#include "shared/config/policy.h"
#include "shared/metrics/end_reason.h"

namespace lb {

// What is known at the end of an exchange. Views live as long as the call.
struct AccessEntry {
    std::string_view local_time;  // 21/Nov/2026:10:00:00 +0000
    std::string_view iso_time;    // 2026-11-21T10:00:00Z
    std::string_view client;      // address
    std::string_view listener;
    std::string_view pool;          // "" when none was chosen
    std::string_view backend;       // the last one tried; "" for none
    std::string_view request_line;  // as received
    std::string_view referer;
    std::string_view user_agent;
    std::uint16_t status = 0;      // 0: no answer was sent
    std::uint64_t bytes_sent = 0;  // to the client, head and framing too
    std::uint64_t body_bytes = 0;  // payload of the answer
    std::uint64_t bytes_received = 0;
    std::uint32_t attempts = 0;
    End end = End::done;
    Micros duration = 0;   // first byte of the request to the end
    Micros connect = -1;   // of the last attempt; -1: not reached, 0 on a kept connection
    Micros response = -1;  // request sent to response head; -1: not reached
};

// Appends one line with its newline. combined: as Apache and nginx write it, byte count = payload.
void append_access_line(std::string& out, config::LogFormat format, const AccessEntry& entry);

}  // namespace lb
