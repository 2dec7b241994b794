// master/status.cpp -- see status.h.
#include "master/status.h"

#include <fmt/format.h>
#include <unistd.h>

namespace lb {
namespace {

const char* state_of(const Child& child) {
    if (child.told) return "draining";
    if (child.stale) return "hangs";
    return child.ready || child.role == shm::Role::admin ? "serving" : "starting";
}

// With the port the kernel chose, when it was asked to.
std::string address_of(const Core& core, const config::Bind& bind) {
    std::string key = key_of(bind);
    const Listeners::Group* group = core.listeners.group(key);
    if (group == nullptr) return key;
    return group->inherited() ? fmt::format("{} {}", key, to_string(group->address))
                              : to_string(group->address);
}

void add_pools(std::vector<std::string>& lines, const Core& core, const config::Config& config) {
    for (const config::Pool& pool : config.pools) {
        std::size_t up = 0;
        std::string down;
        for (const config::Backend& backend : pool.backends) {
            const shm::Health health =
                core.segment.backend(backend.slot).health.load(std::memory_order_relaxed);
            if (health == shm::Health::up) {
                up++;
            } else if (down.size() < 512) {
                down += fmt::format("{}{} {}", down.empty() ? ": " : ", ", backend.name,
                                    shm::health_words[static_cast<std::size_t>(health)]);
            }
        }
        lines.push_back(fmt::format("pool {} {}/{} up{}", pool.name, up, pool.backends.size(), down));
    }
}

}  // namespace

std::vector<std::string> status_lines(const Core& core, const Reload& reload) {
    std::vector<std::string> lines;
    lines.push_back(fmt::format("master pid {}", getpid()));
    for (const Generation& generation : core.generations.all()) {
        lines.push_back(fmt::format("generation {} {} workers {}", generation.number,
                                    phase_word(generation.phase), generation.living));
    }
    for (const auto& child : core.children.all()) {
        lines.push_back(fmt::format("{} pid {} generation {} {}", child->name(), child->pid,
                                    child->generation, state_of(*child)));
    }
    lines.push_back(fmt::format("reloads {} ok {} failed", reload.completed(), reload.failed()));
    const Generation* serving = core.generations.serving();
    if (serving == nullptr) return lines;
    for (const config::Listener& listener : serving->config->listeners) {
        for (const config::Bind& bind : listener.binds) {
            lines.push_back(fmt::format("listener {} {}", listener.name, address_of(core, bind)));
        }
    }
    for (const config::Bind& bind : serving->config->admin.binds) {
        lines.push_back(fmt::format("admin {}", address_of(core, bind)));
    }
    add_pools(lines, core, *serving->config);
    return lines;
}

}  // namespace lb
