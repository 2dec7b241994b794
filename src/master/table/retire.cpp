// master/table/retire.cpp -- generations end, and slots that nobody names or holds become free.
#include <algorithm>

#include "master/table/state.h"

namespace lb {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto release = std::memory_order_release;
using metrics::Scope;

}  // namespace

void TableWriter::State::retire(std::uint32_t number) {
    const auto found = std::ranges::find(generations, number, &Generation::number);
    if (found == generations.end()) return;
    const auto ended = std::move(*found);
    generations.erase(found);
    for (const auto offset : ended.reserved) arena.release(offset);

    // Pools whose membership was this generation's fall back to the newest begun one that names them.
    if (ended.config != nullptr) {
        for (const auto& pool : ended.config->pools) {
            auto& record = pools[pool.slot];
            if (record.members != &pool) continue;
            record.members = nullptr;
            for (const auto& backend : pool.backends) leave(backend.slot);
            mark_dirty(pool.slot);
        }
        for (auto g = generations.rbegin(); g != generations.rend(); ++g) {
            if (g->config == nullptr) continue;
            for (const auto& pool : g->config->pools) {
                if (pools[pool.slot].members != nullptr) continue;
                join(pool, g->config->zones.spill);
                show_zones(pool);
            }
        }
        const auto newest = std::ranges::find_if(generations.rbegin(), generations.rend(),
                                                 [](const auto& g) { return g.config != nullptr; });
        if (newest != generations.rend()) segment->header().generation.store(newest->number, release);
    }
    unname_all(ended);
    flush();
}

// Backends first: a pool waits for its backends anyhow.
void TableWriter::State::unname_all(const Generation& generation) {
    for (const auto slot : generation.backends) unname(Scope::backend, slot);
    for (const auto slot : generation.pools) unname(Scope::pool, slot);
    for (const auto slot : generation.routes) unname(Scope::route, slot);
    for (const auto slot : generation.limits) unname(Scope::limit, slot);
    for (const auto slot : generation.listeners) unname(Scope::listener, slot);
}

void TableWriter::State::unname(Scope scope, std::uint32_t slot) {
    const auto drop = [&](auto& record, auto& state) {
        if (--record.named != 0) return;
        record.retirement = ++retirements;
        state.store(shm::SlotState::retiring, release);
        retiring.push_back({scope, Wait::unlisted, slot, record.retirement, 0});
    };
    switch (scope) {
        case Scope::backend: return drop(backends[slot], segment->backend(slot).state);
        case Scope::pool: return drop(pools[slot], segment->pool(slot).state);
        case Scope::route: return drop(routes[slot], segment->route(slot).state);
        case Scope::limit: return drop(limits[slot], segment->limit(slot).state);
        case Scope::listener: return drop(listeners[slot], segment->listener(slot).state);
        case Scope::process:
        case Scope::backend_detail: return;  // no slots
    }
}

// Of a slot's present retirement; 0: it is not retiring any more.
std::uint64_t TableWriter::State::retirement_of(Scope scope, std::uint32_t slot) {
    const auto of = [slot](auto& registry) { return registry.has(slot) ? registry[slot].retirement : 0; };
    switch (scope) {
        case Scope::backend: return of(backends);
        case Scope::pool: return of(pools);
        case Scope::route: return of(routes);
        case Scope::limit: return of(limits);
        case Scope::listener: return of(listeners);
        case Scope::process:
        case Scope::backend_detail: break;  // no slots
    }
    return 0;
}

// One step for one slot; true when the entry is done with. `next` is an epoch that is reached only after now.
bool TableWriter::State::advance(Retiring& entry, std::uint64_t reached, std::uint64_t next) {
    const auto slot = entry.slot;
    if (retirement_of(entry.scope, slot) != entry.retirement) return true;  // named again
    switch (entry.wait) {
        case Wait::unlisted:
            if (entry.scope == Scope::backend && pools[backends[slot].pool].dirty) return false;
            entry.wait = Wait::held;
            entry.epoch = next;
            return false;
        case Wait::held:
            if (reached < entry.epoch || !columns.released(entry.scope, slot)) return false;
            entry.wait = Wait::settling;
            entry.epoch = next;
            return false;
        case Wait::settling:
            if (reached < entry.epoch) return false;
            switch (entry.scope) {
                case Scope::backend: free_backend(slot); return true;
                case Scope::pool:
                    if (!pools[slot].slots.empty() || pools[slot].dirty) return false;
                    free_pool(slot);
                    return true;
                case Scope::route:
                    free_named(Scope::route, segment->route(slot), slot);
                    routes.remove(slot);
                    return true;
                case Scope::limit:
                    free_named(Scope::limit, segment->limit(slot), slot);
                    limits.remove(slot);
                    return true;
                case Scope::listener:
                    free_named(Scope::listener, segment->listener(slot), slot);
                    listeners.remove(slot);
                    return true;
                case Scope::process:
                case Scope::backend_detail: return true;  // no slots
            }
    }
    return true;
}

void TableWriter::State::take_back_slots() {
    if (retiring.empty()) return;
    const auto reached = columns.reached();
    const auto next = next_epoch();
    for (auto n = std::min(retiring.size(), retire_batch); n > 0; n--) {
        auto entry = retiring.front();
        retiring.pop_front();
        if (!advance(entry, reached, next)) retiring.push_back(entry);
    }
    seal();
    const auto mark = backends.ids().mark();
    if (columns.rows().backends >= mark + shrink_rows) columns.shrink(mark);
}

// Origins are set when a slot becomes free and not when it is used again: nothing adds to its rows in between, and the
// work is spread over ticks instead of making a reload slow.
void TableWriter::State::free_backend(std::uint32_t slot) {
    auto& from = segment->backend(slot);
    auto& pool = segment->pool(from.pool.load(relaxed));
    // First it is no longer shown, then the pool shows its total: a reader of both misses it for a moment rather than
    // counting it twice.
    from.state.store(shm::SlotState::free, release);
    pool.retired_requests.store(pool.retired_requests.load(relaxed) + shm::responses(*segment, slot),
                                release);
    shm::set_origin(*segment, Scope::backend, slot);
    if (slot < columns.detail_rows()) shm::set_origin(*segment, Scope::backend_detail, slot);
    publisher.replace(from.name, 0);
    publisher.replace(from.addresses, 0);
    publisher.replace(from.check_reason, 0);
    publisher.replace(from.zone, 0);
    from.health.store(shm::Health::checking, relaxed);
    from.member.store(0, relaxed);
    // No journal holds it and nobody is between two steps: what the cell still shows was left by a death, and its
    // failures and latency are of nobody.
    auto& cell = segment->backend_cell(slot);
    cell.in_flight.store(0, relaxed);
    cell.failures.store(0, relaxed);
    cell.failing_since.store(0, relaxed);
    cell.latency.store(0, relaxed);
    auto& siblings = pools[backends[slot].pool].slots;
    const auto place = backends[slot].place;
    siblings[place] = siblings.back();
    backends[siblings[place]].place = place;
    siblings.pop_back();
    backends.remove(slot);
}

void TableWriter::State::free_pool(std::uint32_t slot) {
    auto& from = segment->pool(slot);
    from.state.store(shm::SlotState::free, release);
    shm::set_origin(*segment, Scope::pool, slot);
    from.panic.store(0, relaxed);
    // Tickets go on: what a process shows of them is zero, and nothing else looks back.
    auto& cell = segment->pool_cell(slot);
    cell.in_flight.store(0, relaxed);
    cell.queued.store(0, relaxed);
    cell.budget_spent.store(0, relaxed);
    cell.request_rate.store(0, relaxed);
    columns.forget_pool(slot);
    publisher.replace(from.name, 0);
    publisher.replace(from.published, 0);
    pools.remove(slot);
}

void TableWriter::State::free_named(Scope scope, shm::NamedSlot& from, std::uint32_t slot) {
    from.state.store(shm::SlotState::free, release);
    shm::set_origin(*segment, scope, slot);
    publisher.replace(from.name, 0);
}

}  // namespace lb
