#include "worker/exchange/error_page.h"

#include <fmt/format.h>

#include "shared/http/http1_writer.h"

namespace lb {

ErrorPage error_page(std::uint16_t status, End end, std::string_view detail, std::string_view date_line) {
    ErrorPage page;
    page.body = fmt::format("{} {}\n{}{}{}\n", status, http::reason_phrase(status), word(end),
                            detail.empty() ? "" : ": ", detail);
    page.fields = fmt::format(
        "{}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n{}{}",
        date_line, page.body.size(),
        status == 405 ? "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n" : "",
        status == 503 ? "Retry-After: 1\r\n" : "");
    return page;
}

}  // namespace lb
