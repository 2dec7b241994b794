// master/config/builder.h -- a Draft into a Config: own keys over [defaults] over the table's defaults,
// whatever the order in the files. Values that are wrong are reported where they stand, once.
#pragma once
#include <vector>

#include "master/config/draft.h"
#include "shared/config/model.h"

namespace lb::config {

// A Config and, for checks.cpp, where its parts came from. `listeners[i]` of the lists below belongs to
// config.listeners[i], and so on; the pointers are into the draft's sections.
struct Built {
    Config config;
    std::vector<References> references;        // one per listener
    std::vector<References> route_references;  // one per route
    std::vector<const Section*> logs, listeners, pools, routes, acls, limits, resolvers;
};

Built build(Draft& draft);

}  // namespace lb::config
