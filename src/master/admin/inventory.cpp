// master/admin/inventory.cpp -- see inventory.h.
#include "master/admin/inventory.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>
#include <unordered_map>

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
    std::uint32_t pool_slot = 0;
    BackendGroup read;
};

OneBackend read_backend(const shm::Segment& table, const shm::BackendSlot& slot) {
    constexpr auto order = std::memory_order_acquire;
    OneBackend one;
    one.named = read_name(table, slot);
    one.pool_slot = slot.pool.load(order);
    BackendGroup& group = one.read;
    group.member = slot.member.load(order) != 0;
    group.health = slot.health.load(order);
    group.operator_state = slot.operator_state.load(order);
    group.member_of = slot.member_of.load(order);
    group.ejected_until = slot.ejected_until.load(order);
    group.expires = slot.expires.load(order);
    group.zone = text_at(table, slot.zone);
    group.weight = slot.weight.load(order);
    group.effective_weight = slot.effective_weight.load(order);
    group.max_inflight = slot.max_inflight.load(order);
    group.backup = slot.backup.load(order) != 0;
    group.changed = slot.changed.load(order);
    const auto* block = table.block<shm::AddressBlock>(slot.addresses.load(order));
    if (block != nullptr) group.addresses.assign(block->data(), block->data() + block->count);
    group.check_reason = text_at(table, slot.check_reason);
    return one;
}

// The places of `groups`, ordered by what `key` says of each; equal ones stay as they are.
template <class Element, class Key>
std::vector<std::uint32_t> order_of(const std::vector<Element>& groups, Key key) {
    std::vector<decltype(key(groups.front()))> keys;
    keys.reserve(groups.size());
    for (const Element& each : groups) keys.push_back(key(each));
    std::vector<std::uint32_t> order(groups.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return keys[a] < keys[b]; });
    return order;
}
template <class Element>
void put_in(std::vector<Element>& groups, const std::vector<std::uint32_t>& order) {
    std::vector<Element> sorted;
    sorted.reserve(groups.size());
    for (const std::uint32_t i : order) sorted.push_back(std::move(groups[i]));
    groups = std::move(sorted);
}

// Slot to place, of things that have a slot.
template <class Things>
std::unordered_map<std::uint32_t, std::size_t> positions(const Things& things) {
    std::unordered_map<std::uint32_t, std::size_t> out;
    for (const auto& each : things) out.emplace(each.slot, out.size());
    return out;
}
std::size_t position(const std::unordered_map<std::uint32_t, std::size_t>& of, const Place& place) {
    const auto found = of.find(place.slot);
    return found == of.end() ? of.size() : found->second;
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

const shm::PublishedPool* published_of(const shm::Segment& table, const Group& pool) noexcept {
    const auto& slot = table.pool(pool.places.front().slot);
    return table.block<shm::PublishedPool>(slot.published.load(std::memory_order_acquire));
}

void InventoryTaker::begin() {
    const shm::Segment& table = *table_;
    const shm::Header& header = table.header();
    out_.listeners = groups<shm::ListenerSlot>(
        table, header.listeners, [&](std::uint32_t i) -> auto& { return table.listener(i); }, nullptr);
    out_.routes = groups<shm::RouteSlot>(
        table, header.routes, [&](std::uint32_t i) -> auto& { return table.route(i); }, nullptr);
    out_.limits = groups<shm::LimitSlot>(
        table, header.limits, [&](std::uint32_t i) -> auto& { return table.limit(i); }, nullptr);
    out_.pools = groups<shm::PoolSlot>(
        table, header.pools, [&](std::uint32_t i) -> auto& { return table.pool(i); }, &pool_of_);
    for (const Group& pool : out_.pools) {
        const auto* published = published_of(table, pool);
        if (published == nullptr) continue;
        for (const auto parts : {published->primaries(), published->backups()}) {
            for (const shm::PublishedGroup& group : parts) {
                for (const shm::Eligible& one : published->eligible(group)) listed_.insert(one.backend);
            }
        }
    }
}

void InventoryTaker::backend(std::uint32_t slot) {
    auto read = stable(table_->backend(slot), [&](const auto& from) { return read_backend(*table_, from); });
    if (!read) return;
    BackendGroup& one = read->read;
    const auto pool = pool_of_.find(read->pool_slot);
    if (pool == pool_of_.end()) return;  // it came after the pools were read
    one.listed = listed_.contains(slot);
    const Rank rank{one.member, one.listed, one.changed};

    const auto [it, fresh] =
        by_name_.try_emplace(std::pair(pool->second, read->named.name), out_.backends.size(), rank);
    if (fresh) out_.backends.emplace_back();
    BackendGroup& group = out_.backends[it->second.first];
    group.places.push_back({slot, read->named.offset});
    if (!fresh && rank < it->second.second) return;
    it->second.second = rank;
    std::swap(group.places.front(), group.places.back());
    one.places = std::move(group.places);
    one.name = std::move(read->named.name);
    one.pool = pool->second;
    group = std::move(one);
}

bool InventoryTaker::step(std::uint32_t slots) {
    if (!std::exchange(begun_, true)) begin();
    const std::uint32_t all = table_->header().backends;
    const std::uint32_t end = next_ + std::min(slots, all - next_);
    for (; next_ < end; next_++) backend(next_);
    if (next_ < all) return true;
    const auto order = order_of(out_.backends, [](const BackendGroup& one) { return one.pool; });
    put_in(out_.backends, order);
    return false;
}

Inventory take_inventory(const shm::Segment& table) {
    InventoryTaker taker(table);
    while (taker.step(table.header().backends)) continue;
    return std::move(taker).take();
}

void arrange(Inventory& inventory, const config::Config& config) {
    const auto by_slot = [](std::vector<Group>& groups, const auto& things) {
        const auto places = positions(things);
        auto order = order_of(groups, [&](const Group& one) { return position(places, one.places.front()); });
        put_in(groups, order);
        return order;
    };
    by_slot(inventory.listeners, config.listeners);
    by_slot(inventory.routes, config.routes);
    by_slot(inventory.limits, config.limits);
    const auto pools = by_slot(inventory.pools, config.pools);
    std::vector<std::uint32_t> place_of(pools.size());
    for (std::uint32_t i = 0; i < pools.size(); i++) place_of[pools[i]] = i;
    for (BackendGroup& one : inventory.backends) one.pool = place_of[one.pool];

    std::unordered_map<std::uint32_t, std::size_t> backends;
    for (const config::Pool& pool : config.pools) {
        for (const config::Backend& one : pool.backends) backends.emplace(one.slot, backends.size());
    }
    put_in(inventory.backends, order_of(inventory.backends, [&](const BackendGroup& one) {
               return std::pair(one.pool, position(backends, one.places.front()));
           }));
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
        case metrics::Scope::limit: return same(table.limit(place.slot));
        case metrics::Scope::pool: return same(table.pool(place.slot));
        case metrics::Scope::backend:
        case metrics::Scope::backend_detail: return same(table.backend(place.slot));
    }
    return true;
}

}  // namespace lb::admin
