// shared/process/child.h -- what the master hands to a new child, and a child's first acts.
// Owns:  the descriptors the child may keep. Everything else is closed before the child does anything.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "shared/config/model.h"
#include "shared/net/fd.h"
#include "shared/process/channel.h"
#include "shared/process/wakeups.h"
#include "shared/shm/segment.h"

struct event_base;

namespace lb {

// A listening socket given to a child: which listener it belongs to.
struct ListenFd {
    std::uint32_t listener =
        0;                  // index into Config::listeners; for the admin process: index into Admin::binds
    int fd = -1;            // a loan from the master's process image; the child owns its copy after the fork
    bool deferred = false;  // TCP_DEFER_ACCEPT is set: the request is usually there when accept returns
};

struct ChildContext {
    std::shared_ptr<const config::Config> config;
    const shm::Segment* table = nullptr;
    std::uint32_t column = 0;  // its own column
    std::uint32_t generation = 0;
    std::uint32_t number = 0;   // worker number in its generation, from 0
    std::uint32_t workers = 0;  // workers of its generation
    Channel channel;            // to the master
    std::vector<ListenFd> listen;
    int standard_output = 1;           // access logs with path = stdout
    const Wakeups* wakeups = nullptr;  // the master's, as inherited; null: this child needs none
    int lifeline = -1;                 // reading end (shared/process/lifeline.h); -1: none
};

// Runs in the forked child and returns its exit status; never returns to the master's code.
using ChildMain = int (*)(ChildContext&);

// Closes every descriptor that is not in `keep` (close_range between them). Descriptors 0-2 always stay.
void close_all_but(std::vector<int> keep) noexcept;

// The first acts of a forked child, in order: event_reinit of `inherited` and free it (the caller gives up its
// pointer), default actions for all signals and an empty mask (SIGPIPE ignored; SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH
// ignored too: a terminal's Ctrl-C goes to the whole group, only the master answers), a parent-death check, the
// descriptors, no_new_privs, the master's part of the table read-only, the process title and the log's role.
void begin_child(event_base* inherited, ChildContext& context, const std::string& role);

// Process title as ps shows it ("lb: worker 0"): remember the argument area first, in main.
void init_process_title(int argc, char** argv) noexcept;
void set_process_title(const std::string& title) noexcept;

}  // namespace lb
