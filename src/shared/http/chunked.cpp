// shared/http/chunked.cpp -- the chunked coding as a machine of single bytes; only payload moves in blocks.
//
//   size --CR--> size_lf --LF--> data --> data_cr --> data_lf --> size ...
//     |                 ^ CR     \ when the size was 0:
//     |                 |          trailer --CR--> last_lf --LF--> done
//     |                 |          trailer --> trailer_name --:--> trailer_value --CR--> trailer_lf --> trailer
//     \--;--> name_first --> name ==> value_first --> value, or quoted <--> quoted_pair and quoted_end
//   Blanks wait in name_end before '=' and in blank before the next ';'.
#include "shared/http/chunked.h"

#include <algorithm>

#include "shared/http/chars.h"

namespace lb::http {
namespace {

constexpr std::uint64_t size_max = 0x7fff'ffff'ffff'ffff;
constexpr unsigned digits_max = 16;
constexpr std::uint32_t extension_line_max = 4 * 1024;
constexpr std::uint32_t extension_total_max = 64 * 1024;
constexpr std::uint32_t trailer_max = 8 * 1024;

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }
constexpr unsigned hex_value(char c) noexcept {
    return c <= '9' ? static_cast<unsigned>(c - '0') : static_cast<unsigned>((c | 0x20) - 'a' + 10);
}

}  // namespace

bool ChunkedDecoder::take_digit(char c) noexcept {
    if (++digits_ > digits_max || left_ > size_max >> 4) return false;
    left_ = left_ << 4 | hex_value(c);
    return true;
}

// What may follow a chunk size or the value of an extension. CR is not counted: it is no part of either.
bool ChunkedDecoder::end_of_size_or_value(char c) noexcept {
    if (c == '\r') {
        where_ = Where::size_lf;
        return true;
    }
    if (c != ';' && !is_blank(c)) return false;
    where_ = c == ';' ? Where::name_first : Where::blank;
    return count_extension();
}

// chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ), from the first ';' on.
bool ChunkedDecoder::take_extension(char c) noexcept {
    const bool token = chars::is(c, chars::token);
    switch (where_) {
        case Where::name_first:
            if (is_blank(c)) break;
            if (!token) return false;
            where_ = Where::name;
            break;
        case Where::name:
            if (token) break;
            if (c == '=') {
                where_ = Where::value_first;
                break;
            }
            if (!is_blank(c)) return end_of_size_or_value(c);
            where_ = Where::name_end;
            break;
        case Where::name_end:
            if (is_blank(c)) break;
            if (c != '=' && c != ';') return false;
            where_ = c == '=' ? Where::value_first : Where::name_first;
            break;
        case Where::value_first:
            if (is_blank(c)) break;
            if (!token && c != '"') return false;
            where_ = token ? Where::value : Where::quoted;
            break;
        case Where::value:
            if (token) break;
            return end_of_size_or_value(c);
        case Where::quoted:
            if (!chars::is(c, chars::value)) return false;
            if (c == '"') where_ = Where::quoted_end;
            if (c == '\\') where_ = Where::quoted_pair;
            break;
        case Where::quoted_pair:
            if (!chars::is(c, chars::value)) return false;
            where_ = Where::quoted;
            break;
        case Where::quoted_end: return end_of_size_or_value(c);
        default: return false;
    }
    return count_extension();
}

bool ChunkedDecoder::count_extension() noexcept {
    return ++line_ <= extension_line_max && ++total_ <= extension_total_max;
}

bool ChunkedDecoder::count_trailer() noexcept { return ++line_ <= trailer_max; }

// One byte that is not payload. False: it may not stand here.
bool ChunkedDecoder::take(char c) noexcept {
    switch (where_) {
        case Where::size:
            if (chars::is(c, chars::hex)) return take_digit(c);
            if (digits_ == 0) return false;
            line_ = 0;
            return end_of_size_or_value(c);
        case Where::blank:
            if (c == ';') where_ = Where::name_first;
            return (c == ';' || is_blank(c)) && count_extension();
        case Where::name_first:
        case Where::name:
        case Where::name_end:
        case Where::value_first:
        case Where::value:
        case Where::quoted:
        case Where::quoted_pair:
        case Where::quoted_end: return take_extension(c);
        case Where::size_lf:
            where_ = left_ > 0 ? Where::data : Where::trailer;
            line_ = 0;
            return c == '\n';
        case Where::data: return false;
        case Where::data_cr: where_ = Where::data_lf; return c == '\r';
        case Where::data_lf:
            where_ = Where::size;
            digits_ = 0;
            return c == '\n';
        case Where::trailer:
            if (c == '\r') {
                where_ = Where::last_lf;
                return true;
            }
            where_ = Where::trailer_name;
            return chars::is(c, chars::token) && count_trailer();
        case Where::trailer_name:
            if (c == ':') where_ = Where::trailer_value;
            return (c == ':' || chars::is(c, chars::token)) && count_trailer();
        case Where::trailer_value:
            if (c == '\r') where_ = Where::trailer_lf;
            return (c == '\r' || chars::is(c, chars::value)) && count_trailer();
        case Where::trailer_lf: where_ = Where::trailer; return c == '\n' && count_trailer();
        case Where::last_lf: where_ = Where::done; return c == '\n';
        case Where::done:
        case Where::failed: return false;
    }
    return false;
}

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view in) noexcept {
    if (where_ == Where::done) return {State::end, 0, {}};
    if (where_ == Where::failed) return {State::error, 0, {}};
    std::size_t at = 0;
    while (at < in.size()) {
        if (where_ == Where::data) {
            const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size() - at));
            left_ -= size;
            if (left_ == 0) where_ = Where::data_cr;
            return {State::data, at + size, in.substr(at, size)};
        }
        const std::size_t lines = at;
        while (in_trailers() && at < in.size() && (where_ != Where::trailer || in[at] != '\r')) {
            if (!take(in[at])) return failed(at);
            at++;
        }
        if (at > lines) return {State::trailer, at, in.substr(lines, at - lines)};
        if (!take(in[at])) return failed(at);
        at++;
        if (where_ == Where::done) return {State::end, at, {}};
    }
    return {State::more, at, {}};
}

char* chunk_header_before(char* end, std::uint64_t size) noexcept {
    constexpr char digits[] = "0123456789abcdef";
    *--end = '\n';
    *--end = '\r';
    do {
        *--end = digits[size & 15];
        size >>= 4;
    } while (size > 0);
    return end;
}

}  // namespace lb::http
