// master/admin/server.h -- the operator's HTTP port, in a process of its own: /metrics /healthz /readyz /status /api.
// Owns:  its loop, its column's epoch, and when it ends. The port, the pages and the desk for changes are its parts.
// Never: changes the table; is needed by traffic, control or checks.
#pragma once
#include "shared/process/child.h"

namespace lb::admin {

// The admin process, from fork to exit. context.listen holds sockets already listening.
int run(ChildContext& context);

}  // namespace lb::admin
