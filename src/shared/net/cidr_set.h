// shared/net/cidr_set.h -- many ranges of addresses at once: the value of the longest prefix that holds an address.
// Owns:  the ranges, cut into pieces that do not overlap and sorted. Built once, then read: a look-up is one binary search
//        without allocation, 17 steps among 100 000 prefixes. A prefix takes at most 10 bytes of memory (IPv6: 34).
// Never: changes after it was built.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "shared/net/address.h"

namespace lb {

class CidrSet {
 public:
    using Value = std::uint8_t;
    static constexpr Value none = 255;
    struct Entry {
        Cidr range;
        Value value = 0;  // less than none
    };

    CidrSet() = default;
    // In any order. Of equal ranges the smaller value counts.
    explicit CidrSet(std::span<const Entry> entries);

    // none: no range holds the address, or it is no IP address. IPv4 in IPv6 notation counts as IPv4; "::/0" is every
    // IPv6 address and no IPv4 one, as for Cidr::contains.
    [[nodiscard]] Value find(const Address& address) const noexcept;

 private:
    __extension__ using Wide = unsigned __int128;
    // values[i] counts from starts[i] up to starts[i + 1]; before the first start it is none.
    template <class Key>
    struct Pieces {
        std::vector<Key> starts;
        std::vector<Value> values;

        [[nodiscard]] Value find(Key address) const noexcept;
        void add(Key start, Value value);
    };
    template <class Key>
    static Pieces<Key> cut(std::vector<Entry>& sorted);

    Pieces<std::uint32_t> v4_;
    Pieces<Wide> v6_;
};

}  // namespace lb
