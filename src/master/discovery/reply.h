// master/discovery/reply.h -- a question about a name, and what came of it.
#pragma once
#include <compare>
#include <cstdint>
#include <string>

#include "master/discovery/answer.h"

namespace lb::discovery {

struct Question {
    enum class Kind : std::uint8_t { addresses, srv };
    Kind kind = Kind::addresses;
    std::string name;  // in lower case, without the last dot
    auto operator<=>(const Question&) const = default;
};

// How one question to name servers ended. `nothing`: the name exists, but has no records of that kind.
enum class Outcome : std::uint8_t { ok, no_such_name, nothing, failed };

// IPv4 and IPv6 are asked apart, and one may fail while the other does not.
struct Family {
    Outcome outcome = Outcome::failed;
    std::string error;  // of `failed`
    AddressAnswer answer;
};

struct Reply {
    Family v4, v6;  // of Kind::addresses
    // of Kind::srv
    Outcome srv_outcome = Outcome::failed;
    std::string srv_error;
    SrvAnswer srv;
};

}  // namespace lb::discovery
