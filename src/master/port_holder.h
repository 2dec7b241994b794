// master/port_holder.h -- who listens on an address already, as far as /proc shows it; for an error message.
// Never: fails. What cannot be seen is left out. Looks at a bounded number of processes and descriptors.
#pragma once
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "shared/net/address.h"

namespace lb {

struct Holder {
    pid_t pid = 0;  // 0: not visible
    std::string name;
};

struct Holders {
    bool only_own = false;  // every socket in the way is one of `own`, so there is no conflict
    std::vector<Holder> others;
};

// Inodes of the sockets that listen where they would be in the way of `address`; `table` is the text of
// /proc/net/tcp or tcp6 (master/tcp_table.h).
std::vector<ino_t> listening_inodes(std::string_view table, const Address& address);

// `own` are inodes of sockets of this process.
Holders find_holders(const Address& address, const std::vector<ino_t>& own);

// What /proc calls a process; "" when it does not say.
std::string process_name(pid_t pid);

// "held by nginx (pid 42)"; "" when nothing is visible.
std::string show(const Holders& holders);

}  // namespace lb
