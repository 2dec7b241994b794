// master/supervisor.cpp -- see supervisor.h.
#include "master/supervisor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "master/explain.h"
#include "master/startup.h"
#include "master/status.h"
#include "shared/base/log.h"
#include "shared/net/socket.h"

namespace lb {
namespace {

constexpr Micros status_interval = 1'000'000;
constexpr Micros timeout_margin = 15'000'000;  // a master that hangs as it starts or ends is killed then

operators::Moment moment() noexcept { return {monotonic_now(), unix_millis()}; }

}  // namespace

// Core is an aggregate of references into the members above it.
Supervisor::Supervisor(const MasterOptions& options, event_base* base, const shm::Segment& segment,
                       service::Manager& manager, std::uint64_t descriptor_limit,
                       std::function<void()> serving)
    : base_(base),
      segment_(segment),
      manager_(manager),
      serving_(std::move(serving)),
      source_(options.source),
      writer_(segment),
      board_(base, {[this](std::uint32_t slot, shm::Health health, std::string_view reason) {
                        on_verdict(slot, health, reason);
                    },
                    [this](std::uint32_t slot, bool passed) {
                        writer_.column().add<"lb_backend_checks_total">(slot, passed ? 0 : 1);
                        ejection_.checked(slot, passed, monotonic_now());
                    },
                    [this](const config::Backend& backend) { return membership_.why_unresolved(backend); }}),
      listeners_(options.inherited, &manager),
      children_(base, segment, writer_,
                {[this](Child& child) { on_ready(child); },
                 [this](std::uint32_t slot) {
                     if (slot < segment_.header().backends) board_.suspect(slot);
                 },
                 [this](const Child& child, int status) { on_ended(child, status); },
                 [this] { accepting_.reconcile(); }, [this](std::uint32_t slot) { ejection_.ask(slot); }}),
      accepting_(listeners_, children_, generations_),
      retirement_(listeners_),
      membership_(base, writer_, board_, generations_, names_, changes_, [this] { reload_.look(); }),
      operators_(segment, writer_, generations_, membership_, changes_),
      ejection_(segment, writer_, generations_),
      control_(base, options.started_by,
               [this](std::string_view text, const CallerPtr& caller) { command(text, caller); }),
      predecessors_(manager),
      core_{base,
            segment,
            writer_,
            board_,
            listeners_,
            children_,
            generations_,
            accepting_,
            retirement_,
            names_,
            membership_,
            control_,
            pid_file_,
            manager_,
            predecessors_,
            source_,
            options.worker,
            options.admin,
            descriptor_limit,
            [this] {
                const timeval soon{0, static_cast<suseconds_t>(Retirement::poll_interval)};
                event_add(retirement_event_.get(), &soon);
            }},
      reload_(core_,
              [this](bool ok, const std::string& why) {
                  if (ok) {
                      serving_();
                      manager_.status(service_line(core_, reload_));
                      manager_.ready();
                      return;
                  }
                  // Told to stop before it ever served: that is no failure.
                  if (core_.segment.header().stopping.load(std::memory_order_relaxed) != 0) return;
                  first_failure_ = why;
                  exit_status_ = 1;
                  shutdown_.stop(nullptr);
              }),
      shutdown_(core_, reload_, [this] {
          done_ = true;
          event_base_loopbreak(base_);
      }) {}

// What a service manager kept for us.
void Supervisor::take_over(std::vector<service::Stored> stored) {
    std::vector<service::Stored> sockets;
    for (service::Stored& each : stored) {
        if (Listeners::is_socket(each.name)) {
            sockets.push_back(std::move(each));
        } else if (Predecessors::is_lifeline(each.name)) {
            predecessors_.adopt(std::move(each));
        } else {
            log::warn("the service manager kept {}, which nobody knows", each.name);
            manager_.forget(each.name);
        }
    }
    listeners_.adopt(std::move(sockets));
}

std::string Supervisor::begin(config::Loaded loaded, std::vector<service::Stored> stored) {
    segment_.column(writer_.column().index())
        .pid.store(getpid(), std::memory_order_relaxed);  // for lb status
    const bool ok =
        signals_.start(base_, {[this] { shutdown_.stop(nullptr); }, [this] { shutdown_.quit(nullptr); },
                               [this] { reload_.request(nullptr); }, [this] { reopen(nullptr); },
                               [this] { children_.reap(); }});
    tick_event_.reset(event_new(base_, -1, EV_PERSIST, on_tick, this));
    retirement_event_.reset(evtimer_new(base_, on_retirement, this));
    if (manager_.present()) {
        manager_event_.reset(event_new(base_, manager_.descriptor(), EV_WRITE, on_manager, this));
        if (!manager_event_) return "no event for the service manager";
    }
    const timeval interval{0, static_cast<suseconds_t>(tick_interval)};
    if (!ok || !tick_event_ || !retirement_event_ || event_add(tick_event_.get(), &interval) != 0) {
        return "the event loop takes no events";
    }
    // First of all: it says whether another lb runs with this configuration.
    if (std::string error = control_.listen(loaded.config.global.control); !error.empty()) return error;
    // Nobody else has the file now, and the first members are about to be collected.
    operators_.load(loaded.config.global.state_file, moment());
    take_over(std::move(stored));
    children_.set_lifeline(predecessors_.begin_own());
    reload_.start_first(std::move(loaded));
    return {};
}

int Supervisor::run(std::string& why) {
    while (!done_) {
        if (event_base_loop(base_, EVLOOP_ONCE) < 0) {
            why = "the event loop failed";
            exit_status_ = 1;
            break;
        }
        if (ejection_.asked()) ejection_.look(monotonic_now(), unix_millis());
        writer_.flush();
        writer_.column().quiescent();
        if (manager_.behind()) event_add(manager_event_.get(), nullptr);
    }
    operators_.end(moment());
    board_.stop();
    membership_.stop();
    signals_.end();
    // A start that failed has closed what it opened. The rest belongs to the workers of an earlier master, who serve on.
    if (shutdown_.handed_over() || !first_failure_.empty()) {
        listeners_.leave_open();
    } else {
        listeners_.close_all();
    }
    control_.close();
    pid_file_.remove();
    shutdown_.answer();
    log::notice("lb has ended");
    if (!first_failure_.empty()) why = first_failure_;
    return exit_status_;
}

void Supervisor::on_manager(int, short, void* self) { static_cast<Supervisor*>(self)->manager_.flush(); }

void Supervisor::on_tick(int, short, void* self) { static_cast<Supervisor*>(self)->tick(); }

void Supervisor::tick() {
    const Micros now = monotonic_now();
    writer_.column().beat(now);
    children_.reap();  // a SIGCHLD that found the loop's signal pipe full would be lost
    children_.tick(now, tick_interval);
    if (!shutdown_.winding_down()) {
        const auto due = std::stable_partition(successors_.begin(), successors_.end(),
                                               [&](const Successor& s) { return s.at > now; });
        const std::vector<Successor> list(due, successors_.end());
        successors_.erase(due, successors_.end());
        for (const Successor& next : list) start_successor(next);
    }
    for (Generation& generation : generations_.all()) {
        if (generation.phase == Generation::Phase::draining && now >= generation.deadline) {
            reload_.close_early(generation, "drain_timeout");
        }
    }
    collect_generations(now);
    reload_.tick(now);
    ejection_.tick(now, unix_millis());
    operators_.tick({now, unix_millis()});
    shutdown_.look(now);
    writer_.tick(now);
    manager_.tick(now);
    if (manager_.present() && now >= status_at_) {
        status_at_ = now + status_interval;
        manager_.status(service_line(core_, reload_));
        if (shutdown_.asked() || generations_.serving() == nullptr) manager_.need_time(timeout_margin);
    }
}

void Supervisor::on_retirement(int, short, void* self) { static_cast<Supervisor*>(self)->poll_retirement(); }

void Supervisor::poll_retirement() {
    const Micros now = monotonic_now();
    retirement_.poll(now);
    reload_.look();
    shutdown_.look(now);
    for (const SocketId& id : retirement_.quiet_ones()) {
        if (accepting_.served(id)) continue;  // until its workers were told to drain
        accepting_.take_back(id);
        listeners_.close(id);
        retirement_.forget(id);
    }
    if (retirement_.active()) core_.watch_retirement();
}

void Supervisor::collect_generations(Micros now) {
    const auto ended = generations_.take_ended();
    if (ended.empty()) return;
    for (const std::uint32_t number : ended) {
        log::info("generation {} has ended", number);
        writer_.retire(number);
    }
    names_.learn(generations_.configs());
    board_.configure(generations_.configs());
    membership_.look();
    reload_.look();
    shutdown_.look(now);
}

void Supervisor::on_ready(Child& child) {
    log::debug("{} (pid {}, generation {}) accepts", child.name(), child.pid, child.generation);
    reload_.worker_ready(child);
    accepting_.reconcile();
}

void Supervisor::on_ended(const Child& child, int status) {
    const Micros now = monotonic_now();
    Generation* generation = generations_.find(child.generation);
    const bool worker = child.role == shm::Role::worker;
    if (generation != nullptr && worker && generation->living > 0) generation->living--;
    reload_.worker_ended(child, status);
    const Generation* serving = generations_.serving();
    const bool wanted = serving != nullptr && serving->number == child.generation && !child.told;
    if (wanted && !shutdown_.winding_down()) {
        // A reload may have brought the cure.
        if (std::exchange(delays_of_, child.generation) != child.generation) delays_.clear();
        const Micros wait = delays_[{child.role, child.number}].after(child.started, now);
        const Successor next{now + wait, child.role, child.number, child.generation};
        if (wait == 0) {
            start_successor(next);
        } else {
            log::warn("{}: it keeps dying; the next one starts in {} ms", child.name(), wait / 1000);
            successors_.push_back(next);
        }
    }
    accepting_.reconcile();
    collect_generations(now);
    shutdown_.look(now);
}

void Supervisor::start_successor(const Successor& next) {
    Generation* generation = generations_.find(next.generation);
    if (generation == nullptr || generation != generations_.serving()) return;
    const bool worker = next.role == shm::Role::worker;
    const auto retry = [&](const std::string& error) {
        log::error("cannot start {}: {}", worker ? fmt::format("worker {}", next.number) : "admin", error);
        Successor later = next;
        later.at = monotonic_now() + 1'000'000;
        successors_.push_back(later);
    };
    auto column = children_.reserve(next.role, generation->number, next.number, 1, *generation->config);
    if (!column) return retry(column.error());
    Children::Start start;
    start.role = next.role;
    start.generation = generation->number;
    start.number = next.number;
    start.workers = generation->workers;
    start.column = column.value().front();
    start.config = generation->config;
    start.listen = worker ? accepting_.for_worker(*generation->config, generation->workers, next.number)
                          : accepting_.for_admin(*generation->config);
    start.main = worker ? core_.worker : core_.admin;
    if (std::string error = children_.start(std::move(start)); !error.empty()) return retry(error);
    if (worker) generation->living++;
}

void Supervisor::on_verdict(std::uint32_t slot, shm::Health health, std::string_view reason) {
    writer_.set_health(slot, health, reason);
    if (names_.log_verdict(slot, health, reason)) {
        writer_.column().add<"lb_backend_state_changes_total">(slot);
    }
}

void Supervisor::reopen(const CallerPtr& caller) {
    std::string error;
    if (const int own = log::reopen(); own != 0) error = "error_log: " + errno_text(own);
    // The workers open theirs by the same names: whether they can is found out here, where somebody can be told.
    const Generation* serving = generations_.serving();
    if (error.empty() && serving != nullptr) error = startup::check_logs(*serving->config);
    children_.reopen_logs(caller, std::move(error));
}

void Supervisor::command(std::string_view text, const CallerPtr& caller) {
    if (text == "reload") return reload_.request(caller);
    if (text == "stop") return shutdown_.stop(caller);
    if (text == "quit") return shutdown_.quit(caller);
    if (text == "handover") return shutdown_.hand_over(caller);
    if (text == "reopen") return reopen(caller);
    if (text == "status\tjson") {
        const Generation* serving = generations_.serving();
        return status_.begin(serving == nullptr ? nullptr : serving->config, caller);
    }
    if (text == "status") {
        for (const std::string& line : status_lines(core_, reload_)) caller->info(line);
        const Generation* serving = generations_.serving();
        if (serving == nullptr || shutdown_.asked()) {
            return caller->done(false, serving == nullptr ? "starting" : "stopping");
        }
        return caller->done(true, fmt::format("generation {} serves", serving->number));
    }
    if (text.starts_with(Operators::word)) {
        return operators_.command(text.substr(Operators::word.size()), caller, moment());
    }
    constexpr std::string_view explain_word = "explain\t";
    if (text.starts_with(explain_word)) {
        const Generation* serving = generations_.serving();
        return explain(text.substr(explain_word.size()), serving == nullptr ? nullptr : serving->config.get(),
                       segment_, caller);
    }
    caller->done(
        false,
        fmt::format("unknown command '{}'; known are reload, stop, quit, reopen, status, explain and backend",
                    text));
}

}  // namespace lb
