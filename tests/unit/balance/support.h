// tests/unit/balance/support.h -- lists of backends as the master publishes them, and who is skipped.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "shared/base/random.h"
#include "shared/shm/layout.h"

namespace lb::balance {

inline constexpr auto nobody = [](const shm::Eligible&) noexcept { return false; };
inline constexpr auto everybody = [](const shm::Eligible&) noexcept { return true; };
inline auto slots(std::vector<std::uint32_t> skipped) {
    return [skipped = std::move(skipped)](const shm::Eligible& each) noexcept {
        return std::ranges::find(skipped, each.backend) != skipped.end();
    };
}

inline std::vector<std::uint32_t> equal(std::uint32_t count) { return std::vector<std::uint32_t>(count, 1); }

// Backends in slots 100, 101, ... and a schedule that holds each as often as its weight says.
struct List {
    List() = default;
    explicit List(const std::vector<std::uint32_t>& weights) {
        for (const auto weight : weights) add(weight);
    }
    void add(std::uint32_t weight) {
        const auto index = static_cast<std::uint32_t>(eligible.size());
        eligible.push_back({100 + index, 1, weight, 0});
        schedule.insert(schedule.end(), weight, index);
    }
    std::vector<shm::Eligible> eligible;
    std::vector<std::uint32_t> schedule;
};

// How often each index comes out of `pick`; all picks must give one.
template <class Pick>
std::vector<int> counts(const List& list, int picks, Pick pick) {
    std::vector<int> n(list.eligible.size());
    for (int i = 0; i < picks; i++) n[pick().value()]++;
    return n;
}

}  // namespace lb::balance
