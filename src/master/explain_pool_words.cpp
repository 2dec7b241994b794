// master/explain_pool_words.cpp -- what explain_pool.h has found out, in words.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <unordered_map>

#include "master/explain_pool.h"
#include "shared/balance/least_conn.h"
#include "shared/balance/peak_ewma.h"
#include "shared/balance/zones.h"
#include "shared/geo/countries.h"

namespace lb {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;

std::string utc(std::int64_t seconds) {
    const std::time_t time = seconds;
    std::tm parts{};
    char text[32];
    if (gmtime_r(&time, &parts) == nullptr) return "?";
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

}  // namespace

std::string PoolView::described(std::uint32_t slot) const {
    std::string name(name_of(slot));
    const auto* addresses = table_.block<shm::AddressBlock>(table_.backend(slot).addresses.load(acquire));
    if (addresses == nullptr || addresses->count == 0) return name + " (no address)";
    const std::string address = to_string(addresses->data()[0]);
    if (addresses->count > 1) return name + fmt::format(" ({} and {} more)", address, addresses->count - 1);
    return address == name ? name : name + fmt::format(" ({})", address);
}

std::string PoolView::zone_words(std::uint32_t group) const {
    const std::uint32_t id = groups_[group].zone;
    if (id == 0) return "no zone";
    const auto member = std::ranges::find_if(
        pool_.backends, [id](const config::Backend& b) { return shm::zone_id(b.zone) == id; });
    return member == pool_.backends.end() ? "another zone" : "zone " + member->zone;
}

void PoolView::say(Lines& lines) const {
    say_zone(lines);
    if (!session_text_.empty()) lines.add("sticky", session_text_);
    if (published_ != nullptr && published_->panic != 0) {
        lines.add("panic", fmt::format("less than {}% are usable: all are used", pool_.panic));
    }
    say_queue(lines);

    std::unordered_map<std::uint32_t, Usable> usable;  // by slot
    for (std::uint32_t g = 0; g < groups_.size(); g++) {
        for (const shm::Eligible& one : published_->eligible(groups_[g]))
            usable.emplace(one.backend, Usable{&one, g});
    }
    Lines::Rows rows;
    for (const config::Backend& backend : pool_.backends) {
        const auto found = usable.find(backend.slot);
        rows.emplace_back(described(backend.slot),
                          found == usable.end() ? why_unusable(backend.slot) : why_now(found->second));
        if (found != usable.end()) usable.erase(found);
    }
    // While a reload is under way, workers choose among the backends of the new configuration already.
    for (const shm::PublishedGroup& group : groups_) {
        for (const shm::Eligible& one : published_->eligible(group)) {
            const auto found = usable.find(one.backend);
            if (found != usable.end()) rows.emplace_back(described(one.backend), why_now(found->second));
        }
    }
    lines.table("backend", rows);
}

void PoolView::say_zone(Lines& lines) const {
    const auto in_zone = [](const shm::PublishedGroup& group) { return group.zone != 0; };
    if (std::ranges::none_of(groups_, in_zone)) return;
    if (zone_.empty()) return lines.add("zone", "none is preferred: all by their weights");
    const config::Zones& zones = question_.config.zones;
    std::string_view country;
    if (zones.countries != nullptr) country = zones.countries->country_of(question_.asking.client);
    const bool by_country = std::ranges::any_of(zones.places, [&](const config::Zones::Place& place) {
        return place.zone == zone_ && std::ranges::find(place.countries, country) != place.countries.end();
    });
    std::string text = by_country ? fmt::format("{}, the client's by its country {}", zone_, country)
                                  : zone_ + ", this lb's own";
    const std::uint32_t id = shm::zone_id(zone_);
    const auto tier =
        group_ && *group_ >= published_->primary_groups ? published_->backups() : published_->primaries();
    const auto own = std::ranges::find(tier, id, &shm::PublishedGroup::zone);
    if (own == tier.end() || own->count == 0) {
        text += ", where nobody is usable: the others by their weights";
    } else if (own->keep < balance::keep_all) {
        text += fmt::format(": keeps {}% of its requests, the others take the rest by their weights",
                            std::uint64_t{own->keep} * 100 / balance::keep_all);
    }
    lines.add("zone", text);
}

void PoolView::say_queue(Lines& lines) const {
    if (pool_.queue.size == 0 && !(group_ && !next_ && !by_chance_)) return;
    const std::uint32_t waiting = table_.pool_cell(pool_.slot).queued.load(relaxed);
    if (pool_.queue.size == 0) return lines.add("queue", "off");
    lines.add("queue", fmt::format("{} of {} places taken, for at most {} ms", waiting, pool_.queue.size,
                                   pool_.queue.timeout.count()));
}

std::string PoolView::outcome() const {
    if (session_ != nullptr)
        return fmt::format("backend {} of pool {} is next: its session", name_of(session_->backend),
                           pool_.name);
    if (next_)
        return fmt::format("backend {} of pool {} is next", name_of(eligible()[*next_].backend), pool_.name);
    if (by_chance_) return fmt::format("a backend of pool {} by chance", pool_.name);
    if (!group_) return fmt::format("503: no backend of pool {} is usable", pool_.name);
    const std::string why = fmt::format("every backend of pool {} has its max_inflight", pool_.name);
    if (pool_.queue.size == 0) return "503: " + why;
    if (table_.pool_cell(pool_.slot).queued.load(relaxed) >= pool_.queue.size)
        return fmt::format("503: {}, and its queue is full", why);
    return "waits in the queue: " + why;
}

std::string PoolView::load_words(const shm::Eligible& one) const {
    std::string out = fmt::format("{}", load(one.backend));
    if (one.max_inflight != 0) out += fmt::format(" of {}", one.max_inflight);
    out += " in flight";
    const std::uint32_t weight = table_.backend(one.backend).weight.load(relaxed);
    return weight == 1 ? out : out + fmt::format(" for weight {}", weight);
}

// What else is to know of a backend that is listed.
std::string PoolView::remark(const shm::Eligible& one) const {
    const shm::BackendSlot& backend = table_.backend(one.backend);
    std::string out;
    const std::uint64_t whole = std::uint64_t{backend.weight.load(relaxed)} * units_;
    if (one.weight < whole)
        out += fmt::format("; slow start: {}% of its weight", one.weight * 100ULL / whole);
    const bool panic = published_->panic != 0;
    if (panic &&
        (backend.health.load(relaxed) != shm::Health::up || backend.ejected_until.load(relaxed) != 0))
        out += "; " + why_unusable(one.backend);
    return out;
}

std::string PoolView::why_now(const Usable& usable) const {
    std::string why;
    if (session_ != nullptr && session_->backend == usable.one->backend) {
        why = "next: the cookie names it";
    } else if (full(*usable.one)) {
        why = fmt::format("full: {} in flight, no more than its max_inflight", load(usable.one->backend));
    } else if (!group_) {
        why = "usable";
    } else if (usable.group != *group_) {
        why = why_other_group(usable);
    } else {
        why = why_in_group(static_cast<std::uint32_t>(usable.one - eligible().data()));
    }
    return why + remark(*usable.one);
}

std::string PoolView::why_other_group(const Usable& usable) const {
    if (usable.group >= published_->primary_groups && *group_ < published_->primary_groups)
        return "backup: not used while a primary is usable";
    return fmt::format("usable: in {}, this request goes to {}", zone_words(usable.group),
                       zone_words(*group_));
}

std::string PoolView::why_in_group(std::uint32_t index) const {
    const shm::Eligible& one = eligible()[index];
    if (session_ != nullptr) return "usable: the cookie decides";
    if (next_ == index) return "next: " + next_why_;
    if (key_) return "usable: has other keys";
    switch (pool_.balance.policy) {
        case config::Policy::ip_hash:
        case config::Policy::hash:
        case config::Policy::round_robin:
            return fmt::format("usable: its turn comes in {} request{}", turns_[index],
                               turns_[index] == 1 ? "" : "s");
        case config::Policy::least_conn: {
            if (!next_ || eligible().size() > balance::least_conn_scan) return "usable: " + load_words(one);
            const shm::Eligible& best = eligible()[*next_];
            const bool same = (std::uint64_t{load(one.backend)} + 1) * best.weight ==
                              (std::uint64_t{load(best.backend)} + 1) * one.weight;
            return fmt::format("usable: {}, {}", load_words(one),
                               same ? "as good: chance decides" : "more load");
        }
        case config::Policy::p2c:
            return fmt::format("usable: {}; the less loaded of two by chance", load_words(one));
        case config::Policy::peak_ewma:
            return fmt::format("usable: {}, {}; the faster of two by chance", latency_words(one),
                               load_words(one));
        case config::Policy::random: return fmt::format("usable: {}% by chance", chance_of(one));
    }
    return "usable";
}

std::string PoolView::latency_words(const shm::Eligible& one) const {
    const std::uint64_t word = table_.backend_cell(one.backend).latency.load(relaxed);
    if (word == 0) return "latency not known";
    return fmt::format("latency {:.1f} ms", balance::ewma::decayed(word, question_.now) / 1000);
}

// Of 100: its weight among those that have room.
std::uint64_t PoolView::chance_of(const shm::Eligible& one) const noexcept {
    std::uint64_t all = 0;
    for (const shm::Eligible& each : eligible()) all += full(each) ? 0 : each.weight;
    return all == 0 ? 0 : (one.weight * 100ULL + all / 2) / all;
}

std::string PoolView::why_unusable(std::uint32_t slot) const {
    const shm::BackendSlot& backend = table_.backend(slot);
    switch (backend.operator_state.load(acquire)) {
        case shm::Operator::maint: return "maint: taken out by an operator";
        case shm::Operator::drain:
            return session_ != nullptr && session_->backend == slot
                       ? "next: the cookie names it, and in drain it serves the sessions it has"
                       : "drain: serves what is open and the sessions it has";
        case shm::Operator::ready: break;
    }
    const std::string reason = escaped(table_.text(backend.check_reason.load(acquire)));
    const std::int64_t changed = backend.changed.load(acquire);
    switch (backend.health.load(acquire)) {
        case shm::Health::down:
            return fmt::format("down{}{}{}", changed == 0 ? "" : " since " + utc(changed),
                               reason.empty() ? "" : ": ", reason);
        case shm::Health::checking: return "checking: not used before its first check has passed";
        case shm::Health::up: break;
    }
    const std::int64_t until = backend.ejected_until.load(acquire);
    if (until != 0) return fmt::format("ejected until {}: it failed requests", utc(until));
    const auto* addresses = table_.block<shm::AddressBlock>(backend.addresses.load(acquire));
    if (addresses == nullptr || addresses->count == 0) return "up, but without an address";
    const bool spare = backend.backup.load(acquire) != 0 && group_ && *group_ < published_->primary_groups;
    return spare ? "backup: not used while a primary is usable" : "up, but not published yet";
}

}  // namespace lb
