// master/table/publisher.cpp -- who of a pool is listed, in which group, and whether that is new.
#include "master/table/publisher.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>

#include "master/table/schedule.h"
#include "master/table/slow_start.h"
#include "shared/balance/maglev.h"
#include "shared/balance/zones.h"
#include "shared/base/log.h"

namespace lb::table {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

bool needs_maglev(const config::Pool& pool) noexcept {
    return pool.balance.policy == config::Policy::ip_hash || pool.balance.policy == config::Policy::hash ||
           pool.sticky.kind == config::StickyKind::header || pool.sticky.kind == config::StickyKind::ip;
}

std::uint32_t maglev_entries(std::size_t count) noexcept {
    return static_cast<std::uint32_t>(balance::maglev_size(count));
}

bool has_panic_use(const shm::BackendSlot& slot, const config::Backend& backend) noexcept {
    return !backend.backup && slot.operator_state.load(relaxed) == shm::Operator::ready &&
           !backend.addresses.empty();
}

bool drained(const shm::BackendSlot& slot, const config::Backend& backend) noexcept {
    return slot.health.load(relaxed) == shm::Health::up &&
           slot.operator_state.load(relaxed) == shm::Operator::drain &&
           slot.ejected_until.load(relaxed) == 0 && !backend.addresses.empty();
}

std::uint16_t part_of(const PoolView& view, std::size_t member) noexcept {
    return view.parts.empty() ? whole_part : view.parts[member];
}

// Of a weight in `units`; a listed backend has at least 1.
std::uint32_t weigh(std::uint32_t weight, std::uint32_t units, std::uint16_t part) noexcept {
    const auto fine = std::uint64_t{weight} * units * part / whole_part;
    return std::max(static_cast<std::uint32_t>(fine), 1u);
}

}  // namespace

bool usable(const shm::BackendSlot& slot, const config::Backend& backend) noexcept {
    return slot.health.load(relaxed) == shm::Health::up &&
           slot.operator_state.load(relaxed) == shm::Operator::ready &&
           slot.ejected_until.load(relaxed) == 0 && !backend.addresses.empty();
}

// A subset's cycle is never longer than its group's: its sum is smaller and its divisor no smaller. In a slow start the
// weights may have no common divisor.
std::uint64_t largest_pool_block(const config::Pool& pool, std::span<const std::uint32_t> weights) {
    std::map<std::pair<bool, std::uint32_t>, std::vector<std::uint32_t>> groups;
    for (std::size_t i = 0; i < pool.backends.size(); i++) {
        const auto& b = pool.backends[i];
        groups[{b.backup, shm::zone_id(b.zone)}].push_back(weights[i]);
    }
    const auto units = pool.slow_start.count() > 0 ? fine_units(pool.backends.size()) : 0;
    std::uint64_t bytes = sizeof(shm::PublishedPool) + groups.size() * sizeof(shm::PublishedGroup) +
                          pool.backends.size() * sizeof(shm::Eligible);
    if (pool.sticky.kind == config::StickyKind::cookie)
        bytes += pool.backends.size() * sizeof(shm::StickyEntry);
    for (const auto& [key, group] : groups) {
        std::uint64_t entries = schedule_length(group);
        std::uint64_t fine = 0;
        for (const auto weight : group) fine += std::uint64_t{weight} * units;
        entries = std::max<std::uint64_t>(entries, std::min<std::uint64_t>(fine, schedule_limit));
        if (needs_maglev(pool)) entries += maglev_entries(group.size());
        bytes += entries * sizeof(std::uint32_t);
    }
    return bytes;
}

void Publisher::find_groups(std::span<const config::Backend> members) {
    groups_.clear();
    group_by_key_.clear();
    group_of_.clear();
    std::uint64_t last_key = std::numeric_limits<std::uint64_t>::max();
    std::uint32_t last = 0;
    for (const auto& b : members) {
        const auto zone = shm::zone_id(b.zone);
        const auto key = std::uint64_t{b.backup} << 32 | zone;
        if (key != last_key) {  // neighbours are mostly of one zone
            last_key = key;
            const auto fresh = static_cast<std::uint32_t>(groups_.size());
            const auto [place, added] = group_by_key_.emplace(key, fresh);
            if (added) groups_.push_back({zone, b.backup});
            last = place->second;
        }
        group_of_.push_back(last);
    }
    // Primaries first; otherwise as they came, so that a group keeps its number whoever of it is usable.
    next_.resize(groups_.size());
    std::uint32_t number = 0;
    for (const bool backup : {false, true}) {
        for (std::size_t g = 0; g < groups_.size(); g++) {
            if (groups_[g].backup == backup) next_[g] = number++;
        }
        if (!backup) head_.primary_groups = number;
    }
    head_.backup_groups = number - head_.primary_groups;
    std::stable_partition(groups_.begin(), groups_.end(), [](const Group& each) { return !each.backup; });
    for (auto& g : group_of_) g = next_[g];
}

void Publisher::find_uses(const config::Pool& settings) {
    const std::span members(settings.backends);
    use_.assign(members.size(), Use::none);
    possible_ = usable_primaries_ = 0;
    for (std::size_t i = 0; i < members.size(); i++) {
        const auto& b = members[i];
        const auto& slot = segment_->backend(b.slot);
        groups_[group_of_[i]].weight += slot.weight.load(relaxed);
        groups_[group_of_[i]].members++;
        const bool good = usable(slot, b);
        if (good) {
            use_[i] = Use::listed;
        } else if (drained(slot, b)) {
            use_[i] = Use::drained;
        }
        if (b.backup || slot.operator_state.load(relaxed) != shm::Operator::ready) continue;
        possible_++;
        if (good) usable_primaries_++;
    }
    if (std::uint64_t{usable_primaries_} * 100 < std::uint64_t{possible_} * settings.panic) {
        head_.panic = 1;
        for (std::size_t i = 0; i < members.size(); i++) {
            if (has_panic_use(segment_->backend(members[i].slot), members[i])) use_[i] = Use::listed;
        }
    }
    for (std::size_t i = 0; i < members.size(); i++) {
        if (use_[i] == Use::listed) groups_[group_of_[i]].count++;
    }
}

void Publisher::list(const PoolView& view) {
    const std::span members(view.settings->backends);
    std::uint32_t at = 0;
    for (std::size_t g = 0; g < groups_.size(); g++) {
        next_[g] = at;
        at += groups_[g].count;
    }
    head_.usable = at;
    eligible_.resize(at);
    listed_.resize(at);
    weights_.resize(at);
    units_ = view.parts.empty() ? 1 : fine_units(members.size());
    for (std::size_t i = 0; i < members.size(); i++) {
        if (use_[i] != Use::listed) continue;
        const auto& b = members[i];
        const auto& slot = segment_->backend(b.slot);
        const auto to = next_[group_of_[i]]++;
        const auto weight = weigh(slot.weight.load(relaxed), units_, part_of(view, i));
        eligible_[to] = {b.slot, slot.incarnation.load(relaxed), weight, b.max_inflight};
        listed_[to] = static_cast<std::uint32_t>(i);
        weights_[to] = weight;
    }
}

void Publisher::describe_groups(const PoolView& view) {
    published_.clear();
    const bool maglev = needs_maglev(*view.settings);
    std::size_t first = 0;
    for (const auto& group : groups_) {
        shm::PublishedGroup to{};
        to.zone = group.zone;
        to.count = group.count;
        std::uint64_t weight = 0;
        std::uint64_t capacity = 0;
        bool limited = group.count != 0;
        for (const auto& e : std::span(eligible_).subspan(first, group.count)) {
            weight += e.weight;
            capacity += e.max_inflight;
            limited = limited && e.max_inflight != 0;
        }
        constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
        to.weight = static_cast<std::uint32_t>(std::min(weight, most));
        to.capacity = limited ? static_cast<std::uint32_t>(std::min(capacity, most)) : 0;
        // The part of its members' weight that is usable, against what the zone needs to keep all.
        to.keep = balance::keep_of(weight, group.weight * units_, view.spill);
        if (group.count == 0) to.keep = 0;
        const auto tier = group.backup ? head_.backup_groups : head_.primary_groups;
        if (tier == 1) to.keep = balance::keep_all;  // there is no other zone
        to.schedule_length = static_cast<std::uint32_t>(
            schedule_length(std::span<const std::uint32_t>(weights_).subspan(first, group.count)));
        // As long as for all its members: a table of another length moves nearly every key.
        to.maglev_length = maglev && group.count != 0 ? maglev_entries(group.members) : 0;
        published_.push_back(to);
        first += group.count;
    }
}

void Publisher::list_sticky(const PoolView& view) {
    sticky_.clear();
    if (view.settings->sticky.kind != config::StickyKind::cookie) return;
    const std::span members(view.settings->backends);
    for (std::size_t i = 0; i < members.size(); i++) {
        if (use_[i] == Use::none) continue;
        const auto& b = members[i];
        const auto& slot = segment_->backend(b.slot);
        sticky_.push_back({slot.sticky_id.load(relaxed), b.slot, slot.incarnation.load(relaxed),
                           b.max_inflight, use_[i] == Use::drained ? 1u : 0u});
    }
    std::ranges::sort(sticky_, {}, &shm::StickyEntry::id);
    head_.sticky_count = static_cast<std::uint32_t>(sticky_.size());
}

// Head, groups, sticky entries (of 8 byte words), eligible ones, schedules, maglev tables. Returns the bytes of all.
std::uint64_t Publisher::place_parts() noexcept {
    std::uint64_t at = sizeof head_ + published_.size() * sizeof(shm::PublishedGroup);
    const auto place = [&at](std::uint64_t bytes) {
        return static_cast<std::uint32_t>(std::exchange(at, at + bytes));
    };
    head_.sticky_at = place(sticky_.size() * sizeof(shm::StickyEntry));
    for (auto& group : published_) group.eligible_at = place(group.count * sizeof(shm::Eligible));
    for (auto& group : published_) {
        group.schedule_at = place(group.schedule_length * sizeof(std::uint32_t));
        group.maglev_at = place(group.maglev_length * sizeof(std::uint32_t));
    }
    return at;
}

// Schedules follow from the weights; maglev tables from these and who the backends are, which slot and incarnation say.
bool Publisher::same(const shm::PublishedPool* now) const noexcept {
    const auto equal = [](const void* a, const auto& list) {
        return list.empty() || std::memcmp(a, list.data(), list.size() * sizeof list[0]) == 0;
    };
    if (now == nullptr || std::memcmp(now, &head_, sizeof head_) != 0) return false;
    const auto* bytes = reinterpret_cast<const std::byte*>(now);
    if (!equal(now + 1, published_) || !equal(bytes + head_.sticky_at, sticky_)) return false;
    return published_.empty() || equal(bytes + published_[0].eligible_at, eligible_);
}

void Publisher::note_weights(const PoolView& view) noexcept {
    if (view.settings == nullptr) return;
    const std::span members(view.settings->backends);
    for (std::size_t i = 0; i < members.size(); i++) {
        auto& slot = segment_->backend(members[i].slot);
        const auto weight =
            use_[i] == Use::listed ? weigh(slot.weight.load(relaxed), 1, part_of(view, i)) : 0;
        slot.effective_weight.store(weight, relaxed);
    }
}

void Publisher::tell_panic(shm::PoolSlot& slot, const config::Pool* settings) const {
    if (slot.panic.load(relaxed) == head_.panic) return;
    slot.panic.store(head_.panic, std::memory_order_release);
    if (settings == nullptr) return;
    if (head_.panic != 0) {
        log::warn("pool {}: {} of {} primaries are usable, less than {} %: all of them are used",
                  settings->name, usable_primaries_, possible_, settings->panic);
    } else {
        log::notice("pool {}: {} of {} primaries are usable: only these are used again", settings->name,
                    usable_primaries_, possible_);
    }
}

Publisher::Outcome Publisher::pool(std::uint32_t pool_slot, const PoolView& given) {
    auto view = given;
    head_ = {};
    groups_.clear();
    published_.clear();
    eligible_.clear();
    sticky_.clear();
    if (view.settings != nullptr) {
        head_.configured = static_cast<std::uint32_t>(view.settings->backends.size());
        find_groups(view.settings->backends);
        find_uses(*view.settings);
        // One that starts slowly must not leave its part to those that are only tried.
        if (head_.panic != 0) view.parts = {};
        list(view);
        describe_groups(view);
        list_sticky(view);
    }
    const auto bytes = place_parts();
    auto& slot = segment_->pool(pool_slot);
    const auto* now = segment_->block<shm::PublishedPool>(slot.published.load(relaxed));
    if (same(now)) {
        note_weights(view);
        return Outcome::same;
    }
    const auto offset = arena_->allocate(bytes);
    if (!offset) return Outcome::no_room;
    write(segment_->at(*offset), now, view.settings);
    replace(slot.published, *offset);
    note_weights(view);
    tell_panic(slot, view.settings);
    return Outcome::published;
}

}  // namespace lb::table
