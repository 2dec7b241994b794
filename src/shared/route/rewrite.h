// shared/route/rewrite.h -- a route's `rewrite`: which form of a path its pattern sees, and what keeps the new one in bounds.
// Pure. The worker and `lb explain` make templates to text each in their own way, between find and make_target.
//
// Routes compare a decoded copy of the path (path.h); a rewrite must not be escaped by writing the same path in another
// way. So the pattern is tried on the path as received, which keeps "a%2Fb" what it is, only where that is the copy but for
// escapes; if it holds dot segments or "//", or if the pattern is not found in it, the pattern is tried on the copy, and what
// the groups take from there is percent-encoded. Whatever values bring, the new path stays below the text that the
// template begins with: dot segments behind that text are resolved, and none leads out of it.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "shared/config/model.h"
#include "shared/http/message.h"

namespace lb::route {

inline constexpr std::size_t target_max = 8192;  // bytes of a rewritten target, its query too

// What the pattern finds in the path of a request.
class Found {
 public:
    Found(const config::Pattern& pattern, const http::RequestHead& head);
    Found(const Found&) = delete;
    Found& operator=(const Found&) = delete;
    explicit operator bool() const noexcept { return matched_; }
    [[nodiscard]] bool in_copy() const noexcept { return in_copy_; }
    // [1] is $1; for the template, as they are. They live as long as this and the head.
    [[nodiscard]] std::span<const std::string_view> groups() const noexcept { return groups_; }

 private:
    void encode();
    std::string copy_, encoded_;
    std::array<std::string_view, 10> groups_;
    bool matched_ = false;
    bool in_copy_ = false;
};

// From the template's text to the target, which is overwritten. It begins with '/' (put in front where it is missing); bytes
// that no target may hold are percent-encoded; the query stays unless `made` brings its own. False: over target_max.
bool make_target(std::string& target, std::string made, const config::Template& to,
                 const http::RequestHead& head);

// Appends text with the bytes percent-encoded that cannot stand there.
enum class Encoding : std::uint8_t {
    target,  // what a request line can hold, as the parser takes it: no blank, no '#', nothing beyond ASCII. '%' stays:
    // what is encoded already is not again
    uri,   // a URI reference (RFC 3986): '#' may stand, " < > \ ^ ` { | } may not. '%' stays
    path,  // decoded text as a part of a path (RFC 3986 3.3): '%' and '?' are encoded too, '/' stays
};
void append_encoded(std::string& out, std::string_view text, Encoding encoding);

}  // namespace lb::route
