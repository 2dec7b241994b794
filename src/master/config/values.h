// master/config/values.h -- one quantity's text to a time, a size or a share, and back.
// Owns:  nothing; pure functions. What they print they read back to the same value.
// Never: knows a key.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/config/words.h"

namespace lb::config {

// "2s", "200ms", "5m", "1h". Limits are inclusive.
Parsed<std::chrono::milliseconds> parse_duration(std::string_view text, std::chrono::milliseconds least,
                                                 std::chrono::milliseconds most);
std::string print_duration(std::chrono::milliseconds time);  // in the largest unit that is exact

// "100b", "8k", "10m", "1g", in units of 1024.
Parsed<std::uint64_t> parse_size(std::string_view text, std::uint64_t least, std::uint64_t most);
std::string print_size(std::uint64_t bytes);

// "10%", "0.25%", from 0.01% to 100%, as parts of a million.
Parsed<std::uint32_t> parse_share(std::string_view text);
std::string print_share(std::uint32_t millionths);

// "20%": whole per cents.
Parsed<std::uint32_t> parse_percent(std::string_view text, std::uint32_t least, std::uint32_t most);

}  // namespace lb::config
