// master/config/route_checks.h -- rules across the keys of routes, and between routes.
#pragma once
#include <string>
#include <vector>

#include "master/config/builder.h"
#include "master/config/references.h"

namespace lb::config {

// Turns the names in routes into indexes; checks what a route does.
void check_routes(Built& built, const AllNames& names, Draft& draft);
// Routes that no request can reach, because earlier ones take all of theirs. Only after check_routes found no mistake.
void find_shadowed_routes(const Built& built, std::vector<std::string>& warnings);

}  // namespace lb::config
