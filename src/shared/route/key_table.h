// shared/route/key_table.h -- from a number and a text to a number: which child of a node, which class of hosts.
// Filled once, then read: a flat table with open addressing, at most half full, so that a look-up is one hash and one or two
// comparisons however many keys there are. Keys come from the settings alone; nobody outside can make it slow.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lb::route {

class KeyTable {
 public:
    static constexpr std::uint32_t none = UINT32_MAX;

    [[nodiscard]] std::uint32_t find(std::uint32_t parent, std::string_view text) const noexcept {
        if (slots_.empty()) return none;
        const std::size_t hash = hash_of(parent, text);
        for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
            const Slot& slot = slots_[at];
            if (slot.value == none) return none;
            if (slot.hash == hash && slot.parent == parent && text_of(slot) == text) return slot.value;
        }
    }
    // The key must be new.
    void add(std::uint32_t parent, std::string_view text, std::uint32_t value) {
        if (slots_.size() < (count_ + 1) * 2) grow();
        count_++;
        place({hash_of(parent, text), bytes_.size(), text.size(), parent, value});
        bytes_ += text;
    }

 private:
    struct Slot {
        std::size_t hash = 0;
        std::size_t begin = 0, length = 0;  // of the text in bytes_
        std::uint32_t parent = 0;
        std::uint32_t value = none;
    };
    static std::size_t hash_of(std::uint32_t parent, std::string_view text) noexcept {
        constexpr std::size_t golden = 0x9e3779b97f4a7c15;
        return std::hash<std::string_view>{}(text) ^ ((std::size_t{parent} + 1) * golden >> 16);
    }
    [[nodiscard]] std::size_t mask() const noexcept { return slots_.size() - 1; }
    [[nodiscard]] std::string_view text_of(const Slot& slot) const noexcept {
        return std::string_view(bytes_).substr(slot.begin, slot.length);
    }
    void place(const Slot& slot) {
        std::size_t at = slot.hash & mask();
        while (slots_[at].value != none) at = (at + 1) & mask();
        slots_[at] = slot;
    }
    void grow() {
        const std::vector<Slot> old = std::move(slots_);
        slots_.assign(old.empty() ? 8 : old.size() * 2, {});
        for (const Slot& slot : old) {
            if (slot.value != none) place(slot);
        }
    }

    std::vector<Slot> slots_;
    std::string bytes_;
    std::size_t count_ = 0;
};

}  // namespace lb::route
