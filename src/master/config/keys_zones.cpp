// master/config/keys_zones.cpp -- the rows of [zones].
#include <algorithm>
#include <climits>

#include "master/config/fields.h"
#include "master/config/limit_values.h"
#include "shared/geo/countries.h"

namespace lb::config {
namespace {

Bad parse_here(std::string_view text, const Target& into) {
    auto zone = one_word(text);
    if (!zone) return zone.error();
    if (auto bad = check_name(zone.value())) return bad;
    into.zones->here = std::move(zone).value();
    return std::nullopt;
}
Printed print_here(const Origin& from) {
    return from.zones->here.empty() ? Printed{} : Printed{quote(from.zones->here)};
}

// Several lines of one zone become one.
Bad parse_zone_countries(std::string_view text, const Target& into) {
    auto place = parse_place(text);
    if (!place) return place.error();
    std::vector<Zones::Place>& places = into.zones->places;
    const std::vector<std::string>& codes = place.value().countries;
    for (const Zones::Place& other : places) {
        const auto& theirs = other.countries;
        const auto both = std::find_first_of(codes.begin(), codes.end(), theirs.begin(), theirs.end());
        if (both == codes.end()) continue;
        return Problem{fmt::format("{} is in the zone {} already", *both, other.zone), {}};
    }
    const auto same = std::find_if(places.begin(), places.end(), [&](const Zones::Place& other) {
        return other.zone == place.value().zone;
    });
    if (same == places.end()) {
        places.push_back(std::move(place).value());
    } else {
        same->countries.insert(same->countries.end(), codes.begin(), codes.end());
    }
    return std::nullopt;
}
Printed print_zone_countries(const Origin& from) {
    Printed out;
    for (const Zones::Place& place : from.zones->places) out.push_back(print_place(place));
    return out;
}

// The database is part of the settings: one that cannot be used leaves the old settings in force.
Bad parse_database(std::string_view text, const Target& into) {
    const auto word = one_word(text);
    if (!word) return word.error();
    auto path = parse_path(word.value(), into.base, PATH_MAX - 1);
    if (!path) return path.error();
    auto opened = geo::Countries::open(path.value());
    if (!opened) return Problem{opened.error(), {}};
    into.zones->database = std::move(path).value();
    into.zones->countries = std::move(opened).value();
    return std::nullopt;
}
Printed print_database(const Origin& from) {
    return from.zones->database.empty() ? Printed{} : Printed{quote(from.zones->database)};
}

constexpr Kinds zones = in(Kind::zones);

constexpr char zone_form[] = "ZONE";
constexpr char countries_form[] = "ZONE COUNTRY, one or more countries";
constexpr char file_form[] = "FILE";

constexpr KeySpec table[] = {
    {"here", zones, once, own<zone_form>(parse_here, print_here), no_default,
     "no zone is preferred but that of the client's country",
     "The zone of this lb. Its requests go to backends of this zone, unless `country` says another for the "
     "client."},
    {"country", zones, many, own<countries_form>(parse_zone_countries, print_zone_countries), no_default,
     "the client's country does not matter",
     "Requests of clients from these countries, two letters each, go to backends of that zone. Needs "
     "`database`."},
    {"database", zones, once, own<file_form>(parse_database, print_database), no_default,
     "no client's country is known",
     "In which country an address is: a file in MaxMind's format, such as GeoLite2-Country.mmdb. It is read "
     "when the settings are."},
    {"spill", zones, once, percent<&Zones::spill, 1, 100>(), "70%", has_default,
     "A zone keeps all its requests while at least this share of its weight is healthy. Below it, others get "
     "the more of them the less there is."},
};

}  // namespace

std::span<const KeySpec> zone_keys() noexcept { return table; }

}  // namespace lb::config
