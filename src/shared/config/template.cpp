// shared/config/template.cpp -- see template.h.
#include "shared/config/template.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"

namespace lb::config {
namespace {

constexpr bool letter(char c) noexcept { return text::lower(c) >= 'a' && text::lower(c) <= 'z'; }
constexpr bool part_of_name(char c) noexcept { return letter(c) || text::is_digit(c) || c == '_'; }

// Cookies and parameters may have names that hold more than a variable's; in braces they can be named.
constexpr bool part_of_braced_name(char c) noexcept {
    return part_of_name(c) || std::string_view("-.~!%&'*+^|").find(c) != std::string_view::npos;
}

std::string hint(std::string_view name) {
    std::vector<std::string_view> whole;
    std::vector<std::string_view> families;
    for (const VariableSpec& each : variables) {
        (each.name.back() == '_' ? families : whole).push_back(each.name);
    }
    for (const std::string_view family : families) {
        if (name == family || name == family.substr(0, family.size() - 1)) {
            return fmt::format("; write ${}NAME", family);
        }
    }
    std::string near(text::nearest(name, whole));
    const std::size_t end = name.find('_');
    if (near.empty() && end != std::string_view::npos) {
        near = text::nearest(name.substr(0, end + 1), families);
        if (!near.empty()) near += name.substr(end + 1);
    }
    return near.empty() ? std::string() : fmt::format("; did you mean ${}?", near);
}

// What stands between a $ and its end.
struct Word {
    std::string_view name;
    std::size_t length = 0;  // of the whole, after the $
};
Result<Word, std::string> read_word(std::string_view after) {
    if (after.starts_with('{')) {
        const std::size_t close = after.find('}');
        if (close == std::string_view::npos) return Failed{std::string("a ${ is not closed")};
        const std::string_view name = after.substr(1, close - 1);
        if (name.empty() || !std::all_of(name.begin(), name.end(), part_of_braced_name)) {
            return Failed{fmt::format("'{}' is no variable's name", name)};
        }
        return Word{name, close + 1};
    }
    if (!after.empty() && text::is_digit(after.front())) return Word{after.substr(0, 1), 1};
    const auto end = std::find_if_not(after.begin(), after.end(), part_of_name);
    const auto length = static_cast<std::size_t>(end - after.begin());
    if (length == 0) return Failed{std::string("a $ names nothing; write $$ for a dollar")};
    return Word{after.substr(0, length), length};
}

Result<Piece, std::string> capture(std::string_view digits, unsigned captures) {
    if (captures == 0)
        return Failed{fmt::format("there is no pattern here whose ${} could be meant", digits)};
    const auto number = text::number(digits);
    const unsigned most = std::min(captures, 9u);
    if (!number || *number < 1 || *number > most) {
        return Failed{captures == 1 ? fmt::format("there is no ${}: the pattern has one group, $1", digits)
                                    : fmt::format("there is no ${}: the groups are $1 to ${}", digits, most)};
    }
    Piece piece;
    piece.variable = Variable::capture;
    piece.capture = static_cast<std::uint8_t>(*number);
    return piece;
}

Result<Piece, std::string> variable(std::string_view name, Known latest) {
    std::string_view argument;
    const VariableSpec* spec = find_variable(name, argument);
    if (spec == nullptr) {
        return Failed{fmt::format("there is no variable ${}{}", name, hint(name))};
    }
    if (spec->known > latest) {
        return Failed{fmt::format("${} is not known before the {}", name,
                                  spec->known == Known::response ? "answer" : "end, where access logs are")};
    }
    Piece piece;
    piece.variable = spec->id;
    piece.text = argument;
    if (spec->id == Variable::http || spec->id == Variable::response_header) {
        std::transform(argument.begin(), argument.end(), piece.text.begin(),
                       [](char c) { return c == '_' ? '-' : text::lower(c); });
    }
    return piece;
}

void append_literal(std::vector<Piece>& pieces, std::string_view text) {
    if (text.empty()) return;
    if (pieces.empty() || pieces.back().variable != Variable::text) pieces.emplace_back();
    pieces.back().text += text;
}

}  // namespace

Result<Template, std::string> parse_template(std::string_view text, Known latest, unsigned captures) {
    Template out;
    out.source = text;
    while (!text.empty()) {
        const std::size_t dollar = std::min(text.find('$'), text.size());
        append_literal(out.pieces, text.substr(0, dollar));
        if (dollar == text.size()) break;
        text.remove_prefix(dollar + 1);
        if (text.starts_with('$')) {
            append_literal(out.pieces, "$");
            text.remove_prefix(1);
            continue;
        }
        const auto word = read_word(text);
        if (!word) return Failed{word.error()};
        const std::string_view name = word.value().name;
        auto piece = std::all_of(name.begin(), name.end(), text::is_digit) ? capture(name, captures)
                                                                           : variable(name, latest);
        if (!piece) return Failed{piece.error()};
        out.pieces.push_back(std::move(piece).value());
        text.remove_prefix(word.value().length);
    }
    return out;
}

}  // namespace lb::config
