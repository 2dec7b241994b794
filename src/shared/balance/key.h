// shared/balance/key.h -- what hash policies compare: 64 bits of a key or of a backend's identity. The same on every node, in
// every version: changing anything here moves every session of every user.
#pragma once
#include <cstdint>
#include <string_view>

#include "shared/net/address.h"

namespace lb::balance {

// XXH3 (Collet) of the bytes, seed 0.
std::uint64_t hash_key(std::string_view key) noexcept;
// Of an address without its port: 4 bytes of an IPv4 one (an IPv4-mapped one too), 16 of an IPv6 one; all clients of unix sockets
// are one.
std::uint64_t hash_key(const Address& client) noexcept;
// Of a backend: its pool and its name, not its address, which may change under it.
std::uint64_t identity_of(std::string_view pool, std::string_view backend) noexcept;

}  // namespace lb::balance
