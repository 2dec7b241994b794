// shared/config/words.h -- a value's text to words, numbers, choices and options, and the problems with them.
// Owns:  nothing; pure functions. What they print they read back to the same value.
// Never: knows a key. A Problem is a sentence fragment that reads well after "key = value: ".
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.h"

namespace lb::config {

struct Problem {
    std::string what;
    std::string hint;
};
template <class T>
using Parsed = Result<T, Problem>;
inline Failed<Problem> problem(std::string what, std::string hint = {}) {
    return Failed<Problem>{{std::move(what), std::move(hint)}};
}

using Words = std::vector<std::string>;
// Words between blanks. A part in "quotes" may hold blanks, # and ;. Inside quotes \" and \\ stand for " and
// \; outside of them a backslash is a plain byte. An empty value is a problem.
Parsed<Words> split_words(std::string_view text);
// Exactly one word.
Parsed<std::string> one_word(std::string_view text);
// The word as it must be written so that split_words gives it back: quoted when it needs to be.
std::string quote(std::string_view word);

Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most);

// The place of `text` in `names`.
Parsed<std::size_t> parse_choice(std::string_view text, std::span<const std::string_view> names);
// "on, off or auto"
std::string join_choices(std::span<const std::string_view> names);

// "did you mean 'x'?", or "" when nothing is near.
std::string near_miss(std::string_view word, std::span<const std::string_view> candidates);
// True for well-formed UTF-8 (RFC 3629). Names become metric labels and JSON, which hold nothing else.
bool is_utf8(std::string_view text) noexcept;
// A path that ends in a file's name, absolute when `base` is, of at most `longest` bytes.
Parsed<std::string> parse_path(std::string_view word, std::string_view base, std::size_t longest);
// A relative path below `base`, without "." and ".."; an absolute one as it is. Looks at no file.
std::string resolve_path(std::string_view base, std::string_view path);
// Names of sections and backends: 1 to 128 bytes of UTF-8 without control bytes.
std::optional<Problem> check_name(std::string_view name);

// The words after the first ones of a compound value: "weight=2 backup".
struct OptionName {
    std::string_view name;
    bool takes_value;
};
class OptionList {
 public:
    // Refuses unknown options (with the near miss), repeated ones, a missing and an unwanted value.
    static Parsed<OptionList> parse(std::span<const std::string> words, std::span<const OptionName> known);
    // The value of an option, "" for one without; nothing when it was not given.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;

 private:
    std::vector<std::pair<std::string, std::string>> given_;
};
// Puts "weight=0: " before a problem with an option's value.
Problem in_option(std::string_view name, std::string_view value, const Problem& problem);
// Reads an option, when given, with `read` (text to Parsed<...>); otherwise leaves `into` alone.
template <class T, class Read>
std::optional<Problem> read_option(const OptionList& options, std::string_view name, T& into, Read read) {
    const auto text = options.find(name);
    if (!text) return std::nullopt;
    auto value = read(*text);
    if (!value) return in_option(name, *text, value.error());
    into = static_cast<T>(std::move(value).value());
    return std::nullopt;
}

}  // namespace lb::config
