// master/config/limit_values.cpp -- see limit_values.h.
#include "master/config/limit_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "master/config/balance_values.h"
#include "shared/base/text.h"

namespace lb::config {
namespace {

struct Period {
    char name;
    std::uint64_t nanoseconds;
};
constexpr Period periods[] = {
    {'s', 1'000'000'000}, {'m', 60ull * 1'000'000'000}, {'h', 3600ull * 1'000'000'000}};
// Keeps burst * interval, which the bucket reckons with, below 2^63: 3.6e12 * 1e6.
constexpr std::uint64_t most_requests = 1'000'000;

Parsed<std::vector<std::string>> read_countries(std::span<const std::string> words) {
    std::vector<std::string> out;
    for (const std::string& word : words) {
        auto code = parse_country(word);
        if (!code) return Failed{code.error()};
        if (std::find(out.begin(), out.end(), code.value()) != out.end()) {
            return problem(fmt::format("names {} twice", code.value()));
        }
        out.push_back(std::move(code).value());
    }
    return out;
}

}  // namespace

Parsed<Rate> parse_rate(std::string_view text) {
    static constexpr OptionName known[] = {{"burst", true}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    const std::string_view rate = words.value()[0];
    const Period* period = nullptr;
    if (rate.size() > 2 && rate[rate.size() - 2] == '/') {
        for (const Period& each : periods) {
            if (each.name == rate.back()) period = &each;
        }
    }
    if (period == nullptr) return problem("is no rate", "write N/s, N/m or N/h, as in 200/s burst=400");
    const auto count = parse_number(rate.substr(0, rate.size() - 2), 1, most_requests);
    if (!count) return problem(fmt::format("the number of requests {}", count.error().what));
    const auto options = OptionList::parse(std::span(words.value()).subspan(1), known);
    if (!options) return Failed{options.error()};

    Rate out;
    out.interval = period->nanoseconds / count.value();
    const std::uint64_t in_a_second = count.value() * periods[0].nanoseconds / period->nanoseconds;
    out.burst = static_cast<std::uint32_t>(std::max<std::uint64_t>(in_a_second, 1));
    const auto bad = read_option(options.value(), "burst", out.burst,
                                 [](auto t) { return parse_number(t, 1, most_requests); });
    if (bad) return Failed{*bad};
    return out;
}

// In the first period that gives the interval exactly. The one it was written in does, if none before it.
std::string print_rate(const Rate& rate) {
    for (const Period& period : periods) {
        const std::uint64_t count = period.nanoseconds / rate.interval;
        if (count == 0 || count > most_requests || period.nanoseconds / count != rate.interval) continue;
        return fmt::format("{}/{} burst={}", count, period.name, rate.burst);
    }
    return {};  // no interval of parse_rate
}

Parsed<RequestKey> parse_limit_key(std::string_view text) {
    static constexpr KeyKind kinds[] = {KeyKind::client_addr, KeyKind::header, KeyKind::cookie,
                                        KeyKind::route};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    std::span<const std::string> rest(words.value());
    auto key = take_request_key(rest, kinds);
    if (!key) return key;
    if (!rest.empty()) return problem("takes one key", "as in header X-Api-Key");
    return key;
}

Parsed<std::string> parse_country(std::string_view word) {
    std::string code(word);
    std::transform(code.begin(), code.end(), code.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    const auto letter = [](char c) { return c >= 'A' && c <= 'Z'; };
    if (code.size() != 2 || !std::all_of(code.begin(), code.end(), letter)) {
        return problem(fmt::format("'{}' is no code of a country", word), "two letters, as in DE or FR");
    }
    if (code == "UK") return problem("databases know no UK", "write GB");  // ISO 3166-1
    return code;
}

Parsed<std::vector<std::string>> parse_countries(std::string_view text) {
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    return read_countries(words.value());
}

std::string print_countries(const std::vector<std::string>& countries) {
    return fmt::format("{}", fmt::join(countries, " "));
}

Parsed<Zones::Place> parse_place(std::string_view text) {
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    if (const auto bad = check_name(words.value()[0])) return Failed{*bad};
    if (words.value().size() < 2) return problem("needs a zone and its countries", "as in eu DE FR");
    auto countries = read_countries(std::span(words.value()).subspan(1));
    if (!countries) return Failed{countries.error()};
    return Zones::Place{words.value()[0], std::move(countries).value()};
}

std::string print_place(const Zones::Place& place) {
    return fmt::format("{} {}", quote(place.zone), print_countries(place.countries));
}

}  // namespace lb::config
