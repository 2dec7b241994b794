// master/explain.h -- what "lb explain" is told: which listener, route, pool and backend a request would take, and why each
// other was passed over; which lists let it in and which limits count it. From the running configuration and the shared table, by the code that workers decide with: the
// parser, the matcher, the policies.
// Owns:  nothing.
// Never: changes anything: no cursor moves, no place is taken. Connects to nobody; evaluates templates, but for the groups
//        of a rewrite.
//
// The choice between the pools of a split, and between equally loaded backends, falls when a request comes: what is said
// here is what would happen now.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "master/caller.h"
#include "shared/config/model.h"
#include "shared/shm/segment.h"

namespace lb {

struct Explained {
    std::vector<std::string> lines;
    bool found = false;   // the request gets a pool, or an answer that the configuration has for it
    std::string outcome;  // the last line: what happens
};

// `request`: METHOD, TARGET, FROM, LISTENER and any number of fields "NAME: VALUE", with tabs between them, as
// master/cli/control.cpp writes it. TARGET is a URL, or a request target when Host is among the fields. FROM is the
// client's address, as it is known after trusted hops (so X-Forwarded-For among the fields is a field like any other);
// "": 127.0.0.1. LISTENER "": the only one, or the only one with the URL's port. `seed` decides between equals.
Explained explain(std::string_view request, const config::Config& config, const shm::Segment& table,
                  std::uint64_t seed);

// The same for a caller of the control socket; `serving` is null while nothing serves.
void explain(std::string_view request, const config::Config* serving, const shm::Segment& table,
             const CallerPtr& caller);

}  // namespace lb
