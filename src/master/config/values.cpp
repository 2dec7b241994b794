// master/config/values.cpp -- see values.h. Numbers are decimal and unsigned; anything else is refused.
#include "master/config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

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

constexpr bool blank(char c) noexcept { return c == ' ' || c == '\t'; }

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

Parsed<Words> split_words(std::string_view text) {
    Words words;
    bool in_word = false;
    bool in_quotes = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        if (!in_quotes && blank(c)) {
            in_word = false;
            continue;
        }
        if (!in_word) words.emplace_back();
        in_word = true;
        if (c == '"') {
            in_quotes = !in_quotes;
        } else if (in_quotes && c == '\\') {
            if (i + 1 == text.size() || (text[i + 1] != '"' && text[i + 1] != '\\')) {
                return problem("a backslash inside quotes goes before \" or \\ only",
                               "write \\\\ for a backslash");
            }
            words.back() += text[++i];
        } else {
            words.back() += c;
        }
    }
    if (in_quotes) return problem("a quote is not closed");
    if (words.empty()) return problem("needs a value");
    return words;
}

Parsed<std::string> one_word(std::string_view text) {
    auto words = split_words(text);
    if (!words) return Failed{words.error()};
    if (words.value().size() != 1) return problem("takes one value", "put quotes around a value with blanks");
    if (words.value()[0].empty()) return problem("needs a value");
    return std::move(words.value()[0]);
}

std::string quote(std::string_view word) {
    if (!word.empty() && word.find_first_of(" \t\"#;") == std::string_view::npos) return std::string(word);
    std::string out = "\"";
    for (const char c : word) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

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

Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
    const auto value = text::number(text);
    if (!value && (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos)) {
        return problem("is not a whole number");
    }
    if (!value || *value < least || *value > most)
        return problem(fmt::format("must be {} to {}", least, most));
    return *value;
}

Parsed<std::size_t> parse_choice(std::string_view text, std::span<const std::string_view> names) {
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) {
        return problem(fmt::format("must be {}", join_choices(names)), near_miss(text, names));
    }
    return static_cast<std::size_t>(found - names.begin());
}

std::string join_choices(std::span<const std::string_view> names) {
    std::string out;
    for (std::size_t i = 0; i < names.size(); i++) {
        if (i != 0) out += i + 1 == names.size() ? " or " : ", ";
        out += names[i];
    }
    return out;
}

std::string near_miss(std::string_view word, std::span<const std::string_view> candidates) {
    const std::string_view found = text::nearest(word, candidates);
    return found.empty() ? std::string() : fmt::format("did you mean '{}'?", found);
}

bool is_utf8(std::string_view text) noexcept {
    std::size_t i = 0;
    while (i < text.size()) {
        const auto first = static_cast<unsigned char>(text[i++]);
        if (first < 0x80) continue;
        const std::size_t more = first >= 0xc2 && first <= 0xdf   ? 1
                                 : first >= 0xe0 && first <= 0xef ? 2
                                 : first >= 0xf0 && first <= 0xf4 ? 3
                                                                  : 0;
        if (more == 0 || text.size() - i < more) return false;
        const auto second = static_cast<unsigned char>(text[i]);
        // Overlong forms, surrogates and what lies above U+10FFFF show in the second byte.
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
            (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
            return false;
        }
        for (std::size_t k = 0; k < more; k++) {
            if ((static_cast<unsigned char>(text[i++]) & 0xc0) != 0x80) return false;
        }
    }
    return true;
}

std::string resolve_path(std::string_view base, std::string_view path) {
    if (path.empty() || path.front() == '/' || base.empty()) return std::string(path);
    return (std::filesystem::path(base) / path).lexically_normal().string();
}

std::optional<Problem> check_name(std::string_view name) {
    constexpr std::size_t longest = 128;
    if (name.empty()) return Problem{"the name is empty", {}};
    if (name.size() > longest) return Problem{fmt::format("the name is longer than {} bytes", longest), {}};
    if (!is_utf8(name)) return Problem{"the name is not valid UTF-8", {}};
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (std::any_of(name.begin(), name.end(), control)) return Problem{"the name holds a control byte", {}};
    return std::nullopt;
}

Parsed<OptionList> OptionList::parse(std::span<const std::string> words, std::span<const OptionName> known) {
    OptionList out;
    for (const std::string& word : words) {
        const std::size_t equals = std::min(word.find('='), word.size());
        const std::string name = word.substr(0, equals);
        const auto found =
            std::find_if(known.begin(), known.end(), [&](const OptionName& o) { return o.name == name; });
        if (found == known.end()) {
            std::vector<std::string_view> names;
            std::transform(known.begin(), known.end(), std::back_inserter(names),
                           [](const auto& o) { return o.name; });
            std::string hint = near_miss(name, names);
            if (hint.empty())
                hint = names.empty() ? "none is possible here" : "options here: " + join_choices(names);
            return problem(fmt::format("unknown option '{}'", name), hint);
        }
        if (out.find(name)) return problem(fmt::format("option '{}' is given twice", name));
        if (found->takes_value && equals + 1 >= word.size()) {
            return problem(fmt::format("option '{}' needs a value", name),
                           fmt::format("write {}=VALUE", name));
        }
        if (!found->takes_value && equals != word.size()) {
            return problem(fmt::format("option '{}' takes no value", name));
        }
        out.given_.emplace_back(name, found->takes_value ? word.substr(equals + 1) : std::string());
    }
    return out;
}

std::optional<std::string_view> OptionList::find(std::string_view name) const noexcept {
    for (const auto& [given, value] : given_) {
        if (given == name) return value;
    }
    return std::nullopt;
}

Problem in_option(std::string_view name, std::string_view value, const Problem& problem) {
    return {fmt::format("{}={}: {}", name, value, problem.what), problem.hint};
}

}  // namespace lb::config
