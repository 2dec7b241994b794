// shared/route/words.cpp -- see words.h.
#include "shared/route/words.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/base/text.h"

namespace lb::route {
namespace {

using config::Match;

std::string shown(std::string_view text) {
    std::string out;
    text::append_escaped(out, text);
    return out;
}

// "is not A" for one, "is none of A B C" for more; long lists are cut.
template <class List, class Print>
std::string is_not(const List& list, Print print) {
    constexpr std::size_t most = 8;
    std::string out = list.size() == 1 ? "is not" : "is none of";
    std::size_t count = 0;
    for (const auto& each : list) {
        if (count++ == most) return out + fmt::format(" and {} more", list.size() - most);
        out += ' ';
        out += print(each);
    }
    return out;
}

std::string path_words(const config::PathMatch& match, std::string_view path) {
    if (path.empty()) return "there is no path";
    std::string said = fmt::format("path {}", shown(path));
    switch (match.kind) {
        case Match::exact: return fmt::format("{} is not {}", said, match.text);
        case Match::prefix:
            if (match.text.ends_with('/')) return fmt::format("{} does not begin with {}", said, match.text);
            return fmt::format("{} is neither {} nor below {}/", said, match.text, match.text);
        case Match::regex: return fmt::format("{} does not match {}", said, match.pattern.source());
        case Match::present: break;
    }
    return said;
}

// `holds` asks for a match of any kind, so that what is missing can be told from what differs.
template <class Holds>
std::string value_words(std::string_view kind, const std::vector<config::ValueMatch>& matches, Holds holds) {
    for (const config::ValueMatch& match : matches) {
        if (holds(match)) continue;
        config::ValueMatch present;
        present.name = match.name;
        if (!holds(present)) return fmt::format("there is no {} {}", kind, match.name);
        if (match.kind == Match::exact) return fmt::format("{} {} is not {}", kind, match.name, match.text);
        return fmt::format("{} {} does not match {}", kind, match.name, match.pattern.source());
    }
    return {};
}

std::string source_words(const config::Route& route, const Address& client) {
    std::string out = "client ";
    append_host(out, client);
    return out + " " + is_not(route.sources, [](const Cidr& range) { return to_string(range); });
}

std::string country_words(const config::Route& route, std::string_view country) {
    std::string out = fmt::format("country is {}, ", country.empty() ? "not known" : country);
    if (route.countries.size() == 1)
        return out + (country.empty() ? "must be " : "not ") + route.countries.front();
    out += country.empty() ? "must be one of" : "none of";
    for (const std::string& each : route.countries) out += ' ' + each;
    return out;
}

}  // namespace

std::string why_not(const config::Config& config, const config::Route& route, std::uint32_t listener,
                    const Asked& asked, std::string& scratch) {
    if (!route.listeners.empty() && std::ranges::find(route.listeners, listener) == route.listeners.end()) {
        return "listener " +
               is_not(route.listeners, [&](std::uint32_t i) { return config.listeners[i].name; });
    }
    const auto host_fits = [&](const config::HostMatch& match) { return host_holds(match, asked.host); };
    if (!route.hosts.empty() && std::ranges::none_of(route.hosts, host_fits)) {
        return "host " + is_not(route.hosts, [](const config::HostMatch& match) {
                   return (match.wildcard ? "*." : "") + match.name;
               });
    }
    if (!path_holds(route.path, asked.path)) return path_words(route.path, asked.path);
    if (!method_holds(route, asked.head)) {
        return fmt::format("method {} ", asked.head.method_text) +
               is_not(route.methods, [](const std::string& method) { return method; });
    }
    std::string why =
        value_words("header", route.headers, [&](auto& match) { return header_holds(match, asked.head); });
    if (why.empty()) {
        why = value_words("cookie", route.cookies,
                          [&](auto& match) { return cookie_holds(match, asked.head); });
    }
    if (why.empty()) {
        why = value_words("parameter", route.queries,
                          [&](auto& match) { return query_holds(match, asked.query, scratch); });
    }
    if (why.empty() && !source_holds(route, asked.client)) why = source_words(route, asked.client);
    if (why.empty() && !country_holds(route, asked.country)) why = country_words(route, asked.country.get());
    return why;
}

}  // namespace lb::route
