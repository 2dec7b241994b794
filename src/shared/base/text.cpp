// shared/base/text.cpp -- the text functions that are too long for a header.
#include "shared/base/text.h"

#include <algorithm>

namespace lb::text {
namespace {

constexpr char hex_digits[] = "0123456789abcdef";
constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

// Optimal string alignment distance. The caller has made sure that both words are short.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);  // the row above the previous one
    std::vector<std::size_t> previous(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); j++) previous[j] = j;
    for (std::size_t i = 1; i <= a.size(); i++) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); j++) {
            const std::size_t change = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({change, previous[j] + 1, row[j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        std::swap(before, previous);
        std::swap(previous, row);
    }
    return previous[b.size()];
}

// Bytes of the valid UTF-8 sequence at the front of `s`, 0 when there is none (RFC 3629 section 4: no
// overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t utf8_length(std::string_view s) noexcept {
    const auto at = [s](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
        return i < s.size() && at(i) >= low && at(i) <= high;
    };
    const unsigned first = at(0);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
        const unsigned high = first == 0xed ? 0x9f : 0xbf;
        return follows(1, low, high) && follows(2) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        const unsigned low = first == 0xf0 ? 0x90 : 0x80;
        const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
        return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

}  // namespace

std::string_view trim(std::string_view s) noexcept {
    while (!s.empty() && is_blank(s.front())) s.remove_prefix(1);
    while (!s.empty() && is_blank(s.back())) s.remove_suffix(1);
    return s;
}

std::vector<std::string_view> words(std::string_view s) {
    std::vector<std::string_view> out;
    std::size_t i = 0;
    while (i < s.size()) {
        while (i < s.size() && is_blank(s[i])) i++;
        const std::size_t begin = i;
        while (i < s.size() && !is_blank(s[i])) i++;
        if (i > begin) out.push_back(s.substr(begin, i - begin));
    }
    return out;
}

std::optional<std::uint64_t> number(std::string_view s) noexcept {
    // By hand: cheaper than std::from_chars on short numbers, as lengths and ports are.
    if (s.empty()) return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : s) {
        if (!is_digit(c)) return std::nullopt;
        if (__builtin_mul_overflow(value, 10U, &value)) return std::nullopt;
        if (__builtin_add_overflow(value, static_cast<std::uint64_t>(c - '0'), &value)) return std::nullopt;
    }
    return value;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
    std::size_t best = std::min<std::size_t>(3, word.size() / 3);
    if (word.size() == 2) best = 1;  // names like s1 and db are too common to go without
    std::string_view found;
    bool tied = false;
    for (std::string_view candidate : candidates) {
        // The lengths alone bound the distance from below; this also keeps the tables below small.
        const std::size_t gap =
            candidate.size() > word.size() ? candidate.size() - word.size() : word.size() - candidate.size();
        if (gap > best) continue;
        const std::size_t d = distance(word, candidate);
        if (d < best || (d == best && found.empty())) {
            best = d;
            found = candidate;
            tied = false;
        } else if (d == best) {
            tied = true;
        }
    }
    if (tied && word.size() == 2) return {};  // v3 is as far from v1 as from v2
    return found;
}

void append_json(std::string& out, std::string_view s) {
    out += '"';
    while (!s.empty()) {
        const auto byte = static_cast<unsigned char>(s.front());
        std::size_t used = 1;
        switch (byte) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                if (byte < 0x20 || byte == 0x7f) {
                    out += "\\u00";
                    out += hex_digits[byte >> 4];
                    out += hex_digits[byte & 15];
                } else if (used = utf8_length(s); used > 0) {
                    out += s.substr(0, used);
                } else {
                    used = 1;
                    out += "\xef\xbf\xbd";
                }
        }
        s.remove_prefix(used);
    }
    out += '"';
}

void append_escaped(std::string& out, std::string_view s) {
    for (char c : s) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || c == '\\') {
            out += "\\x";
            out += hex_digits[byte >> 4];
            out += hex_digits[byte & 15];
        } else {
            out += c;
        }
    }
}

}  // namespace lb::text
