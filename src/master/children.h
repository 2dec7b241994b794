// master/children.h -- the processes: start, talk to, watch, reap.
// Owns:  each child's record: number, column of the shared table, our end of the channel. A child's record lives until
//        the child was reaped, whatever it was told before.
// Never: decides whether a dead child gets a successor, or who drains when (supervisor, reload and shutdown do).
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "master/generations.h"
#include "master/heartbeat.h"
#include "master/reopening.h"
#include "master/table/writer.h"
#include "shared/base/clock.h"
#include "shared/net/event_ptr.h"
#include "shared/process/child.h"

namespace lb {

class Children;

struct Child {
    Children* keeper = nullptr;
    std::uint64_t id = 0;  // never used twice, unlike a pid
    pid_t pid = 0;
    shm::Role role = shm::Role::worker;
    std::uint32_t generation = 0;
    std::uint32_t number = 0;
    std::uint32_t column = 0;
    Micros started = 0;
    Micros kill_at = 0;  // 0: never
    bool ready = false;  // it said that it accepts
    bool told = false;   // to drain or to stop: its end is no accident
    bool stale = false;  // no heartbeat for a while
    bool hung = false;   // killed for want of a heartbeat
    bool cut = false;    // killed because its time to end was over
    Channel channel;
    EventPtr event;

    [[nodiscard]] bool accepting() const noexcept {
        return role == shm::Role::worker && ready && !told && !stale;
    }
    [[nodiscard]] std::string name() const;
};

// How a child ended, from its wait status: "exit status 1", "signal 9 (Killed)".
std::string end_text(int status);

class Children {
 public:
    static constexpr Micros stop_patience = 2'000'000;  // from "stop" to SIGKILL

    struct Events {
        std::function<void(Child&)> ready;
        std::function<void(std::uint32_t slot)> suspect;
        std::function<void(const Child&, int status)> ended;  // reaped; its column is free again
        std::function<void()> pulse_changed;                  // somebody became stale, or fine again
        std::function<void(std::uint32_t slot)> eject{};      // a worker saw it fail too often in a row
    };
    struct Start {
        shm::Role role = shm::Role::worker;
        std::uint32_t generation = 0;
        std::uint32_t number = 0;
        std::uint32_t workers = 0;
        std::uint32_t column = 0;  // from reserve()
        ConfigPtr config;
        std::vector<ListenFd> listen;
        ChildMain main = nullptr;
    };

    Children(event_base* base, const shm::Segment& segment, TableWriter& writer, Events events)
        : base_(base), segment_(segment), writer_(writer), events_(std::move(events)) {}

    // Reading end of the lifeline that children started from now on get; -1: none. Whose it is, is the caller's matter.
    void set_lifeline(int read_end) noexcept { lifeline_ = read_end; }

    // Columns for so many children, all or none.
    Result<std::vector<std::uint32_t>, std::string> reserve(shm::Role role, std::uint32_t generation,
                                                            std::uint32_t first_number, std::uint32_t count,
                                                            const config::Config& config);
    // Gives reserved columns back that no child got.
    void release(const std::vector<std::uint32_t>& columns);
    // Forks. In the child this does not return. On error the column is given back.
    std::string start(Start start);

    // After SIGCHLD: everybody who ended.
    void reap();
    // Every 100 ms. `interval` is that time.
    void tick(Micros now, Micros interval);

    // To let it end by itself within `time`, or to end now. A drained child is stopped a little after its time.
    // `all`: lb itself ends, so no other worker takes over what is at rest.
    void drain(Child& child, Micros time, bool all = false);
    void stop(Child& child);
    // Tells everybody to open the logs again; the caller hears when all have, what is wrong with `problem` included.
    void reopen_logs(const CallerPtr& caller, std::string problem);
    // The message is dropped when the child is too far behind; then its heartbeat will show that it hangs.
    bool tell(Child& child, const Message& message, int fd = -1) { return child.channel.send(message, fd); }

    Child* find(std::uint64_t id) noexcept;
    [[nodiscard]] const std::vector<std::unique_ptr<Child>>& all() const noexcept { return children_; }
    [[nodiscard]] std::size_t count(shm::Role role) const noexcept;

 private:
    static void on_message(int fd, short what, void* child);
    void receive(Child& child);
    void count_death(const Child& child, int status);

    event_base* base_;
    const shm::Segment& segment_;
    TableWriter& writer_;
    Events events_;
    Wakeups wakeups_;  // made for the first generation with a queue; workers inherit them
    int lifeline_ = -1;
    HeartbeatWatch watch_;
    Reopening reopening_;
    std::vector<std::unique_ptr<Child>> children_;
    std::uint64_t last_id_ = 0;
};

}  // namespace lb
