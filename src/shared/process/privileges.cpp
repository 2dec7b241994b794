// shared/process/privileges.cpp -- see privileges.h. capabilities(7), prctl(2); the raw calls, so that no library is
// needed for five lines.
#include "shared/process/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "shared/net/socket.h"

namespace lb::privileges {
namespace {

constexpr std::uint64_t bind_mask = std::uint64_t{1} << CAP_NET_BIND_SERVICE;

struct Sets {
    std::uint64_t effective = 0, permitted = 0, inheritable = 0;
};

std::string failure(const char* call) { return std::string(call) + ": " + errno_text(errno); }

bool read_sets(Sets& sets) noexcept {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (syscall(SYS_capget, &header, data.data()) != 0) return false;
    const auto join = [](std::uint32_t low, std::uint32_t high) { return low | std::uint64_t{high} << 32; };
    sets = {join(data[0].effective, data[1].effective), join(data[0].permitted, data[1].permitted),
            join(data[0].inheritable, data[1].inheritable)};
    return true;
}

bool write_sets(const Sets& sets) noexcept {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    for (unsigned i = 0; i < 2; i++) {
        data[i].effective = static_cast<std::uint32_t>(sets.effective >> (32 * i));
        data[i].permitted = static_cast<std::uint32_t>(sets.permitted >> (32 * i));
        data[i].inheritable = static_cast<std::uint32_t>(sets.inheritable >> (32 * i));
    }
    return syscall(SYS_capset, &header, data.data()) == 0;
}

// The bounding set limits what executing a file can give. Dropping from it needs CAP_SETPCAP, which a process that
// was never root lacks; then no_new_privs of the children does the same work, so a refusal here is no error.
void drop_bounding(std::uint64_t keep) noexcept {
    for (unsigned long cap = 0; cap <= 63; cap++) {
        if ((keep >> cap & 1) == 0 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) {
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
        }
    }
}

std::string reduce(std::uint64_t keep) {
    Sets sets;
    if (!read_sets(sets)) return failure("capget");
    // Ambient capabilities vanish with the inheritable ones; the call is for kernels that carry any.
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    const std::uint64_t kept = sets.permitted & keep;
    if (!write_sets({kept, kept, 0})) return failure("capset");
    return {};
}

}  // namespace

Result<std::optional<Account>, std::string> find_account(const std::string& name) {
    std::vector<char> room(4096);
    passwd entry{};
    passwd* found = nullptr;
    int error = 0;
    while ((error = getpwnam_r(name.c_str(), &entry, room.data(), room.size(), &found)) == ERANGE &&
           room.size() < (1U << 20)) {
        room.resize(room.size() * 2);
    }
    if (found != nullptr) return std::optional(Account{name, entry.pw_uid, entry.pw_gid});
    // getpwnam(3): these too are ways to say that there is no such name.
    if (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM) {
        return std::optional<Account>();
    }
    return Failed{"user '" + name + "': " + errno_text(error)};
}

std::string become(const Account& account) {
    drop_bounding(bind_mask);
    // Without this a change from uid 0 clears the permitted set, and with it the one capability to keep.
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return failure("prctl(PR_SET_KEEPCAPS)");
    if (initgroups(account.name.c_str(), account.gid) != 0) return failure("initgroups");
    if (setresgid(account.gid, account.gid, account.gid) != 0) return failure("setresgid");
    if (setresuid(account.uid, account.uid, account.uid) != 0) return failure("setresuid");
    if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return failure("prctl(PR_SET_KEEPCAPS)");
    return reduce(bind_mask);
}

std::string keep_only_bind() { return reduce(bind_mask); }

std::string drop_all() {
    if (std::string error = reduce(0); !error.empty()) return error;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failure("prctl(PR_SET_NO_NEW_PRIVS)");
    return {};
}

bool may_bind_low_ports() noexcept {
    Sets sets;
    return read_sets(sets) && (sets.effective & bind_mask) != 0;
}

}  // namespace lb::privileges
