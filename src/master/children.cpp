// master/children.cpp -- see children.h.
#include "master/children.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "master/signals.h"
#include "shared/base/log.h"
#include "shared/net/socket.h"

namespace lb {
namespace {

constexpr unsigned messages_per_turn = 64;  // of one child, so that a noisy one does not hold the others up

// Labels of lb_worker_deaths_total and lb_child_deaths_total, as in shared/metrics/catalog.h.
enum DeathLabel : std::uint32_t { death_exit, death_signal, death_hang };
enum ChildLabel : std::uint32_t { child_worker, child_admin };

}  // namespace

std::string Child::name() const {
    return role == shm::Role::admin ? std::string("admin") : fmt::format("worker {}", number);
}

std::string end_text(int status) {
    if (WIFEXITED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
    const char* description = sigdescr_np(WTERMSIG(status));
    return fmt::format("signal {} ({}){}", WTERMSIG(status), description != nullptr ? description : "unknown",
                       WCOREDUMP(status) ? ", core dumped" : "");
}

Result<std::vector<std::uint32_t>, std::string> Children::reserve(shm::Role role, std::uint32_t generation,
                                                                  std::uint32_t first_number,
                                                                  std::uint32_t count,
                                                                  const config::Config& config) {
    std::vector<std::uint32_t> columns;
    for (std::uint32_t i = 0; i < count; i++) {
        auto column = writer_.claim_column(role, generation, first_number + i, config);
        if (!column) {
            release(columns);
            return Failed{column.error()};
        }
        columns.push_back(column.value());
    }
    return columns;
}

void Children::release(const std::vector<std::uint32_t>& columns) {
    for (const std::uint32_t column : columns) writer_.column_ended(column);
}

std::string Children::start(Start start) {
    auto pair = Channel::pair();
    if (!pair) {
        writer_.column_ended(start.column);
        return pair.error();
    }
    auto [ours, theirs] = std::move(pair).value();
    auto child = std::make_unique<Child>();
    child->keeper = this;
    child->id = ++last_id_;
    child->role = start.role;
    child->generation = start.generation;
    child->number = start.number;
    child->column = start.column;
    child->channel = std::move(ours);
    child->event.reset(
        event_new(base_, child->channel.descriptor(), EV_READ | EV_PERSIST, on_message, child.get()));
    if (!child->event || event_add(child->event.get(), nullptr) != 0) {
        writer_.column_ended(start.column);
        return "no event for the channel";
    }
    // Without descriptors enough for them there are none, and workers look at their queues every 100 ms.
    const bool queues =
        start.role == shm::Role::worker &&
        std::ranges::any_of(start.config->pools, [](const auto& p) { return p.queue.size != 0; });
    if (queues && wakeups_.empty()) wakeups_ = Wakeups::make(segment_.header().columns);
    const SignalsBlocked blocked;
    const pid_t pid = fork();
    if (pid < 0) {
        const int error = errno;
        writer_.column_ended(start.column);
        return "fork: " + errno_text(error);
    }
    if (pid == 0) {
        ChildContext context;
        context.config = std::move(start.config);
        context.table = &segment_;
        context.column = start.column;
        context.generation = start.generation;
        context.number = start.number;
        context.workers = start.workers;
        context.standard_output = log::standard_output();
        context.channel = std::move(theirs);
        context.listen = std::move(start.listen);
        context.lifeline = lifeline_;
        if (start.role == shm::Role::worker) context.wakeups = &wakeups_;
        begin_child(base_, context, child->name());
        _exit(start.main(context));  // no destructor of the master's may run here
    }
    child->pid = pid;
    child->started = monotonic_now();
    writer_.column_started(start.column, pid);
    children_.push_back(std::move(child));
    return {};
}

void Children::on_message(int, short, void* pointer) {
    auto& child = *static_cast<Child*>(pointer);
    child.keeper->receive(child);
}

void Children::receive(Child& child) {
    for (unsigned i = 0; i < messages_per_turn; i++) {
        const auto received = child.channel.receive();
        if (received.got == Channel::Got::nothing) return;
        if (received.got == Channel::Got::closed) {
            // It ends, or it is broken; the wait status will say. Without a channel it cannot be told anything, so
            // one that does not end by itself must not stay.
            event_del(child.event.get());
            if (child.kill_at == 0) child.kill_at = monotonic_now() + stop_patience;
            return;
        }
        switch (received.message.kind) {
            case MessageKind::ready:
                if (child.ready) break;
                child.ready = true;
                events_.ready(child);
                break;
            case MessageKind::suspect:
                events_.suspect(static_cast<std::uint32_t>(received.message.value));
                break;
            case MessageKind::eject:
                if (events_.eject) events_.eject(static_cast<std::uint32_t>(received.message.value));
                break;
            case MessageKind::reopened:
                reopening_.answered(child.id, received.message.value,
                                    static_cast<int>(received.message.listener));
                break;
            case MessageKind::drain:
            case MessageKind::stop:
            case MessageKind::reopen_logs:
            case MessageKind::serve:
            case MessageKind::unserve: break;  // these go the other way
        }
    }
}

void Children::count_death(const Child& child, int status) {
    const bool accident = !child.told || (WIFSIGNALED(status) && !child.cut);
    if (!accident) {
        log::info("{} (pid {}, generation {}) ended", child.name(), child.pid, child.generation);
        return;
    }
    log::warn("{} (pid {}, generation {}) died: {}{}", child.name(), child.pid, child.generation,
              end_text(status), child.hung ? ", for want of a heartbeat" : "");
    shm::Column& column = writer_.column();
    if (child.role == shm::Role::admin) {
        column.add<"lb_child_deaths_total">(0, child_admin);
        return;
    }
    column.add<"lb_child_deaths_total">(0, child_worker);
    const std::uint32_t cause = child.hung ? death_hang : WIFSIGNALED(status) ? death_signal : death_exit;
    column.add<"lb_worker_deaths_total">(0, cause);
}

void Children::reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        const auto found =
            std::find_if(children_.begin(), children_.end(), [&](const auto& c) { return c->pid == pid; });
        if (found == children_.end()) continue;
        const std::unique_ptr<Child> child = std::move(*found);
        children_.erase(found);
        child->event.reset();
        child->channel.close();
        count_death(*child, status);
        writer_.column_ended(child->column);
        reopening_.ended(child->id);
        events_.ended(*child, status);
    }
}

void Children::tick(Micros now, Micros interval) {
    watch_.tick(now, interval);
    reopening_.tick(now);
    bool changed = false;
    for (const auto& child : children_) {
        if (child->kill_at != 0 && now >= child->kill_at) {
            child->cut = child->told;
            child->kill_at = now + stop_patience;
            kill(child->pid, SIGKILL);
            continue;
        }
        const auto beat =
            static_cast<Micros>(segment_.column(child->column).heartbeat.load(std::memory_order_relaxed));
        const Pulse pulse = watch_.judge(now, beat, child->started);
        const bool stale = pulse != Pulse::fine;
        if (stale != child->stale) {
            child->stale = stale;
            changed = true;
            log::warn("{} (pid {}) {}", child->name(), child->pid,
                      stale ? "does not answer; new connections go elsewhere" : "answers again");
        }
        if (pulse == Pulse::dead && !child->hung) {
            log::error("{} (pid {}) has not answered for {} s: killing it", child->name(), child->pid,
                       HeartbeatWatch::dead_after / 1'000'000);
            child->hung = true;
            child->kill_at = now + stop_patience;
            kill(child->pid, SIGKILL);
        }
    }
    if (changed) events_.pulse_changed();
}

void Children::drain(Child& child, Micros time, bool all) {
    if (!child.told) writer_.column_draining(child.column);
    child.told = true;
    child.kill_at = monotonic_now() + time + stop_patience;
    tell(child, {MessageKind::drain, all ? 1U : 0U, static_cast<std::uint64_t>(time / 1000)});
}

void Children::stop(Child& child) {
    const Micros limit = monotonic_now() + stop_patience;
    child.told = true;
    if (child.kill_at == 0 || child.kill_at > limit) child.kill_at = limit;
    tell(child, {MessageKind::stop, 0, 0});
}

void Children::reopen_logs(const CallerPtr& caller, std::string problem) {
    const std::uint64_t request = reopening_.next();
    std::vector<Reopening::Due> due;
    for (const auto& child : children_) {
        tell(*child, {MessageKind::reopen_logs, 0, request});
        due.push_back({child->id, fmt::format("{} (pid {})", child->name(), child->pid)});
    }
    reopening_.begin(request, std::move(due), caller, std::move(problem), monotonic_now());
}

Child* Children::find(std::uint64_t id) noexcept {
    for (const auto& child : children_) {
        if (child->id == id) return child.get();
    }
    return nullptr;
}

std::size_t Children::count(shm::Role role) const noexcept {
    return static_cast<std::size_t>(
        std::count_if(children_.begin(), children_.end(), [&](const auto& c) { return c->role == role; }));
}

}  // namespace lb
