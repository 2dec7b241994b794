// master/backend_names.h -- what to call a backend slot in the log, and the lines about health.
// Owns:  a copy of the names of all living generations; never reads the shared table.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "master/discovery/line_limit.h"
#include "master/generations.h"
#include "shared/shm/layout.h"

namespace lb {

class BackendNames {
 public:
    // The generations alive, newest first.
    void learn(const std::vector<ConfigPtr>& generations);
    // "pool app: backend a1".
    [[nodiscard]] std::string of(std::uint32_t slot) const;
    // One line for each configured backend, at level info.
    static void log_configured(const config::Config& config);
    // One line for a changed verdict, at level notice; of those without an address, who may be many at once, only so
    // many in a second. True when it is a change between up and down, which is counted;
    // a first verdict is none.
    bool log_verdict(std::uint32_t slot, shm::Health health, std::string_view reason);
    // How many of them wait to be counted in a line; writes it when the second is over.
    std::uint64_t left_out(Micros now);

 private:
    struct Entry {
        std::string pool, backend;
        shm::Health health = shm::Health::checking;
        bool known = false;       // still configured
        bool unresolved = false;  // it has no address
    };
    static constexpr std::uint32_t lines_a_second = 20;

    std::unordered_map<std::uint32_t, Entry> entries_;
    discovery::LineLimit lines_{lines_a_second};
};

}  // namespace lb
