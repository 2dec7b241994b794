#include "worker/log/escape.h"

#include <array>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace lb {
namespace {

constexpr char hex[] = "0123456789ABCDEF";

constexpr std::array<bool, 256> make_plain() noexcept {
    std::array<bool, 256> out{};
    for (std::size_t c = 0x20; c < 0x7f; c++) out[c] = c != '"' && c != '\\';
    return out;
}
constexpr std::array<bool, 256> plain = make_plain();

// The length of the run of bytes at the front that no form of log escapes.
std::size_t plain_run(std::string_view s) noexcept {
    std::size_t i = 0;
#if defined(__SSE2__)
    for (; i + 16 <= s.size(); i += 16) {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(s.data() + i));
        // Compared as signed, bytes from 0x80 on are below 0x20 too.
        const __m128i low = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20));
        const __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
        const __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
        const __m128i slash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
        const int stops = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(low, del), _mm_or_si128(quote, slash)));
        if (stops != 0) return i + static_cast<std::size_t>(__builtin_ctz(static_cast<unsigned>(stops)));
    }
#endif
    while (i < s.size() && plain[static_cast<unsigned char>(s[i])]) i++;
    return i;
}

// Bytes of the valid UTF-8 sequence at the front of `s`, which is not ASCII; 0 when there is none (RFC 3629 4: no overlong
// forms, no surrogates, nothing above U+10FFFF).
std::size_t utf8_length(std::string_view s) noexcept {
    const auto at = [s](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    const unsigned first = at(0);
    std::size_t length = 0;
    unsigned low = 0x80, high = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        if (first == 0xe0) low = 0xa0;
        if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        if (first == 0xf0) low = 0x90;
        if (first == 0xf4) high = 0x8f;
    }
    if (length == 0 || s.size() < length || at(1) < low || at(1) > high) return 0;
    for (std::size_t i = 2; i < length; i++) {
        if (at(i) < 0x80 || at(i) > 0xbf) return 0;
    }
    return length;
}

void append_hex(std::string& out, std::string_view prefix, char c) {
    const auto byte = static_cast<unsigned char>(c);
    out += prefix;
    out += hex[byte >> 4];
    out += hex[byte & 15];
}

// Bytes at the front of `s` that were written.
std::size_t append_json_special(std::string& out, std::string_view s) {
    const char c = s.front();
    if (static_cast<unsigned char>(c) >= 0x80) {
        const std::size_t length = utf8_length(s);
        if (length > 0) {
            out.append(s.substr(0, length));
            return length;
        }
        append_hex(out, "\\u00", c);
    } else if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
    } else if (c == '\n') {
        out += "\\n";
    } else if (c == '\r') {
        out += "\\r";
    } else if (c == '\t') {
        out += "\\t";
    } else {
        append_hex(out, "\\u00", c);
    }
    return 1;
}

}  // namespace

void append_text_escaped(std::string& out, std::string_view value) {
    for (;;) {
        const std::size_t run = plain_run(value);
        out.append(value.substr(0, run));
        if (run == value.size()) return;
        append_hex(out, "\\x", value[run]);
        value.remove_prefix(run + 1);
    }
}

void append_json_escaped(std::string& out, std::string_view value) {
    for (;;) {
        const std::size_t run = plain_run(value);
        out.append(value.substr(0, run));
        value.remove_prefix(run);
        if (value.empty()) return;
        value.remove_prefix(append_json_special(out, value));
    }
}

std::string_view cut(std::string_view value, std::size_t most) noexcept {
    if (value.size() <= most) return value;
    std::size_t end = most;
    // At most three bytes may follow the first of a sequence; more is no UTF-8 and may be cut anywhere.
    for (std::size_t back = 0; back <= 3 && back <= most; back++) {
        const auto byte = static_cast<unsigned char>(value[most - back]);
        if ((byte & 0xc0) != 0x80) {
            end = most - back;
            break;
        }
    }
    return value.substr(0, end);
}

}  // namespace lb
