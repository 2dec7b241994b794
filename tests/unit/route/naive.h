// tests/unit/route/naive.h -- a matcher that shares no code with the one of lb: it decodes, splits and compares by copying, and
// asks every route in turn. For the property tests and the fuzz target `routes`.
#pragma once
#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include "shared/config/model.h"
#include "shared/geo/countries.h"
#include "shared/net/address.h"

namespace lb::test {

inline std::string naive_decoded(const std::string& text, bool plus) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i++) {
        const std::string two = text.substr(std::min(i + 1, text.size()), 2);
        if (text[i] == '%' && two.size() == 2 &&
            two.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos) {
            out += static_cast<char>(std::stoi(two, nullptr, 16));
            i += 2;
        } else {
            out += plus && text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

inline std::vector<std::string> naive_split(const std::string& text, char separator) {
    std::vector<std::string> out(1);
    for (const char c : text) {
        if (c == separator) {
            out.emplace_back();
        } else {
            out.back() += c;
        }
    }
    return out;
}

inline std::string naive_path(const std::string& target) {
    std::string path = naive_decoded(target.substr(0, target.find('?')), false);
    path.insert(0, "/");
    for (std::size_t at; (at = path.find("//")) != std::string::npos;) path.erase(at, 1);
    std::vector<std::string> kept;
    const std::vector<std::string> segments = naive_split(path.substr(1), '/');
    for (const std::string& segment : segments) {
        if (segment == ".." && !kept.empty()) kept.pop_back();
        if (segment != "." && segment != ".." && !segment.empty()) kept.push_back(segment);
    }
    std::string out;
    for (const std::string& segment : kept) out += "/" + segment;
    const std::string& last = segments.back();
    if (out.empty() || last.empty() || last == "." || last == "..") out += "/";
    return out;
}

inline std::string naive_trimmed(std::string text) {
    text.erase(0, std::min(text.find_first_not_of(" \t"), text.size()));
    text.erase(text.find_last_not_of(" \t") + 1);
    return text;
}

// The name, or the one text of an address that is in brackets.
inline std::string naive_name(const std::string& host) {
    if (!host.starts_with("[")) return host.substr(0, host.find(':'));
    const auto address = parse_host(host.substr(1, host.find(']') - 1), 0);
    std::string text;
    if (address) append_host(text, address.value());
    return text;
}

struct NaiveHost {
    explicit NaiveHost(const std::string& text) : name(naive_name(text)) {
        std::ranges::transform(name, name.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (name.ends_with(".")) name.pop_back();
    }
    // 0 exact; 1 and more: wildcards, the longest first; -1: no.
    [[nodiscard]] int rank(const config::HostMatch& match) const {
        if (!match.wildcard) return name == match.name ? 0 : -1;
        const auto labels = naive_split(name, '.');
        for (std::size_t i = 1; i < labels.size(); i++) {
            std::string tail = labels[i];
            for (std::size_t j = i + 1; j < labels.size(); j++) tail += "." + labels[j];
            if (tail == match.name && !(i == 1 && labels[0].empty()))
                return 1000 - static_cast<int>(tail.size());
        }
        return -1;
    }
    std::string name;
};

inline bool naive_value(const config::ValueMatch& match, const std::string& value) {
    if (match.kind == config::Match::exact) return value == match.text;
    return match.kind == config::Match::present || match.pattern.matches(value);
}

inline bool naive_pairs(const config::ValueMatch& match,
                        const std::vector<std::pair<std::string, std::string>>& pairs) {
    return std::ranges::any_of(
        pairs, [&](const auto& pair) { return pair.first == match.name && naive_value(match, pair.second); });
}

struct NaiveRequest {
    std::string method, target, host, from;
    std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
};

inline bool naive_holds(const config::Route& route, const NaiveRequest& request, const Address& client,
                        const geo::Countries* database) {
    const std::string path = naive_path(request.target);
    const std::string& text = route.path.text;
    if (route.path.kind != config::Match::present && request.target == "*") return false;
    if (route.path.kind == config::Match::exact && path != text) return false;
    if (route.path.kind == config::Match::regex && !route.path.pattern.matches(path)) return false;
    if (route.path.kind == config::Match::prefix) {
        const std::string whole = text.ends_with("/") ? text : text + "/";
        if (!(path + "/").starts_with(whole) || (text != whole && !path.starts_with(text))) return false;
        if (text == whole && !path.starts_with(text)) return false;
    }
    if (!route.methods.empty() && std::ranges::find(route.methods, request.method) == route.methods.end())
        return false;
    std::vector<std::pair<std::string, std::string>> cookies, parameters;
    for (const auto& [name, value] : request.headers) {
        if (name != "cookie") continue;
        for (const std::string& pair : naive_split(value, ';')) {
            const std::size_t equals = pair.find('=');
            if (equals != std::string::npos)
                cookies.emplace_back(naive_trimmed(pair.substr(0, equals)),
                                     naive_trimmed(pair.substr(equals + 1)));
        }
    }
    const std::size_t mark = request.target.find('?');
    if (mark != std::string::npos) {
        for (const std::string& parameter : naive_split(request.target.substr(mark + 1), '&')) {
            const std::size_t equals = parameter.find('=');
            const std::string value = equals == std::string::npos ? "" : parameter.substr(equals + 1);
            if (!parameter.empty())
                parameters.emplace_back(naive_decoded(parameter.substr(0, equals), true),
                                        naive_decoded(value, true));
        }
    }
    const auto all = [](const std::vector<config::ValueMatch>& matches, const auto& pairs) {
        return std::ranges::all_of(matches, [&](const auto& match) { return naive_pairs(match, pairs); });
    };
    if (!all(route.headers, request.headers) || !all(route.cookies, cookies) ||
        !all(route.queries, parameters)) {
        return false;
    }
    if (!route.countries.empty()) {
        const std::string_view country = database == nullptr ? "" : database->country_of(client);
        if (std::ranges::find(route.countries, country) == route.countries.end()) return false;
    }
    return route.sources.empty() ||
           std::ranges::any_of(route.sources, [&](const Cidr& range) { return range.contains(client); });
}

inline std::uint32_t naive_find(const config::Config& config, const NaiveRequest& request,
                                const Address& client, std::uint32_t listener) {
    const NaiveHost host(request.host);
    std::uint32_t best = config::no_index;
    int best_rank = 5000;
    for (std::uint32_t i = 0; i < config.routes.size(); i++) {
        const config::Route& route = config.routes[i];
        if (!route.listeners.empty() && std::ranges::find(route.listeners, listener) == route.listeners.end())
            continue;
        int rank = route.hosts.empty() ? 2000 : 5000;
        for (const config::HostMatch& match : route.hosts) {
            const int each = host.rank(match);
            if (each >= 0) rank = std::min(rank, each);
        }
        if (rank >= best_rank || !naive_holds(route, request, client, config.zones.countries.get())) continue;
        best = i;
        best_rank = rank;
    }
    return best;
}

}  // namespace lb::test
