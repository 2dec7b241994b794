// master/config/values.cpp -- see values.h. Numbers are decimal and unsigned; anything else is refused.
#include "master/config/values.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"

namespace lb::config {
namespace {

using std::chrono::milliseconds;

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};
constexpr Unit time_units[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr Unit size_units[] = {{"g", 1ull << 30}, {"m", 1ull << 20}, {"k", 1ull << 10}, {"b", 1}};

constexpr std::uint64_t percent = 10'000;  // millionths
constexpr std::size_t share_decimals = 4;

// Digits and one unit; nothing for what does not fit 64 bits. The caller words the limits.
Parsed<std::uint64_t> with_unit(std::string_view text, std::span<const Unit> units,
                                std::string_view examples) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto count = text::number(text.substr(0, digits));
    const std::string_view unit = text.substr(digits);
    if (digits == 0) return problem("is not a number with a unit", fmt::format("write {}", examples));
    if (unit.empty()) return problem(fmt::format("needs a unit, such as {}", examples));
    const Unit* found = std::find_if(units.data(), units.data() + units.size(),
                                     [&](const Unit& u) { return u.name == unit; });
    if (found == units.data() + units.size()) {
        std::string names;
        for (const Unit& u : units) names += (names.empty() ? "" : " ") + std::string(u.name);
        return problem(fmt::format("unknown unit '{}'", unit), fmt::format("units are {}", names));
    }
    if (!count || *count > UINT64_MAX / found->factor) return problem("is too large");
    return *count * found->factor;
}

std::string print_unit(std::uint64_t value, std::span<const Unit> units, std::string_view zero) {
    if (value == 0) return std::string(zero);
    for (const Unit& u : units) {
        if (value % u.factor == 0) return fmt::format("{}{}", value / u.factor, u.name);
    }
    return {};  // the last unit divides everything
}

}  // namespace

Parsed<milliseconds> parse_duration(std::string_view text, milliseconds least, milliseconds most) {
    const auto count = with_unit(text, time_units, "2s or 200ms");
    if (!count) return Failed{count.error()};
    if (count.value() < static_cast<std::uint64_t>(least.count()) ||
        count.value() > static_cast<std::uint64_t>(most.count())) {
        return problem(fmt::format("must be {} to {}", print_duration(least), print_duration(most)));
    }
    return milliseconds(static_cast<std::int64_t>(count.value()));
}

std::string print_duration(milliseconds time) {
    return print_unit(static_cast<std::uint64_t>(time.count()), time_units, "0s");
}

Parsed<std::uint64_t> parse_size(std::string_view text, std::uint64_t least, std::uint64_t most) {
    const auto bytes = with_unit(text, size_units, "8k or 10m");
    if (!bytes) return Failed{bytes.error()};
    if (bytes.value() < least || bytes.value() > most) {
        return problem(fmt::format("must be {} to {}", print_size(least), print_size(most)));
    }
    return bytes.value();
}

std::string print_size(std::uint64_t bytes) { return print_unit(bytes, size_units, "0b"); }

Parsed<std::uint32_t> parse_share(std::string_view text) {
    if (!text.ends_with('%')) return problem("is no share", "write a percentage, as in 50% or 0.5%");
    text.remove_suffix(1);
    const std::size_t dot = std::min(text.find('.'), text.size());
    const auto whole = text::number(text.substr(0, dot));
    const std::string_view decimals = dot == text.size() ? "0" : text.substr(dot + 1);
    const auto part = text::number(decimals);
    if (!whole || !part) return problem("is no share", "write a percentage, as in 50% or 0.5%");
    if (decimals.size() > share_decimals) {
        return problem(fmt::format("has more than {} decimals", share_decimals));
    }
    std::uint64_t millionths = *part;
    for (std::size_t i = decimals.size(); i < share_decimals; i++) millionths *= 10;
    if (*whole > 100 || (millionths += *whole * percent) < percent / 100 || millionths > 100 * percent) {
        return problem("must be 0.01% to 100%");
    }
    return static_cast<std::uint32_t>(millionths);
}

Parsed<std::uint32_t> parse_percent(std::string_view text, std::uint32_t least, std::uint32_t most) {
    const auto value = text.ends_with('%') ? text::number(text.substr(0, text.size() - 1)) : std::nullopt;
    if (!value)
        return problem("is no percentage", fmt::format("write {}% to {}%, without decimals", least, most));
    if (*value < least || *value > most) return problem(fmt::format("must be {}% to {}%", least, most));
    return static_cast<std::uint32_t>(*value);
}

std::string print_share(std::uint32_t millionths) {
    std::string out = std::to_string(millionths / percent);
    if (millionths % percent != 0) {
        out += fmt::format(".{:04}", millionths % percent);
        out.erase(out.find_last_not_of('0') + 1);
    }
    return out + '%';
}

}  // namespace lb::config
