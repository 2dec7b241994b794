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

// Expect (RFC 9110 10.1.1), a list in which empty members do not count: `proceed` when every member is 100-continue in
// any case, `none` when there is no member, `other` for all else.
enum class Expectation : std::uint8_t { none, proceed, other };
Expectation parse_expect(std::string_view value) noexcept;

// A Host value or the authority of a target: HOST or HOST:PORT (RFC 3986 3.2). Narrower than the RFC, for what is read
// differently by different servers is a way to ask one of them for what another one forbids:
// - HOST is an IPv6 literal in brackets, without zone, or 1-255 unreserved bytes. That holds IPv4, all names in use, the
//   underscore that names of containers and of old machines have, and a dot behind the name or anywhere else in it;
// - never percent-encoding, sub-delims ("!$&'()*+,;="), userinfo, IPvFuture or a byte outside ASCII;
// - PORT is 0-5 digits up to 65535, with leading zeros and 0 itself: no server takes these for a port of another value.
//   "name:" without any is as RFC 3986 3.2.3 has it.
// What passes goes on byte for byte.
bool valid_authority(std::string_view text) noexcept;

// Upgrade (RFC 9110 7.8): the protocols lb may switch to, as they stand in `value`. Without those that only change how HTTP
// itself is spoken (h2c, HTTP/x, TLS/x: lb would have to speak them too) at either end of the list; empty when one stands
// between others, when none is left, and when the list is malformed.
std::string_view parse_upgrade(std::string_view value) noexcept;

// "timeout=5, max=100" → 5; 0 when there is no such parameter or it is no number. Seconds; over 2^32-1 counts
// as that.
std::uint32_t parse_keep_alive_timeout(std::string_view value) noexcept;

// Applies all Connection fields of a head: keep_alive per RFC 9112 9.3, and ends_here of each field that they
// name, but never of framing, Host and the fields that say where a message came from (X-Forwarded-*, X-Real-IP,
// Forwarded, X-Request-Id, Via): naming those would be a way to make a proxy drop what it or one in front of it
// vouches for. An option that is no token names nothing. False when they name more than connection_tokens_max options.
inline constexpr unsigned connection_tokens_max = 16;
bool apply_connection(std::vector<Field>& fields, std::uint8_t minor, bool& keep_alive) noexcept;

}  // namespace lb::http
