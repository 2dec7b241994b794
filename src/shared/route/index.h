// shared/route/index.h -- the routes by listener and host, then by path. Built once from the settings, read-only afterwards.
// Owns:  lists of route numbers, each in the order of the file.
// Never: judges a condition; it says which routes come into question by host and path, and leaves out no other.
//
//   (listener or all of them, host or wildcard) --> class of hosts --> any:   routes without a path
//                                                                      regex: routes whose path is a regular expression
//                                                                      root:  a tree of path segments
// The path "/v1/items" walks the tree from the root by "v1" and "items", and on the way takes up what may hold: prefixes that
// end where it stands, and at its end the exact paths. So a look-up costs a step for each segment and not one for each route.
// Routes with a regular expression, and those without a path, are asked one after the other.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "shared/config/model.h"
#include "shared/route/key_table.h"

namespace lb::route {

class Index {
 public:
    using List = std::vector<std::uint32_t>;
    struct HostClass {
        List any, regex;
        std::uint32_t root = 0;
    };

    explicit Index(const config::Config& config);

    // Calls ask(first, second) for each pair of classes in which a request's host is, in the order in which they count:
    // exact, wildcards from the longest on, none. `first` holds routes for every listener, `second` those for this one;
    // either may be null. Ends when ask returns true, and says whether it did.
    template <class Ask>
    bool each_class(std::uint32_t listener, std::string_view host, Ask ask) const {
        const std::uint32_t own = listener + 1;
        const bool limited = listener < limited_.size() && limited_[listener] != 0;
        const auto ask_for = [&](Kind kind, std::string_view name) {
            const HostClass* first = find(0, kind, name);
            const HostClass* second = limited ? find(own, kind, name) : nullptr;
            return (first != nullptr || second != nullptr) && ask(first, second);
        };
        if (!host.empty()) {
            if (has_[exact] && ask_for(exact, host)) return true;
            if (has_[wildcard]) {
                // At least one byte before the dot, as conditions.h has it.
                for (std::size_t dot = host.find('.', 1); dot != std::string_view::npos;
                     dot = host.find('.', dot + 1)) {
                    if (ask_for(wildcard, host.substr(dot + 1))) return true;
                }
            }
        }
        return has_[none] && ask_for(none, {});
    }

    // Calls take(list) for each list of routes that come into question for a path in compared form; "" is the path of "*".
    template <class Take>
    void each_list(const HostClass& hosts, std::string_view path, Take take) const {
        take(hosts.any);
        if (path.empty()) return;
        take(hosts.regex);
        const Node* node = &nodes_[hosts.root];
        std::uint32_t number = hosts.root;
        for (std::size_t slash = 0;;) {
            take(node->below);
            if (slash + 1 == path.size()) return take(node->exact_below);
            if (node->leaf) return;
            const std::size_t next = path.find('/', slash + 1);
            number = children_.find(number, path.substr(slash + 1, next - slash - 1));
            if (number == KeyTable::none) return;
            node = &nodes_[number];
            take(node->prefix);
            if (next == std::string_view::npos) return take(node->exact);
            slash = next;
        }
    }
    // How many lists each_list gives at most.
    [[nodiscard]] std::size_t most_lists() const noexcept { return 2 * deepest_ + 4; }

 private:
    // A path as far as the end of one segment; the root is before the first slash.
    struct Node {
        List exact, exact_below;  // of the path that ends here; here with a slash behind it
        List prefix, below;       // of prefixes: "/v1" and "/v1/"
        bool leaf = true;
    };
    enum Kind : std::uint32_t { exact, wildcard, none, kinds };

    [[nodiscard]] const HostClass* find(std::uint32_t scope, Kind kind,
                                        std::string_view host) const noexcept {
        const std::uint32_t number = hosts_.find(scope * kinds + kind, host);
        return number == KeyTable::none ? nullptr : &classes_[number];
    }
    void add(std::uint32_t route, const config::Route& settings, std::uint32_t scope);
    HostClass& class_of(std::uint32_t scope, Kind kind, std::string_view host);
    void add(std::uint32_t route, const config::PathMatch& path, HostClass& hosts);
    List& place_of(const config::PathMatch& path, std::uint32_t root);

    KeyTable hosts_;     // (scope and kind, host) to a class; scope 0 is every listener
    KeyTable children_;  // (node, segment) to a node
    std::vector<HostClass> classes_;
    std::vector<Node> nodes_;
    std::size_t deepest_ = 0;  // segments of the longest path
    bool has_[kinds] = {};
    std::vector<char> limited_;  // for each listener, whether routes name it
};

}  // namespace lb::route
