// master/operator/state_text.h -- the store as JSON and back.
//
//   { "lb_state": 1,
//     "pools": { "app": {
//       "backends":   { "a1": { "state": "drain", "weight": 5 } },         either may be left out
//       "added":      [ "10.0.0.9:80 weight=2 name=a9" ],                    as after `backend =`
//       "registered": [ { "backend": "10.0.0.7:80 name=s1", "expires": 1764230400000 } ]     unix milliseconds
//   } } }
//
// Owns:  the form. Pure.
// Never: trusts what it reads: size, depth, types, names and texts are checked, and nothing unknown is taken.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "master/operator/store.h"

namespace lb::operators {

inline constexpr std::size_t most_state_bytes = std::size_t{32} << 20;  // more than a store can become

std::string print_state(const Store& store, const Moment& moment);

// Into an empty store. Returns what was wrong, at most 20 sentences; what is right besides is taken. A text that is no
// JSON of this form leaves the store empty. Registrations that ran out meanwhile are left out, which is no mistake.
std::vector<std::string> read_state(std::string_view text, Store& store, const Moment& moment);

}  // namespace lb::operators
