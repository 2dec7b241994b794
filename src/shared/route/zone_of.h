// shared/route/zone_of.h -- the zone whose backends a client should get: that of its country, else the one where this lb
// stands.
// Owns:  a table of countries. One for each process, built once. Pure. The settings must outlive it.
// Never: allocates when asked; knows which zones have backends (shared/balance does).
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "shared/config/model.h"
#include "shared/net/address.h"

namespace lb::route {

class ZoneOf {
 public:
    explicit ZoneOf(const config::Zones& zones);

    // Whether the answer depends on the client: some country has a zone, and there is a database.
    [[nodiscard]] bool asks_country() const noexcept { return asks_; }
    // The zone's name; "": none is preferred. A view of the settings. `country`: two capital letters or "".
    [[nodiscard]] std::string_view preferred(std::string_view country) const noexcept;
    [[nodiscard]] std::string_view preferred(const Address& client) const noexcept;

 private:
    static constexpr std::size_t letters = 26;
    const config::Zones& zones_;
    bool asks_ = false;
    // From two letters to a place of [zones] plus 1; 0: the country has none.
    std::array<std::uint16_t, letters * letters> places_{};
};

}  // namespace lb::route
