// shared/process/wakeups.h -- one event descriptor for each column of the shared table: any process can wake another.
// Owns:   the descriptors (eventfd(2)). The master makes them before it forks the first child that may need them; children
//         inherit them and keep them over everything that close_all_but does.
// Never:  blocks; carries more than "look": a wake-up that comes late or to the column's next owner does no harm.
// Errors: without descriptors there are no wake-ups, and who waits finds out by its own tick.
#pragma once
#include <cstdint>
#include <vector>

#include "shared/net/fd.h"

namespace lb {

class Wakeups {
 public:
    Wakeups() = default;
    // All of them or none.
    static Wakeups make(std::uint32_t columns);

    [[nodiscard]] bool empty() const noexcept { return all_.empty(); }
    // Level-triggered and readable after wake(); -1: none.
    [[nodiscard]] int descriptor(std::uint32_t column) const noexcept {
        return column < all_.size() ? all_[column].get() : -1;
    }
    void wake(std::uint32_t column) const noexcept;
    // Before looking: what wakes after this is heard of again.
    void heard(std::uint32_t column) const noexcept;
    void append_to(std::vector<int>& descriptors) const;

 private:
    std::vector<Fd> all_;
};

}  // namespace lb
