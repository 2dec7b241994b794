#include "shared/balance/key.h"

#include <netinet/in.h>
#include <xxhash.h>

namespace lb::balance {

std::uint64_t hash_key(std::string_view key) noexcept { return XXH3_64bits(key.data(), key.size()); }

std::uint64_t hash_key(const Address& client) noexcept {
    const auto bytes = [](const void* at, std::size_t size) {
        return hash_key(std::string_view(static_cast<const char*>(at), size));
    };
    if (client.length == 0) return hash_key(std::string_view{});
    switch (client.family()) {
        case AF_INET: return bytes(&client.any.in.sin_addr, 4);
        case AF_INET6: {
            const auto& whole = client.any.in6.sin6_addr;
            return IN6_IS_ADDR_V4MAPPED(&whole) ? bytes(&whole.s6_addr[12], 4) : bytes(&whole, 16);
        }
        default: return hash_key(std::string_view{});
    }
}

std::uint64_t identity_of(std::string_view pool, std::string_view backend) noexcept {
    return XXH3_64bits_withSeed(backend.data(), backend.size(), hash_key(pool));
}

}  // namespace lb::balance
