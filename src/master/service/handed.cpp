// master/service/handed.cpp -- see handed.h.
#include "master/service/handed.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "master/service/environment.h"
#include "shared/base/text.h"

namespace lb::service {
namespace {

constexpr int first_descriptor = 3;
constexpr std::uint64_t most_descriptors = 65536;

}  // namespace

std::vector<Stored> take_stored() {
    const std::string pid = take_variable("LISTEN_PID"), count = take_variable("LISTEN_FDS"),
                      names = take_variable("LISTEN_FDNAMES");
    const auto whose = text::number(pid), how_many = text::number(count);
    std::vector<Stored> list;
    if (!whose || *whose != static_cast<std::uint64_t>(getpid()) || !how_many ||
        *how_many > most_descriptors) {
        return list;
    }
    std::string_view left = names;
    const int end = first_descriptor + static_cast<int>(*how_many);
    for (int fd = first_descriptor; fd < end && !left.empty(); fd++) {
        const auto colon = left.find(':');
        const std::string_view name = left.substr(0, colon);
        left.remove_prefix(colon == std::string_view::npos ? left.size() : colon + 1);
        if (!name.starts_with(our_prefix) || name.ends_with(unit_suffix)) continue;
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) continue;  // not open after all
        list.push_back({Fd(fd), std::string(name)});
    }
    return list;
}

}  // namespace lb::service
