// master/explain_pool.cpp -- see explain_pool.h: what workers would do, found out by the code they do it with.
#include "master/explain_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shared/balance/key.h"
#include "shared/balance/least_conn.h"
#include "shared/balance/maglev.h"
#include "shared/balance/round_robin.h"
#include "shared/balance/sticky_id.h"
#include "shared/balance/zones.h"
#include "shared/base/random.h"
#include "shared/route/request_key.h"
#include "shared/route/zone_of.h"

namespace lb {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;

}  // namespace

PoolView::PoolView(const Question& question, const shm::Segment& table)
    : question_(question), pool_(question.pool), table_(table) {
    published_ = table.block<shm::PublishedPool>(table.pool(pool_.slot).published.load(acquire));
    if (published_ == nullptr) return;
    groups_ = {published_->primaries().data(),
               std::size_t{published_->primary_groups} + published_->backup_groups};
    for (const shm::PublishedGroup& group : groups_) {
        for (const shm::Eligible& one : published_->eligible(group)) {
            // Only weights in finer units are larger than what the slot says.
            const std::uint32_t whole = table.backend(one.backend).weight.load(relaxed);
            if (whole != 0) units_ = std::max(units_, one.weight / whole);
        }
    }
    zone_ = route::ZoneOf(question.config.zones).preferred(question.asking.client);
    find_session();
    find_key();
    find_group();
    if (group_) find_next();
}

std::uint32_t PoolView::load(std::uint32_t slot) const noexcept {
    return table_.backend_cell(slot).in_flight.load(relaxed);
}
bool PoolView::full(const shm::Eligible& one) const noexcept {
    return one.max_inflight != 0 && load(one.backend) >= one.max_inflight;
}
std::string_view PoolView::name_of(std::uint32_t slot) const noexcept {
    return table_.text(table_.backend(slot).name.load(acquire));
}
std::span<const shm::Eligible> PoolView::eligible() const noexcept {
    return published_->eligible(groups_[*group_]);
}

// Whose session it is.
void PoolView::find_session() {
    const config::Sticky& sticky = pool_.sticky;
    if (sticky.kind != config::StickyKind::cookie) return;
    std::string room;
    const auto value = route::request_key({config::KeyKind::cookie, sticky.name}, question_.asking.head,
                                          question_.asking.client_text, question_.route, room);
    if (!value) {
        session_text_ = fmt::format("there is no cookie {} yet: the answer sets it", sticky.name);
        return;
    }
    const auto id = balance::parse_sticky(*value);
    const auto entries = published_->sticky();
    const auto found = std::ranges::lower_bound(entries, id.value_or(0), {}, &shm::StickyEntry::id);
    if (!id || found == entries.end() || found->id != *id) {
        session_text_ =
            fmt::format("cookie {} names no backend that serves: the answer sets another", sticky.name);
        return;
    }
    session_text_ = fmt::format("cookie {} names {}", sticky.name, name_of(found->backend));
    if (found->max_inflight != 0 && load(found->backend) >= found->max_inflight) {
        session_text_ += fmt::format(", which has its max_inflight, {}", found->max_inflight);
        return;
    }
    if (found->draining != 0) session_text_ += ", which drains and serves the sessions it has";
    session_ = &*found;
}

// The key that decides, if any does: of sticky, else of the policy.
void PoolView::find_key() {
    std::optional<config::RequestKey> of;
    if (pool_.sticky.kind == config::StickyKind::header) of = {config::KeyKind::header, pool_.sticky.name};
    if (pool_.sticky.kind == config::StickyKind::ip) of = {config::KeyKind::client_addr, ""};
    const bool sticky = of.has_value();
    if (sticky) {
        read_key(*of);
        session_text_ =
            key_ ? key_text_ : fmt::format("there is no {}: the balance policy decides", key_name(*of));
        if (key_) return;
    }
    if (pool_.balance.policy == config::Policy::hash) of = pool_.balance.key;
    if (pool_.balance.policy == config::Policy::ip_hash) of = {config::KeyKind::client_addr, ""};
    const bool hashes =
        pool_.balance.policy == config::Policy::hash || pool_.balance.policy == config::Policy::ip_hash;
    if (!hashes) return;
    read_key(*of);
    if (!key_) key_text_ = fmt::format("there is no {}", key_name(*of));
}

void PoolView::read_key(const config::RequestKey& key) {
    const Asking& asking = question_.asking;
    const auto words = key_words(key, asking, question_.route);
    if (!words) return;
    key_text_ = *words;
    if (key.kind == config::KeyKind::client_addr) {
        key_ = balance::hash_key(asking.client);
        return;
    }
    std::string room;
    const auto value = route::request_key(key, asking.head, asking.client_text, question_.route, room);
    if (value) key_ = balance::hash_key(*value);
}

// Backups only when no primary is usable, not when all of them are full.
void PoolView::find_group() {
    const bool spare =
        std::ranges::all_of(published_->primaries(), [](const auto& g) { return g.count == 0; });
    const auto tier = spare ? published_->backups() : published_->primaries();
    const std::uint32_t first = spare ? published_->primary_groups : 0;
    if (std::ranges::all_of(tier, [](const auto& group) { return group.count == 0; })) return;
    std::uint32_t chosen = 0;
    if (tier.size() > 1) {
        // A key stays with its zone as it stays with its backend.
        const std::uint64_t draw = key_ ? *key_ : Random(question_.seed).next();
        const auto choice = balance::choose_group(
            tier, shm::zone_id(zone_), static_cast<std::uint32_t>(draw >> 48), (draw >> 16) & 0xffffffff);
        if (!choice) return;
        chosen = choice->group;
    }
    // One that is full hands over to the next.
    group_ = first + chosen;
    for (std::uint32_t i = 0; i < tier.size(); i++) {
        const std::uint32_t g = first + (chosen + i) % static_cast<std::uint32_t>(tier.size());
        const auto list = published_->eligible(groups_[g]);
        if (std::ranges::all_of(list, [this](const auto& one) { return full(one); })) continue;
        group_ = g;
        return;
    }
}

void PoolView::find_next() {
    const auto group = eligible();
    const auto schedule = published_->schedule(groups_[*group_]);
    const auto skip = [this](const shm::Eligible& one) { return full(one); };
    const auto left = std::ranges::count_if(group, [&](const auto& one) { return !skip(one); });
    if (left == 0) return;
    if (key_) return find_hashed();
    Random random(question_.seed);
    switch (pool_.balance.policy) {
        case config::Policy::ip_hash:
        case config::Policy::hash:  // without a key
        case config::Policy::round_robin: {
            const std::uint64_t cursor =
                table_.pool_cell(pool_.slot).cursor[*group_ % shm::group_cursors].load(relaxed);
            next_ = balance::pick_round_robin(group, schedule, cursor, skip);
            next_why_ = key_text_.empty() ? "it is its turn" : key_text_ + ", and it is its turn";
            turns_.assign(group.size(), 0);
            std::vector<char> seen(group.size());
            for (std::size_t i = 0; i < schedule.size(); i++) {
                const std::uint32_t choice = schedule[(cursor + i) % schedule.size()];
                if (std::exchange(seen[choice], 1) == 0) turns_[choice] = i;
            }
            return;
        }
        case config::Policy::least_conn:
            next_ = balance::pick_least_conn(
                group, [this](std::uint32_t slot) noexcept { return load(slot); }, skip, random);
            if (!next_) return;
            next_why_ = load_words(group[*next_]) + ", the least";
            if (group.size() > balance::least_conn_scan)
                next_why_ += fmt::format(" of {} drawn by chance", balance::least_conn_samples);
            return;
        case config::Policy::p2c:
        case config::Policy::peak_ewma:
        case config::Policy::random: break;
    }
    by_chance_ = left > 1;
    if (by_chance_) return;
    const auto only = std::ranges::find_if(group, [&](const auto& one) { return !skip(one); });
    next_ = static_cast<std::uint32_t>(only - group.begin());
    next_why_ = "the only one";
}

void PoolView::find_hashed() {
    const auto group = eligible();
    const auto maglev = published_->maglev(groups_[*group_]);
    const auto nobody = [](const shm::Eligible&) { return false; };
    const std::uint32_t bound = pool_.balance.bound;
    const bool primary = *group_ < published_->primary_groups;
    std::uint64_t weight = 0;  // of the primaries, or of the backups
    for (const auto& each : primary ? published_->primaries() : published_->backups()) weight += each.weight;
    const std::uint64_t total = table_.pool_cell(pool_.slot).in_flight.load(relaxed);
    const auto over = [&](const shm::Eligible& one) {
        return bound != 0 && load(one.backend) >= balance::bounded_capacity(total, one.weight, weight, bound);
    };
    const auto own = balance::pick_maglev(group, maglev, *key_, nobody);
    next_ = balance::pick_bounded(group, maglev, *key_, over, [this](const auto& one) { return full(one); });
    if (!next_ || !own) return;
    next_why_ = key_text_ + " hashes to it";
    if (next_ == own) return;
    next_why_ =
        fmt::format("{} hashes to {}, which {}; this is the next", key_text_, name_of(group[*own].backend),
                    full(group[*own]) ? "is full" : fmt::format("has its bound of {}%", bound));
}

}  // namespace lb
