// master/supervisor.h -- the running master: wires the parts together and answers what happens to them. Children that
// die get successors, ended generations are cleared away, the tick drives every deadline.
// Owns:  every part below it, in the order of their needs.
// Never: traffic; waits on the network; more than 50 ms in one turn.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "master/core.h"
#include "master/ejection.h"
#include "master/master.h"
#include "master/operator/store.h"
#include "master/operators.h"
#include "master/reload.h"
#include "master/restart_delay.h"
#include "master/shutdown.h"
#include "master/signals.h"
#include "master/status.h"

namespace lb {

class Supervisor {
 public:
    static constexpr Micros tick_interval = 100'000;

    // The loop, the segment and the manager outlive it. `serving` is called once, when the first generation serves.
    Supervisor(const MasterOptions& options, event_base* base, const shm::Segment& segment,
               service::Manager& manager, std::uint64_t descriptor_limit, std::function<void()> serving);

    // Signals, control socket, pid file, and the first generation on its way, with what an earlier master left. "" or
    // why it cannot be.
    std::string begin(config::Loaded loaded, std::vector<service::Stored> stored);
    // Until the end. Returns the exit status, and why in `why` when the first start failed.
    int run(std::string& why);

 private:
    struct Successor {
        Micros at = 0;
        shm::Role role = shm::Role::worker;
        std::uint32_t number = 0;
        std::uint32_t generation = 0;
    };
    static void on_tick(int fd, short what, void* self);
    static void on_retirement(int fd, short what, void* self);
    static void on_manager(int fd, short what, void* self);

    void tick();
    void poll_retirement();
    void collect_generations(Micros now);
    void on_ready(Child& child);
    void on_ended(const Child& child, int status);
    void on_verdict(std::uint32_t slot, shm::Health health, std::string_view reason);
    void start_successor(const Successor& next);
    void command(std::string_view text, const CallerPtr& caller);
    void reopen(const CallerPtr& caller);
    void take_over(std::vector<service::Stored> stored);

    event_base* base_;
    const shm::Segment& segment_;
    service::Manager& manager_;
    std::function<void()> serving_;
    config::Source source_;
    TableWriter writer_;
    health::Board board_;
    Listeners listeners_;
    Generations generations_;
    Children children_;
    Accepting accepting_;
    Retirement retirement_;
    BackendNames names_;
    operators::Store changes_;
    Membership membership_;
    Operators operators_;
    Ejection ejection_;
    ControlServer control_;
    PidFile pid_file_;
    Predecessors predecessors_;
    Core core_;
    Reload reload_;
    Shutdown shutdown_;
    StatusAnswers status_{base_, segment_};
    Signals signals_;
    EventPtr tick_event_, retirement_event_, manager_event_;
    std::map<std::pair<shm::Role, std::uint32_t>, RestartDelay> delays_;
    std::uint32_t delays_of_ = 0;  // the generation they are about
    std::vector<Successor> successors_;
    std::string first_failure_;
    Micros status_at_ = 0;  // the manager gets the next status line
    bool done_ = false;
    int exit_status_ = 0;
};

}  // namespace lb
