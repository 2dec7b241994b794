// master/table/publisher.cpp -- blocks: text, addresses, and what workers pick from.
#include "master/table/publisher.h"

#include <algorithm>
#include <cstring>

#include "master/table/schedule.h"

namespace lb::table {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

std::uint64_t pool_block_bytes(std::uint64_t usable, std::uint64_t schedule) noexcept {
    return sizeof(shm::PublishedPool) + usable * sizeof(shm::Eligible) + schedule * sizeof(std::uint32_t);
}

bool same(const shm::PublishedPool* now, std::span<const shm::Eligible> usable,
          std::size_t configured) noexcept {
    if (now == nullptr || now->configured != configured || now->count != usable.size()) return false;
    return usable.empty() || std::memcmp(now->eligible().data(), usable.data(), usable.size_bytes()) == 0;
}

}  // namespace

// Only primaries or only backups are ever listed. A subset's cycle is never longer than its group's: its sum is
// smaller and its divisor no smaller.
std::uint64_t largest_pool_block(std::span<const config::Backend> members) {
    std::uint64_t largest = pool_block_bytes(0, 0);
    std::vector<std::uint32_t> weights;
    for (const bool backup : {false, true}) {
        weights.clear();
        for (const auto& b : members) {
            if (b.backup == backup) weights.push_back(b.weight);
        }
        largest = std::max(largest, pool_block_bytes(weights.size(), schedule_length(weights)));
    }
    return largest;
}

std::optional<std::uint64_t> Publisher::text(std::string_view text) {
    if (text.empty()) return 0;
    const auto offset = arena_->allocate(sizeof(shm::TextBlock) + text.size());
    if (!offset) return std::nullopt;
    const shm::TextBlock head{static_cast<std::uint32_t>(text.size())};
    auto* at = segment_->at(*offset);
    std::memcpy(at, &head, sizeof head);
    std::memcpy(at + sizeof head, text.data(), text.size());
    return offset;
}

std::optional<std::uint64_t> Publisher::addresses(std::span<const Address> addresses) {
    const auto offset = arena_->allocate(sizeof(shm::AddressBlock) + addresses.size_bytes());
    if (!offset) return std::nullopt;
    const shm::AddressBlock head{static_cast<std::uint32_t>(addresses.size()), 0};
    auto* at = segment_->at(*offset);
    std::memcpy(at, &head, sizeof head);
    if (!addresses.empty()) std::memcpy(at + sizeof head, addresses.data(), addresses.size_bytes());
    return offset;
}

std::optional<std::uint64_t> Publisher::empty_pool() {
    const auto offset = arena_->allocate(pool_block_bytes(0, 0));
    if (!offset) return std::nullopt;
    const shm::PublishedPool head{};
    std::memcpy(segment_->at(*offset), &head, sizeof head);
    return offset;
}

void Publisher::replace(std::atomic<std::uint64_t>& place, std::uint64_t offset) {
    const auto old = place.load(relaxed);
    place.store(offset, std::memory_order_release);
    arena_->retire(old);
}

Publisher::Outcome Publisher::pool(std::uint32_t pool_slot, std::span<const config::Backend> members) {
    usable_.clear();
    for (const bool backup : {false, true}) {
        for (const auto& b : members) {
            const auto& slot = segment_->backend(b.slot);
            if (b.backup != backup || slot.health.load(relaxed) != shm::Health::up) continue;
            usable_.push_back({b.slot, slot.incarnation.load(relaxed), b.weight, 0});
        }
        if (!usable_.empty()) break;
    }
    auto& slot = segment_->pool(pool_slot);
    if (same(segment_->block<shm::PublishedPool>(slot.published.load(relaxed)), usable_, members.size())) {
        return Outcome::same;
    }

    weights_.clear();
    for (const auto& e : usable_) weights_.push_back(e.weight);
    const auto schedule = make_schedule(weights_);
    const auto offset = arena_->allocate(pool_block_bytes(usable_.size(), schedule.size()));
    if (!offset) return Outcome::no_room;

    const shm::PublishedPool head{static_cast<std::uint32_t>(usable_.size()),
                                  static_cast<std::uint32_t>(schedule.size()),
                                  static_cast<std::uint32_t>(members.size()), 0};
    auto* at = segment_->at(*offset);
    std::memcpy(at, &head, sizeof head);
    at += sizeof head;
    if (!usable_.empty()) {
        const auto eligible = std::as_bytes(std::span(usable_));
        std::memcpy(at, eligible.data(), eligible.size());
        std::memcpy(at + eligible.size(), schedule.data(), schedule.size() * sizeof schedule[0]);
    }
    replace(slot.published, *offset);
    return Outcome::published;
}

}  // namespace lb::table
