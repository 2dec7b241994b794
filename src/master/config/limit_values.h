// master/config/limit_values.h -- values of [limit], of [zones] and of `country`: rates, keys and countries.
// Owns:  their grammar, both ways. Pure functions; what they print they read back to the same value.
// Never: looks at another key; counts a request.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "master/config/values.h"
#include "shared/config/model.h"

namespace lb::config {

// "200/s", "10/m burst=3", "100/h". The burst that is not said: what one second brings, at least 1.
struct Rate {
    std::uint64_t interval = 0;  // nanoseconds from one request to the next, rounded down
    std::uint32_t burst = 0;
    bool operator==(const Rate&) const = default;
};
Parsed<Rate> parse_rate(std::string_view text);
std::string print_rate(const Rate& rate);

// client_addr | header NAME | cookie NAME | route
Parsed<RequestKey> parse_limit_key(std::string_view text);

// "de" to "DE" (ISO 3166-1).
Parsed<std::string> parse_country(std::string_view word);
// One or more, each once.
Parsed<std::vector<std::string>> parse_countries(std::string_view text);
std::string print_countries(const std::vector<std::string>& countries);
// ZONE CODE..., as a line of [zones].
Parsed<Zones::Place> parse_place(std::string_view text);
std::string print_place(const Zones::Place& place);

}  // namespace lb::config
