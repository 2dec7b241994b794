#include "worker/exchange/local_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "shared/http/http1_writer.h"
#include "shared/route/rewrite.h"

namespace lb {
namespace {

// RFC 9110 8.6: these have no content, and 204 not even its length.
bool has_content(std::uint16_t status) noexcept { return status != 204 && status != 205 && status != 304; }

void give_page(LocalAnswer& answer) {
    answer.page = fmt::format("{} {}\n", answer.status, http::reason_phrase(answer.status));
    answer.fields +=
        fmt::format("Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n", answer.page.size());
}

bool is_slash(char c) noexcept { return c == '/' || c == '\\'; }  // browsers take the one for the other

// Leaves one of the slashes in front, unless the template itself begins with two.
void keep_host(std::string& location, const config::Template& wanted) {
    const auto end = std::find_if_not(location.begin(), location.end(), is_slash);
    if (end - location.begin() < 2) return;
    const bool own = !wanted.pieces.empty() && wanted.pieces.front().variable == config::Variable::text;
    if (own && wanted.pieces.front().text.starts_with("//")) return;
    location.replace(location.begin(), end, "/");
}

// Nothing when it would be too long.
std::optional<std::string> location_of(const config::Template& wanted, const Facts& facts) {
    std::string raw, out;
    if (!append_line(raw, wanted, facts, location_max)) return std::nullopt;
    keep_host(raw, wanted);
    route::append_encoded(out, raw, route::Encoding::uri);
    if (out.size() > location_max) return std::nullopt;
    return out;
}

}  // namespace

LocalAnswer redirect_answer(const config::Redirect& redirect, const Facts& facts,
                            std::string_view date_line) {
    LocalAnswer answer;
    answer.fields = date_line;
    const auto location = location_of(redirect.location, facts);
    answer.too_long = !location;
    answer.status = location ? redirect.status : std::uint16_t{414};
    if (location && !location->empty()) answer.fields += fmt::format("Location: {}\r\n", *location);
    if (has_content(answer.status)) give_page(answer);
    return answer;
}

LocalAnswer respond_answer(const config::Respond& respond, std::string_view date_line) {
    LocalAnswer answer;
    answer.status = respond.status;
    answer.fields = date_line;
    if (!has_content(answer.status)) {
        if (answer.status == 205) answer.fields += "Content-Length: 0\r\n";
    } else if (respond.content) {
        answer.file = *respond.content;
        answer.fields += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", respond.content_type,
                                     respond.content->size());
    } else {
        give_page(answer);
    }
    return answer;
}

}  // namespace lb
