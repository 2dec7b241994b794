// master/startup.h -- what happens before anything is opened: which user, which directories, how many descriptors,
// foreground or daemon.
// Never: opens a listening socket, a log or the pid file; those belong to the user that these steps lead to.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/result.h"
#include "shared/config/model.h"
#include "shared/net/fd.h"
#include "shared/process/privileges.h"

namespace lb::startup {

inline constexpr const char* default_user = "lb";
inline constexpr const char* last_resort_user = "nobody";

struct Who {
    std::optional<privileges::Account> account;  // nothing: stay who we are
    std::string notice;  // what the operator should know about the choice; may be empty
};
// For a process that is root: the configured user, or the first of the two above that exists. For any other: nobody
// to become, and a notice when a user is configured that it is not.
Result<Who, std::string> choose_user(const std::string& configured);

// Creates the missing directories above `file`, for `owner` when we are root. Those that exist are left as they are.
// In a directory that everybody may write to, such as /tmp, an existing directory of somebody else is refused.
std::string make_directories(const std::string& file, const std::optional<privileges::Account>& owner);

// The same found out without doing it: why make_directories() would fail, or "".
std::string directories_problem(const std::string& file, const std::optional<privileges::Account>& owner);

// The paths of the unix sockets that a configuration listens on. Inherited ones are not lb's.
std::vector<std::string> socket_files(const config::Config& config);

// Sets the file mode mask, so that each file gets the mode its maker asks for. Chooses and becomes the user, and creates what it cannot. "" or the error; notices are appended.
std::string settle_in(const config::Config& config, std::vector<std::string>& notices);

// Raises the soft limit of descriptors to the hard one; returns the limit now.
std::uint64_t raise_descriptor_limit() noexcept;

// The workers open the access logs; that they can is found out here, where somebody can be told. Creates a file that is
// not there yet. Returns why it cannot be, or "".
std::string check_logs(const config::Config& config);

// How many client connections a worker can promise. Each may need a second descriptor for its backend. 1/8 of the
// limit, at least 64 and at most 1024, stays for listening sockets, logs, pipes that move bodies, and idle
// connections to backends; `sockets` are the listening sockets of a worker. At least 1.
std::uint32_t connections_that_fit(std::uint64_t limit, std::uint32_t wanted, std::size_t sockets) noexcept;

// CPUs this process may run on.
std::uint32_t cpus() noexcept;

// daemon = on. The process that was started waits until its child serves or fails, and exits with 0 or 1.
class Daemon {
 public:
    // In the parent this never returns. In the child it returns "" or, before any fork, an error.
    std::string detach();
    // The child serves: the parent may go. From here on nothing can be said on the terminal.
    void serving(bool keep_stderr) noexcept;

 private:
    Fd parent_;
};

}  // namespace lb::startup
