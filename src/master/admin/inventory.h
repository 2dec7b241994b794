// master/admin/inventory.h -- what the shared table holds at this moment, under the names an operator knows.
// Owns:  copies of the names; nothing of it points into the table, so it may outlive a turn of the event loop.
// Never: writes; trusts that a slot stays with its owner while it is read (see layout.h).
//
// After a reload that changed a backend's address two slots carry the same name until the older one is empty. They are
// one group here: counters add up, and everything else is told by the first slot.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "shared/config/model.h"
#include "shared/shm/segment.h"

namespace lb::admin {

struct Group {
    std::string name;                  // valid UTF-8, whatever the configuration held
    std::vector<std::uint32_t> slots;  // the present one first; never empty
};
struct BackendGroup {
    std::string name;
    std::vector<std::uint32_t> slots;
    std::uint32_t pool = 0;  // index into Inventory::pools
    bool configured =
        false;  // named by the configuration in force; else it serves what an older generation has open
    // Of the first slot:
    shm::Health health = shm::Health::checking;
    std::uint32_t weight = 0;
    bool backup = false;
    std::int64_t changed = 0;  // unix seconds of the last change of health; 0: none yet
    std::vector<Address> addresses;
    std::string check_reason;  // why the last check failed; empty: it did not
};
struct Inventory {
    std::vector<Group> listeners;
    std::vector<Group> pools;
    std::vector<BackendGroup> backends;  // in the order of their pools
};

// `config` says which slots are named by the configuration in force; null when that is not known, and then every slot
// that is not retiring counts as configured.
Inventory take_inventory(const shm::Segment& table, const config::Config* config);

// The same text with every byte that is not part of valid UTF-8 replaced by U+FFFD: one bad name must not make a whole
// page unreadable.
std::string to_utf8(std::string_view text);

}  // namespace lb::admin
