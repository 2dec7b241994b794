// master/listeners.h -- every listening socket of lb: opened here, kept over generations, steered, closed at last.
// Owns:   the master's copy of each socket, in the order the kernel has them in their SO_REUSEPORT groups.
// Never:  accepts; decides when a socket is retired (reload does) or who serves it (accepting does).
//
// A socket is known by the address as configured and a slot: one slot per worker with accept = reuseport, slot 0 alone
// with accept = shared, for unix sockets (the kernel has no SO_REUSEPORT for them) and for inherited descriptors. All of
// lb's own TCP sockets are members of a SO_REUSEPORT group, so that the number of slots can change later. Sockets of a
// group must be opened by one effective user: only after the master became the user it serves as.
//
// Where a service manager keeps descriptors, it has a copy of each, by a name that says which one it is, so that the
// next master goes on with the same sockets and nobody is refused meanwhile.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "master/service/handed.h"
#include "master/service/manager.h"
#include "master/socket_file.h"
#include "shared/base/result.h"
#include "shared/config/model.h"
#include "shared/net/fd.h"

namespace lb {

struct SocketId {
    std::string key;  // key_of(bind)
    std::uint32_t slot = 0;
    // NOLINTNEXTLINE(modernize-use-nullptr): the check takes the 0 inside a defaulted <=> for a pointer
    auto operator<=>(const SocketId&) const = default;
};

// "10.0.0.1:80", "[::1]:80", "unix:/run/lb/web.sock" or "fd:3".
std::string key_of(const config::Bind& bind);

// Tries to bind without SO_REUSEPORT and listens to nothing. Returns 0, or errno of what went wrong.
int probe_bind(const Address& address) noexcept;

class Listeners {
 public:
    // The slot of a decoy: a member that takes the place of all others when the whole address is on its way out. Its
    // accept queue is full, so the kernel drops every handshake that it is chosen for, and the client tries again
    // until the address is closed, where it would have been reset. It is never served.
    static constexpr std::uint32_t decoy = UINT32_MAX;

    struct Member {
        std::uint32_t slot = 0;
        Fd fd;
        bool live = false;      // a worker accepts from it: it gets new connections
        bool served = false;    // was live at some time: its queue may hold connections
        bool retiring = false;  // gets no new connections and will be closed
    };
    struct Group {
        config::Bind bind;
        Address address;          // where the sockets are bound, with the port the kernel chose for port 0
        bool deferred = false;    // TCP_DEFER_ACCEPT, but for members that retire
        std::vector<Fd> fillers;  // lb's own connections, that fill the queue of the decoy
        std::vector<Member> members;         // in the order of the kernel's group
        std::vector<std::uint32_t> steered;  // the places of the attached program; empty: none
        SocketFile file;                     // of a unix socket that is not inherited
        bool ordered = true;  // the order of the members is known; without it nobody can be steered
        [[nodiscard]] bool inherited() const noexcept { return bind.inherited_fd >= 0; }
        [[nodiscard]] bool local() const noexcept { return !inherited() && address.family() == AF_UNIX; }
        // A SO_REUSEPORT group, whose members share new connections as steering says.
        [[nodiscard]] bool steerable() const noexcept { return ordered && !inherited() && !local(); }
    };

    // `inherited`: the descriptors this process was started with; only those can be named by bind = fd:N. `manager`
    // outlives it; null: none.
    explicit Listeners(std::vector<int> inherited, service::Manager* manager = nullptr)
        : manager_(manager), inherited_(std::move(inherited)) {}

    static bool is_socket(const std::string& name) { return name.starts_with(prefix); }
    // Sockets of an earlier master, as the manager kept them. Until open() names them they are on their way out, and
    // who asks for groups() sees them so. What is no listening socket is forgotten.
    void adopt(std::vector<service::Stored> stored);

    // Opens what is not open yet, and takes members that were retiring back. Adds what it opened to `opened`. On
    // error (a sentence naming the address) nothing was opened by this call. `defer`: wake the acceptor only when the
    // first bytes are there. New members of a group that is in use get no connections before set_live().
    std::string open(const config::Bind& bind, std::uint32_t slots, bool defer,
                     std::vector<SocketId>& opened);

    // -1 when there is no such socket.
    [[nodiscard]] int descriptor(const SocketId& id) const noexcept;
    // Tells who gets new connections: `live` are the slots of this address that a worker accepts from now.
    void set_live(const std::string& key, std::span<const std::uint32_t> live);

    // No new connections from now on: they are steered to the other members, or when no other is left, to a decoy,
    // until close(); a unix socket's file loses its name. Those half open may finish. Inherited sockets cannot retire:
    // they are not lb's to end, and their number may be named again.
    void retire(const SocketId& id);
    // Ends the socket in every process that has a copy, and closes ours. What is in its queue is reset.
    void close(const SocketId& id);
    // At the end: closes the master's copies of all, and removes the files of unix sockets.
    void close_all() noexcept { groups_.clear(); }
    // The same, but another master will go on with them: the files stay.
    void leave_open() noexcept;

    [[nodiscard]] const std::map<std::string, Group>& groups() const noexcept { return groups_; }
    [[nodiscard]] const Group* group(const std::string& key) const noexcept;
    [[nodiscard]] std::vector<ino_t> own_inodes() const;

 private:
    static constexpr const char* prefix = "lb.listen.";
    [[nodiscard]] static std::string name_of(const Group& group, std::size_t place);
    void keep(const Group& group, std::size_t place);
    void forget(const Group& group, std::size_t place);
    void forget(const std::string& name);
    std::string adopt_inherited(Group& group);
    std::string open_local(Group& group);
    std::string keep_local(Group& group, std::uint32_t backlog, std::vector<SocketId>& opened);
    std::string open_members(Group& group, std::uint32_t slots, std::vector<SocketId>& opened);
    void open_decoy(Group& group);
    void close_decoy(Group& group);
    void remove(Group& group, std::size_t place);
    void steer(Group& group, bool closed = false);

    service::Manager* manager_;
    std::vector<int> inherited_;
    std::map<std::string, Group> groups_;
};

// The descriptors above 2 that are open now. Call first thing in main.
std::vector<int> open_descriptors();

// Whether an inherited descriptor can be listened on: "" or a sentence fragment saying what it is not.
std::string inherited_problem(int fd);

}  // namespace lb
