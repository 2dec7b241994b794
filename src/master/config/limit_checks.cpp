// master/config/limit_checks.cpp -- see limit_checks.h.
#include "master/config/limit_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

namespace lb::config {
namespace {

struct Listed {
    Cidr range;
    const Entry* entry;
    bool denied;
    [[nodiscard]] auto order() const { return std::tuple(std::to_array(range.bytes), range.bits); }
};

void list_ranges(const std::vector<Cidr>& ranges, const Section& section, bool denied,
                 std::vector<Listed>& out) {
    std::size_t next = 0;
    for (const Entry* entry : good_entries(section, denied ? "deny" : "allow")) {
        const auto word = one_word(entry->value);
        const std::size_t end = next + (word && word.value() == "all" ? 2 : 1);
        for (; next < end && next < ranges.size(); next++) out.push_back({ranges[next], entry, denied});
    }
}

// Lists of ten thousands of ranges are common: sorted, not each compared with each.
void check_ranges(const Acl& acl, const Section& section, Draft& draft) {
    std::vector<Listed> listed;
    list_ranges(acl.allow, section, false, listed);
    list_ranges(acl.deny, section, true, listed);
    std::stable_sort(listed.begin(), listed.end(),
                     [](const Listed& a, const Listed& b) { return a.order() < b.order(); });
    for (std::size_t i = 1; i < listed.size(); i++) {
        if (listed[i].range != listed[i - 1].range) continue;
        const std::string range = to_string(listed[i].range);
        if (listed[i].denied != listed[i - 1].denied) {
            draft.fail(section.place, fmt::format("allows and denies {}", range), "remove one of them");
            continue;
        }
        const Entry& entry = *listed[i].entry;
        draft.fail(entry.place, fmt::format("the acl has {} already", range), {}, entry.value);
    }
}

void check_acl(const Acl& acl, const Section& section, Draft& draft) {
    if (lacks(section, "allow") && lacks(section, "deny") && lacks(section, "default")) {
        draft.fail(section.place, "needs an 'allow', a 'deny' or a 'default'", "who may, and who may not?");
    }
    check_ranges(acl, section, draft);
}

void check_limit(const Section& section, Draft& draft) {
    if (lacks(section, "rate") && lacks(section, "connections")) {
        draft.fail(section.place, "needs a 'rate' or 'connections'", "how much may one key have?");
    }
}

void check_countries(const Section& section, bool known, Draft& draft) {
    if (known) return;
    for (const Entry* entry : good_entries(section, "country")) {
        draft.fail(entry->place, "without a database nobody's country is known",
                   "add database = FILE to [zones]", entry->value);
    }
}

// Which of `count` sections the lists of listeners and routes name.
template <auto OfListener, auto OfRoute>
std::vector<bool> named(const Config& config, std::size_t count) {
    std::vector<bool> out(count);
    for (const Listener& listener : config.listeners) {
        for (const std::uint32_t each : listener.*OfListener) out[each] = true;
    }
    for (const Route& route : config.routes) {
        for (const std::uint32_t each : route.*OfRoute) out[each] = true;
    }
    return out;
}

}  // namespace

void check_limits(const Built& built, Draft& draft) {
    const Config& config = built.config;
    for (std::size_t i = 0; i < config.acls.size(); i++) check_acl(config.acls[i], *built.acls[i], draft);
    for (const Section* section : built.limits) check_limit(*section, draft);
    const Section& zones = draft.single(Kind::zones);
    const bool known = !lacks(zones, "database") || draft.incomplete;
    check_countries(zones, known, draft);
    for (const Section* section : built.routes) check_countries(*section, known, draft);
}

void find_unused_limits(const Built& built, std::vector<std::string>& warnings) {
    const auto acls = named<&Listener::acls, &Route::acls>(built.config, built.acls.size());
    const auto limits = named<&Listener::limits, &Route::limits>(built.config, built.limits.size());
    for (std::size_t i = 0; i < acls.size(); i++) {
        if (!acls[i]) warn(built.acls[i]->place, "no listener and no route names this acl", warnings);
    }
    for (std::size_t i = 0; i < limits.size(); i++) {
        if (!limits[i]) warn(built.limits[i]->place, "no listener and no route names this limit", warnings);
    }
}

void find_idle_zones(const Built& built, const Section& section, std::vector<std::string>& warnings) {
    const Zones& zones = built.config.zones;
    std::set<std::string_view> used;
    bool discovered = false;  // such backends may be in any zone
    for (std::size_t i = 0; i < built.pools.size(); i++) {
        const Pool& pool = built.config.pools[i];
        discovered = discovered || !pool.discover.empty();
        const auto in_zone = std::find_if(pool.backends.begin(), pool.backends.end(),
                                          [](const Backend& backend) { return !backend.zone.empty(); });
        for (const Backend& backend : pool.backends) used.insert(backend.zone);
        if (in_zone == pool.backends.end() || !zones.here.empty() || !zones.places.empty()) continue;
        const auto at = static_cast<std::size_t>(in_zone - pool.backends.begin());
        warn(place_of(*built.pools[i], good_entries(*built.pools[i], "backend"), at),
             "zone= has no effect without a 'here' or a 'country' in [zones]", warnings);
    }
    if (discovered) return;
    const auto look = [&](const Entry& entry) {
        const auto words = split_words(entry.value);
        if (!words || used.contains(words.value()[0])) return;
        warn(entry.place, fmt::format("no backend is in the zone {}", words.value()[0]), warnings);
    };
    for (const std::string_view key : {"here", "country"}) {
        for (const Entry* entry : good_entries(section, key)) look(*entry);
    }
}

}  // namespace lb::config
