// shared/http/trailers.cpp -- the one list of what may not stand behind a body.
#include "shared/http/trailers.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "shared/base/text.h"

namespace lb::http {
namespace {

constexpr std::string_view never[] = {
    // framing
    "transfer-encoding", "trailer", "te", "mime-version",
    // one connection
    "connection", "keep-alive", "upgrade", "http2-settings", "alt-svc", "proxy",
    // routing, and where a request came from
    "host", "forwarded", "via", "x-request-id", "x-real-ip", "x-original-url", "x-rewrite-url",
    "x-http-method-override",
    // request modifiers
    "cache-control", "expect", "max-forwards", "pragma", "range", "early-data", "prefer",
    // authentication and state
    "authorization", "www-authenticate", "cookie", "cookie2", "set-cookie", "set-cookie2",
    // how an answer is used
    "age", "date", "expires", "location", "retry-after", "vary", "warning", "clear-site-data",
    "strict-transport-security", "refresh"};
constexpr std::string_view never_with[] = {"content-", "if-", "proxy-", "x-forwarded-", "access-control-"};
constexpr std::string_view digest = "content-digest";

bool begins_lower(std::string_view name, std::string_view prefix) noexcept {
    return name.size() >= prefix.size() && text::equals_lower(name.substr(0, prefix.size()), prefix);
}

}  // namespace

bool may_trail(std::string_view name) noexcept {
    if (name.find('_') != std::string_view::npos) return false;
    if (text::equals_lower(name, digest)) return true;
    return std::none_of(std::begin(never), std::end(never),
                        [&](std::string_view each) { return text::equals_lower(name, each); }) &&
           std::none_of(std::begin(never_with), std::end(never_with),
                        [&](std::string_view each) { return begins_lower(name, each); });
}

std::string_view keep_trailers(char* at, std::size_t size) noexcept {
    constexpr std::string_view line_end = "\r\n";
    std::size_t kept = 0;
    for (std::size_t from = 0; from < size;) {
        const std::string_view rest(at + from, size - from);
        const std::size_t length =
            std::min(rest.find(line_end), rest.size() - line_end.size()) + line_end.size();
        if (may_trail(rest.substr(0, rest.find(':')))) {
            std::memmove(at + kept, at + from, length);
            kept += length;
        }
        from += length;
    }
    return {at, kept};
}

}  // namespace lb::http
