// shared/route/index.cpp -- see index.h.
#include "shared/route/index.h"

#include <algorithm>

#include "shared/route/host.h"

namespace lb::route {

Index::Index(const config::Config& config) : limited_(config.listeners.size()) {
    for (std::uint32_t i = 0; i < config.routes.size(); i++) {
        const config::Route& route = config.routes[i];
        if (route.listeners.empty()) add(i, route, 0);
        for (const std::uint32_t listener : route.listeners) {
            limited_[listener] = 1;
            add(i, route, listener + 1);
        }
    }
}

void Index::add(std::uint32_t route, const config::Route& settings, std::uint32_t scope) {
    if (settings.hosts.empty()) add(route, settings.path, class_of(scope, none, {}));
    for (const config::HostMatch& host : settings.hosts) {
        HostRoom room;
        const std::string_view name = compared_host(host.name, room);
        if (name.empty()) continue;  // no request has it
        add(route, settings.path, class_of(scope, host.wildcard ? wildcard : exact, name));
    }
}

Index::HostClass& Index::class_of(std::uint32_t scope, Kind kind, std::string_view host) {
    const std::uint32_t key = scope * kinds + kind;
    std::uint32_t number = hosts_.find(key, host);
    if (number == KeyTable::none) {
        number = static_cast<std::uint32_t>(classes_.size());
        hosts_.add(key, host, number);
        classes_.emplace_back().root = static_cast<std::uint32_t>(nodes_.size());
        nodes_.emplace_back();
        has_[kind] = true;
    }
    return classes_[number];
}

void Index::add(std::uint32_t route, const config::PathMatch& path, HostClass& hosts) {
    List* list = nullptr;
    switch (path.kind) {
        case config::Match::present: list = &hosts.any; break;
        case config::Match::regex: list = &hosts.regex; break;
        case config::Match::exact:
        case config::Match::prefix:
            if (!path.text.starts_with('/')) return;  // no path begins so
            list = &place_of(path, hosts.root);
            break;
    }
    // The same host may be named twice.
    if (list->empty() || list->back() != route) list->push_back(route);
}

Index::List& Index::place_of(const config::PathMatch& path, std::uint32_t root) {
    const std::string_view text = path.text;
    const bool whole = path.kind == config::Match::exact;
    std::uint32_t number = root;
    std::size_t depth = 0;
    for (std::size_t slash = 0; slash != std::string_view::npos;) {
        if (slash + 1 == text.size()) return whole ? nodes_[number].exact_below : nodes_[number].below;
        const std::size_t next = text.find('/', slash + 1);
        const std::string_view segment = text.substr(slash + 1, next - slash - 1);
        std::uint32_t child = children_.find(number, segment);
        if (child == KeyTable::none) {
            child = static_cast<std::uint32_t>(nodes_.size());
            children_.add(number, segment, child);
            nodes_[number].leaf = false;
            nodes_.emplace_back();
        }
        number = child;
        deepest_ = std::max(deepest_, ++depth);
        slash = next;
    }
    return whole ? nodes_[number].exact : nodes_[number].prefix;
}

}  // namespace lb::route
