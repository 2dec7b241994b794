// master/operator/export.cpp -- see export.h.
#include "master/operator/export.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/config/backend_text.h"

namespace lb::operators {
namespace {

std::string section(std::string_view name) { return fmt::format("[pool {}]", name); }

void add_members(std::vector<std::string>& lines, const Store::Pool& changes, const std::string& mark,
                 Micros now) {
    for (const auto& [name, member] : changes.members) {
        config::Backend backend = member.backend;
        const auto setting = changes.settings.find(name);
        if (setting != changes.settings.end() && setting->second.weight != 0) {
            backend.weight = setting->second.weight;
        }
        const std::string text = config::print_backend(backend);
        if (member.from == shm::MemberOf::operators) {
            lines.push_back(fmt::format("{}backend = {}", mark, text));
            continue;
        }
        const Micros left = std::max<Micros>(member.deadline - now, 0);
        lines.push_back(
            fmt::format("# registered, for {} s more: backend = {}", (left + 999'999) / 1'000'000, text));
    }
}

void add_settings(std::vector<std::string>& lines, const Store::Pool& changes,
                  const std::vector<config::Backend>& backends) {
    for (const auto& [name, setting] : changes.settings) {
        const auto found = std::ranges::find(backends, name, &config::Backend::name);
        const bool added = changes.members.contains(name);
        if (setting.state != shm::Operator::ready) {
            lines.push_back(fmt::format(
                "# backend {}: {}{}", name, shm::operator_words[static_cast<std::size_t>(setting.state)],
                found == backends.end() && !added ? ", and not in the pool now" : ""));
        }
        if (setting.weight == 0 || added) continue;
        if (found == backends.end()) {
            lines.push_back(
                fmt::format("# backend {}: weight {}, and not in the pool now", name, setting.weight));
            continue;
        }
        config::Backend changed = *found;
        changed.weight = setting.weight;
        lines.push_back(fmt::format("# backend {}: weight {}, not {}: backend = {}", name, setting.weight,
                                    found->weight, config::print_backend(changed)));
    }
}

}  // namespace

std::vector<std::string> export_lines(const Store& store, const config::Config& config, Micros now) {
    std::vector<std::string> lines;
    for (const auto& [name, changes] : store.pools()) {
        const auto pool = std::ranges::find(config.pools, name, &config::Pool::name);
        const bool there = pool != config.pools.end();
        if (!there) lines.push_back("# the configuration has no such pool:");
        lines.push_back((there ? "" : "# ") + section(name));
        add_members(lines, changes, there ? "" : "# ", now);
        add_settings(lines, changes, there ? pool->backends : std::vector<config::Backend>());
    }
    return lines;
}

}  // namespace lb::operators
