// master/control_server.h -- the control socket: who may ask, the request line, the answer lines.
// Owns:  the socket file (removed only while it is still the one created here) and at most 32 connections.
// Never: waits for a client; reads more than one line of control::max_request bytes; acts for a user who is not root,
//        not the user the master runs as and not the one who started it.
#pragma once
#include <sys/time.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "master/caller.h"
#include "shared/base/clock.h"
#include "shared/base/result.h"
#include "shared/net/event_ptr.h"
#include "shared/net/fd.h"

namespace lb {

class ControlServer {
 public:
    static constexpr std::size_t most_clients = 32;
    static constexpr Micros default_patience = 5'000'000;  // for a whole line, and for each step of an answer

    using Handler = std::function<void(std::string_view command, const CallerPtr& caller)>;
    ControlServer(event_base* base, uid_t started_by, Handler handler, Micros patience = default_patience);
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

    // Listens at `path`; a socket at an earlier path is removed once this one answers. A socket file that nobody
    // answers on is replaced. The error is a sentence with the path, such as "... already running, pid 42".
    std::string listen(const std::string& path);
    // Removes the socket file and takes no more requests; answers under way can still be given.
    void close() noexcept;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
    struct Client;
    class Answer;
    static void on_accept(int fd, short what, void* self);
    static void on_client(int fd, short what, void* client);
    void accept_one();
    void read(Client& client);
    void write(Client& client);
    void drop(Client& client);
    [[nodiscard]] bool allowed(const Client& client) const noexcept;

    event_base* base_;
    uid_t started_by_;
    Handler handler_;
    timeval patience_;
    std::string path_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    Fd listening_;
    EventPtr accept_event_;
    std::vector<std::shared_ptr<Client>> clients_;
};

// Whether a master answers on the socket at `path`: its process number, 0 for nobody. The error is a sentence: the
// path is too long, is no socket, or may not be used.
Result<pid_t, std::string> running_master(const std::string& path);

}  // namespace lb
