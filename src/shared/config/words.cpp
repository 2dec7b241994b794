// shared/config/words.cpp -- see words.h. Numbers are decimal and unsigned; anything else is refused.
#include "shared/config/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "shared/base/text.h"

namespace lb::config {
namespace {

constexpr bool blank(char c) noexcept { return c == ' ' || c == '\t'; }

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

Parsed<std::string> parse_path(std::string_view word, std::string_view base, std::size_t longest) {
    if (word.ends_with('/')) return problem("is a directory's name", "name a file in it");
    std::string path = resolve_path(base, word);
    if (path.size() > longest) return problem(fmt::format("is longer than {} bytes", longest));
    return path;
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
