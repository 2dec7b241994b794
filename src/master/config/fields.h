// master/config/fields.h -- codecs for plain fields: a time, a size, a number, a choice, a path, by pointer
// to member. The limits are template arguments, so that the parser and the manual cannot disagree about them.
// And short names for what the rows of the table are made of. Included by keys*.cpp alone.
#pragma once
#include <fmt/format.h>

#include <limits>
#include <optional>
#include <type_traits>

#include "master/config/keys.h"
#include "master/config/values.h"

namespace lb::config {

// The parts of the one table, in its order.
std::span<const KeySpec> global_keys() noexcept;
std::span<const KeySpec> traffic_keys() noexcept;
std::span<const KeySpec> admin_keys() noexcept;
std::span<const KeySpec> zone_keys() noexcept;
std::span<const KeySpec> log_keys() noexcept;
std::span<const KeySpec> listener_keys() noexcept;
std::span<const KeySpec> pool_keys() noexcept;
std::span<const KeySpec> balance_keys() noexcept;
std::span<const KeySpec> route_keys() noexcept;
std::span<const KeySpec> acl_keys() noexcept;
std::span<const KeySpec> limit_keys() noexcept;
std::span<const KeySpec> resolver_keys() noexcept;

using Printed = std::vector<std::string>;
using Bad = std::optional<Problem>;

inline constexpr Repeat once = Repeat::once;
inline constexpr Repeat many = Repeat::many;
inline constexpr std::string_view no_default{};
inline constexpr std::string_view required{};
inline constexpr std::string_view has_default{};
inline constexpr std::string_view switch_names[] = {"off", "on"};

// A codec that a file wrote out by hand.
template <const char* Form>
constexpr Codec own(Bad (*parse)(std::string_view, const Target&), Printed (*print)(const Origin&)) {
    return {parse, print, [] { return std::string(Form); }};
}

inline constexpr std::int64_t milli = 1;
inline constexpr std::int64_t second = 1000 * milli;
inline constexpr std::int64_t minute = 60 * second;
inline constexpr std::int64_t hour = 60 * minute;
inline constexpr std::uint64_t kib = 1024;
inline constexpr std::uint64_t mib = 1024 * kib;
inline constexpr std::uint64_t gib = 1024 * mib;

// A name of another section: kept as text until all sections are known.
template <std::string References::*Member>
Bad parse_reference(std::string_view text, const Target& into) {
    auto word = one_word(text);
    if (!word) return word.error();
    into.references->*Member = std::move(word).value();
    return std::nullopt;
}
inline Printed print_log_name(const Origin& from, std::uint32_t log) {
    return {log == no_index ? "off" : quote(from.config->logs[log].name)};
}

// One range of addresses a line. `also`: what else may stand there.
inline Bad append_range(std::string_view text, std::vector<Cidr>& ranges, std::string_view also = {}) {
    const auto words = split_words(text);
    if (!words) return words.error();
    if (words.value().size() > 1) return Problem{"takes one value", "give each range a line of its own"};
    const auto word = one_word(text);
    if (!word) return word.error();
    const auto range = parse_cidr(word.value());
    if (!range) {
        return Problem{range.error(), fmt::format("write ADDRESS/BITS or ADDRESS, as in 10.0.0.0/8{}", also)};
    }
    ranges.push_back(range.value());
    return std::nullopt;
}
inline Printed print_ranges(const std::vector<Cidr>& ranges) {
    Printed out;
    for (const Cidr& range : ranges) out.push_back(to_string(range));
    return out;
}

template <class Owner, bool Reading>
auto& part(const Parts<Reading>& parts) noexcept {
    if constexpr (std::is_same_v<Owner, Global>) {
        return *parts.global;
    } else if constexpr (std::is_same_v<Owner, Admin>) {
        return *parts.admin;
    } else if constexpr (std::is_same_v<Owner, Zones>) {
        return *parts.zones;
    } else if constexpr (std::is_same_v<Owner, AccessLog>) {
        return *parts.log;
    } else if constexpr (std::is_same_v<Owner, Traffic>) {
        return *parts.traffic;
    } else if constexpr (std::is_same_v<Owner, Listener>) {
        return *parts.listener;
    } else if constexpr (std::is_same_v<Owner, Pool>) {
        return *parts.pool;
    } else if constexpr (std::is_same_v<Owner, Route>) {
        return *parts.route;
    } else if constexpr (std::is_same_v<Owner, Acl>) {
        return *parts.acl;
    } else if constexpr (std::is_same_v<Owner, Limit>) {
        return *parts.limit;
    } else if constexpr (std::is_same_v<Owner, Resolver>) {
        return *parts.resolver;
    } else {
        static_assert(std::is_same_v<Owner, References>);
        return *parts.references;
    }
}
template <class Owner, class Value>
Owner owner_of(Value Owner::*);
template <class Owner, class Value>
Value value_of(Value Owner::*);

template <auto Member, bool Reading>
auto& field(const Parts<Reading>& parts) noexcept {
    return part<decltype(owner_of(Member))>(parts).*Member;
}

// A repeated key whose values name sections: text until all are known, then indexes into the list All of Config.
template <auto Member, auto All, auto Written>
struct NameList {
    static Bad parse(std::string_view text, const Target& into) {
        auto word = one_word(text);
        if (!word) return word.error();
        (into.references->*Written).push_back(std::move(word).value());
        return std::nullopt;
    }
    static Printed print(const Origin& from) {
        Printed out;
        for (const std::uint32_t i : field<Member>(from)) out.push_back(quote((from.config->*All)[i].name));
        return out;
    }
};
template <auto Member, auto All, auto Written>
constexpr Codec name_list() {
    using Shape = NameList<Member, All, Written>;
    return {Shape::parse, Shape::print, [] { return std::string("NAME"); }};
}

// A value that is read and printed as a whole.
template <auto Member, auto Read, auto Show>
struct Whole {
    static Bad parse(std::string_view text, const Target& into) {
        auto value = Read(text);
        if (!value) return value.error();
        field<Member>(into) = std::move(value).value();
        return std::nullopt;
    }
    static Printed print(const Origin& from) { return {Show(field<Member>(from))}; }
};
template <const char* Form, auto Member, auto Read, auto Show>
constexpr Codec whole() {
    using Shape = Whole<Member, Read, Show>;
    return own<Form>(Shape::parse, Shape::print);
}

// "off" is a time of 0 and the largest number.
enum class Off : std::uint8_t { refused, allowed };
template <class Value>
constexpr Value off_value() noexcept {
    if constexpr (std::is_integral_v<Value>) {
        return std::numeric_limits<Value>::max();
    } else {
        return Value{};
    }
}
inline std::string or_off(const std::string& form, Off off) {
    return off == Off::allowed ? form + ", or off" : form;
}

// A field that may be left to another section is an optional.
template <class T>
struct Inner {
    using Type = T;
    static const T* get(const T& field) noexcept { return &field; }
};
template <class T>
struct Inner<std::optional<T>> {
    using Type = T;
    static const T* get(const std::optional<T>& field) noexcept { return field ? &*field : nullptr; }
};

// The common shape of the codecs below: one word, "off" if allowed, then read(); show() prints all but "off".
template <auto Member, Off Maybe, auto Read, auto Show>
struct Plain {
    using Field = Inner<decltype(value_of(Member))>;
    using Value = typename Field::Type;
    static std::optional<Problem> parse(std::string_view text, const Target& into) {
        const auto word = one_word(text);
        if (!word) return word.error();
        if (Maybe == Off::allowed && word.value() == "off") {
            field<Member>(into) = off_value<Value>();
            return std::nullopt;
        }
        const auto value = Read(word.value());
        if (!value) return value.error();
        field<Member>(into) = static_cast<Value>(value.value());
        return std::nullopt;
    }
    static std::vector<std::string> print(const Origin& from) {
        const Value* value = Field::get(field<Member>(from));
        if (value == nullptr) return {};
        if (Maybe == Off::allowed && *value == off_value<Value>()) return {"off"};
        return {Show(*value)};
    }
};

template <auto Member, std::int64_t Least, std::int64_t Most, Off Maybe = Off::refused>
constexpr Codec duration() {
    constexpr auto read = [](std::string_view text) {
        return parse_duration(text, Millis(Least), Millis(Most));
    };
    constexpr auto show = [](Millis value) { return print_duration(value); };
    using Shape = Plain<Member, Maybe, read, show>;
    return {Shape::parse, Shape::print, [] {
                return or_off(fmt::format("TIME, {} to {}", print_duration(Millis(Least)),
                                          print_duration(Millis(Most))),
                              Maybe);
            }};
}

template <auto Member, std::uint64_t Least, std::uint64_t Most, Off Maybe = Off::refused>
constexpr Codec size() {
    constexpr auto read = [](std::string_view text) { return parse_size(text, Least, Most); };
    constexpr auto show = [](std::uint64_t value) { return print_size(value); };
    using Shape = Plain<Member, Maybe, read, show>;
    return {Shape::parse, Shape::print,
            [] { return or_off(fmt::format("SIZE, {} to {}", print_size(Least), print_size(Most)), Maybe); }};
}

// Bytes per second: a plain number, or a size.
template <auto Member, std::uint64_t Least, std::uint64_t Most>
constexpr Codec rate_or_off() {
    constexpr auto read = [](std::string_view text) {
        const bool plain = text.find_first_not_of("0123456789") == std::string_view::npos;
        return plain ? parse_number(text, Least, Most) : parse_size(text, Least, Most);
    };
    constexpr auto show = [](std::uint64_t value) {
        return value % kib == 0 ? print_size(value) : std::to_string(value);
    };
    using Shape = Plain<Member, Off::allowed, read, show>;
    return {Shape::parse, Shape::print,
            [] { return fmt::format("BYTES or SIZE a second, {} to {}, or off", Least, print_size(Most)); }};
}

template <auto Member, std::uint64_t Least, std::uint64_t Most, Off Maybe = Off::refused>
constexpr Codec number() {
    constexpr auto read = [](std::string_view text) { return parse_number(text, Least, Most); };
    constexpr auto show = [](std::uint64_t value) { return std::to_string(value); };
    using Shape = Plain<Member, Maybe, read, show>;
    return {Shape::parse, Shape::print, [] { return or_off(fmt::format("{} to {}", Least, Most), Maybe); }};
}

// A number that is 0 when it is "off".
template <auto Member, std::uint64_t Least, std::uint64_t Most>
constexpr Codec count_or_off() {
    static_assert(Least > 0);
    constexpr auto read = [](std::string_view text) {
        return text == "off" ? Parsed<std::uint64_t>(0) : parse_number(text, Least, Most);
    };
    constexpr auto show = [](std::uint64_t value) {
        return value == 0 ? std::string("off") : std::to_string(value);
    };
    using Shape = Plain<Member, Off::refused, read, show>;
    return {Shape::parse, Shape::print, [] { return fmt::format("{} to {}, or off", Least, Most); }};
}

template <auto Member, std::uint32_t Least, std::uint32_t Most>
constexpr Codec percent() {
    constexpr auto read = [](std::string_view text) { return parse_percent(text, Least, Most); };
    constexpr auto show = [](std::uint32_t value) { return fmt::format("{}%", value); };
    using Shape = Plain<Member, Off::refused, read, show>;
    return {Shape::parse, Shape::print, [] { return fmt::format("{}% to {}%", Least, Most); }};
}

// An enumeration whose values are places in Names; bool counts as one.
template <auto Member, const auto& Names>
constexpr Codec choice() {
    constexpr auto read = [](std::string_view text) { return parse_choice(text, Names); };
    constexpr auto show = [](auto value) { return std::string(Names[static_cast<std::size_t>(value)]); };
    using Shape = Plain<Member, Off::refused, read, show>;
    return {Shape::parse, Shape::print, [] { return join_choices(Names); }};
}

template <auto Member>
constexpr Codec share() {
    constexpr auto read = [](std::string_view text) { return parse_share(text); };
    constexpr auto show = [](std::uint32_t value) { return print_share(value); };
    using Shape = Plain<Member, Off::refused, read, show>;
    return {Shape::parse, Shape::print, [] { return std::string("SHARE, 0.01% to 100%"); }};
}

}  // namespace lb::config
