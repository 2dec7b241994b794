// master/admin/server.h -- the operator's HTTP port, in a process of its own: /metrics /healthz /readyz /status /api.
// Owns:  its evhttp and its column's epoch. Reads the shared table only.
// Never: changes the table; is needed by traffic, control or checks.
#pragma once
#include "shared/process/child.h"

namespace lb::admin {

// The admin process, from fork to exit. context.listen holds sockets already listening.
int run(ChildContext& context);

}  // namespace lb::admin
