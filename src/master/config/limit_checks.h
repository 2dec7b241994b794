// master/config/limit_checks.h -- rules across the keys of [acl], [limit] and [zones], and of those who name them.
// Owns:  nothing.
#pragma once
#include <string>
#include <vector>

#include "master/config/builder.h"
#include "master/config/references.h"

namespace lb::config {

// Sections that say too little, and what needs [zones] database.
void check_limits(const Built& built, Draft& draft);
// Sections that nobody names: who wrote them believes himself protected. Only after the checks found no mistake.
void find_unused_limits(const Built& built, std::vector<std::string>& warnings);
// Zones without backends, and backends of zones that nobody prefers. `section`: [zones]. As above.
void find_idle_zones(const Built& built, const Section& section, std::vector<std::string>& warnings);

}  // namespace lb::config
