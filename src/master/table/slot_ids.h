// master/table/slot_ids.h -- which of a fixed number of places are free; the lowest is always given first, so that the
// memory behind a table stays as short as what is in use.
#pragma once
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>

namespace lb::table {

class SlotIds {
 public:
    explicit SlotIds(std::uint32_t capacity) noexcept : capacity_(capacity) {}

    std::optional<std::uint32_t> take() {
        if (!free_.empty()) {
            const auto id = *free_.begin();
            free_.erase(free_.begin());
            return id;
        }
        if (mark_ == capacity_) return std::nullopt;
        return mark_++;
    }
    // `id` must have been taken.
    void give(std::uint32_t id) {
        free_.insert(id);
        while (!free_.empty() && *free_.rbegin() + 1 == mark_) {
            free_.erase(std::prev(free_.end()));
            mark_--;
        }
    }
    // All places in use are below this.
    [[nodiscard]] std::uint32_t mark() const noexcept { return mark_; }
    // What the mark will be at least after `n` more were taken.
    [[nodiscard]] std::uint32_t mark_after(std::uint32_t n) const noexcept {
        const auto holes = static_cast<std::uint32_t>(free_.size());
        return n > holes ? mark_ + (n - holes) : mark_;
    }
    [[nodiscard]] std::uint32_t available() const noexcept {
        return capacity_ - mark_ + static_cast<std::uint32_t>(free_.size());
    }
    [[nodiscard]] std::uint32_t in_use() const noexcept { return capacity_ - available(); }

 private:
    std::uint32_t capacity_;
    std::uint32_t mark_ = 0;
    std::set<std::uint32_t> free_;  // all below the mark
};

}  // namespace lb::table
