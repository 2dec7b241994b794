// master/admin/inventory.cpp -- see inventory.h.
#include "master/admin/inventory.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace lb::admin {
namespace {

using shm::SlotState;

// A slot's fields, read by `read`, when it had one and the same owner throughout.
template <class Slot, class Read>
auto stable(const Slot& slot, Read read) -> std::optional<decltype(read(slot))> {
    for (int tries = 0; tries < 3; tries++) {
        const auto incarnation = slot.incarnation.load(std::memory_order_acquire);
        if (slot.state.load(std::memory_order_acquire) == SlotState::free) return std::nullopt;
        auto got = read(slot);
        if (slot.incarnation.load(std::memory_order_acquire) == incarnation &&
            slot.state.load(std::memory_order_acquire) != SlotState::free) {
            return got;
        }
    }
    return std::nullopt;
}

std::string text_at(const shm::Segment& table, const shm::Word& offset) {
    return to_utf8(table.text(offset.load(std::memory_order_acquire)));
}

struct Named {
    std::string name;
    std::uint64_t offset;
};
template <class Slot>
Named read_name(const shm::Segment& table, const Slot& slot) {
    const std::uint64_t offset = slot.name.load(std::memory_order_acquire);
    return {to_utf8(table.text(offset)), offset};
}

// One group for each name, in the order of the lowest slots; `place` is filled with slot -> index into the groups.
template <class Slot, class At>
std::vector<Group> groups(const shm::Segment& table, std::uint32_t count, At at,
                          std::map<std::uint32_t, std::uint32_t>* place) {
    std::vector<Group> out;
    std::map<std::string, std::uint32_t, std::less<>> by_name;
    for (std::uint32_t i = 0; i < count; i++) {
        auto read = stable(at(i), [&](const Slot& slot) { return read_name(table, slot); });
        if (!read) continue;
        const auto [it, fresh] = by_name.try_emplace(read->name, static_cast<std::uint32_t>(out.size()));
        if (fresh) out.push_back({std::move(read->name), {}});
        Group& group = out[it->second];
        group.places.push_back({i, read->offset});
        // Of two slots the one that is not retiring speaks.
        if (at(group.places.front().slot).state.load(std::memory_order_relaxed) == SlotState::retiring) {
            std::swap(group.places.front(), group.places.back());
        }
        if (place != nullptr) place->emplace(i, it->second);
    }
    return out;
}

struct OneBackend {
    Named named;
    std::uint32_t pool_slot;
    bool member;
    shm::Health health;
    std::uint32_t weight;
    bool backup;
    std::int64_t changed;
    std::vector<Address> addresses;
    std::string check_reason;
};

OneBackend read_backend(const shm::Segment& table, const shm::BackendSlot& slot) {
    OneBackend one;
    one.named = read_name(table, slot);
    one.pool_slot = slot.pool.load(std::memory_order_acquire);
    one.member = slot.member.load(std::memory_order_acquire) != 0;
    one.health = slot.health.load(std::memory_order_acquire);
    one.weight = slot.weight.load(std::memory_order_acquire);
    one.backup = slot.backup.load(std::memory_order_acquire) != 0;
    one.changed = slot.changed.load(std::memory_order_acquire);
    const auto* block = table.block<shm::AddressBlock>(slot.addresses.load(std::memory_order_acquire));
    if (block != nullptr) one.addresses.assign(block->data(), block->data() + block->count);
    one.check_reason = text_at(table, slot.check_reason);
    return one;
}

// Backends that a pool hands out at present.
std::unordered_set<std::uint32_t> eligible_slots(const shm::Segment& table, const std::vector<Group>& pools) {
    std::unordered_set<std::uint32_t> out;
    for (const Group& pool : pools) {
        const auto offset = table.pool(pool.places.front().slot).published.load(std::memory_order_acquire);
        const auto* published = table.block<shm::PublishedPool>(offset);
        if (published == nullptr) continue;
        for (const shm::Eligible& one : published->eligible()) out.insert(one.backend);
    }
    return out;
}

}  // namespace

std::string to_utf8(std::string_view text) {
    if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
        return std::string(text);
    }
    // There and back: the writer replaces what is no UTF-8, and the reader always takes what the writer wrote.
    const std::string json =
        nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return nlohmann::json::parse(json, nullptr, false).get<std::string>();
}

Inventory take_inventory(const shm::Segment& table) {
    const shm::Header& header = table.header();
    Inventory out;
    std::map<std::uint32_t, std::uint32_t> pool_of;
    out.listeners = groups<shm::ListenerSlot>(
        table, header.listeners, [&](std::uint32_t i) -> auto& { return table.listener(i); }, nullptr);
    out.routes = groups<shm::RouteSlot>(
        table, header.routes, [&](std::uint32_t i) -> auto& { return table.route(i); }, nullptr);
    out.pools = groups<shm::PoolSlot>(
        table, header.pools, [&](std::uint32_t i) -> auto& { return table.pool(i); }, &pool_of);

    const auto eligible = eligible_slots(table, out.pools);
    // How much a slot has to say about its name: the greatest speaks.
    using Rank = std::tuple<bool, bool, std::int64_t>;
    std::map<std::pair<std::uint32_t, std::string>, std::pair<std::size_t, Rank>> by_name;
    for (std::uint32_t i = 0; i < header.backends; i++) {
        auto read = stable(table.backend(i), [&](const auto& slot) { return read_backend(table, slot); });
        if (!read) continue;
        OneBackend& one = *read;
        const auto pool = pool_of.find(one.pool_slot);
        if (pool == pool_of.end()) continue;  // it came after the pools were read
        const Rank rank{one.member, eligible.contains(i), one.changed};

        const auto [it, fresh] =
            by_name.try_emplace(std::pair(pool->second, one.named.name), out.backends.size(), rank);
        if (fresh) out.backends.emplace_back();
        BackendGroup& group = out.backends[it->second.first];
        group.places.push_back({i, one.named.offset});
        if (!fresh && rank < it->second.second) continue;
        it->second.second = rank;
        std::swap(group.places.front(), group.places.back());
        group.name = std::move(one.named.name);
        group.pool = pool->second;
        group.member = one.member;
        group.health = one.health;
        group.weight = one.weight;
        group.backup = one.backup;
        group.changed = one.changed;
        group.addresses = std::move(one.addresses);
        group.check_reason = std::move(one.check_reason);
    }
    std::stable_sort(out.backends.begin(), out.backends.end(),
                     [](const BackendGroup& a, const BackendGroup& b) { return a.pool < b.pool; });
    return out;
}

bool still(const shm::Segment& table, metrics::Scope scope, const Place& place) noexcept {
    const auto same = [&](const auto& slot) {
        return slot.state.load(std::memory_order_acquire) != SlotState::free &&
               slot.name.load(std::memory_order_acquire) == place.name;
    };
    switch (scope) {
        case metrics::Scope::process: return true;
        case metrics::Scope::listener: return same(table.listener(place.slot));
        case metrics::Scope::route: return same(table.route(place.slot));
        case metrics::Scope::pool: return same(table.pool(place.slot));
        case metrics::Scope::backend:
        case metrics::Scope::backend_detail: return same(table.backend(place.slot));
    }
    return true;
}

}  // namespace lb::admin
