// shared/http/field_values.h -- what the values of single fields mean. Pure functions over views.
// Sources: RFC 9110, RFC 9112, RFC 3986.
// Never:   allocates; keeps a view.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "shared/http/message.h"

namespace lb::http {

// Content-Length (RFC 9110 8.6): digits only, at most 2^63-1. A list ("5, 5") is no length: RFC 9110 allows
// to take it, and proxies that do disagree with those that do not.
std::optional<std::uint64_t> parse_content_length(std::string_view value) noexcept;

// Transfer-Encoding (RFC 9112 6.1): chunked alone is understood; `unknown` is a list of codings lb does not
// implement, with chunked nowhere or once and last; all else is `bad`.
enum class Coding : std::uint8_t { chunked, unknown, bad };
Coding parse_transfer_encoding(std::string_view value) noexcept;

// A Host value or the authority of a target: HOST or HOST:PORT. HOST is an IPv6 literal in brackets or 1-255
// unreserved bytes, which IPv4 and all names in use are; percent-encoding, sub-delims and userinfo are read
// differently by different servers. PORT is 0-5 digits up to 65535 (RFC 3986 3.2.3 allows none).
bool valid_authority(std::string_view text) noexcept;

// Upgrade (RFC 9110 7.8): the protocols lb may switch to, as they stand in `value`. Without those that only change how HTTP
// itself is spoken (h2c, HTTP/x, TLS/x: lb would have to speak them too) at either end of the list; empty when one stands
// between others, when none is left, and when the list is malformed.
std::string_view parse_upgrade(std::string_view value) noexcept;

// "timeout=5, max=100" → 5; 0 when there is no such parameter or it is no number. Seconds; over 2^32-1 counts
// as that.
std::uint32_t parse_keep_alive_timeout(std::string_view value) noexcept;

// Applies all Connection fields of a head: keep_alive per RFC 9112 9.3, and ends_here of each field that they
// name, but never of framing, Host and the fields that say where a request came from: naming those would be a
// way to make a proxy drop what it vouches for. False when they name more than connection_tokens_max options.
inline constexpr unsigned connection_tokens_max = 16;
bool apply_connection(std::vector<Field>& fields, std::uint8_t minor, bool& keep_alive) noexcept;

}  // namespace lb::http
