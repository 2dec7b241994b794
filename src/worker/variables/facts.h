// worker/variables/facts.h -- what is known of an exchange, as far as it has come: what variables are made of.
// Views live as long as the call that gets the facts.
#pragma once
#include <cstdint>
#include <string_view>

#include "shared/base/clock.h"
#include "shared/http/message.h"
#include "shared/metrics/end_reason.h"

namespace lb {

struct RequestFacts {
    const http::RequestHead* head = nullptr;  // null: the request had no head that could be read
    std::string_view client;                  // resolved through trusted hops
    std::uint16_t client_port = 0;
    std::string_view peer;
    std::string_view country;  // "DE"; "": the database does not know it, or there is none
    std::string_view scheme = "http";
    std::string_view request_id;
    std::string_view listener;
    std::string_view route;
    std::uint32_t connection_request = 1;
    std::uint32_t worker = 0;
    std::uint32_t pid = 0;  // of this process: getpid() asks the kernel each time
    std::string_view time_local, time_iso;
    std::int64_t unix_millis = 0;
};

struct AnswerFacts {
    std::uint16_t status = 0;                  // as sent to the client
    std::uint16_t backend_status = 0;          // 0: none
    const http::ResponseHead* head = nullptr;  // of the backend; null: lb's own answer
    std::string_view pool, backend, backend_address;
};

// Times are -1 where the exchange did not come so far.
struct EndFacts {
    End end = End::done;
    std::string_view phase;     // "head", "pick", "connect", "wait", "transfer" or "done"
    std::string_view backends;  // all that were tried, with commas
    std::uint32_t attempts = 0;
    std::uint64_t bytes_sent = 0, bytes_received = 0, body_bytes = 0, request_body_bytes = 0;
    Micros total = 0, head = -1, pick = -1, connect = -1, response = -1, transfer = -1;
};

}  // namespace lb
