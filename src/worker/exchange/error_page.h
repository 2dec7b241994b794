// worker/exchange/error_page.h -- the answers lb itself gives: a status, the reason in one line, no detail of the inside.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/metrics/end_reason.h"

namespace lb {

struct ErrorPage {
    std::string fields;  // whole lines: Content-Type, Content-Length, Date, Retry-After
    std::string body;    // "503 Service Unavailable\nno_backend: 0 of 3 backends of pool app are usable\n"
};
// `detail` may be empty. retry_after: seconds; 0: one second with a 503, else the client is told nothing. Off the
// hot path: allocates.
ErrorPage error_page(std::uint16_t status, End end, std::string_view detail, std::string_view date_line,
                     std::uint32_t retry_after = 0);

}  // namespace lb
