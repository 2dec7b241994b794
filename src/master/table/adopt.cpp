// master/table/adopt.cpp -- a new generation finds its slots.
// adopt() and update() first plan, then take all memory, and change the table only when nothing can fail any more.
#include <algorithm>
#include <ctime>
#include <string_view>
#include <unordered_set>

#include "master/table/state.h"

namespace lb {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto release = std::memory_order_release;

// Identity of an address: what a connection goes to. Not the bytes of the structure, which has padding.
void append_identity(std::string& key, const Address& address) {
    const auto append = [&key](const void* bytes, std::size_t n) {
        key.append(static_cast<const char*>(bytes), n);
    };
    if (address.length == 0) return;
    const auto family = static_cast<char>(address.family());
    key.push_back(family);
    switch (address.family()) {
        case AF_INET:
            append(&address.any.in.sin_addr, sizeof address.any.in.sin_addr);
            append(&address.any.in.sin_port, sizeof address.any.in.sin_port);
            break;
        case AF_INET6:
            append(&address.any.in6.sin6_addr, sizeof address.any.in6.sin6_addr);
            append(&address.any.in6.sin6_port, sizeof address.any.in6.sin6_port);
            append(&address.any.in6.sin6_scope_id, sizeof address.any.in6.sin6_scope_id);
            break;
        default: append(&address.any, std::min<std::size_t>(address.length, sizeof address.any)); break;
    }
}

// The name, and what is written behind it: addresses, or another name whose addresses come and go.
std::string backend_key(std::uint32_t pool, const config::Backend& backend) {
    std::string key(reinterpret_cast<const char*>(&pool), sizeof pool);
    key += backend.name;
    key.push_back('\0');
    if (!backend.dns_name.empty()) {
        key.append("\xff").append(backend.dns_name).push_back('\0');  // no address family has this number
        key.append(reinterpret_cast<const char*>(&backend.port), sizeof backend.port);
        return key;
    }
    for (const Address& address : backend.addresses) append_identity(key, address);
    return key;
}

// Nobody waits for its first check. Without an address it cannot be used, whatever the settings say.
bool starts_up(const config::Pool& pool, const config::Backend& backend) noexcept {
    return (pool.check.kind == config::CheckKind::off || pool.check.start_up) && !backend.addresses.empty();
}

bool contains(std::span<const Address> list, const Address& wanted) {
    return std::ranges::any_of(list, [&](const Address& each) { return each == wanted; });
}

}  // namespace

// What a configuration needs: the slots it has already (no_slot: a new one), in the configuration's order.
struct TableWriter::State::Plan {
    std::vector<std::uint32_t> listeners, routes, limits, pools, backends;
    std::uint32_t new_listeners = 0, new_routes = 0, new_limits = 0, new_pools = 0, new_backends = 0;
};

// Blocks for it, in the configuration's order; unless kept they go back.
struct TableWriter::State::Staged {
    explicit Staged(table::Arena& arena) : arena_(&arena) {}
    Staged(const Staged&) = delete;
    Staged& operator=(const Staged&) = delete;
    ~Staged() {
        if (kept) return;
        for (const auto* blocks : {&listener_names, &route_names, &limit_names, &pool_names, &pool_blocks,
                                   &reserved, &backend_names, &addresses}) {
            for (const auto offset : *blocks) arena_->release(offset);
        }
    }
    static bool add(std::vector<std::uint64_t>& to, std::optional<std::uint64_t> offset) {
        if (offset) to.push_back(*offset);
        return offset.has_value();
    }
    // Of new ones, but `reserved` of all pools, and `addresses` also of backends that have others now.
    std::vector<std::uint64_t> listener_names, route_names, limit_names, pool_names, pool_blocks,
        backend_names, addresses, reserved;
    bool kept = false;

 private:
    table::Arena* arena_;
};

Result<Nothing, std::string> TableWriter::State::make_plan(const config::Config& config, Plan& plan) const {
    std::unordered_set<std::string_view> names;
    std::string twice;
    const auto find_all = [&](const auto& list, const auto& registry, const char* what,
                              std::vector<std::uint32_t>& slots) {
        names.clear();
        std::uint32_t fresh = 0;
        for (const auto& each : list) {
            if (!names.insert(each.name).second)
                twice = std::string(what) + " " + each.name + " is named twice";
            slots.push_back(registry.find(each.name).value_or(shm::no_slot));
            if (slots.back() == shm::no_slot) fresh++;
        }
        return fresh;
    };
    plan.new_listeners = find_all(config.listeners, listeners, "listener", plan.listeners);
    plan.new_routes = find_all(config.routes, routes, "route", plan.routes);
    plan.new_limits = find_all(config.limits, limits, "limit", plan.limits);
    plan.new_pools = find_all(config.pools, pools, "pool", plan.pools);
    if (!twice.empty()) return Failed{twice};
    for (std::size_t p = 0; p < config.pools.size(); p++) {
        names.clear();
        for (const auto& backend : config.pools[p].backends) {
            if (!names.insert(backend.name).second) {
                return Failed{"pool " + config.pools[p].name + ": backend " + backend.name +
                              " is named twice"};
            }
            auto slot = shm::no_slot;
            if (plan.pools[p] != shm::no_slot) {
                slot = backends.find(backend_key(plan.pools[p], backend)).value_or(shm::no_slot);
            }
            plan.backends.push_back(slot);
            if (slot == shm::no_slot) plan.new_backends++;
        }
    }
    return Nothing{};
}

// Free slots, and memory behind them and behind their rows in every column.
Result<Nothing, std::string> TableWriter::State::make_room(const Plan& plan) {
    const auto enough = [](const table::SlotIds& ids, std::uint32_t wanted, const char* what) -> std::string {
        if (wanted <= ids.available()) return {};
        return "the shared table is full: " + std::to_string(wanted) + " new " + what + ", room for " +
               std::to_string(ids.available());
    };
    for (auto& error :
         {enough(listeners.ids(), plan.new_listeners, "listeners"),
          enough(routes.ids(), plan.new_routes, "routes"), enough(limits.ids(), plan.new_limits, "limits"),
          enough(pools.ids(), plan.new_pools, "pools"),
          enough(backends.ids(), plan.new_backends, "backends")}) {
        if (!error.empty()) return Failed{error};
    }
    const table::Rows rows{.listeners = listeners.ids().mark_after(plan.new_listeners),
                           .routes = routes.ids().mark_after(plan.new_routes),
                           .limits = limits.ids().mark_after(plan.new_limits),
                           .pools = pools.ids().mark_after(plan.new_pools),
                           .backends = backends.ids().mark_after(plan.new_backends)};
    auto error = segment->reserve_slots(rows, 0);
    if (error.empty()) error = columns.extend(rows);
    if (!error.empty()) return Failed{"no memory for the shared table: " + error};
    return Nothing{};
}

bool TableWriter::State::has_other_addresses(std::uint32_t slot, const config::Backend& backend) const {
    const auto* now = segment->block<shm::AddressBlock>(segment->backend(slot).addresses.load(relaxed));
    if (now == nullptr) return !backend.addresses.empty();
    return !std::ranges::equal(std::span(now->data(), now->count), backend.addresses);
}

bool TableWriter::State::stage(const config::Config& config, const Plan& plan, bool reserve, Staged& staged) {
    for (std::size_t i = 0; i < config.listeners.size(); i++) {
        if (plan.listeners[i] != shm::no_slot) continue;
        if (!Staged::add(staged.listener_names, publisher.text(config.listeners[i].name))) return false;
    }
    for (std::size_t i = 0; i < config.routes.size(); i++) {
        if (plan.routes[i] != shm::no_slot) continue;
        if (!Staged::add(staged.route_names, publisher.text(config.routes[i].name))) return false;
    }
    for (std::size_t i = 0; i < config.limits.size(); i++) {
        if (plan.limits[i] != shm::no_slot) continue;
        if (!Staged::add(staged.limit_names, publisher.text(config.limits[i].name))) return false;
    }
    std::size_t b = 0;
    for (std::size_t i = 0; i < config.pools.size(); i++) {
        const auto& pool = config.pools[i];
        if (plan.pools[i] == shm::no_slot) {
            if (!Staged::add(staged.pool_names, publisher.text(pool.name)) ||
                !Staged::add(staged.pool_blocks, publisher.empty_pool())) {
                return false;
            }
        }
        if (reserve) {
            std::vector<std::uint32_t> weights;
            for (std::size_t k = 0; k < pool.backends.size(); k++) {
                const auto slot = plan.backends[b + k];
                const auto set = slot == shm::no_slot ? 0 : backends[slot].operator_weight;
                weights.push_back(set != 0 ? set : pool.backends[k].weight);
            }
            if (!Staged::add(staged.reserved, arena.allocate(table::largest_pool_block(pool, weights))))
                return false;
        }
        for (const auto& backend : pool.backends) {
            const auto slot = plan.backends[b++];
            const bool fresh = slot == shm::no_slot;
            if (fresh && !Staged::add(staged.backend_names, publisher.text(backend.name))) return false;
            if ((fresh || has_other_addresses(slot, backend)) &&
                !Staged::add(staged.addresses, publisher.addresses(backend.addresses))) {
                return false;
            }
        }
    }
    return true;
}

Result<Nothing, std::string> TableWriter::State::adopt(config::Config& config, std::uint32_t number) {
    if (std::ranges::any_of(generations, [&](const auto& g) { return g.number == number; })) {
        return Failed{"generation " + std::to_string(number) + " was adopted before"};
    }
    Plan plan;
    if (auto planned = make_plan(config, plan); !planned) return planned;
    if (auto room = make_room(plan); !room) return room;
    Staged staged(arena);
    if (!stage(config, plan, true, staged))
        return Failed{std::string("no memory left in the shared table's arena")};
    staged.kept = true;
    Generation generation;
    generation.number = number;
    commit(config, plan, staged, generation);
    generation.reserved = staged.reserved;
    generations.push_back(std::move(generation));
    seal();
    return Nothing{};
}

Result<std::shared_ptr<const config::Config>, std::string> TableWriter::State::update(config::Config config,
                                                                                      std::uint32_t number) {
    const auto generation = std::ranges::find(generations, number, &Generation::number);
    if (generation == generations.end()) {
        return Failed{"there is no generation " + std::to_string(number)};
    }
    const bool begun = generation->config != nullptr;
    Plan plan;
    if (auto planned = make_plan(config, plan); !planned) return Failed{planned.error()};
    if (auto room = make_room(plan); !room) return Failed{room.error()};
    Staged staged(arena);
    if (!stage(config, plan, !begun, staged))
        return Failed{std::string("no memory left in the shared table's arena")};
    staged.kept = true;
    // First all are named anew, then all that were: what stays is never without a name.
    Generation next;
    next.number = number;
    commit(config, plan, staged, next);
    next.reserved = staged.reserved;
    auto shared = std::make_shared<const config::Config>(std::move(config));
    const auto before = std::exchange(*generation, std::move(next));
    for (const auto offset : before.reserved) arena.release(offset);
    if (begun) {
        generation->config = shared;
        for (std::size_t i = 0; i < shared->pools.size(); i++) {
            const auto& record = pools[shared->pools[i].slot];
            const auto& old = before.config->pools;
            if (std::ranges::any_of(old, [&](const auto& pool) { return record.members == &pool; })) {
                join(shared->pools[i], shared->zones.spill);
                show_zones(shared->pools[i]);
            }
        }
    }
    unname_all(before);
    seal();
    return shared;
}

// Order of stores for a slot that gets an owner: incarnation, fields, `used`; see layout.h on slots that change hands.
void TableWriter::State::commit(config::Config& config, const Plan& plan, const Staged& staged,
                                Generation& generation) {
    // What has a name and nothing else: listeners, routes and limits.
    const auto name_all = [](auto& list, const std::vector<std::uint32_t>& slots,
                             const std::vector<std::uint64_t>& texts, auto& registry, auto slot_at,
                             std::vector<std::uint32_t>& named) {
        std::size_t next = 0;
        for (std::size_t i = 0; i < list.size(); i++) {
            auto slot = slots[i];
            const bool fresh = slot == shm::no_slot;
            if (fresh) slot = *registry.add(list[i].name);
            shm::NamedSlot& to = slot_at(slot);
            if (fresh) {
                to.incarnation.store(to.incarnation.load(relaxed) + 1, relaxed);
                to.name.store(texts[next++], release);
            }
            registry[slot].named++;
            registry[slot].retirement = 0;
            to.state.store(shm::SlotState::used, release);
            list[i].slot = slot;
            named.push_back(slot);
        }
    };
    name_all(
        config.listeners, plan.listeners, staged.listener_names,
        listeners, [this](std::uint32_t i) -> auto& { return segment->listener(i); }, generation.listeners);
    name_all(
        config.routes, plan.routes, staged.route_names,
        routes, [this](std::uint32_t i) -> auto& { return segment->route(i); }, generation.routes);
    name_all(
        config.limits, plan.limits, staged.limit_names,
        limits, [this](std::uint32_t i) -> auto& { return segment->limit(i); }, generation.limits);

    std::size_t next_pool = 0;
    std::size_t next_name = 0;
    std::size_t next_addresses = 0;
    std::size_t b = 0;
    for (std::size_t i = 0; i < config.pools.size(); i++) {
        auto& pool = config.pools[i];
        pool.slot = plan.pools[i];
        if (pool.slot == shm::no_slot) {
            pool.slot = *pools.add(pool.name);
            auto& to = segment->pool(pool.slot);
            to.incarnation.store(to.incarnation.load(relaxed) + 1, relaxed);
            to.retired_requests.store(0, release);
            to.name.store(staged.pool_names[next_pool], release);
            to.published.store(staged.pool_blocks[next_pool], release);
            next_pool++;
        }
        pools[pool.slot].named++;
        pools[pool.slot].retirement = 0;
        segment->pool(pool.slot).state.store(shm::SlotState::used, release);
        generation.pools.push_back(pool.slot);

        for (auto& backend : pool.backends) {
            backend.slot = plan.backends[b++];
            if (backend.slot == shm::no_slot) {
                const auto name = staged.backend_names[next_name++];
                enter(pool, backend, name, staged.addresses[next_addresses++]);
            } else {
                if (has_other_addresses(backend.slot, backend)) {
                    readdress(backend, staged.addresses[next_addresses++]);
                }
                // One that was retiring has not been checked for a while: it begins again.
                if (backends[backend.slot].named == 0) reset_health(pool, backend);
            }
            backends[backend.slot].named++;
            backends[backend.slot].retirement = 0;
            segment->backend(backend.slot).state.store(shm::SlotState::used, release);
            generation.backends.push_back(backend.slot);
        }
    }
}

// A new backend's slot, but for `used`.
void TableWriter::State::enter(const config::Pool& pool, config::Backend& backend, std::uint64_t name,
                               std::uint64_t addresses) {
    backend.slot = *backends.add(backend_key(pool.slot, backend));
    backends[backend.slot].pool = pool.slot;
    backends[backend.slot].place = static_cast<std::uint32_t>(pools[pool.slot].slots.size());
    pools[pool.slot].slots.push_back(backend.slot);
    columns.forget(backend.slot);
    auto& to = segment->backend(backend.slot);
    to.incarnation.store(to.incarnation.load(relaxed) + 1, relaxed);
    to.pool.store(pool.slot, release);
    to.name.store(name, release);
    to.addresses.store(addresses, release);
    // What an operator, an ejection or a registration said of the owner before.
    to.operator_state.store(shm::Operator::ready, release);
    to.ejected_until.store(0, release);
    to.sticky_id.store(0, release);
    to.effective_weight.store(0, release);
    to.member_of.store(shm::MemberOf::file, release);
    to.expires.store(0, release);
    configure(backend);
    reset_health(pool, backend);
}

// What the slot shows of a backend's settings. An operator's weight stands above the configured one.
void TableWriter::State::configure(const config::Backend& backend) {
    auto& record = backends[backend.slot];
    auto& to = segment->backend(backend.slot);
    record.configured_weight = backend.weight;
    const auto weight = record.operator_weight != 0 ? record.operator_weight : backend.weight;
    to.weight.store(static_cast<std::uint16_t>(weight), release);
    to.backup.store(backend.backup ? 1 : 0, release);
    to.max_inflight.store(backend.max_inflight, release);
}

void TableWriter::State::reset_health(const config::Pool& pool, const config::Backend& backend) {
    auto& to = segment->backend(backend.slot);
    to.health.store(starts_up(pool, backend) ? shm::Health::up : shm::Health::checking, release);
    to.changed.store(std::time(nullptr), release);
    publisher.replace(to.check_reason, 0);
}

// A connection to an address that went must not be used again, so the slot counts as another one then. Workers learn of
// it with the published list, and whoever reads that sees the new block.
void TableWriter::State::readdress(const config::Backend& backend, std::uint64_t block) {
    auto& to = segment->backend(backend.slot);
    if (const auto* old = segment->block<shm::AddressBlock>(to.addresses.load(relaxed)); old != nullptr) {
        const bool lost = !std::ranges::all_of(std::span(old->data(), old->count), [&](const Address& each) {
            return contains(backend.addresses, each);
        });
        if (lost) {
            to.incarnation.store(to.incarnation.load(relaxed) + 1, relaxed);
            mark_dirty(backends[backend.slot].pool);
        }
    }
    publisher.replace(to.addresses, block);
}

}  // namespace lb
