// shared/base/text.h -- small pure functions over text. ASCII only; bytes above 0x7f are never changed.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lb::text {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// Equal but for ASCII case; `b` must be written in lower case.
constexpr bool equals_lower(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); i++) {
        if (lower(a[i]) != b[i]) return false;
    }
    return true;
}

// Without blanks and tabs at both ends.
std::string_view trim(std::string_view s) noexcept;
// The words between runs of blanks and tabs.
std::vector<std::string_view> words(std::string_view s);
// A decimal number without sign, blanks or trailing bytes; nothing when it does not fit 64 bits.
std::optional<std::uint64_t> number(std::string_view s) noexcept;
// The candidate with the least edit distance to `word` (Damerau: a swapped pair counts one), if that is at most a
// third of its length and no more than 3 (one in a word of two letters, if no
// other is as near); otherwise "". For "did you mean".
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);
// A JSON string with its quotes. Bytes that are no valid UTF-8 become U+FFFD, so that the line stays JSON.
void append_json(std::string& out, std::string_view s);
// Control bytes, DEL and backslash as \xNN, for logs; other bytes unchanged.
void append_escaped(std::string& out, std::string_view s);

}  // namespace lb::text
