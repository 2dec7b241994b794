// shared/net/cidr_set.cpp -- see cidr_set.h.
#include "shared/net/cidr_set.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <tuple>

namespace lb {
namespace {

constexpr std::uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned mapped_bits = 96;

bool is_mapped(const std::uint8_t* bytes) noexcept {
    return std::memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

// The last bytes of the 16 as a number.
template <class Key>
Key number_of(const std::uint8_t* bytes) noexcept {
    Key key = 0;
    for (std::size_t i = 16 - sizeof(Key); i < 16; i++) key = static_cast<Key>((key << 8) | bytes[i]);
    return key;
}

template <class Key>
Key last_of(const Cidr& range) noexcept {
    const unsigned rest = 128U - range.bits;  // bits that the range leaves open
    constexpr Key all = static_cast<Key>(~Key{0});
    const Key open = rest == 0 ? Key{0} : static_cast<Key>(all >> (8 * sizeof(Key) - rest));
    return number_of<Key>(range.bytes) | open;
}

}  // namespace

template <class Key>
CidrSet::Value CidrSet::Pieces<Key>::find(Key address) const noexcept {
    const auto after = std::ranges::upper_bound(starts, address);
    return after == starts.begin() ? none : values[static_cast<std::size_t>(after - starts.begin()) - 1];
}

template <class Key>
void CidrSet::Pieces<Key>::add(Key start, Value value) {
    // What begins where the last piece began takes its place: that piece has no address.
    if (!starts.empty() && starts.back() == start) {
        starts.pop_back();
        values.pop_back();
    }
    if ((values.empty() ? none : values.back()) == value) return;
    starts.push_back(start);
    values.push_back(value);
}

// Of two ranges one holds the other or they have nothing in common. So the ranges that hold the address at which a walk
// from the lowest to the highest stands are a stack, the longest prefix on top.
template <class Key>
CidrSet::Pieces<Key> CidrSet::cut(std::vector<Entry>& sorted) {
    const auto order = [](const Entry& e) {
        return std::tuple(number_of<Key>(e.range.bytes), e.range.bits, e.value);
    };
    std::ranges::sort(sorted, {}, order);
    struct Open {
        Key last;
        Value value;
    };
    std::vector<Open> open;
    Pieces<Key> out;
    const auto close = [&] {
        const Key last = open.back().last;
        open.pop_back();
        if (last == static_cast<Key>(~Key{0})) return;
        out.add(static_cast<Key>(last + 1), open.empty() ? none : open.back().value);
    };
    for (std::size_t i = 0; i < sorted.size(); i++) {
        const Entry& entry = sorted[i];
        if (i > 0 && sorted[i - 1].range == entry.range) continue;  // the smaller value came first
        const Key first = number_of<Key>(entry.range.bytes);
        while (!open.empty() && open.back().last < first) close();
        open.push_back({last_of<Key>(entry.range), entry.value});
        out.add(first, entry.value);
    }
    while (!open.empty()) close();
    out.starts.shrink_to_fit();
    out.values.shrink_to_fit();
    return out;
}

CidrSet::CidrSet(std::span<const Entry> entries) {
    std::vector<Entry> v4;
    std::vector<Entry> v6;
    for (const Entry& entry : entries) {
        const bool is_v4 = entry.range.bits >= mapped_bits && is_mapped(entry.range.bytes);
        (is_v4 ? v4 : v6).push_back(entry);
    }
    v4_ = cut<std::uint32_t>(v4);
    v6_ = cut<Wide>(v6);
}

CidrSet::Value CidrSet::find(const Address& address) const noexcept {
    if (address.length == 0) return none;
    if (address.family() == AF_INET) return v4_.find(ntohl(address.any.in.sin_addr.s_addr));
    if (address.family() != AF_INET6) return none;
    const std::uint8_t* bytes = address.any.in6.sin6_addr.s6_addr;
    return is_mapped(bytes) ? v4_.find(number_of<std::uint32_t>(bytes)) : v6_.find(number_of<Wide>(bytes));
}

}  // namespace lb
