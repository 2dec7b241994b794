// master/table/adopt.cpp -- a new generation finds its slots, and becomes what the pools publish.
// adopt() first plans, then takes all memory, and changes the table only when nothing can fail any more.
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

std::string backend_key(std::uint32_t pool, const config::Backend& backend) {
    std::string key(reinterpret_cast<const char*>(&pool), sizeof pool);
    key += backend.name;
    key.push_back('\0');
    for (const Address& address : backend.addresses) append_identity(key, address);
    return key;
}

bool starts_up(const config::Pool& pool) noexcept {
    return pool.check.kind == config::CheckKind::off || pool.check.start_up;
}

}  // namespace

// What a configuration needs: the slots it has already (no_slot: a new one), in the configuration's order.
struct TableWriter::State::Plan {
    std::vector<std::uint32_t> listeners, pools, backends;
    std::uint32_t new_listeners = 0, new_pools = 0, new_backends = 0;
};

// Blocks for it, in the configuration's order; unless kept they go back.
struct TableWriter::State::Staged {
    explicit Staged(table::Arena& arena) : arena_(&arena) {}
    Staged(const Staged&) = delete;
    Staged& operator=(const Staged&) = delete;
    ~Staged() {
        if (kept) return;
        for (const auto* blocks :
             {&listener_names, &pool_names, &pool_blocks, &reserved, &backend_names, &addresses}) {
            for (const auto offset : *blocks) arena_->release(offset);
        }
    }
    static bool add(std::vector<std::uint64_t>& to, std::optional<std::uint64_t> offset) {
        if (offset) to.push_back(*offset);
        return offset.has_value();
    }
    // Of new ones, but `reserved` of all pools.
    std::vector<std::uint64_t> listener_names, pool_names, pool_blocks, backend_names, addresses, reserved;
    bool kept = false;

 private:
    table::Arena* arena_;
};

Result<Nothing, std::string> TableWriter::State::make_plan(const config::Config& config, Plan& plan) const {
    std::unordered_set<std::string_view> names;
    for (const auto& listener : config.listeners) {
        if (!names.insert(listener.name).second)
            return Failed{"listener " + listener.name + " is named twice"};
        plan.listeners.push_back(listeners.find(listener.name).value_or(shm::no_slot));
        if (plan.listeners.back() == shm::no_slot) plan.new_listeners++;
    }
    names.clear();
    for (const auto& pool : config.pools) {
        if (!names.insert(pool.name).second) return Failed{"pool " + pool.name + " is named twice"};
        plan.pools.push_back(pools.find(pool.name).value_or(shm::no_slot));
        if (plan.pools.back() == shm::no_slot) plan.new_pools++;
    }
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
    for (auto& error : {enough(listeners.ids(), plan.new_listeners, "listeners"),
                        enough(pools.ids(), plan.new_pools, "pools"),
                        enough(backends.ids(), plan.new_backends, "backends")}) {
        if (!error.empty()) return Failed{error};
    }
    const table::Rows rows{listeners.ids().mark_after(plan.new_listeners),
                           pools.ids().mark_after(plan.new_pools),
                           backends.ids().mark_after(plan.new_backends)};
    auto error = segment->reserve_slots(rows.listeners, rows.pools, rows.backends, 0);
    if (error.empty()) error = columns.extend(rows);
    if (!error.empty()) return Failed{"no memory for the shared table: " + error};
    return Nothing{};
}

bool TableWriter::State::stage(const config::Config& config, const Plan& plan, Staged& staged) {
    for (std::size_t i = 0; i < config.listeners.size(); i++) {
        if (plan.listeners[i] != shm::no_slot) continue;
        if (!Staged::add(staged.listener_names, publisher.text(config.listeners[i].name))) return false;
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
        if (!Staged::add(staged.reserved, arena.allocate(table::largest_pool_block(pool.backends))))
            return false;
        for (const auto& backend : pool.backends) {
            if (plan.backends[b++] != shm::no_slot) continue;
            if (!Staged::add(staged.backend_names, publisher.text(backend.name)) ||
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
    if (!stage(config, plan, staged))
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

// Order of stores for a slot that gets an owner: incarnation, fields, `used`; see layout.h on slots that change hands.
void TableWriter::State::commit(config::Config& config, const Plan& plan, const Staged& staged,
                                Generation& generation) {
    std::size_t next_listener = 0;
    for (std::size_t i = 0; i < config.listeners.size(); i++) {
        auto slot = plan.listeners[i];
        if (slot == shm::no_slot) {
            slot = *listeners.add(config.listeners[i].name);
            auto& to = segment->listener(slot);
            to.incarnation.store(to.incarnation.load(relaxed) + 1, relaxed);
            to.name.store(staged.listener_names[next_listener++], release);
        }
        listeners[slot].named++;
        listeners[slot].retirement = 0;
        segment->listener(slot).state.store(shm::SlotState::used, release);
        config.listeners[i].slot = slot;
        generation.listeners.push_back(slot);
    }
    std::size_t next_pool = 0;
    std::size_t next_backend = 0;
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
            const bool fresh = backend.slot == shm::no_slot;
            if (fresh) {
                backend.slot = *backends.add(backend_key(pool.slot, backend));
                backends[backend.slot].pool = pool.slot;
                pools[pool.slot].backends++;
                columns.forget(backend.slot);
            }
            auto& to = segment->backend(backend.slot);
            if (fresh) {
                to.incarnation.store(to.incarnation.load(relaxed) + 1, relaxed);
                to.pool.store(pool.slot, release);
                to.weight.store(backend.weight, release);
                to.backup.store(backend.backup ? 1 : 0, release);
                to.name.store(staged.backend_names[next_backend], release);
                to.addresses.store(staged.addresses[next_backend], release);
                next_backend++;
            }
            // One that was retiring has not been checked for a while: it begins again.
            if (fresh || backends[backend.slot].named == 0) {
                to.health.store(starts_up(pool) ? shm::Health::up : shm::Health::checking, release);
                to.changed.store(std::time(nullptr), release);
                publisher.replace(to.check_reason, 0);
            }
            backends[backend.slot].named++;
            backends[backend.slot].retirement = 0;
            to.state.store(shm::SlotState::used, release);
            generation.backends.push_back(backend.slot);
        }
    }
}

// A generation's members take over a pool: the slots show what it says, and the next publication lists them.
void TableWriter::State::join(const config::Pool& pool) {
    pools[pool.slot].members = &pool;
    for (const auto& backend : pool.backends) {
        auto& slot = segment->backend(backend.slot);
        slot.weight.store(backend.weight, release);
        slot.backup.store(backend.backup ? 1 : 0, release);
        const auto health = slot.health.load(relaxed);
        // Nobody checks these any more, or nobody waits for their first check: an old verdict would stay for ever.
        const bool lift = pool.check.kind == config::CheckKind::off
                              ? health != shm::Health::up
                              : pool.check.start_up && health == shm::Health::checking;
        if (lift) {
            slot.health.store(shm::Health::up, release);
            slot.changed.store(std::time(nullptr), release);
            publisher.replace(slot.check_reason, 0);
        }
    }
    mark_dirty(pool.slot);
}

void TableWriter::State::begin(std::shared_ptr<const config::Config> config, std::uint32_t number) {
    const auto generation = std::ranges::find(generations, number, &Generation::number);
    if (generation == generations.end() || generation->config != nullptr) return;
    generation->config = std::move(config);
    const auto& members = generation->config->pools;
    for (std::size_t i = 0; i < members.size(); i++) {
        // The reserved block makes way for the real one at once: it is no larger, so there is room for it.
        if (i < generation->reserved.size()) arena.release(generation->reserved[i]);
        join(members[i]);
        publish(members[i].slot);
    }
    generation->reserved.clear();
    segment->header().generation.store(number, release);
    flush();
}

}  // namespace lb
