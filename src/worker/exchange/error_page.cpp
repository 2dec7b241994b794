#include "worker/exchange/error_page.h"

#include <fmt/format.h>

#include "shared/http/http1_writer.h"

namespace lb {

ErrorPage error_page(std::uint16_t status, End end, std::string_view detail, std::string_view date_line,
                     std::uint32_t retry_after) {
    ErrorPage page;
    page.body = fmt::format("{} {}\n{}{}{}\n", status, http::reason_phrase(status), word(end),
                            detail.empty() ? "" : ": ", detail);
    if (retry_after == 0 && status == 503) retry_after = 1;
    page.fields = fmt::format(
        "{}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n{}{}",
        date_line, page.body.size(),
        status == 405 ? "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n" : "",
        retry_after == 0 ? std::string() : fmt::format("Retry-After: {}\r\n", retry_after));
    return page;
}

}  // namespace lb
