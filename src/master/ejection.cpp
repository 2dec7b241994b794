// master/ejection.cpp -- see ejection.h.
#include "master/ejection.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "shared/base/log.h"
#include "shared/shm/counters.h"

namespace lb {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

std::string seconds(Micros time) {
    if (time % 1'000'000 == 0) return fmt::format("{} s", time / 1'000'000);
    return fmt::format("{:.1f} s", static_cast<double>(time) / 1e6);
}

// What config::Eject calls a failure, as far as counters tell it: answers are counted by class, so 501 and 505 are among
// the 5xx here.
ejection::Window::Counts counts_of(const shm::Segment& table, std::uint32_t slot) {
    ejection::Window::Counts out;
    out.requests = shm::responses(table, slot);
    out.failures = shm::sum<"lb_backend_requests_total">(table, slot, 5);
    for (const auto label : {metrics::fail_connect, metrics::fail_connect_timeout, metrics::fail_reset,
                             metrics::fail_response_timeout, metrics::fail_bad_response}) {
        const auto n = shm::sum<"lb_backend_failures_total">(table, slot, label);
        out.requests += n;
        out.failures += n;
    }
    return out;
}
static_assert(metrics::class_values[5] == "5xx");

}  // namespace

void Ejection::ask(std::uint32_t slot) {
    if (slot >= segment_->header().backends) return;
    if (slot >= flags_.size()) flags_.resize(slot + std::size_t{1});
    if (flags_[slot]) return;
    flags_[slot] = true;
    asked_.push_back(slot);
}

// Which pools there are, when generations have other configurations than last time.
void Ejection::learn() {
    auto configs = generations_->configs();
    if (configs == configs_) return;
    configs_ = std::move(configs);
    pools_.clear();
    watched_.clear();
    std::unordered_set<std::uint32_t> known;
    for (const ConfigPtr& config : configs_) {
        for (std::size_t i = 0; i < config->pools.size(); i++) {
            const config::Pool& pool = config->pools[i];
            if (!pools_.try_emplace(pool.slot, Where{config, i}).second) continue;
            if (pool.eject.errors == 0 || pool.eject.ratio == 0) continue;
            for (const config::Backend& each : pool.backends) {
                watched_.push_back(each.slot);
                known.insert(each.slot);
            }
        }
    }
    std::erase_if(samples_, [&](const auto& each) { return !known.contains(each.first); });
    std::erase_if(refused_, [&](const auto& each) { return !pools_.contains(each.first); });
    next_ = 0;
}

const config::Pool* Ejection::pool_of(std::uint32_t slot) const {
    const shm::BackendSlot& backend = segment_->backend(slot);
    if (backend.state.load(relaxed) == shm::SlotState::free) return nullptr;
    const auto found = pools_.find(backend.pool.load(relaxed));
    return found == pools_.end() ? nullptr : &found->second.config->pools[found->second.pool];
}

std::string Ejection::name_of(std::uint32_t slot) const {
    return std::string(segment_->text(segment_->backend(slot).name.load(relaxed)));
}

bool Ejection::usable(std::uint32_t slot) const {
    const shm::BackendSlot& backend = segment_->backend(slot);
    return backend.health.load(relaxed) == shm::Health::up &&
           backend.operator_state.load(relaxed) == shm::Operator::ready &&
           backend.ejected_until.load(relaxed) == 0;
}

ejection::Room Ejection::room_of(const config::Pool& pool) const {
    ejection::Room room;
    room.members = pool.backends.size();
    for (const config::Backend& each : pool.backends) {
        if (segment_->backend(each.slot).ejected_until.load(relaxed) != 0) room.ejected++;
        if (usable(each.slot)) room.usable++;
    }
    return room;
}

void Ejection::look(Micros now, std::int64_t unix_millis) {
    learn();
    for (const std::uint32_t slot : std::exchange(asked_, {})) {
        flags_[slot] = false;
        const config::Pool* pool = pool_of(slot);
        if (pool == nullptr || pool->eject.errors == 0) continue;
        decide(slot, fmt::format("{} failures in a row", pool->eject.errors), now, unix_millis);
    }
}

void Ejection::decide(std::uint32_t slot, const std::string& why, Micros now, std::int64_t unix_millis) {
    const config::Pool& pool = *pool_of(slot);
    // Not in use anyway, or no member of the newest list any more.
    if (!usable(slot) || segment_->backend(slot).member.load(relaxed) == 0) return;
    const auto refused = refused_.find(pool.slot);
    if (refused != refused_.end() && now < refused->second.until) return;
    const auto room = room_of(pool);
    const std::string name = name_of(slot);
    if (!ejection::may_eject(room, pool.eject.at_most)) {
        Refused& no = refused_[pool.slot];
        no.until = now + refused_for;
        // It may ask again after as many failures.
        segment_->backend_cell(slot).failures.store(0, relaxed);
        if (no.told != 0 && now - no.told < complaint_gap) return;
        no.told = now;
        log::warn(
            "pool {}: backend {} fails ({}) and stays in use: {} of {} are usable, {} ejected, at_most={}%",
            pool.name, name, why, room.usable, room.members, room.ejected, pool.eject.at_most);
        return;
    }
    Entry& entry = entries_[slot];
    if (entry.pool != pool.name || entry.backend != name) entry = {{}, pool.name, name};
    const Micros time = entry.record.begin(to_micros(pool.eject.duration), now);
    const std::int64_t until = (unix_millis + time / 1000 + 999) / 1000;
    writer_->set_ejected(slot, until);
    writer_->column().add<"lb_backend_ejections_total">(slot);
    log::warn("pool {}: backend {} is ejected for {}: {} ({} of {} ejected{})", pool.name, name,
              seconds(time), why, room.ejected + 1, room.members,
              entry.record.row() > 1 ? fmt::format(", the {}. time in a row", entry.record.row()) : "");
}

void Ejection::end(std::uint32_t slot, Entry& entry, const std::string& how, Micros now) {
    entry.record.end(now);
    // Counts from now on: what failed before has had its ejection.
    if (const auto sampled = samples_.find(slot); sampled != samples_.end()) sampled->second.window.clear();
    writer_->set_ejected(slot, 0);
    log::notice("pool {}: backend {} is in use again after {}: {}", entry.pool, entry.backend,
                seconds(entry.record.lasted()), how);
}

void Ejection::checked(std::uint32_t slot, bool passed, Micros now) {
    const auto found = entries_.find(slot);
    if (found == entries_.end() || !found->second.record.ejected()) return;
    const config::Pool* pool = pool_of(slot);
    // A tcp check says nothing about requests.
    if (pool == nullptr || pool->check.kind != config::CheckKind::http) return;
    Entry& entry = found->second;
    if (!entry.record.checked(passed, pool->check.rise)) return;
    end(slot, entry, fmt::format("{} checks passed", entry.record.passes()), now);
}

// True when there is nothing more to know about it.
bool Ejection::tend(std::uint32_t slot, Entry& entry, Rooms& rooms, Micros now) {
    const config::Pool* pool = pool_of(slot);
    // Another owner of the slot begins with nothing of this. One whose pool went may come back to it.
    if (pool == nullptr || pool->name != entry.pool || name_of(slot) != entry.backend) {
        if (pool == nullptr && entry.record.ejected()) writer_->set_ejected(slot, 0);
        return true;
    }
    if (!entry.record.ejected()) return entry.record.stale(now);
    if (pool->eject.errors == 0) {
        end(slot, entry, "eject is off", now);
    } else if (entry.record.time_is_over(now)) {
        end(slot, entry, "its time is over", now);
    } else {
        const auto [room, fresh] = rooms.try_emplace(pool);
        if (fresh) room->second = room_of(*pool);
        const shm::BackendSlot& backend = segment_->backend(slot);
        // The others went meanwhile: a backend that fails at times is better than none.
        if (room->second.usable == 0 && backend.health.load(relaxed) == shm::Health::up &&
            backend.operator_state.load(relaxed) == shm::Operator::ready) {
            end(slot, entry, "no other is usable", now);
            room->second.usable++;
        }
    }
    return false;
}

void Ejection::tick(Micros now, std::int64_t unix_millis) {
    learn();
    Rooms rooms;
    for (auto each = entries_.begin(); each != entries_.end();) {
        each = tend(each->first, each->second, rooms, now) ? entries_.erase(each) : std::next(each);
    }
    sample(now, unix_millis);
}

// A tenth of the backends each time, so that ten thousand are no load for one turn.
void Ejection::sample(Micros now, std::int64_t unix_millis) {
    const std::size_t part = (watched_.size() + sample_parts - 1) / sample_parts;
    for (std::size_t i = 0; i < part; i++) {
        if (next_ >= watched_.size()) next_ = 0;
        const std::uint32_t slot = watched_[next_++];
        const config::Pool* pool = pool_of(slot);
        if (pool == nullptr) continue;
        Sampled& sampled = samples_[slot];
        const auto incarnation = segment_->backend(slot).incarnation.load(relaxed);
        if (std::exchange(sampled.incarnation, incarnation) != incarnation) sampled.window.clear();
        const auto counts =
            sampled.window.add(counts_of(*segment_, slot), to_micros(pool->eject.within), now);
        if (!ejection::fails_too_often(counts, pool->eject)) continue;
        decide(slot,
               fmt::format("{} of {} requests failed within {}", counts.failures, counts.requests,
                           seconds(to_micros(pool->eject.within))),
               now, unix_millis);
    }
}

}  // namespace lb
