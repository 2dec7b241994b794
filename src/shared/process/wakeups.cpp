#include "shared/process/wakeups.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace lb {

Wakeups Wakeups::make(std::uint32_t columns) {
    Wakeups made;
    made.all_.reserve(columns);
    for (std::uint32_t i = 0; i < columns; i++) {
        Fd fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
        if (!fd) return {};
        made.all_.push_back(std::move(fd));
    }
    return made;
}

// The count can only be at its limit when it is readable anyhow.
void Wakeups::wake(std::uint32_t column) const noexcept {
    const std::uint64_t one = 1;
    if (const int fd = descriptor(column); fd >= 0) (void)!::write(fd, &one, sizeof one);
}

void Wakeups::heard(std::uint32_t column) const noexcept {
    std::uint64_t count = 0;
    if (const int fd = descriptor(column); fd >= 0) (void)!::read(fd, &count, sizeof count);
}

void Wakeups::append_to(std::vector<int>& descriptors) const {
    for (const Fd& fd : all_) descriptors.push_back(fd.get());
}

}  // namespace lb
