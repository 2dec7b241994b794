// shared/config/pattern.h -- a regular expression (RE2: linear time whatever the text), compiled once when it is read.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace re2 {
class RE2;
}

namespace lb::config {

class Pattern {
 public:
    Pattern() = default;  // matches nothing
    // Anywhere in the text unless anchored by ^ and $. Case matters unless the pattern begins with (?i). Bytes, not
    // UTF-8; a dot takes any of them, a line feed too. Memory is bounded (1 MiB for each), and so is the length of the
    // pattern (4 KiB). The error is RE2's own text.
    static Result<Pattern, std::string> compile(std::string_view text);

    [[nodiscard]] bool matches(std::string_view text) const noexcept;
    // groups[0] is the whole match; unmatched groups are empty. At most 10. False: no match.
    bool match(std::string_view text, std::span<std::string_view> groups) const noexcept;
    [[nodiscard]] unsigned captures() const noexcept;  // number of groups
    [[nodiscard]] const std::string& source() const noexcept { return source_; }
    bool operator==(const Pattern& other) const noexcept { return source_ == other.source_; }

 private:
    std::string source_;
    std::shared_ptr<const re2::RE2> compiled_;
};

}  // namespace lb::config
