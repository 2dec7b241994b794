// shared/process/privileges.h -- who a process is and what it may do: becoming an unprivileged user, capabilities.
// Owns:  nothing; it changes the calling process, which must be single-threaded (the calls are per thread).
// Never: gives anything back. There is no way to regain what was given up.
// Errors are text with the name of the call and the system's reason; "" is success.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>

#include "shared/base/result.h"

namespace lb::privileges {

struct Account {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
};

// Nothing when there is no such account; the error is a failure of the lookup itself.
Result<std::optional<Account>, std::string> find_account(const std::string& name);

// Becomes that account for good (real, effective and saved ids, and its groups), keeping only the capability to bind
// ports below 1024, if the process had it. For a process that runs as root.
[[nodiscard]] std::string become(const Account& account);

// Gives up every capability but that one: for a master that did not start as root but may hold more.
[[nodiscard]] std::string keep_only_bind();

// For children: no capability at all, and no way to gain one by executing a file.
[[nodiscard]] std::string drop_all();

// Whether the process may bind ports below net.ipv4.ip_unprivileged_port_start now.
bool may_bind_low_ports() noexcept;

}  // namespace lb::privileges
