#include "shared/balance/sticky_id.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

namespace lb::balance {

std::uint64_t sticky_id(std::string_view secret, std::string_view pool, std::string_view backend) noexcept {
    std::string identity;
    identity.reserve(pool.size() + 1 + backend.size());
    identity.append(pool).push_back('\0');
    identity.append(backend);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
             reinterpret_cast<const unsigned char*>(identity.data()), identity.size(), digest.data(),
             &length) == nullptr ||
        length < 8) {
        return 0;
    }
    std::uint64_t id = 0;
    for (std::size_t i = 0; i < 8; i++) id = id << 8 | digest[i];
    return id == 0 ? 1 : id;
}

std::string sticky_text(std::uint64_t id) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text(16, '0');
    for (std::size_t i = 16; i > 0; i--, id >>= 4) text[i - 1] = digits[id & 15];
    return text;
}

std::optional<std::uint64_t> parse_sticky(std::string_view text) noexcept {
    if (text.size() != 16) return std::nullopt;
    std::uint64_t id = 0;
    for (const char c : text) {
        if (c >= '0' && c <= '9') {
            id = id << 4 | static_cast<std::uint64_t>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            id = id << 4 | static_cast<std::uint64_t>(c - 'a' + 10);
        } else {
            return std::nullopt;
        }
    }
    if (id == 0) return std::nullopt;
    return id;
}

}  // namespace lb::balance
