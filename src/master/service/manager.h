// master/service/manager.h -- what lb tells the service manager that started it: sd_notify(3). Systemd shows the status
// line, restarts a master whose watchdog is not fed, and keeps descriptors for the next one.
// Owns:  the way to the manager, and what it could not take yet, in order.
// Never: blocks: what the socket does not take now is sent by flush() or the next tick(); ends the process.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "shared/base/clock.h"
#include "shared/net/fd.h"

namespace lb::service {

class Manager {
 public:
    // Nobody to tell: every call below does nothing.
    Manager() = default;
    // `socket`: connected, a datagram socket. `watchdog`: a sign of life is due within this time; 0: never.
    Manager(Fd socket, Micros watchdog) noexcept : socket_(std::move(socket)), watchdog_(watchdog) {}
    // By NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which are taken out of the environment.
    static Manager from_environment();

    [[nodiscard]] bool present() const noexcept { return static_cast<bool>(socket_); }

    void ready();                          // serves, or a reload is over
    void reloading(Micros now);            // until ready()
    void stopping();                       // on its way out
    void need_time(Micros time);           // a start or stop may take so much longer, from now
    void status(const std::string& text);  // one line; said again only when it changed
    void tick(Micros now);                 // feeds the watchdog

    // What the manager could not take yet is sent by flush(), when descriptor() can be written to.
    [[nodiscard]] bool behind() const noexcept { return !waiting_.empty(); }
    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
    void flush();

    // The manager gets a copy of the descriptor and hands it to the next process it starts for this service, with its
    // name: printable, without a colon, at most 255 bytes, unique among those kept. It drops one by itself whose other
    // end is gone. `fd` stays open until forget() or the end.
    void keep(int fd, const std::string& name);
    // The same, but the manager's is the only one: once it is on its way, it is open here no more.
    void give(Fd fd, const std::string& name);
    void forget(const std::string& name);

 private:
    struct Waiting {
        std::string text;
        int fd = -1;       // goes along
        std::string name;  // of keep(): so that forget() can take it back
        Fd given;
    };
    static constexpr std::size_t most_waiting = 16384;  // longer than any number of sockets lb opens at once
    enum class Sent : std::uint8_t { yes, later, never };
    void say(std::string text, int fd = -1, std::string name = {}, Fd given = {});
    Sent send(const Waiting& message) noexcept;

    Fd socket_;
    Micros watchdog_ = 0, fed_ = 0;
    std::string status_;
    std::deque<Waiting> waiting_;
};

}  // namespace lb::service
