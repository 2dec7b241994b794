// master/admin/changes.cpp -- see changes.h.
#include "master/admin/changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "shared/base/text.h"
#include "shared/config/backend_text.h"
#include "shared/config/words.h"

namespace lb::admin {
namespace {

using nlohmann::json;

constexpr std::string_view root = "/api/v1/";
constexpr std::size_t most_parts = 8;
constexpr std::size_t most_address = 512;  // bytes of an address as written
constexpr std::uint64_t least_ttl_ms = 1'000, most_ttl_ms = 24ULL * 3'600'000;
constexpr std::uint64_t most_weight = 256;

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Before anything is parsed: how deep it goes. Brackets inside strings do not count.
bool too_deep(std::string_view text) noexcept {
    std::size_t depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        if (quoted) {
            if (c == '\\') i++;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > most_depth) return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

Failed<Refusal> bad(std::string error) { return Failed{Refusal{400, std::move(error)}}; }

// An object with these fields at most, none of them twice.
Result<json, Refusal> read_object(std::string_view body, std::initializer_list<std::string_view> known) {
    if (body.size() > most_body) {
        return Failed{Refusal{413, fmt::format("the body is longer than {} bytes", most_body)}};
    }
    if (too_deep(body)) return bad(fmt::format("the body is deeper than {} levels", most_depth));
    std::set<std::string, std::less<>> seen;
    std::string twice;
    const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
        if (event == json::parse_event_t::key && depth == 1 &&
            !seen.insert(parsed.get<std::string>()).second) {
            twice = parsed.get<std::string>();
        }
        return true;
    };
    json object = json::parse(body, watch, false);
    if (!object.is_object()) return bad("the body is no JSON object");
    if (!twice.empty()) return bad(fmt::format("{}: given twice", twice));
    const std::vector<std::string_view> names(known);
    for (const auto& [name, value] : object.items()) {
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        const std::string hint = config::near_miss(name, names);
        return bad(fmt::format("{}: unknown field{}{}", name, hint.empty() ? "" : "; ", hint));
    }
    return object;
}

// "30s", "500ms", "5m", "2h", or a number of seconds.
std::optional<std::uint64_t> millis_of(const json& value) {
    if (value.is_number_unsigned() && value.get<std::uint64_t>() <= most_ttl_ms)
        return value.get<std::uint64_t>() * 1000;
    if (value.is_number_float() && value.get<double>() > 0 &&
        value.get<double>() <= static_cast<double>(most_ttl_ms)) {
        return static_cast<std::uint64_t>(value.get<double>() * 1000);
    }
    if (!value.is_string()) return std::nullopt;
    const std::string text = value.get<std::string>();
    constexpr std::pair<std::string_view, std::uint64_t> units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    for (const auto& [unit, factor] : units) {
        if (std::string_view(text).substr(digits) != unit) continue;
        const auto number = text::number(std::string_view(text).substr(0, digits));
        if (!number || *number > most_ttl_ms) return std::nullopt;
        return *number * factor;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> weight_of(const json& value) {
    if (!value.is_number_unsigned()) return std::nullopt;
    const auto weight = value.get<std::uint64_t>();
    return weight >= 1 && weight <= most_weight ? std::optional(weight) : std::nullopt;
}
constexpr std::string_view weight_rule = "must be a whole number from 1 to 256";

Result<Change, Refusal> read_registration(Change change, std::string_view body) {
    const auto object = read_object(body, {"address", "weight", "ttl"});
    if (!object) return Failed{object.error()};
    const json& given = object.value();
    if (!given.contains("address") || !given["address"].is_string()) {
        return bad("address: must be text such as \"10.0.0.7:80\"");
    }
    const std::string address = given["address"].get<std::string>();
    const bool odd = std::any_of(address.begin(), address.end(),
                                 [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
    if (address.empty() || address.size() > most_address || odd) {
        return bad(fmt::format("address: must be 1 to {} bytes without blanks", most_address));
    }
    if (const auto parsed = config::parse_backend(address, "/"); !parsed)
        return bad(fmt::format("address: {}", parsed.error().what));
    std::uint64_t weight = 1;
    if (given.contains("weight")) {
        const auto asked = weight_of(given["weight"]);
        if (!asked) return bad(fmt::format("weight: {}", weight_rule));
        weight = *asked;
    }
    const auto ttl = given.contains("ttl") ? millis_of(given["ttl"]) : std::nullopt;
    if (!ttl || *ttl < least_ttl_ms || *ttl > most_ttl_ms) {
        return bad("ttl: must be given, from 1 to 86400 seconds, or text such as \"30s\"");
    }
    change.registers = true;
    change.line = fmt::format("backend\tregister\t{}\t{}\t{}\t{}\t{}", change.pool, change.backend, address,
                              weight, *ttl);
    return change;
}

Result<Change, Refusal> read_patch(Change change, std::string_view body) {
    const auto object = read_object(body, {"state", "weight"});
    if (!object) return Failed{object.error()};
    const json& given = object.value();
    if (given.empty()) return bad("nothing to change: give state or weight");
    std::string weight, state;
    if (given.contains("weight")) {
        const json& value = given["weight"];
        const auto number = weight_of(value);
        if (!number && value != "default") return bad(fmt::format("weight: {}, or \"default\"", weight_rule));
        weight = number ? std::to_string(*number) : "default";
    }
    if (given.contains("state")) {
        const json& value = given["state"];
        if (value != "ready" && value != "drain" && value != "maint") {
            return bad("state: must be \"ready\", \"drain\" or \"maint\"");
        }
        state = value.get<std::string>();
    }
    change.line = fmt::format("backend\tset\t{}\t{}\t{}\t{}", change.pool, change.backend, state, weight);
    return change;
}

// What stands between the slashes behind "/api/v1/"; nothing when it is another path or has too many parts.
std::vector<std::string_view> written_parts(std::string_view path) {
    if (!path.starts_with(root)) return {};
    path.remove_prefix(root.size());
    std::vector<std::string_view> parts;
    while (parts.size() < most_parts) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        parts.push_back(path.substr(0, slash));
        if (slash == path.size()) return parts;
        path.remove_prefix(slash + 1);
    }
    return {};
}

// A name in a path and where it goes.
struct Place {
    const char* what;
    std::string_view written;
    std::string* name;
};

}  // namespace

std::optional<std::string> percent_decoded(std::string_view part) {
    std::string out;
    for (std::size_t i = 0; i < part.size(); i++) {
        if (part[i] != '%') {
            out += part[i];
            continue;
        }
        if (i + 2 >= part.size()) return std::nullopt;
        const int high = hex_digit(part[i + 1]), low = hex_digit(part[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

std::optional<std::vector<std::string>> path_parts(std::string_view path) {
    const auto written = written_parts(path);
    std::vector<std::string> parts;
    for (const std::string_view each : written) {
        auto part = percent_decoded(each);
        if (!part || config::check_name(*part)) return std::nullopt;
        parts.push_back(std::move(*part));
    }
    return parts.empty() ? std::nullopt : std::optional(std::move(parts));
}

Result<Change, Refusal> read_change(std::string_view method, std::string_view path, std::string_view body) {
    const auto parts = written_parts(path);
    if (parts.size() != 4 || parts[0] != "pools" || parts[2] != "backends") {
        const bool reads = path == "/" || path == "/metrics" || path == "/healthz" || path == "/readyz" ||
                           path == "/status" || path == "*" || path == "/api" || path.starts_with("/api/");
        return Failed{reads
                          ? Refusal{405, "only /api/v1/pools/POOL/backends/NAME can be changed", "GET, HEAD"}
                          : Refusal{404, "not found"}};
    }
    if (method != "PUT" && method != "PATCH" && method != "DELETE") {
        return Failed{Refusal{405, "a backend takes PUT, PATCH and DELETE", "PUT, PATCH, DELETE"}};
    }
    Change change;
    for (const auto& [what, written, name] :
         {Place{"pool", parts[1], &change.pool}, Place{"backend", parts[3], &change.backend}}) {
        auto read = percent_decoded(written);
        if (!read) return bad(fmt::format("{}: a % is not followed by two hex digits", what));
        if (const auto problem = config::check_name(*read))
            return bad(fmt::format("{}: {}", what, problem->what));
        *name = std::move(*read);
    }
    if (method == "PUT") return read_registration(std::move(change), body);
    if (method == "PATCH") return read_patch(std::move(change), body);
    change.line = fmt::format("backend\tderegister\t{}\t{}", change.pool, change.backend);
    return change;
}

std::optional<Refusal> not_authorized(std::string_view authorization, std::string_view file,
                                      std::string_view token) {
    if (file.empty() || token.empty()) {
        return Refusal{403, "changes over HTTP are off: set token_file in [admin], see lb.ini(5)"};
    }
    constexpr std::string_view scheme = "bearer ";
    const bool bearer = text::equals_lower(authorization.substr(0, scheme.size()), scheme);
    const std::string_view given =
        bearer ? text::trim(authorization.substr(scheme.size())) : std::string_view{};
    // Every byte of what was given is looked at, whatever it is: the time tells its length, which the sender knows.
    unsigned different = given.size() == token.size() ? 0 : 1;
    for (std::size_t i = 0; i < given.size(); i++) {
        different |=
            static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(token[i % token.size()]);
    }
    if (different == 0) return std::nullopt;
    return Refusal{401, "send Authorization: Bearer TOKEN, with the token of token_file"};
}

std::string field_json(std::string_view name, std::string_view text) {
    std::string out = fmt::format("{{\"{}\": ", name);
    text::append_json(out, text);
    return out + "}\n";
}

}  // namespace lb::admin
