// master/discovery/merge.cpp -- see merge.h.
#include "master/discovery/merge.h"

#include <fmt/format.h>

#include <string>
#include <unordered_map>
#include <unordered_set>

namespace lb::discovery {
namespace {

// Where it is: what two backends of a pool must not have in common when nobody wrote both of them down.
std::string place_of(const config::Backend& backend) {
    if (!backend.dns_name.empty()) return fmt::format("{}:{}", backend.dns_name, backend.port);
    std::string out;
    for (const Address& address : backend.addresses) out += to_string(address) + ' ';
    return out;
}

bool same_backend(const config::Backend& a, const config::Backend& b) {
    return a.dns_name == b.dns_name && a.port == b.port &&
           (!a.dns_name.empty() || a.addresses == b.addresses);
}

}  // namespace

Members merge(std::span<const config::Backend> configured, std::span<const Members* const> found) {
    Members out(configured.begin(), configured.end());
    std::unordered_set<std::string> names;
    std::unordered_set<std::string> places;
    for (const config::Backend& each : configured) {
        names.insert(each.name);
        places.insert(place_of(each));
    }
    std::size_t count = 0;
    for (const Members* source : found) {
        if (source == nullptr) continue;
        for (const config::Backend& each : *source) {
            if (count == most_found) return out;
            std::string place = place_of(each);
            if (names.contains(each.name) || places.contains(place)) continue;
            names.insert(each.name);
            places.insert(std::move(place));
            out.push_back(each);
            count++;
        }
    }
    return out;
}

Changes compare(std::span<const config::Backend> before, std::span<const config::Backend> after) {
    Changes out;
    std::unordered_map<std::string_view, const config::Backend*> old;
    for (const config::Backend& each : before) old.emplace(each.name, &each);
    for (const config::Backend& each : after) {
        const auto place = old.find(each.name);
        if (place == old.end()) {
            out.joined.push_back(&each);
            continue;
        }
        const config::Backend& was = *place->second;
        old.erase(place);
        if (!same_backend(was, each)) {
            out.left.push_back(&was);
            out.joined.push_back(&each);
            continue;
        }
        if (was.addresses != each.addresses) out.moved.push_back({&was, &each});
        if (was.weight != each.weight || was.backup != each.backup) out.altered.push_back({&was, &each});
    }
    for (const config::Backend& each : before) {
        if (const auto place = old.find(each.name); place != old.end() && place->second == &each) {
            out.left.push_back(&each);
        }
    }
    return out;
}

}  // namespace lb::discovery
