// shared/route/words.h -- why a route was passed over, in plain words. Pure.
#pragma once
#include <cstdint>
#include <string>

#include "shared/config/model.h"
#include "shared/route/conditions.h"

namespace lb::route {

// The first condition that does not hold, from the listener to the source; "" when all do. What comes from the request has
// its control bytes escaped.
std::string why_not(const config::Config& config, const config::Route& route, std::uint32_t listener,
                    const Asked& asked, std::string& scratch);

}  // namespace lb::route
