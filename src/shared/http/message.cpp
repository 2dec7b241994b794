// shared/http/message.cpp -- the names lb knows. Length and first letter leave at most one candidate, which
// is compared eight bytes at a time: most fields of most requests cost one switch and nothing else.
#include "shared/http/message.h"

#include <cstddef>
#include <cstring>

namespace lb::http {
namespace {

// Sets the bit that makes ASCII letters lower case; digits and '-' have it already.
template <class Word>
Word folded(const char* at) noexcept {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return static_cast<Word>(word | static_cast<Word>(0x2020202020202020ULL));
}

// `wanted` is a literal in lower case and as long as `name`. Blocks overlap at the end instead of leaving
// single bytes.
template <std::size_t N>
bool same(const char* name, const char (&wanted)[N]) noexcept {
    constexpr std::size_t length = N - 1;
    if constexpr (length >= 8) {
        for (std::size_t i = 0; i + 8 < length; i += 8) {
            if (folded<std::uint64_t>(name + i) != folded<std::uint64_t>(wanted + i)) return false;
        }
        return folded<std::uint64_t>(name + length - 8) == folded<std::uint64_t>(wanted + length - 8);
    } else if constexpr (length >= 4) {
        return folded<std::uint32_t>(name) == folded<std::uint32_t>(wanted) &&
               folded<std::uint32_t>(name + length - 4) == folded<std::uint32_t>(wanted + length - 4);
    } else {
        static_assert(length >= 2);
        return folded<std::uint16_t>(name) == folded<std::uint16_t>(wanted) &&
               folded<std::uint16_t>(name + length - 2) == folded<std::uint16_t>(wanted + length - 2);
    }
}

// The only candidate that is left.
template <std::size_t N>
FieldId only(const char* name, const char (&wanted)[N], FieldId id) noexcept {
    return same(name, wanted) ? id : FieldId::other;
}

FieldId exact_id(std::string_view name) noexcept {
    const char* at = name.data();
    const auto first = [at] { return static_cast<char>(at[0] | 0x20); };
    switch (name.size()) {
        case 2: return only(at, "te", FieldId::te);
        case 3: return only(at, "via", FieldId::via);
        case 4:
            if (first() == 'h') return only(at, "host", FieldId::host);
            if (first() == 'e') return only(at, "etag", FieldId::etag);
            if (first() == 'v') return only(at, "vary", FieldId::vary);
            return only(at, "date", FieldId::date);
        case 5:
            if (first() == 'p') return only(at, "proxy", FieldId::proxy);
            return only(at, "range", FieldId::range);
        case 6:
            if (first() == 'c') return only(at, "cookie", FieldId::cookie);
            if (first() == 's') return only(at, "server", FieldId::server);
            return only(at, "expect", FieldId::expect);
        case 7:
            if (first() == 'r') return only(at, "referer", FieldId::referer);
            if (first() == 'u') return only(at, "upgrade", FieldId::upgrade);
            return only(at, "trailer", FieldId::trailer);
        case 8: return only(at, "if-range", FieldId::if_range);
        case 9:
            if (first() == 'x') return only(at, "x-real-ip", FieldId::x_real_ip);
            return only(at, "forwarded", FieldId::forwarded);
        case 10:
            if (first() == 'c') return only(at, "connection", FieldId::connection);
            if (first() == 'u') return only(at, "user-agent", FieldId::user_agent);
            return only(at, "keep-alive", FieldId::keep_alive);
        case 11: return only(at, "retry-after", FieldId::retry_after);
        case 12:
            if (first() == 'c') return only(at, "content-type", FieldId::content_type);
            if (first() == 'x') return only(at, "x-request-id", FieldId::x_request_id);
            return only(at, "max-forwards", FieldId::max_forwards);
        case 13:
            if (first() == 'a') return only(at, "authorization", FieldId::authorization);
            if ((at[1] | 0x20) == 'o') return only(at, "content-range", FieldId::content_range);
            return only(at, "cache-control", FieldId::cache_control);
        case 14:
            if (first() == 'c') return only(at, "content-length", FieldId::content_length);
            return only(at, "http2-settings", FieldId::http2_settings);
        case 15:
            if (first() == 'a') return only(at, "accept-encoding", FieldId::accept_encoding);
            return only(at, "x-forwarded-for", FieldId::x_forwarded_for);
        case 16:
            if (first() == 'c') return only(at, "content-encoding", FieldId::content_encoding);
            if (first() == 'x') return only(at, "x-forwarded-host", FieldId::x_forwarded_host);
            return only(at, "proxy-connection", FieldId::proxy_connection);
        case 17:
            if (first() == 'x') return only(at, "x-forwarded-proto", FieldId::x_forwarded_proto);
            if (first() == 'i') return only(at, "if-modified-since", FieldId::if_modified_since);
            return only(at, "transfer-encoding", FieldId::transfer_encoding);
        case 18: return only(at, "proxy-authenticate", FieldId::proxy_authenticate);
        case 19:
            if (first() == 'i') return only(at, "if-unmodified-since", FieldId::if_unmodified_since);
            return only(at, "proxy-authorization", FieldId::proxy_authorization);
        default: return FieldId::other;
    }
}

}  // namespace

FieldId field_id(std::string_view name) noexcept {
    const FieldId id = exact_id(name);
    constexpr std::size_t prefix = std::string_view("x-forwarded-").size();
    if (id != FieldId::other || name.size() <= prefix || (name[0] | 0x20) != 'x') return id;
    return only(name.data(), "x-forwarded-", FieldId::x_forwarded);
}

}  // namespace lb::http
