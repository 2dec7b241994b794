// shared/route/zone_of.cpp -- see zone_of.h.
#include "shared/route/zone_of.h"

#include <optional>

#include "shared/geo/countries.h"

namespace lb::route {
namespace {

constexpr std::size_t letters = 26;

std::optional<std::size_t> number_of(std::string_view country) noexcept {
    const auto capital = [](char c) { return c >= 'A' && c <= 'Z'; };
    if (country.size() != 2 || !capital(country[0]) || !capital(country[1])) return std::nullopt;
    return static_cast<std::size_t>(country[0] - 'A') * letters + static_cast<std::size_t>(country[1] - 'A');
}

}  // namespace

ZoneOf::ZoneOf(const config::Zones& zones) : zones_(zones) {
    for (std::size_t i = 0; i < zones.places.size() && i < UINT16_MAX; i++) {
        for (const std::string& country : zones.places[i].countries) {
            const auto number = number_of(country);
            if (!number || places_[*number] != 0) continue;
            places_[*number] = static_cast<std::uint16_t>(i + 1);
            asks_ = zones.countries != nullptr;
        }
    }
}

std::string_view ZoneOf::preferred(std::string_view country) const noexcept {
    const auto number = number_of(country);
    if (number && places_[*number] != 0) return zones_.places[places_[*number] - 1U].zone;
    return zones_.here;
}

std::string_view ZoneOf::preferred(const Address& client) const noexcept {
    return asks_ ? preferred(zones_.countries->country_of(client)) : std::string_view(zones_.here);
}

}  // namespace lb::route
