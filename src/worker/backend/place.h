// worker/backend/place.h -- what is known of a request before its backend is chosen, and what an exchange holds of one.
#pragma once
#include <cstdint>

#include "shared/shm/layout.h"

namespace lb {

// One backend, as a pick names it. The incarnation tells an earlier owner of the slot from the present one.
struct BackendId {
    std::uint32_t slot = shm::no_slot;
    std::uint32_t incarnation = 0;
};

// The same over all attempts of one exchange.
struct Preference {
    std::uint64_t key = 0;     // of balance = hash / ip_hash or sticky header / ip: balance::hash_key(...)
    bool has_key = false;      // false: the request has no such value; another policy serves it
    std::uint64_t sticky = 0;  // the id in the client's sticky cookie; 0: none
    std::uint32_t zone = 0;    // shm::zone_id of the zone it prefers; 0: none
};

enum class Pick : std::uint8_t {
    yes,
    no_backend,  // none is usable, but those that were tried
    saturated,   // some are, all at their max_inflight, or others wait for them already
};

// An exchange gives it back exactly once when `pick` is yes; giving back another does nothing.
struct Place {
    Pick pick = Pick::no_backend;
    BackendId backend;
    bool counted = false;    // in the shared in-flight cells
    bool by_cookie = false;  // the sticky cookie chose it
    bool session_stands =
        false;  // the cookie's own backend was only full just now: the client keeps its cookie
};

}  // namespace lb
