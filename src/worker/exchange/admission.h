// worker/exchange/admission.h -- before a request is given to a pool: may its client in, is it within its limits, and
// which backend would suit it.
// Never: answers; keeps a view of the head.
#pragma once
#include <cstdint>
#include <string>

#include "shared/metrics/end_reason.h"
#include "worker/exchange/rules.h"
#include "worker/exchange/services.h"

namespace lb {

class Hops;

struct Admission {
    End why = End::done;  // done: it may go on
    std::uint16_t status = 0;
    std::string detail;
    std::uint32_t retry_after = 0;  // seconds; 0: nothing to say
    [[nodiscard]] bool refused() const noexcept { return why != End::done; }
};

// The acls of the listener and the route, then their limits: who is not let in costs no limit anything. What the limits
// let it have is in `held`, and is the caller's to give back, refused or not.
Admission admit(Services& services, const Rules& rules, const http::RequestHead& head, const Hops& hops,
                worker::Held& held);

// What the pool's policy, its stickiness and the zones make of a request. `country`: of the client; "": not known.
Preference preference_of(const Services& services, const config::Pool& pool, const http::RequestHead& head,
                         const Hops& hops, std::string_view country, std::string_view route);

// The line "Set-Cookie: NAME=ID; ...\r\n" (RFC 6265 4.1) for a backend's sticky id; "" for 0.
std::string sticky_cookie(const config::Sticky& sticky, std::uint64_t id);

}  // namespace lb
