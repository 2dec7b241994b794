// master/backend_names.cpp -- see backend_names.h.
#include "master/backend_names.h"

#include <fmt/format.h>

#include "shared/base/log.h"

namespace lb {

void BackendNames::learn(const std::vector<ConfigPtr>& generations) {
    for (auto& [slot, entry] : entries_) entry.known = false;
    for (const ConfigPtr& config : generations) {
        for (const config::Pool& pool : config->pools) {
            const bool used_at_once = pool.check.start_up || pool.check.kind == config::CheckKind::off;
            const shm::Health assumed = used_at_once ? shm::Health::up : shm::Health::checking;
            for (const config::Backend& backend : pool.backends) {
                Entry& entry = entries_[backend.slot];
                if (entry.known) continue;
                std::string text = fmt::format("pool {}: backend {}", pool.name, backend.name);
                // Another backend took the slot over: what was said about the earlier one says nothing.
                if (entry.text != text) entry = {std::move(text), assumed, true};
                entry.known = true;
            }
        }
    }
    std::erase_if(entries_, [](const auto& pair) { return !pair.second.known; });
}

std::string BackendNames::of(std::uint32_t slot) const {
    const auto found = entries_.find(slot);
    return found == entries_.end() ? fmt::format("backend slot {}", slot) : found->second.text;
}

void BackendNames::log_configured(const config::Config& config) {
    if (!log::enabled(log::Level::info)) return;
    for (const config::Pool& pool : config.pools) {
        for (const config::Backend& backend : pool.backends) {
            log::info("pool {}: backend {} {} weight {}{}", pool.name, backend.name,
                      to_string(backend.addresses.front()), backend.weight, backend.backup ? " backup" : "");
        }
    }
}

bool BackendNames::log_verdict(std::uint32_t slot, shm::Health health, std::string_view reason) {
    const auto found = entries_.find(slot);
    const char* word = shm::health_words[static_cast<std::size_t>(health)];
    if (reason.empty()) {
        log::notice("{} is {}", of(slot), word);
    } else {
        log::notice("{} is {} ({})", of(slot), word, reason);
    }
    if (found == entries_.end()) return false;
    const shm::Health before = found->second.health;
    found->second.health = health;
    return before != shm::Health::checking && before != health && health != shm::Health::checking;
}

}  // namespace lb
