// master/steering.cpp -- see steering.h.
#include "master/steering.h"

#include <sys/socket.h>

#include <cerrno>

#include "shared/net/socket.h"

namespace lb::steering {
namespace {

template <class T>
std::string set(int fd, int option, const T& value, const char* name, int harmless = 0) {
    if (setsockopt(fd, SOL_SOCKET, option, &value, sizeof value) == 0 || errno == harmless) return {};
    return std::string(name) + ": " + errno_text(errno);
}

sock_fprog program_of(std::vector<sock_filter>& code) noexcept {
    return {static_cast<unsigned short>(code.size()), code.data()};
}

}  // namespace

std::vector<sock_filter> random_of(std::span<const std::uint32_t> live) {
    const auto count = static_cast<std::uint32_t>(live.size());
    std::vector<sock_filter> code{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM)),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
    };
    for (std::uint32_t i = 0; i + 1 < count; i++) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, i, 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, live[i]));
    }
    code.push_back(BPF_STMT(BPF_RET | BPF_K, live[count - 1]));
    return code;
}

std::string attach(int fd, std::span<const std::uint32_t> live) {
    std::vector<sock_filter> code = random_of(live);
    return set(fd, SO_ATTACH_REUSEPORT_CBPF, program_of(code), "SO_ATTACH_REUSEPORT_CBPF");
}

std::string detach(int fd) {
    // ENOENT: there was no program.
    return set(fd, SO_DETACH_REUSEPORT_BPF, 0, "SO_DETACH_REUSEPORT_BPF", ENOENT);
}

}  // namespace lb::steering
