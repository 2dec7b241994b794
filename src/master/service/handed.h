// master/service/handed.h -- the descriptors that a service manager hands to a process it starts: sd_listen_fds(3).
// Owns:  what the manager kept for an earlier lb (its descriptor store), as told by the names lb gave it.
// Never: touches sockets of a .socket unit: bind = fd:N names those by their number.
#pragma once
#include <string>
#include <vector>

#include "shared/net/fd.h"

namespace lb::service {

// Every name that lb gives to a descriptor begins with this. Sockets of a .socket unit are named like the unit, and that
// may well be lb.socket.
inline constexpr const char* our_prefix = "lb.";
inline constexpr const char* unit_suffix = ".socket";

struct Stored {
    Fd fd;  // close-on-exec from here on
    std::string name;
};

// Takes LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES out of the environment: they speak of this process and of nobody it
// starts. Returns the descriptors with a name of ours, in the order they came; none when the variables are about
// another process or make no sense.
std::vector<Stored> take_stored();

}  // namespace lb::service
