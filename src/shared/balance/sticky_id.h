// shared/balance/sticky_id.h -- what a sticky cookie says: which backend, in a form that only who has the secret can make.
// Nothing is kept for a session: every node with the same secret, pool and backend names knows the same cookies.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lb::balance {

// The first 8 bytes, big endian, of HMAC-SHA256 (RFC 2104) over pool, a zero byte and backend name, under the secret's bytes.
// Never 0, but when OpenSSL has no memory.
std::uint64_t sticky_id(std::string_view secret, std::string_view pool, std::string_view backend) noexcept;
// 16 hexadecimal digits, small letters.
std::string sticky_text(std::uint64_t id);
// The same back; nothing for any other text, and for 0, which names nobody.
std::optional<std::uint64_t> parse_sticky(std::string_view text) noexcept;

}  // namespace lb::balance
