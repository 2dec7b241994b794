// master/table/registry.h -- identity: which name has which slot, and how many generations name it.
// Owns:   the maps from names to slots and the free slots of each kind.
// Never:  touches the shared table.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "master/table/slot_ids.h"

namespace lb::table {

// One kind of slot: listeners, routes, pools or backends. `Extra` is what else the writer keeps for each.
template <class Extra>
class Registry {
 public:
    struct Record : Extra {
        const std::string* name = nullptr;  // the key in the map; null while the slot is free
        std::uint32_t named = 0;            // generations that name it; 0: retiring
        std::uint64_t retirement = 0;       // number of its retirement; 0: not retiring
    };

    explicit Registry(std::uint32_t capacity) noexcept : ids_(capacity) {}

    [[nodiscard]] std::optional<std::uint32_t> find(const std::string& name) const {
        const auto found = slots_.find(name);
        if (found == slots_.end()) return std::nullopt;
        return found->second;
    }
    // The name must be new. The caller made sure that a slot is free.
    std::optional<std::uint32_t> add(std::string name) {
        const auto slot = ids_.take();
        if (!slot) return std::nullopt;
        const auto place = slots_.emplace(std::move(name), *slot).first;
        if (records_.size() <= *slot) records_.resize(*slot + std::size_t{1});
        records_[*slot] = {};
        records_[*slot].name = &place->first;
        return slot;
    }
    void remove(std::uint32_t slot) {
        slots_.erase(slots_.find(*records_[slot].name));
        records_[slot] = {};
        ids_.give(slot);
    }
    [[nodiscard]] bool has(std::uint32_t slot) const noexcept {
        return slot < records_.size() && records_[slot].name != nullptr;
    }
    Record& operator[](std::uint32_t slot) noexcept { return records_[slot]; }
    [[nodiscard]] const SlotIds& ids() const noexcept { return ids_; }

 private:
    SlotIds ids_;
    std::unordered_map<std::string, std::uint32_t> slots_;
    std::vector<Record> records_;
};

}  // namespace lb::table
