// master/table/blocks.cpp -- blocks of the arena: text, addresses, and what workers pick from.
#include <algorithm>
#include <cstring>

#include "master/table/publisher.h"
#include "master/table/schedule.h"
#include "shared/balance/key.h"
#include "shared/balance/maglev.h"

namespace lb::table {

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
    const auto offset = arena_->allocate(sizeof(shm::PublishedPool));
    if (!offset) return std::nullopt;
    shm::PublishedPool head{};
    head.sticky_at = sizeof head;
    std::memcpy(segment_->at(*offset), &head, sizeof head);
    return offset;
}

void Publisher::replace(std::atomic<std::uint64_t>& place, std::uint64_t offset) {
    const auto old = place.load(std::memory_order_relaxed);
    place.store(offset, std::memory_order_release);
    arena_->retire(old);
}

// The block that pool() has laid out. `now`: what it replaces, whose schedules and tables are taken over where a group
// lists the same.
void Publisher::write(std::byte* at, const shm::PublishedPool* now, const config::Pool* settings) {
    const auto put = [at](std::uint64_t where, const auto& list) {
        if (!list.empty()) std::memcpy(at + where, list.data(), list.size() * sizeof list[0]);
    };
    std::memcpy(at, &head_, sizeof head_);
    put(sizeof head_, published_);
    put(head_.sticky_at, sticky_);
    std::size_t first = 0;
    for (std::size_t g = 0; g < published_.size(); g++) {
        const auto& group = published_[g];
        const auto eligible = std::span<const shm::Eligible>(eligible_).subspan(first, group.count);
        put(group.eligible_at, eligible);
        const auto* old = now != nullptr && g < std::size_t{now->primary_groups} + now->backup_groups
                              ? &now->primaries().data()[g]
                              : nullptr;
        const bool unchanged =
            old != nullptr && old->count == group.count && group.count != 0 &&
            std::memcmp(now->eligible(*old).data(), eligible.data(), eligible.size_bytes()) == 0;
        if (unchanged) {
            put(group.schedule_at, now->schedule(*old));
        } else {
            put(group.schedule_at,
                make_schedule(std::span<const std::uint32_t>(weights_).subspan(first, group.count)));
        }
        if (unchanged && old->maglev_length == group.maglev_length) {
            put(group.maglev_at, now->maglev(*old));
        } else if (group.maglev_length != 0) {
            std::vector<balance::MaglevMember> who;
            who.reserve(group.count);
            for (std::size_t i = first; i < first + group.count; i++) {
                who.push_back(
                    {balance::identity_of(settings->name, settings->backends[listed_[i]].name), weights_[i]});
            }
            put(group.maglev_at, balance::make_maglev(who, group.maglev_length));
        }
        first += group.count;
    }
}

}  // namespace lb::table
