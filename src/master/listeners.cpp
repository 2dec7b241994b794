// master/listeners.cpp -- see listeners.h.
#include "master/listeners.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "master/port_holder.h"
#include "master/steering.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/net/event_ptr.h"
#include "shared/net/socket.h"

namespace lb {
namespace {

bool set_int(int fd, int level, int option, int value) noexcept {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}
int get_int(int fd, int option) noexcept {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

Fd stream_socket(const Address& address) noexcept {
    Fd fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return fd;
    // [::] means IPv6 alone: 0.0.0.0 on the same port is a listener of its own.
    const bool set = set_int(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) &&
                     (address.family() != AF_INET6 || set_int(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1));
    return set ? std::move(fd) : Fd();
}

void set_deferred(const Listeners::Group& group, int fd, bool on) noexcept {
    if (group.deferred && !group.inherited()) set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, on ? 1 : 0);
}

// Why `address` cannot be had, in the operator's words.
std::string bind_problem(const Address& address, int error, const std::vector<ino_t>& own) {
    if (error == EACCES) return errno_text(error) + "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
    if (error != EADDRINUSE) return errno_text(error);
    const std::string holder = show(find_holders(address, own));
    return holder.empty() ? "the address is in use" : "the address is in use, " + holder;
}

void report(const std::string& what, const std::string& error) {
    if (!error.empty()) log::warn("{}: {}", what, error);
}

// Of "3.0.4711"; empty when anything else is in it.
std::vector<std::uint64_t> numbers_in(std::string_view dotted) {
    std::vector<std::uint64_t> numbers;
    for (;;) {
        const auto dot = dotted.find('.');
        const auto number = text::number(dotted.substr(0, dot));
        if (!number) return {};
        numbers.push_back(*number);
        if (dot == std::string_view::npos) return numbers;
        dotted.remove_prefix(dot + 1);
    }
}

}  // namespace

std::string key_of(const config::Bind& bind) {
    return bind.inherited_fd >= 0 ? fmt::format("fd:{}", bind.inherited_fd) : to_string(bind.address);
}

int probe_bind(const Address& address) noexcept {
    const Fd fd = stream_socket(address);
    if (!fd) return errno;
    return bind(fd.get(), &address.any.base, address.length) == 0 ? 0 : errno;
}

std::string inherited_problem(int fd) {
    if (get_int(fd, SO_TYPE) == -1) return errno == EBADF ? "is not open" : "is not a socket";
    if (get_int(fd, SO_TYPE) != SOCK_STREAM) return "is not a stream socket";
    const int domain = get_int(fd, SO_DOMAIN);
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX) {
        return "is not an IPv4, IPv6 or unix socket";
    }
    if (get_int(fd, SO_ACCEPTCONN) != 1) return "is not listening";
    return {};
}

std::string Listeners::adopt_inherited(Group& group) {
    const int fd = group.bind.inherited_fd;
    // A number that is open now but was not at the start belongs to lb itself.
    if (std::find(inherited_.begin(), inherited_.end(), fd) == inherited_.end()) {
        return fmt::format("fd:{}: descriptor {} was not open when lb was started", fd, fd);
    }
    if (const std::string problem = inherited_problem(fd); !problem.empty()) {
        return fmt::format("fd:{}: descriptor {} {}", fd, fd, problem);
    }
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        return fmt::format("fd:{}: {}", fd, errno_text(errno));
    }
    group.address = local_address(fd);
    if (group.address.family() != AF_UNIX) set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    Member member;
    member.fd.reset(fd);
    group.members.push_back(std::move(member));
    return {};
}

// One socket that all workers share; what a worker leaves in the queue, the next one takes.
std::string Listeners::open_local(Group& group) {
    const std::string key = key_of(group.bind);
    const std::string before = group.members.empty() ? std::string() : name_of(group, 0);
    Member member;
    member.fd.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!member.fd) return fmt::format("{}: {}", key, errno_text(errno));
    if (const std::string error = group.file.bind_to(member.fd.get(), group.address); !error.empty()) {
        return fmt::format("{}: {}", key, error);
    }
    if (listen(member.fd.get(), static_cast<int>(group.bind.backlog)) != 0) {
        const int error = errno;
        group.file.remove();
        return fmt::format("{}: {}", key, errno_text(error));
    }
    // In the place of one that lost its file: who is in its queue is served by the workers that have it.
    if (!before.empty()) forget(before);
    group.members.clear();
    group.members.push_back(std::move(member));
    keep(group, 0);
    return {};
}

// It is named again, perhaps while it was on its way out. One whose file somebody removed or replaced cannot be reached
// any more: another one takes its place.
std::string Listeners::keep_local(Group& group, std::uint32_t backlog, std::vector<SocketId>& opened) {
    if (group.file.lost()) {
        group.bind.backlog = backlog;
        if (std::string error = open_local(group); !error.empty()) return error;
        opened.push_back({key_of(group.bind), 0});
        log::warn("{}: the file was removed or replaced; listening anew", key_of(group.bind));
        return {};
    }
    if (const std::string error = group.file.show(); !error.empty()) {
        return fmt::format("{}: {}", key_of(group.bind), error);
    }
    Member& member = group.members.front();
    listen(member.fd.get(), static_cast<int>(backlog));
    group.bind.backlog = backlog;
    member.retiring = false;
    return {};
}

std::string Listeners::open_members(Group& group, std::uint32_t slots, std::vector<SocketId>& opened) {
    const std::string key = key_of(group.bind);
    for (std::uint32_t slot = 0; slot < slots; slot++) {
        const bool there = std::any_of(group.members.begin(), group.members.end(),
                                       [&](const Member& m) { return m.slot == slot; });
        if (there) continue;
        Fd fd = stream_socket(group.address);
        if (!fd) return fmt::format("{}: {}", key, errno_text(errno));
        if (!set_int(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) {
            return fmt::format("{}: SO_REUSEPORT: {}", key, errno_text(errno));
        }
        set_int(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);  // accepted sockets inherit it
        set_deferred(group, fd.get(), true);
        if (bind(fd.get(), &group.address.any.base, group.address.length) != 0 ||
            listen(fd.get(), static_cast<int>(group.bind.backlog)) != 0) {
            return fmt::format("{}: {}", key, bind_problem(group.address, errno, own_inodes()));
        }
        if (group.address.port() == 0) group.address = local_address(fd.get());
        Member member;
        member.slot = slot;
        member.fd = std::move(fd);
        group.members.push_back(std::move(member));
        keep(group, group.members.size() - 1);
        opened.push_back({key, slot});
    }
    return {};
}

std::string Listeners::open(const config::Bind& bind, std::uint32_t slots, bool defer,
                            std::vector<SocketId>& opened) {
    const std::string key = key_of(bind);
    const bool is_new = !groups_.contains(key);
    if (is_new) {
        Group fresh;
        fresh.bind = bind;
        fresh.address = bind.address;
        fresh.deferred = defer;
        if (fresh.inherited()) {
            std::string error = adopt_inherited(fresh);
            if (error.empty()) groups_.emplace(key, std::move(fresh));
            return error;
        }
        if (fresh.local()) {
            fresh.deferred = false;  // there is nothing to wait for but what connect() brings
            std::string error = open_local(fresh);
            if (!error.empty()) return error;
            groups_.emplace(key, std::move(fresh));
            opened.push_back({key, 0});
            return {};
        }
        // With SO_REUSEPORT a second lb of the same user would join in silence and take half of the connections.
        if (const int error = probe_bind(bind.address); error != 0) {
            const bool ours = error == EADDRINUSE && find_holders(bind.address, own_inodes()).only_own;
            if (!ours) return fmt::format("{}: {}", key, bind_problem(bind.address, error, own_inodes()));
        }
        groups_.emplace(key, std::move(fresh));
    }
    Group& group = groups_.at(key);
    if (group.inherited()) return {};
    if (group.local()) return keep_local(group, bind.backlog, opened);
    group.deferred = defer;
    // With the program in place before a socket listens, none of the connections in between can land on it.
    if (!is_new) steer(group, true);
    const std::size_t before = opened.size();
    std::string error = open_members(group, slots, opened);
    if (!error.empty()) {
        while (opened.size() > before) {
            close(opened.back());
            opened.pop_back();
        }
        if (is_new) groups_.erase(key);
        return error;
    }
    group.bind.backlog = bind.backlog;
    bool revived = false;
    for (Member& member : group.members) {
        if (member.slot >= slots) continue;
        listen(member.fd.get(), static_cast<int>(bind.backlog));  // a changed backlog; the queue stays
        revived = revived || member.retiring;
        if (member.retiring) set_deferred(group, member.fd.get(), true);
        member.retiring = false;
    }
    if (revived) close_decoy(group);
    steer(group);
    return {};
}

// The kernel moves the last socket of a group into the place of one that leaves.
void Listeners::remove(Group& group, std::size_t place) {
    // Not only close: a child that hangs may hold a copy, and the socket would stay in the kernel's group at a place
    // that we no longer know.
    shutdown(group.members[place].fd.get(), SHUT_RD);
    forget(group, place);
    const std::size_t last = group.members.size() - 1;
    if (place != last) {
        forget(group, last);
        group.members[place] = std::move(group.members.back());
    }
    group.members.pop_back();
    if (place != last) keep(group, place);
    group.steered.assign(1, UINT32_MAX);  // whatever is attached counts by the old order
}

void Listeners::close_decoy(Group& group) {
    group.fillers.clear();
    for (std::size_t i = 0; i < group.members.size(); i++) {
        if (group.members[i].slot == decoy) return remove(group, i);
    }
}

void Listeners::open_decoy(Group& group) {
    constexpr int backlog = 1;  // full with two; with none at all the kernel would warn of a flood
    Member member;
    member.slot = decoy;
    member.fd = stream_socket(group.address);
    const int fd = member.fd.get();
    if (fd < 0 || !set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) ||
        bind(fd, &group.address.any.base, group.address.length) != 0 || listen(fd, backlog) != 0) {
        report(key_of(group.bind), "clients that come while it closes may be reset: " + errno_text(errno));
        return;
    }
    group.members.push_back(std::move(member));
    steer(group);
    // Connecting to an unspecified address reaches this machine.
    group.fillers.clear();
    for (int i = 0; i <= backlog; i++) group.fillers.push_back(start_connect(group.address).fd);
}

int Listeners::descriptor(const SocketId& id) const noexcept {
    const auto found = groups_.find(id.key);
    if (found == groups_.end()) return -1;
    for (const Member& member : found->second.members) {
        if (member.slot == id.slot) return member.fd.get();
    }
    return -1;
}

const Listeners::Group* Listeners::group(const std::string& key) const noexcept {
    const auto found = groups_.find(key);
    return found == groups_.end() ? nullptr : &found->second;
}

void Listeners::set_live(const std::string& key, std::span<const std::uint32_t> live) {
    const auto found = groups_.find(key);
    if (found == groups_.end()) return;
    for (Member& member : found->second.members) {
        member.live = std::find(live.begin(), live.end(), member.slot) != live.end();
        member.served = member.served || member.live;
    }
    steer(found->second);
}

// Attaches the program for the members that are live. With all of them live the kernel's hash does better (a client
// keeps its place, no program runs); with none live, all that do not retire keep collecting in their queues.
// `closed`: a program even then, because a member is about to join.
void Listeners::steer(Group& group, bool closed) {
    if (!group.steerable() || group.members.empty()) return;
    const bool any_live = std::any_of(group.members.begin(), group.members.end(),
                                      [](const Member& m) { return m.live && !m.retiring; });
    std::vector<std::uint32_t> places;
    for (std::uint32_t i = 0; i < group.members.size(); i++) {
        const Member& member = group.members[i];  // a decoy counts when nobody is live, and then it is alone
        if (!member.retiring && (member.live || !any_live)) places.push_back(i);
    }
    if (places.size() == group.members.size() && !closed) places.clear();
    if (places == group.steered) return;
    const int fd = group.members.front().fd.get();
    const std::string error = places.empty() ? steering::detach(fd) : steering::attach(fd, places);
    if (error.empty()) group.steered = std::move(places);
    report(key_of(group.bind), error);
}

void Listeners::retire(const SocketId& id) {
    const auto found = groups_.find(id.key);
    if (found == groups_.end() || found->second.inherited()) return;
    Group& group = found->second;
    for (Member& member : group.members) {
        if (member.slot != id.slot) continue;
        member.retiring = true;
        set_deferred(group, member.fd.get(), false);
    }
    if (group.local()) return report(id.key, group.file.hide());
    const bool none_left = std::all_of(group.members.begin(), group.members.end(),
                                       [](const Member& m) { return m.retiring && m.slot != decoy; });
    steer(group);
    if (none_left && group.ordered) open_decoy(group);
}

void Listeners::close(const SocketId& id) {
    const auto found = groups_.find(id.key);
    if (found == groups_.end() || found->second.inherited()) return;
    auto& members = found->second.members;
    const auto member =
        std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.slot == id.slot; });
    if (member == members.end()) return;
    remove(found->second, static_cast<std::size_t>(member - members.begin()));
    const bool over = members.empty() || (members.size() == 1 && members.front().slot == decoy);
    if (over) {
        groups_.erase(found);
    } else {
        steer(found->second);
    }
}

// "lb.listen.SLOT.PLACE.INODE": the place in the kernel's group, and the socket's own number, so that no two are alike;
// of a unix socket also ".DEVICE.INODE" of its file.
std::string Listeners::name_of(const Group& group, std::size_t place) {
    const Member& member = group.members[place];
    struct stat info {};
    fstat(member.fd.get(), &info);
    std::string name = fmt::format("{}{}.{}.{}", prefix, member.slot, place, info.st_ino);
    if (group.local()) name += fmt::format(".{}.{}", group.file.device(), group.file.inode());
    return name;
}

void Listeners::keep(const Group& group, std::size_t place) {
    if (manager_ == nullptr || !manager_->present() || group.members[place].slot == decoy) return;
    manager_->keep(group.members[place].fd.get(), name_of(group, place));
}

void Listeners::forget(const Group& group, std::size_t place) {
    if (group.members[place].slot != decoy) forget(name_of(group, place));
}

void Listeners::forget(const std::string& name) {
    if (manager_ != nullptr) manager_->forget(name);
}

void Listeners::adopt(std::vector<service::Stored> stored) {
    struct Found {
        Member member;
        std::uint64_t place = 0, device = 0, inode = 0;
    };
    std::map<std::string, std::vector<Found>> found;
    for (service::Stored& each : stored) {
        const auto numbers = numbers_in(std::string_view(each.name).substr(std::string_view(prefix).size()));
        const bool good =
            numbers.size() >= 3 && numbers[0] < decoy && inherited_problem(each.fd.get()).empty();
        const Address address = good ? local_address(each.fd.get()) : Address();
        if (!good || numbers.size() != (address.family() == AF_UNIX ? 5U : 3U)) {
            log::warn("{}: is not a listening socket of lb", each.name);
            forget(each.name);
            continue;
        }
        Found one;
        one.member.slot = static_cast<std::uint32_t>(numbers[0]);
        one.member.fd = std::move(each.fd);
        one.member.served = one.member.retiring = true;
        one.place = numbers[1];
        if (numbers.size() == 5) one.device = numbers[3], one.inode = numbers[4];
        found[to_string(address)].push_back(std::move(one));
    }
    for (auto& [key, list] : found) {
        std::sort(list.begin(), list.end(), [](const Found& a, const Found& b) { return a.place < b.place; });
        Group group;
        group.address = group.bind.address = local_address(list.front().member.fd.get());
        for (std::size_t i = 0; i < list.size(); i++) group.ordered = group.ordered && list[i].place == i;
        if (group.local()) group.file.adopt(group.address, list.front().device, list.front().inode);
        for (Found& one : list) {
            if (!group.local()) set_int(one.member.fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
            group.members.push_back(std::move(one.member));
        }
        // Whatever the earlier master had attached last.
        if (!group.local()) report(key, steering::detach(group.members.front().fd.get()));
        log::notice("{}: going on with {} listening socket{} of an earlier master{}", key,
                    group.members.size(), group.members.size() == 1 ? "" : "s",
                    group.ordered ? "" : ", which left in the middle of a change");
        groups_.emplace(key, std::move(group));
    }
}

void Listeners::leave_open() noexcept {
    for (auto& [key, group] : groups_) group.file.release();
    groups_.clear();
}

std::vector<ino_t> Listeners::own_inodes() const {
    std::vector<ino_t> inodes;
    for (const auto& [key, group] : groups_) {
        for (const Member& member : group.members) {
            struct stat info {};
            if (fstat(member.fd.get(), &info) == 0) inodes.push_back(info.st_ino);
        }
    }
    return inodes;
}

std::vector<int> open_descriptors() {
    std::vector<int> found;
    const std::unique_ptr<DIR, Frees<closedir>> folder(opendir("/proc/self/fd"));
    if (!folder) return found;
    while (const dirent* entry = readdir(folder.get())) {
        const auto number = text::number(entry->d_name);
        if (!number || *number <= 2 || *number == static_cast<unsigned>(dirfd(folder.get()))) continue;
        found.push_back(static_cast<int>(*number));
    }
    return found;
}

}  // namespace lb
