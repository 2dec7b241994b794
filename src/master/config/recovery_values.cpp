// master/config/recovery_values.cpp -- see recovery_values.h. What an option is when it is not given stands beside where
// it is read; a test compares that of `retries` with the default in the table of keys.
#include "master/config/recovery_values.h"

#include <fmt/format.h>

#include <algorithm>

namespace lb::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Cause {
    std::string_view name;
    bool Retries::*flag;
};
constexpr Cause causes[] = {
    {"connect", &Retries::on_connect}, {"reset", &Retries::on_reset}, {"timeout", &Retries::on_timeout},
    {"500", &Retries::on_500},         {"502", &Retries::on_502},     {"503", &Retries::on_503},
    {"504", &Retries::on_504},
};

// The list after on=.
std::optional<Problem> read_causes(std::string_view list, Retries& retries) {
    std::vector<std::string_view> names;
    for (const Cause& each : causes) names.push_back(each.name);
    for (std::string_view left = list;;) {
        const std::size_t comma = std::min(left.find(','), left.size());
        const auto place = parse_choice(left.substr(0, comma), names);
        if (!place) return in_option("on", list, place.error());
        const Cause& cause = causes[place.value()];
        if (retries.*cause.flag) {
            return in_option("on", list, {fmt::format("names {} twice", cause.name), {}});
        }
        retries.*cause.flag = true;
        if (comma == left.size()) return std::nullopt;
        left.remove_prefix(comma + 1);
    }
}

}  // namespace

Parsed<Retries> parse_retries(std::string_view text) {
    static constexpr OptionName known[] = {{"on", true}, {"total", true}, {"budget", true}, {"floor", true}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    const auto count = parse_number(words.value()[0], 0, 5);
    if (!count) return problem(fmt::format("the number {}", count.error().what), count.error().hint);
    const auto options = OptionList::parse(std::span(words.value()).subspan(1), known);
    if (!options) return Failed{options.error()};
    const OptionList& given = options.value();

    Retries out;
    out.count = static_cast<std::uint32_t>(count.value());
    out.total = seconds(10);
    out.budget = 20;
    out.floor = 10;
    auto bad = read_causes(given.find("on").value_or("connect,reset"), out);
    if (!bad) {
        bad = read_option(given, "total", out.total,
                          [](auto t) { return parse_duration(t, milliseconds(10), hours(1)); });
    }
    if (!bad)
        bad = read_option(given, "budget", out.budget, [](auto t) { return parse_percent(t, 0, 1000); });
    if (!bad)
        bad = read_option(given, "floor", out.floor, [](auto t) { return parse_number(t, 0, 1'000'000); });
    if (bad) return Failed{*bad};
    return out;
}

std::string print_retries(const Retries& retries) {
    std::string on;
    for (const Cause& each : causes) {
        if (retries.*each.flag) on += (on.empty() ? "" : ",") + std::string(each.name);
    }
    return fmt::format("{} on={} total={} budget={}% floor={}", retries.count, on,
                       print_duration(retries.total), retries.budget, retries.floor);
}

Parsed<Eject> parse_eject(std::string_view text) {
    static constexpr OptionName known[] = {{"errors", true},  {"within", true}, {"for", true},
                                           {"at_most", true}, {"ratio", true},  {"requests", true}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    if (words.value() == Words{"off"}) return Eject{};
    const auto options = OptionList::parse(words.value(), known);
    if (!options) return Failed{options.error()};
    const OptionList& given = options.value();

    Eject out;
    out.errors = 5;
    out.within = seconds(10);
    out.duration = seconds(30);
    out.at_most = 50;
    const auto time = [](std::string_view t) { return parse_duration(t, milliseconds(100), hours(1)); };
    const auto share = [](std::string_view t) { return parse_percent(t, 1, 100); };
    auto bad = read_option(given, "errors", out.errors, [](auto t) { return parse_number(t, 1, 10'000); });
    if (!bad) bad = read_option(given, "within", out.within, time);
    if (!bad) bad = read_option(given, "for", out.duration, time);
    if (!bad) bad = read_option(given, "at_most", out.at_most, share);
    if (!bad) bad = read_option(given, "ratio", out.ratio, share);
    if (bad) return Failed{*bad};
    if (out.ratio != 0) out.requests = 20;
    if (out.ratio == 0 && given.find("requests")) {
        return problem("requests has no effect without ratio", "add ratio=50%, or remove it");
    }
    bad = read_option(given, "requests", out.requests, [](auto t) { return parse_number(t, 1, 1'000'000); });
    if (bad) return Failed{*bad};
    return out;
}

std::string print_eject(const Eject& eject) {
    if (eject.errors == 0) return "off";
    std::string out =
        fmt::format("errors={} within={} for={} at_most={}%", eject.errors, print_duration(eject.within),
                    print_duration(eject.duration), eject.at_most);
    if (eject.ratio != 0) out += fmt::format(" ratio={}% requests={}", eject.ratio, eject.requests);
    return out;
}

Parsed<Queue> parse_queue(std::string_view text) {
    static constexpr OptionName known[] = {{"timeout", true}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    const std::span<const std::string> rest = std::span(words.value()).subspan(1);
    if (words.value()[0] == "off") {
        if (!rest.empty()) return problem("off takes no options");
        return Queue{};
    }
    const auto size = parse_number(words.value()[0], 1, 1'000'000);
    if (!size)
        return problem(fmt::format("the number {}", size.error().what),
                       "write off, or as in 1000 timeout=5s");
    const auto options = OptionList::parse(rest, known);
    if (!options) return Failed{options.error()};
    Queue out;
    out.size = static_cast<std::uint32_t>(size.value());
    out.timeout = seconds(5);
    const auto bad = read_option(options.value(), "timeout", out.timeout,
                                 [](auto t) { return parse_duration(t, milliseconds(1), hours(1)); });
    if (bad) return Failed{*bad};
    return out;
}

std::string print_queue(const Queue& queue) {
    return queue.size == 0 ? "off" : fmt::format("{} timeout={}", queue.size, print_duration(queue.timeout));
}

}  // namespace lb::config
