// shared/http/chars.h -- classes of bytes and the scans for the end of a run of them.
// Never: reads a byte at or after `end`; depends on the locale.
// The scans look at 16 bytes at a time where the processor has SSE2 (every x86-64); elsewhere, and for the
// last bytes, one byte at a time by table. Both ways stop at the same byte: tests/unit/http compares them.
#pragma once
#include <array>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace lb::http::chars {

inline constexpr std::uint8_t token = 1;       // tchar (RFC 9110 5.6.2)
inline constexpr std::uint8_t underscore = 2;  // '_', also a tchar
inline constexpr std::uint8_t value = 4;       // field-vchar, SP, HTAB (RFC 9110 5.5), obs-text too
inline constexpr std::uint8_t target = 8;      // 0x21-0x7e but '#'
inline constexpr std::uint8_t host = 16;       // unreserved (RFC 3986 2.3): names as they exist
inline constexpr std::uint8_t digit = 32;
inline constexpr std::uint8_t hex = 64;

constexpr std::array<std::uint8_t, 256> make_classes() noexcept {
    std::array<std::uint8_t, 256> out{};
    for (unsigned c = 0; c < 256; c++) {
        const bool is_digit = c >= '0' && c <= '9';
        const bool is_alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        unsigned bits = 0;
        if (is_digit) bits |= digit;
        if (is_digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) bits |= hex;
        if (is_digit || is_alpha) bits |= token | host;
        if (c == '-' || c == '.' || c == '_' || c == '~') bits |= host;
        for (const char other :
             {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
            if (c == static_cast<unsigned char>(other)) bits |= token;
        }
        if (c == '_') bits |= underscore;
        if ((c >= 0x20 && c != 0x7f) || c == '\t') bits |= value;
        if (c >= 0x21 && c <= 0x7e && c != '#') bits |= target;
        out[c] = static_cast<std::uint8_t>(bits);
    }
    return out;
}
inline constexpr std::array<std::uint8_t, 256> classes = make_classes();

constexpr std::uint8_t class_of(char c) noexcept { return classes[static_cast<unsigned char>(c)]; }
constexpr bool is(char c, std::uint8_t wanted) noexcept { return (class_of(c) & wanted) != 0; }

// The first byte of [p, end) outside the class, or end.
constexpr const char* skip_by_table(const char* p, const char* end, std::uint8_t wanted) noexcept {
    while (p < end && is(*p, wanted)) p++;
    return p;
}

#if defined(__SSE2__)
// `stops` makes a mask of the bytes that end the run.
template <class Stops>
inline const char* skip_by_blocks(const char* p, const char* end, std::uint8_t wanted, Stops stops) noexcept {
    while (end - p >= 16) {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const int mask = _mm_movemask_epi8(stops(block));
        if (mask != 0) return p + __builtin_ctz(static_cast<unsigned>(mask));
        p += 16;
    }
    return skip_by_table(p, end, wanted);
}
#endif

// The first control byte but HTAB (CR is what one hopes for), or end.
inline const char* skip_value(const char* p, const char* end) noexcept {
#if defined(__SSE2__)
    return skip_by_blocks(p, end, value, [](__m128i block) {
        const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
        const __m128i tab = _mm_cmpeq_epi8(block, _mm_set1_epi8('\t'));
        const __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
        return _mm_or_si128(_mm_andnot_si128(tab, low), del);
    });
#else
    return skip_by_table(p, end, value);
#endif
}

// The first byte that a target cannot hold (SP is what one hopes for), or end.
inline const char* skip_target(const char* p, const char* end) noexcept {
#if defined(__SSE2__)
    return skip_by_blocks(p, end, target, [](__m128i block) {
        // Compared as signed, bytes from 0x80 on are below 0x21 too.
        const __m128i low = _mm_cmplt_epi8(block, _mm_set1_epi8(0x21));
        const __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
        const __m128i hash = _mm_cmpeq_epi8(block, _mm_set1_epi8('#'));
        return _mm_or_si128(_mm_or_si128(low, del), hash);
    });
#else
    return skip_by_table(p, end, target);
#endif
}

}  // namespace lb::http::chars
