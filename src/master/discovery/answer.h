// master/discovery/answer.h -- a DNS message of an answer, read into addresses or services. Pure.
// Owns:  the rules of what is believed. Every byte is hostile: an answer is right as a whole or an error as a whole.
// Never: asks; follows an alias out of the message; takes an address that nothing can be connected to.
// Sources: RFC 1035 4.1 (messages), RFC 2181 8 (TTL), RFC 2782 (SRV).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/result.h"
#include "shared/net/address.h"

namespace lb::discovery {

inline constexpr std::size_t most_records = 1024;  // of a section; more is an error
inline constexpr unsigned most_aliases = 16;

struct AddressAnswer {
    std::vector<Address> addresses;  // without a port; sorted, each once
    std::uint32_t ttl = 0;           // seconds: the least of the records that led there
    bool operator==(const AddressAnswer&) const = default;
};

struct SrvRecord {
    std::uint16_t priority = 0;
    std::uint16_t weight = 0;
    std::uint16_t port = 0;
    std::string target;  // in lower case, without the last dot
    bool operator==(const SrvRecord&) const = default;
};
struct SrvAnswer {
    std::vector<SrvRecord>
        records;  // sorted, each once; "." as the only target (no such service here) leaves none
    std::uint32_t ttl = 0;
    // Addresses of targets that came along.
    std::vector<std::pair<std::string, AddressAnswer>> targets;
    bool operator==(const SrvAnswer&) const = default;
};

using Message = std::span<const unsigned char>;

// The addresses of `name` in an answer to a question for A (AF_INET) or AAAA (AF_INET6); aliases are followed inside the
// answer. Empty when it holds none that can be used. The error is a sentence fragment.
Result<AddressAnswer, std::string> read_addresses(Message message, std::string_view name, int family);
Result<SrvAnswer, std::string> read_srv(Message message, std::string_view name);

// Two ways to write one name: case and the last dot do not count.
bool same_name(std::string_view a, std::string_view b) noexcept;
// Sorted (IPv4 first, then by number, so that a rotated answer is no other answer), each once.
void sort_addresses(std::vector<Address>& addresses);
// Whether a connection to it can mean anything: not unspecified, multicast, broadcast or link-local.
bool usable_address(const Address& address) noexcept;

}  // namespace lb::discovery
