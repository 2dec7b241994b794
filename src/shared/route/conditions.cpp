// shared/route/conditions.cpp -- see conditions.h.
#include "shared/route/conditions.h"

#include <algorithm>

#include "shared/base/text.h"
#include "shared/geo/countries.h"
#include "shared/route/host.h"
#include "shared/route/path.h"

namespace lb::route {
namespace {

using config::Match;

bool value_holds(const config::ValueMatch& match, std::string_view value) noexcept {
    switch (match.kind) {
        case Match::present: return true;
        case Match::exact: return value == match.text;
        case Match::regex: return match.pattern.matches(value);
        case Match::prefix: break;  // for paths only
    }
    return false;
}

// Calls take(piece) for each piece between the separators until it returns true; whether it did.
template <class Take>
bool any_piece(std::string_view text, char separator, Take take) {
    while (true) {
        const std::size_t end = text.find(separator);
        if (take(text.substr(0, end))) return true;
        if (end == std::string_view::npos) return false;
        text.remove_prefix(end + 1);
    }
}

}  // namespace

std::string_view ClientCountry::get() const noexcept {
    if (!known_) {
        known_ = true;
        if (database_ != nullptr) code_ = database_->country_of(client_);
    }
    return code_;
}

bool host_holds(const config::HostMatch& match, std::string_view host) noexcept {
    HostRoom room;
    const std::string_view name = compared_host(match.name, room);
    if (name.empty()) return false;
    if (!match.wildcard) return host == name;
    // At least one byte before the dot: neither "example.com" nor ".example.com".
    return host.size() > name.size() + 1 && host.ends_with(name) &&
           host[host.size() - name.size() - 1] == '.';
}

bool path_holds(const config::PathMatch& match, std::string_view path) noexcept {
    if (match.kind == Match::present) return true;
    if (path.empty()) return false;
    switch (match.kind) {
        case Match::exact: return path == match.text;
        case Match::prefix: return has_prefix(path, match.text);
        case Match::regex: return match.pattern.matches(path);
        case Match::present: break;
    }
    return true;
}

bool method_holds(const config::Route& route, const http::RequestHead& head) noexcept {
    return route.methods.empty() || std::ranges::find(route.methods, head.method_text) != route.methods.end();
}

bool header_holds(const config::ValueMatch& match, const http::RequestHead& head) noexcept {
    return std::ranges::any_of(head.fields, [&](const http::Field& field) {
        return text::equals_lower(field.name, match.name) && value_holds(match, field.value);
    });
}

bool cookie_holds(const config::ValueMatch& match, const http::RequestHead& head) noexcept {
    return std::ranges::any_of(head.fields, [&](const http::Field& field) {
        if (!text::equals_lower(field.name, "cookie")) return false;
        return any_piece(field.value, ';', [&](std::string_view pair) {
            const std::size_t equals = pair.find('=');
            return equals != std::string_view::npos && text::trim(pair.substr(0, equals)) == match.name &&
                   value_holds(match, text::trim(pair.substr(equals + 1)));
        });
    });
}

bool query_holds(const config::ValueMatch& match, std::string_view query, std::string& scratch) {
    return any_piece(query, '&', [&](std::string_view parameter) {
        if (parameter.empty()) return false;
        const std::size_t equals = std::min(parameter.find('='), parameter.size());
        if (!decodes_to(parameter.substr(0, equals), match.name)) return false;
        const std::string_view value = parameter.substr(std::min(equals + 1, parameter.size()));
        if (match.kind == Match::exact) return decodes_to(value, match.text);
        if (match.kind == Match::regex) decode_parameter(value, scratch);
        return value_holds(match, scratch);
    });
}

bool source_holds(const config::Route& route, const Address& client) noexcept {
    return route.sources.empty() ||
           std::ranges::any_of(route.sources, [&](const Cidr& range) { return range.contains(client); });
}

bool country_holds(const config::Route& route, const ClientCountry& country) noexcept {
    return route.countries.empty() ||
           std::ranges::find(route.countries, country.get()) != route.countries.end();
}

bool rest_holds(const config::Route& route, const Asked& asked, std::string& scratch) {
    const auto all = [](const std::vector<config::ValueMatch>& matches, auto holds) {
        return std::ranges::all_of(matches, holds);
    };
    return method_holds(route, asked.head) && source_holds(route, asked.client) &&
           all(route.headers, [&](auto& m) { return header_holds(m, asked.head); }) &&
           all(route.cookies, [&](auto& m) { return cookie_holds(m, asked.head); }) &&
           all(route.queries, [&](auto& m) { return query_holds(m, asked.query, scratch); }) &&
           country_holds(route, asked.country);
}

}  // namespace lb::route
