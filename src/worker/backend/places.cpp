// worker/backend/places.cpp -- see places.h.
//
// When every member of a pool has a max_inflight and the pool's cell holds as many places as they have together, they are
// full, but for what is held of members that left the list (drained, gone): `probes` of them are looked at, which is all
// of a small pool, and the answer is "saturated". Otherwise somebody has a free place, and whom the policy missed is
// found by a walk from a place by chance.
#include "worker/backend/places.h"

#include <algorithm>
#include <optional>

#include "shared/balance/least_conn.h"
#include "shared/balance/maglev.h"
#include "shared/balance/p2c.h"
#include "shared/balance/peak_ewma.h"
#include "shared/balance/random_pick.h"
#include "shared/balance/round_robin.h"
#include "shared/balance/tried.h"
#include "shared/balance/zones.h"

namespace lb {
namespace {

using config::Policy;
constexpr auto relaxed = std::memory_order_relaxed;

constexpr std::uint32_t probes = 64;   // of backends that are thought to be full
constexpr std::uint32_t patience = 4;  // choices whose last place somebody else took meanwhile
// Backends that a policy may pass over in one choice. Then it gets what it looks at, full as it is, and the walk begins.
constexpr std::uint32_t most_passed_over = 256;

bool is_hash(const config::Balance& balance) noexcept {
    return balance.policy == Policy::hash || balance.policy == Policy::ip_hash;
}

// Whether the policy reads the shared cells.
bool policy_counts(const config::Balance& balance) noexcept {
    switch (balance.policy) {
        case Policy::least_conn:
        case Policy::p2c:
        case Policy::peak_ewma: return true;
        case Policy::ip_hash:
        case Policy::hash: return balance.bound > 0;
        case Policy::round_robin:
        case Policy::random: break;
    }
    return false;
}

// Whether the request's key chooses.
bool by_key(const config::Pool& pool, const Preference& preference) noexcept {
    const bool sticky =
        pool.sticky.kind == config::StickyKind::header || pool.sticky.kind == config::StickyKind::ip;
    return preference.has_key && (sticky || is_hash(pool.balance));
}

// Places of the groups together; 0: no bound.
std::uint64_t capacity(std::span<const shm::PublishedGroup> groups) noexcept {
    std::uint64_t total = 0;
    for (const auto& group : groups) {
        if (group.count == 0) continue;
        if (group.capacity == 0) return 0;
        total += group.capacity;
    }
    return total;
}

}  // namespace

// One call of take().
struct Places::Request {
    std::uint32_t pool;
    const config::Pool& settings;
    const shm::PublishedPool& published;
    shm::PoolCell& cell;
    const Preference& preference;
    std::span<const std::uint32_t> tried;
    bool first;
    Micros now;
    bool counts;  // the policy reads the shared cells
    bool keyed;   // the key chooses
    // Of the tier that is looked at now:
    std::uint64_t weight = 0;
    bool seems_full = false;  // by its sum
    bool full = false;        // somebody was passed over for being full
    std::uint32_t zone = 0;   // of the group looked at last
};

const shm::PublishedPool* Places::published(std::uint32_t pool) const noexcept {
    return table_.block<shm::PublishedPool>(
        table_.pool(config_.pools[pool].slot).published.load(std::memory_order_acquire));
}

std::uint32_t Places::load(std::uint32_t backend) const noexcept {
    return table_.backend_cell(backend).in_flight.load(relaxed);
}

Place Places::take(std::uint32_t pool, const Preference& preference, std::span<const std::uint32_t> tried,
                   bool first, Micros now) noexcept {
    const config::Pool& settings = config_.pools[pool];
    const shm::PublishedPool* list = published(pool);
    if (list == nullptr) return {};
    Request request{pool,  settings, *list, table_.pool_cell(settings.slot), preference,
                    tried, first,    now,   policy_counts(settings.balance), by_key(settings, preference)};
    Place place = by_cookie(request);
    const bool session_stands = place.session_stands;
    if (place.pick != Pick::yes) {
        place = in_tier(request, list->primaries(), 0);
        if (place.pick == Pick::no_backend) place = in_tier(request, list->backups(), list->primary_groups);
    }
    if (place.pick != Pick::yes) return place;
    place.session_stands = session_stands;
    column_.add<"lb_backend_in_flight">(place.backend.slot);
    if (first) count_first(request, place);
    return place;
}

void Places::give_back(std::uint32_t pool, const Place& place) noexcept {
    if (place.pick != Pick::yes) return;
    column_.sub<"lb_backend_in_flight">(place.backend.slot);
    if (place.counted) column_.give_back(place.backend.slot, config_.pools[pool].slot);
}

void Places::count_first(const Request& request, const Place& place) noexcept {
    const std::uint32_t slot = request.settings.slot;
    const Preference& preference = request.preference;
    if (request.settings.sticky.kind == config::StickyKind::cookie) {
        column_.add<"lb_pool_sticky_total">(slot, place.by_cookie          ? metrics::sticky_kept
                                                  : preference.sticky == 0 ? metrics::sticky_new
                                                                           : metrics::sticky_moved);
    }
    if (place.by_cookie || preference.zone == 0 || request.zone == preference.zone) return;
    // A pool whose backends are in no zone has no other one to send requests to.
    const bool zones = request.published.primary_groups > 1 || request.zone != 0;
    if (zones) column_.add<"lb_pool_spilled_total">(slot);
}

bool Places::take_one(Request& request, std::uint32_t backend, std::uint32_t max_inflight,
                      bool& counted) noexcept {
    counted = request.counts || max_inflight != 0;
    if (!counted) return true;
    const bool room = max_inflight == 0 || load(backend) < max_inflight;
    if (room) {
        const std::uint32_t mine = column_.take(backend, request.settings.slot);
        if (max_inflight == 0 || mine <= max_inflight) return true;
        column_.give_back(backend, request.settings.slot);  // somebody else was faster
    }
    request.full = true;
    return false;
}

Place Places::by_cookie(Request& request) noexcept {
    const std::uint64_t id = request.preference.sticky;
    if (id == 0 || request.settings.sticky.kind != config::StickyKind::cookie) return {};
    const auto entries = request.published.sticky();
    const auto found = std::ranges::lower_bound(entries, id, {}, &shm::StickyEntry::id);
    if (found == entries.end() || found->id != id || balance::was_tried(request.tried, found->backend))
        return {};
    bool counted = false;
    const bool taken = take_one(request, found->backend, found->max_inflight, counted);
    request.full = false;  // says nothing of the others
    if (!taken) {
        Place none;
        none.session_stands = true;
        return none;
    }
    return {Pick::yes, {found->backend, found->incarnation}, counted, true, false};
}

Place Places::in_tier(Request& request, std::span<const shm::PublishedGroup> groups,
                      std::uint32_t number) noexcept {
    request.full = false;
    const auto count = static_cast<std::uint32_t>(groups.size());
    std::uint32_t at = 0;
    if (count > 1) {
        // A key stays with its zone as it stays with its backend.
        const std::uint64_t draw = request.keyed ? request.preference.key : random_.next();
        const auto chosen =
            balance::choose_group(groups, request.preference.zone, static_cast<std::uint32_t>(draw >> 48),
                                  (draw >> 16) & 0xffffffff);
        if (!chosen) return {};
        at = chosen->group;
    }
    const std::uint64_t most = capacity(groups);
    request.seems_full = most != 0 && request.cell.in_flight.load(relaxed) >= most;
    request.weight = 0;
    for (const auto& group : groups) request.weight += group.weight;
    for (std::uint32_t i = 0; i < count; i++) {
        const Place place = in_group(request, groups[at], number + at);
        if (place.pick == Pick::yes) return place;
        if (++at == count) at = 0;
    }
    return {request.full ? Pick::saturated : Pick::no_backend, {}, false, false};
}

Place Places::in_group(Request& request, const shm::PublishedGroup& group, std::uint32_t number) noexcept {
    if (group.count == 0) return {};
    request.zone = group.zone;
    if (request.seems_full) return walk(request, group, probes);
    const auto eligible = request.published.eligible(group);
    std::optional<std::uint64_t> turn;  // of round robin: one for all choices of this call
    std::uint32_t chosen_before = UINT32_MAX;
    for (std::uint32_t i = 0; i < patience; i++) {
        const auto chosen = choose(request, group, number, turn);
        if (!chosen) break;
        const shm::Eligible& one = eligible[*chosen];
        if (*chosen == chosen_before || balance::was_tried(request.tried, one.backend)) break;
        chosen_before = *chosen;
        bool counted = false;
        if (take_one(request, one.backend, one.max_inflight, counted))
            return {Pick::yes, {one.backend, one.incarnation}, counted, false};
    }
    return walk(request, group, group.count);
}

// By the policy. An index into the group's eligible ones; nothing when all were tried or are full.
std::optional<std::uint32_t> Places::choose(Request& request, const shm::PublishedGroup& group,
                                            std::uint32_t number,
                                            std::optional<std::uint64_t>& turn) noexcept {
    const config::Balance& settings = request.settings.balance;
    const auto eligible = request.published.eligible(group);
    const auto schedule = request.published.schedule(group);
    const auto maglev = request.published.maglev(group);
    std::uint32_t passed_over = 0;
    const auto skip = [&](const shm::Eligible& each) noexcept {
        const bool full = each.max_inflight != 0 && load(each.backend) >= each.max_inflight;
        request.full = request.full || full;
        if (!full && !balance::was_tried(request.tried, each.backend)) return false;
        return passed_over++ < most_passed_over;
    };
    const auto load_of = [this](std::uint32_t slot) noexcept { return load(slot); };
    const auto round_robin = [&] {
        if (!turn) {
            auto& cursor = request.cell.cursor[number % shm::group_cursors];
            turn = request.first ? cursor.fetch_add(1, relaxed) : cursor.load(relaxed);
        }
        return balance::pick_round_robin(eligible, schedule, *turn, skip);
    };
    if (request.keyed && !maglev.empty()) {
        const std::uint64_t key = request.preference.key;
        if (settings.bound == 0) return balance::pick_maglev(eligible, maglev, key, skip);
        const std::uint64_t total = request.cell.in_flight.load(relaxed);
        const auto over = [&](const shm::Eligible& each) noexcept {
            return load(each.backend) >=
                   balance::bounded_capacity(total, each.weight, request.weight, settings.bound);
        };
        return balance::pick_bounded(eligible, maglev, key, over, skip);
    }
    switch (settings.policy) {
        case Policy::round_robin: break;
        case Policy::least_conn: return balance::pick_least_conn(eligible, load_of, skip, random_);
        case Policy::p2c: return balance::pick_p2c(eligible, schedule, load_of, skip, random_);
        case Policy::peak_ewma:
            return balance::pick_peak_ewma(
                eligible, schedule,
                [&](std::uint32_t slot) noexcept {
                    const shm::BackendCell& cell = table_.backend_cell(slot);
                    return balance::cost(cell.latency.load(relaxed), cell.in_flight.load(relaxed),
                                         request.now);
                },
                skip, random_);
        case Policy::random: return balance::pick_random(eligible, schedule, skip, random_);
        case Policy::ip_hash:
        case Policy::hash: break;  // without a key
    }
    return round_robin();
}

// From a place by chance; at most `most` are looked at.
Place Places::walk(Request& request, const shm::PublishedGroup& group, std::uint32_t most) noexcept {
    const auto eligible = request.published.eligible(group);
    std::uint32_t at = random_.below(group.count);
    for (std::uint32_t i = 0; i < std::min(most, group.count); i++) {
        const shm::Eligible& one = eligible[at];
        if (++at == group.count) at = 0;
        if (balance::was_tried(request.tried, one.backend)) continue;
        bool counted = false;
        if (take_one(request, one.backend, one.max_inflight, counted))
            return {Pick::yes, {one.backend, one.incarnation}, counted, false};
    }
    return {};
}

bool Places::maybe_room(std::uint32_t pool) const noexcept {
    const shm::PublishedPool* list = published(pool);
    if (list == nullptr || list->usable == 0) return false;
    const bool backups = std::ranges::all_of(list->primaries(), [](const auto& g) { return g.count == 0; });
    const auto groups = backups ? list->backups() : list->primaries();
    const std::uint64_t most = capacity(groups);
    if (most == 0 || table_.pool_cell(config_.pools[pool].slot).in_flight.load(relaxed) < most) return true;
    if (list->usable > probes) return false;
    // Places of members that left the list are in the sum as well: a small pool is looked at.
    for (const auto& group : groups) {
        for (const auto& one : list->eligible(group)) {
            if (load(one.backend) < one.max_inflight) return true;
        }
    }
    return false;
}

}  // namespace lb
