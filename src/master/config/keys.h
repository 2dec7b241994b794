// master/config/keys.h -- the one table of keys: parsing, defaults, checks, lb -T and the manual walk it.
// Owns:  the names of all sections and keys. Its rows stand in keys_*.cpp, by what they are about.
// Never: reads a file; looks across keys (checks.cpp does).
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "shared/config/model.h"
#include "shared/config/words.h"

namespace lb::config {

// Those without a name come first; lb -T and the manual have this order.
enum class Kind : std::uint8_t {
    global,
    defaults,
    admin,
    zones,
    log,
    listener,
    pool,
    route,
    acl,
    limit,
    resolver
};
inline constexpr std::string_view kind_names[] = {
    "global", "defaults", "admin", "zones", "log", "listener", "pool", "route", "acl", "limit", "resolver"};
inline constexpr std::size_t kind_count = std::size(kind_names);
// The only name that a [resolver NAME] has.
inline constexpr std::string_view only_resolver = "default";
// Sections of these kinds have a name and may appear many times.
constexpr bool is_named(Kind kind) noexcept { return kind >= Kind::log; }
// What stands for the name where a section of the kind is talked about.
constexpr std::string_view name_of(Kind kind) noexcept {
    return kind == Kind::resolver ? only_resolver : "NAME";
}

// A set of kinds.
using Kinds = std::uint16_t;
template <class... K>
constexpr Kinds in(K... kinds) noexcept {
    return static_cast<Kinds>((0u | ... | (1u << static_cast<unsigned>(kinds))));
}
constexpr bool accepts(Kinds set, Kind kind) noexcept { return (set & in(kind)) != 0; }

// What a listener or a route names before all sections are known; checks.cpp turns the names into indexes.
struct References {
    std::string pool;        // of a listener; "": none
    std::string access_log;  // "": not said; "off": none
    // Of a listener or a route: one for each of its lines that was understood, in their order.
    std::vector<std::string> limits, acls;
    // Of a route: one for each of its lines that was understood, in their order.
    std::vector<std::string> listeners;
    std::vector<std::string> pools;
    std::string mirror;  // "": none
};

// The parts of the model that a section's keys live in; the others are null.
template <bool Reading>
struct Parts {
    template <class T>
    using Pointer = std::conditional_t<Reading, const T*, T*>;
    Pointer<Global> global = nullptr;
    Pointer<Admin> admin = nullptr;
    Pointer<Zones> zones = nullptr;
    Pointer<AccessLog> log = nullptr;
    Pointer<Traffic> traffic = nullptr;
    Pointer<Listener> listener = nullptr;
    Pointer<Pool> pool = nullptr;
    Pointer<Route> route = nullptr;
    Pointer<Acl> acl = nullptr;
    Pointer<Limit> limit = nullptr;
    Pointer<Resolver> resolver = nullptr;
    Pointer<References> references = nullptr;
    const Config* config = nullptr;  // printing: what indexes point into
    std::string_view base{};         // parsing: where relative paths start
};
using Target = Parts<false>;
using Origin = Parts<true>;

struct Codec {
    // Sets the field, or appends to the list of a repeated key. On a problem nothing has changed.
    std::optional<Problem> (*parse)(std::string_view text, const Target& into);
    // The values as parse() takes them, one per line of the file; none when the key is not set.
    std::vector<std::string> (*print)(const Origin& from);
    // How a value is written, for the manual: "TIME, 1s to 1h".
    std::string (*form)();
};

enum class Repeat : std::uint8_t { once, many };

struct KeySpec {
    std::string_view name;
    Kinds where;
    Repeat repeat;
    Codec codec;
    std::string_view fallback;  // the default as an operator would write it; "": none
    std::string_view absent;    // without a default: what holds then, for the manual; "": the key is required
    std::string_view text;      // for the manual; `backquotes` print bold

    [[nodiscard]] bool required() const noexcept { return fallback.empty() && absent.empty(); }
};

std::span<const KeySpec> keys() noexcept;
// The key of that name that the section accepts; null when there is none.
const KeySpec* find_key(Kind kind, std::string_view name) noexcept;
// The key of the section that an unknown one resembles; null when none does.
const KeySpec* nearest_key(Kind kind, std::string_view name);
// For an unknown key: where it belongs, or what it resembles; "" when nothing fits.
std::string unknown_key_hint(Kind kind, std::string_view name);
// What the manual says about a kind of section.
std::string_view kind_text(Kind kind) noexcept;

}  // namespace lb::config
