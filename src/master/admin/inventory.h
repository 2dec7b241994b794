// master/admin/inventory.h -- what the shared table holds at this moment, under the names an operator knows.
// Owns:  copies of the names; nothing of it points into the table, so it may outlive a turn of the event loop.
// Never: writes; trusts that a slot stays with its owner while it is read (see layout.h).
//
// After a reload that changed a backend's address two slots carry the same name until the older one is empty. They are
// one group here: counters add up, and everything else is told by the first place. Backends found by discovery come and
// go at any time; a page is made in one turn, and each row is shown only if it still belongs to whom it names.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "shared/config/model.h"
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
    bool listed = false;  // requests may go to it now
    // Of the first place:
    shm::Health health = shm::Health::checking;
    shm::Operator operator_state = shm::Operator::ready;
    shm::MemberOf member_of = shm::MemberOf::file;
    std::int64_t ejected_until = 0;  // unix seconds; 0: not ejected
    std::int64_t expires = 0;        // unix seconds at which a registration ends; 0: never
    std::string zone;
    std::uint32_t weight = 0;
    std::uint32_t effective_weight = 0;
    std::uint32_t max_inflight = 0;  // 0: any number
    bool backup = false;
    std::int64_t changed = 0;        // unix seconds of the last change of health; 0: none yet
    std::vector<Address> addresses;  // none: a name that has not been resolved
    std::string check_reason;        // why the last check failed; empty: it did not
};
struct Inventory {
    std::vector<Group> listeners;
    std::vector<Group> routes;
    std::vector<Group> limits;
    std::vector<Group> pools;
    std::vector<BackendGroup> backends;  // in the order of their pools
};

// Takes the inventory in steps, for the master, which must not spend 20 ms on 10 000 backends at one go. What comes or
// goes between two steps may be in it or not.
class InventoryTaker {
 public:
    explicit InventoryTaker(const shm::Segment& table) : table_(&table) {}
    // Looks at so many backend slots more, the first time at all the others too. False when it is complete.
    bool step(std::uint32_t slots);
    Inventory take() && { return std::move(out_); }

 private:
    // How much a slot has to say about its name: the greatest speaks.
    using Rank = std::tuple<bool, bool, std::int64_t>;
    void begin();
    void backend(std::uint32_t slot);

    const shm::Segment* table_;
    Inventory out_;
    bool begun_ = false;
    std::uint32_t next_ = 0;
    std::map<std::uint32_t, std::uint32_t> pool_of_;  // slot to index
    std::unordered_set<std::uint32_t> listed_;        // slots of backends that their pools hand out
    std::map<std::pair<std::uint32_t, std::string>, std::pair<std::size_t, Rank>> by_name_;
};
Inventory take_inventory(const shm::Segment& table);

// Puts routes, limits, pools and backends in the order of the configuration; what it does not name comes behind, in the
// order of the slots.
void arrange(Inventory& inventory, const config::Config& config);

// The block of a pool that workers pick from, at present; null: none yet. Only within a turn.
const shm::PublishedPool* published_of(const shm::Segment& table, const Group& pool) noexcept;

// Whether a slot of this scope still has the owner that it had. Ask after reading its row.
bool still(const shm::Segment& table, metrics::Scope scope, const Place& place) noexcept;

// The same text with every byte that is not part of valid UTF-8 replaced by U+FFFD: one bad name must not make a whole
// page unreadable.
std::string to_utf8(std::string_view text);

}  // namespace lb::admin
