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
            for (const config::Backend& backend : pool.backends) {
                Entry& entry = entries_[backend.slot];
                if (entry.known) continue;
                // Another backend took the slot over: what was said about the earlier one says nothing.
                if (entry.backend != backend.name || entry.pool != pool.name) {
                    const bool up = used_at_once && !backend.addresses.empty();
                    entry = {pool.name, backend.name, up ? shm::Health::up : shm::Health::checking, true,
                             false};
                }
                entry.known = true;
                entry.unresolved = backend.addresses.empty();
            }
        }
    }
    std::erase_if(entries_, [](const auto& pair) { return !pair.second.known; });
}

std::string BackendNames::of(std::uint32_t slot) const {
    const auto found = entries_.find(slot);
    if (found == entries_.end()) return fmt::format("backend slot {}", slot);
    return fmt::format("pool {}: backend {}", found->second.pool, found->second.backend);
}

void BackendNames::log_configured(const config::Config& config) {
    if (!log::enabled(log::Level::info)) return;
    for (const config::Pool& pool : config.pools) {
        for (const config::Backend& backend : pool.backends) {
            std::string addresses;
            for (const Address& each : backend.addresses) addresses += ' ' + to_string(each);
            log::info("pool {}: backend {}{} weight {}{}", pool.name, backend.name,
                      addresses.empty() ? " without an address" : addresses, backend.weight,
                      backend.backup ? " backup" : "");
        }
    }
}

bool BackendNames::log_verdict(std::uint32_t slot, shm::Health health, std::string_view reason) {
    const auto found = entries_.find(slot);
    const char* word = shm::health_words[static_cast<std::size_t>(health)];
    const Micros now = monotonic_now();
    left_out(now);
    if (found != entries_.end() && found->second.unresolved && !lines_.allows(now)) {
        // Counted.
    } else if (reason.empty()) {
        log::notice("{} is {}", of(slot), word);
    } else {
        log::notice("{} is {} ({})", of(slot), word, reason);
    }
    if (found == entries_.end()) return false;
    const shm::Health before = found->second.health;
    found->second.health = health;
    return before != shm::Health::checking && before != health && health != shm::Health::checking;
}

std::uint64_t BackendNames::left_out(Micros now) {
    if (const auto more = lines_.take_left_out(now); more != 0) {
        log::notice("{} more backends without an address are down", more);
    }
    return lines_.left_out();
}

}  // namespace lb
