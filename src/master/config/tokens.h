// master/config/tokens.h -- names of header fields and cookies, as settings write them.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>

#include "shared/base/text.h"
#include "shared/http/chars.h"

namespace lb::config {

// A token (RFC 9110 5.6.2): the name of a header field, of a cookie (RFC 6265 4.1.1) or of a method.
inline bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [](char c) { return http::chars::is(c, http::chars::token); });
}

inline std::string lowered(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), text::lower);
    return out;
}

}  // namespace lb::config
