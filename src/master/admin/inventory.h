// master/admin/inventory.h -- what the shared table holds at this moment, under the names an operator knows.
// Owns:  copies of the names; nothing of it points into the table, so it may outlive a turn of the event loop.
// Never: writes; trusts that a slot stays with its owner while it is read (see layout.h).
//
// After a reload that changed a backend's address two slots carry the same name until the older one is empty. They are
// one group here: counters add up, and everything else is told by the first place. Backends found by discovery come and
// go at any time; a page is made in one turn, and each row is shown only if it still belongs to whom it names.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "shared/shm/segment.h"

namespace lb::admin {

// A slot and whose it was when it was read. `name` is the offset of the owner's name: the arena uses a block again only
// after this process has moved its epoch, so within a turn the same offset means the same owner.
struct Place {
    std::uint32_t slot = 0;
    std::uint64_t name = 0;
    bool operator==(const Place&) const = default;
};

struct Group {
    std::string name;           // valid UTF-8, whatever the configuration held
    std::vector<Place> places;  // the present one first; never empty
};
struct BackendGroup {
    std::string name;
    std::vector<Place> places;
    std::uint32_t pool = 0;  // index into Inventory::pools
    // In the pool's present list; else it serves what an older generation has open, or has left by discovery.
    bool member = false;
    std::optional<bool>
        discovered;  // not written in the file; nothing while the configuration in force is not known
    // Of the first place:
    shm::Health health = shm::Health::checking;
    std::uint32_t weight = 0;
    bool backup = false;
    std::int64_t changed = 0;        // unix seconds of the last change of health; 0: none yet
    std::vector<Address> addresses;  // none: a name that has not been resolved
    std::string check_reason;        // why the last check failed; empty: it did not
};
struct Inventory {
    std::vector<Group> listeners;
    std::vector<Group> routes;
    std::vector<Group> pools;
    std::vector<BackendGroup> backends;  // in the order of their pools
};

Inventory take_inventory(const shm::Segment& table);

// Whether a slot of this scope still has the owner that it had. Ask after reading its row.
bool still(const shm::Segment& table, metrics::Scope scope, const Place& place) noexcept;

// The same text with every byte that is not part of valid UTF-8 replaced by U+FFFD: one bad name must not make a whole
// page unreadable.
std::string to_utf8(std::string_view text);

}  // namespace lb::admin
