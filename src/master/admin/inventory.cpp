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

std::string name_of(const shm::Segment& table, const shm::Word& offset) {
    return to_utf8(table.text(offset.load(std::memory_order_acquire)));
}

// One group for each name, in the order of the lowest slots; `place` is filled with slot -> index into the groups.
template <class Slot, class At>
std::vector<Group> groups(const shm::Segment& table, std::uint32_t count, At at,
                          std::map<std::uint32_t, std::uint32_t>* place) {
    std::vector<Group> out;
    std::map<std::string, std::uint32_t, std::less<>> by_name;
    for (std::uint32_t i = 0; i < count; i++) {
        auto name = stable(at(i), [&](const Slot& slot) { return name_of(table, slot.name); });
        if (!name) continue;
        const auto [it, fresh] = by_name.try_emplace(*name, static_cast<std::uint32_t>(out.size()));
        if (fresh) out.push_back({std::move(*name), {}});
        Group& group = out[it->second];
        group.slots.push_back(i);
        // Of two slots the one that is not retiring speaks.
        if (at(group.slots.front()).state.load(std::memory_order_relaxed) == SlotState::retiring) {
            std::swap(group.slots.front(), group.slots.back());
        }
        if (place != nullptr) place->emplace(i, it->second);
    }
    return out;
}

struct OneBackend {
    std::string name;
    std::uint32_t pool_slot;
    bool retiring;
    shm::Health health;
    std::uint32_t weight;
    bool backup;
    std::int64_t changed;
    std::vector<Address> addresses;
    std::string check_reason;
};

OneBackend read_backend(const shm::Segment& table, const shm::BackendSlot& slot) {
    OneBackend one;
    one.name = name_of(table, slot.name);
    one.pool_slot = slot.pool.load(std::memory_order_acquire);
    one.retiring = slot.state.load(std::memory_order_acquire) == SlotState::retiring;
    one.health = slot.health.load(std::memory_order_acquire);
    one.weight = slot.weight.load(std::memory_order_acquire);
    one.backup = slot.backup.load(std::memory_order_acquire) != 0;
    one.changed = slot.changed.load(std::memory_order_acquire);
    const auto* block = table.block<shm::AddressBlock>(slot.addresses.load(std::memory_order_acquire));
    if (block != nullptr) one.addresses.assign(block->data(), block->data() + block->count);
    one.check_reason = name_of(table, slot.check_reason);
    return one;
}

// Backends that a pool hands out at present.
std::unordered_set<std::uint32_t> eligible_slots(const shm::Segment& table, const std::vector<Group>& pools) {
    std::unordered_set<std::uint32_t> out;
    for (const Group& pool : pools) {
        const auto offset = table.pool(pool.slots.front()).published.load(std::memory_order_acquire);
        const auto* published = table.block<shm::PublishedPool>(offset);
        if (published == nullptr) continue;
        for (const shm::Eligible& one : published->eligible()) out.insert(one.backend);
    }
    return out;
}

std::unordered_set<std::uint32_t> named_slots(const config::Config& config) {
    std::unordered_set<std::uint32_t> out;
    for (const config::Pool& pool : config.pools) {
        for (const config::Backend& backend : pool.backends) out.insert(backend.slot);
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

Inventory take_inventory(const shm::Segment& table, const config::Config* config) {
    const shm::Header& header = table.header();
    Inventory out;
    std::map<std::uint32_t, std::uint32_t> pool_of;
    out.listeners = groups<shm::ListenerSlot>(
        table, header.listeners, [&](std::uint32_t i) -> auto& { return table.listener(i); }, nullptr);
    out.pools = groups<shm::PoolSlot>(
        table, header.pools, [&](std::uint32_t i) -> auto& { return table.pool(i); }, &pool_of);

    const auto eligible = eligible_slots(table, out.pools);
    const auto named = config != nullptr ? named_slots(*config) : std::unordered_set<std::uint32_t>();
    // How much a slot has to say about its name: the greatest speaks.
    using Rank = std::tuple<bool, bool, std::int64_t>;
    std::map<std::pair<std::uint32_t, std::string>, std::pair<std::size_t, Rank>> by_name;
    for (std::uint32_t i = 0; i < header.backends; i++) {
        auto read = stable(table.backend(i), [&](const auto& slot) { return read_backend(table, slot); });
        if (!read) continue;
        OneBackend& one = *read;
        const auto pool = pool_of.find(one.pool_slot);
        if (pool == pool_of.end()) continue;  // it came after the pools were read
        const bool configured = config != nullptr ? named.contains(i) : !one.retiring;
        const Rank rank{configured, eligible.contains(i), one.changed};

        const auto [it, fresh] =
            by_name.try_emplace(std::pair(pool->second, one.name), out.backends.size(), rank);
        if (fresh) out.backends.emplace_back();
        BackendGroup& group = out.backends[it->second.first];
        group.slots.push_back(i);
        if (!fresh && rank < it->second.second) continue;
        it->second.second = rank;
        std::swap(group.slots.front(), group.slots.back());
        group.name = std::move(one.name);
        group.pool = pool->second;
        group.configured = configured;
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

}  // namespace lb::admin
