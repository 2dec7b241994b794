// master/reload.cpp -- see reload.h.
#include "master/reload.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "master/startup.h"
#include "shared/base/log.h"
#include "shared/net/socket.h"

namespace lb {
namespace {

// The longest a first verdict can take: one check of each kind that is used.
Micros longest_check(const config::Config& config) {
    Micros longest = 0;
    for (const config::Pool& pool : config.pools) {
        if (pool.check.kind == config::CheckKind::off || pool.check.start_up) continue;
        longest = std::max(longest, to_micros(pool.check.timeout));
    }
    return longest;
}

// False when there were none.
bool take_out_found(config::Config& config, const std::vector<std::size_t>& configured) {
    bool any = false;
    for (std::size_t i = 0; i < config.pools.size(); i++) {
        any = any || config.pools[i].backends.size() > configured[i];
        config.pools[i].backends.resize(configured[i]);
    }
    return any;
}

}  // namespace

Reload::Reload(Core& core, std::function<void(bool, const std::string&)> first)
    : core_(core), first_(std::move(first)) {}

void Reload::say(const std::string& text) {
    log::notice("{}", text);
    for (const CallerPtr& caller : waiting_) caller->info(text);
}

void Reload::complain(const std::string& text) {
    log::error("{}", text);
    for (const CallerPtr& caller : waiting_) caller->error(text);
}

void Reload::start_first(config::Loaded loaded) { launch(std::move(loaded)); }

void Reload::request(const CallerPtr& caller) {
    if (over_) {
        if (caller) caller->done(false, "lb is stopping");
        return;
    }
    if (phase_ != Phase::idle) {
        again_ = true;
        if (caller) next_.push_back(caller);
        return;
    }
    if (caller) waiting_.push_back(caller);
    begin_run();
}

void Reload::begin_run() {
    log::notice("reloading");
    core_.manager.reloading(monotonic_now());
    auto loaded = config::load(core_.source);
    if (!loaded) {
        for (const config::ConfigError& error : loaded.error()) complain(config::show(error));
        number_ = 0;
        return fail(fmt::format("{} mistake{} in the configuration", loaded.error().size(),
                                loaded.error().size() == 1 ? "" : "s"));
    }
    launch(std::move(loaded).value());
}

std::string Reload::prepare(config::Config& config) {
    if (config.global.workers == 0) config.global.workers = startup::cpus();
    const auto sockets = sockets_of_worker(config, config.global.workers, 0).size();
    const std::uint32_t fit =
        startup::connections_that_fit(core_.descriptor_limit, config.global.connections, sockets);
    if (fit < config.global.connections) {
        const std::string text =
            fmt::format("connections lowered from {} to {}: a worker may have {} descriptors open",
                        config.global.connections, fit, core_.descriptor_limit);
        log::warn("{}", text);
        for (const CallerPtr& caller : waiting_) caller->info("warning: " + text);
        config.global.connections = fit;
    }
    if (const Generation* old = core_.generations.serving()) {
        const config::Global& before = old->config->global;
        if (config.global.user != before.user) say("user: a change needs a restart");
        if (config.global.daemon != before.daemon) say("daemon: a change needs a restart");
        config.global.daemon = before.daemon;
    }
    return startup::check_logs(config);
}

void Reload::launch(config::Loaded loaded) {
    number_ = 0;
    begun_ = false;
    opened_.clear();
    held_.clear();
    for (const std::string& warning : loaded.warnings) {
        log::warn("{}", warning);
        for (const CallerPtr& caller : waiting_) caller->info("warning: " + warning);
    }
    if (std::string error = prepare(loaded.config); !error.empty()) return fail(error);
    resolving_ = std::move(loaded.config);
    core_.membership.expect(resolving_);
    phase_ = Phase::resolving;
    deadline_ = monotonic_now() + Membership::patience;
    if (core_.membership.settled()) resolved();
}

// Names that have no answer by now are backends without an address, until there is one.
void Reload::resolved() {
    if (!core_.membership.settled()) log::notice("not every name has an answer yet; going on without them");
    auto filled = std::move(resolving_);
    auto configured = core_.membership.fill(filled);
    const std::uint32_t number = core_.generations.next_number();
    auto adopted = core_.writer.adopt(filled, number);
    // What was found must not stop what is written: what fits of it follows, see Membership.
    const bool without = !adopted && take_out_found(filled, configured);
    if (without) {
        const std::string text = fmt::format("not all members found can join: {}", adopted.error());
        log::warn("{}", text);
        for (const CallerPtr& caller : waiting_) caller->info("warning: " + text);
        adopted = core_.writer.adopt(filled, number);
    }
    if (!adopted) return fail(adopted.error());
    number_ = number;
    const std::uint32_t workers = filled.global.workers;
    Generation& generation = core_.generations.add(std::make_shared<const config::Config>(std::move(filled)),
                                                   workers, std::move(configured));
    core_.membership.apply(generation);
    if (without) core_.membership.admit(generation);
    const ConfigPtr config = generation.config;
    core_.membership.unexpect();
    if (std::string error = core_.accepting.open(*config, workers, opened_); !error.empty())
        return fail(error);
    if (first_) core_.predecessors.keep_own();
    // What was on its way out and is named again stays.
    for (const SocketId& id : sockets_of(*config, workers)) core_.retirement.forget(id);
    BackendNames::log_configured(*config);
    core_.names.learn(core_.generations.configs());
    core_.board.configure(core_.generations.configs());
    phase_ = Phase::settling;
    deadline_ = monotonic_now() + longest_check(*config) + settle_margin;
    core_.board.when_settled([this, number = number_] { settled(number); });
}

void Reload::settled(std::uint32_t number) {
    if (phase_ != Phase::settling || number != number_) return;
    phase_ = Phase::making_room;
    deadline_ = monotonic_now() + room_patience;
    make_room();
}

void Reload::make_room() {
    const Generation* generation = core_.generations.find(number_);
    if (generation == nullptr) return fail("the generation is gone");
    const config::Config& config = *generation->config;
    Generation* oldest = core_.generations.oldest_draining();
    if (core_.generations.running() > config.global.max_generations && oldest != nullptr) {
        return close_early(*oldest, "max_generations");
    }
    auto columns = core_.children.reserve(shm::Role::worker, number_, 0, generation->workers, config);
    if (columns) return start_all(columns.value());
    if (oldest != nullptr) return close_early(*oldest, "room in the shared table");
    const bool closing = core_.generations.in(Generation::Phase::closing) != nullptr;
    if (!closing || monotonic_now() >= deadline_) fail(columns.error());
}

void Reload::close_early(Generation& generation, const char* why) {
    log::warn("generation {} is closed early: {}", generation.number, why);
    core_.writer.column().add<"lb_generations_closed_early_total">();
    generation.phase = Generation::Phase::closing;
    for (const auto& child : core_.children.all()) {
        if (child->generation == generation.number && child->role == shm::Role::worker) {
            core_.children.stop(*child);
        }
    }
}

std::string Reload::move_files(const config::Global& global) {
    for (const std::string* file : {&global.control, &global.pid_file}) {
        if (std::string error = startup::make_directories(*file, {}); !error.empty()) return error;
    }
    if (std::string error = core_.control.listen(global.control); !error.empty()) return error;
    return core_.pid_file.write(global.pid_file);
}

void Reload::start_all(const std::vector<std::uint32_t>& columns) {
    Generation& generation = *core_.generations.find(number_);
    const ConfigPtr config = generation.config;
    std::string error = move_files(config->global);
    if (const Generation* old = core_.generations.serving()) old_log_ = old->config->global.error_log;
    if (error.empty() && core_.generations.serving() != nullptr && !(config->global.error_log == old_log_)) {
        error = log::open(config->global.error_log);
        if (!error.empty()) error = "error_log: " + error;
    }
    if (!error.empty()) {
        core_.children.release(columns);
        return fail(error);
    }
    core_.writer.begin(config, number_);
    begun_ = true;
    phase_ = Phase::starting;
    deadline_ = monotonic_now() + ready_patience;
    for (std::uint32_t i = 0; i < columns.size(); i++) {
        Children::Start start;
        start.generation = number_;
        start.number = i;
        start.workers = generation.workers;
        start.column = columns[i];
        start.config = config;
        start.listen = core_.accepting.for_worker(*config, generation.workers, i);
        start.main = core_.worker;
        error = core_.children.start(std::move(start));
        if (!error.empty()) {
            core_.children.release({columns.begin() + i + 1, columns.end()});
            return fail(error);
        }
        generation.living++;
    }
    start_admin(generation);
}

void Reload::start_admin(const Generation& generation) {
    if (generation.config->admin.binds.empty()) return;
    auto column = core_.children.reserve(shm::Role::admin, number_, 0, 1, *generation.config);
    if (!column) return fail(column.error());
    Children::Start start;
    start.role = shm::Role::admin;
    start.generation = number_;
    start.workers = generation.workers;
    start.column = column.value().front();
    start.config = generation.config;
    start.listen = core_.accepting.for_admin(*generation.config);
    start.main = core_.admin;
    if (std::string error = core_.children.start(std::move(start)); !error.empty()) fail(error);
}

void Reload::worker_ready(const Child& child) {
    if (phase_ != Phase::starting || child.generation != number_ || child.role != shm::Role::worker) return;
    const Generation* generation = core_.generations.find(number_);
    const auto ready = std::count_if(core_.children.all().begin(), core_.children.all().end(), [&](auto& c) {
        return c->generation == number_ && c->role == shm::Role::worker && c->ready;
    });
    if (generation != nullptr && static_cast<std::uint32_t>(ready) == generation->workers) all_ready();
}

void Reload::worker_ended(const Child& child, int status) {
    if (phase_ != Phase::starting || child.generation != number_ || child.role != shm::Role::worker) return;
    fail(fmt::format("{} ended before all workers were ready: {}; see the error log", child.name(),
                     end_text(status)));
}

void Reload::all_ready() {
    Generation& generation = *core_.generations.find(number_);
    generation.phase = Generation::Phase::serving;
    retire_unwanted(generation);
    phase_ = Phase::holding;
    core_.accepting.reconcile();
    look();
}

// Listening sockets that the serving configuration does not name are on their way out.
void Reload::retire_unwanted(const Generation& serving) {
    const auto list = sockets_of(*serving.config, serving.workers);
    const std::set<SocketId> wanted(list.begin(), list.end());
    std::vector<SocketId> unwanted;
    for (const auto& [key, group] : core_.listeners.groups()) {
        if (group.inherited()) continue;
        for (const Listeners::Member& member : group.members) {
            SocketId id{key, member.slot};
            if (member.slot != Listeners::decoy && !wanted.contains(id)) unwanted.push_back(std::move(id));
        }
    }
    const Micros now = monotonic_now();
    // At the first start: workers of an earlier master.
    const bool older = !first_ || core_.predecessors.left() > 0;
    for (const SocketId& id : unwanted) {
        core_.retirement.begin(id, now);
        // Nobody but the older workers accepts from it: they must not stop before it is quiet.
        if (older && !core_.accepting.has_successor(id.key)) held_.push_back(id);
    }
    if (!unwanted.empty()) core_.watch_retirement();
}

void Reload::drain_older() {
    const Micros now = monotonic_now();
    for (Generation& generation : core_.generations.all()) {
        if (generation.phase != Generation::Phase::serving || generation.number == number_) continue;
        const Micros time = to_micros(core_.generations.serving()->config->global.drain_timeout);
        generation.phase = Generation::Phase::draining;
        generation.deadline = now + time;
        for (const auto& child : core_.children.all()) {
            if (child->generation == generation.number && child->role == shm::Role::worker) {
                core_.children.drain(*child, time);
            }
        }
    }
    for (const auto& child : core_.children.all()) {
        if (child->role == shm::Role::admin && child->generation != number_) core_.children.stop(*child);
    }
    if (first_) core_.predecessors.drain(core_.generations.serving()->config->global.max_generations - 1);
    core_.accepting.reconcile();
}

void Reload::look() {
    if (phase_ == Phase::resolving && core_.membership.settled()) return resolved();
    if (phase_ == Phase::making_room) return make_room();
    if (phase_ != Phase::holding) return;
    std::erase_if(held_, [&](const SocketId& id) { return !core_.retirement.waits_for(id); });
    if (!held_.empty()) return;
    drain_older();
    succeed();
}

void Reload::tick(Micros now) {
    switch (phase_) {
        case Phase::idle:
        case Phase::holding: return;  // bounded by the patience of the retirement
        case Phase::resolving:
            if (now >= deadline_) resolved();
            return;
        case Phase::settling:
            if (now >= deadline_ || core_.board.pending() == 0) settled(number_);
            return;
        case Phase::making_room: return make_room();
        case Phase::starting:
            if (now >= deadline_) fail("not every worker was ready within 10 s; see the error log");
            return;
    }
}

void Reload::succeed() {
    const Generation& generation = *core_.generations.find(number_);
    finish(true, fmt::format("generation {} serves with {} worker{}", number_, generation.workers,
                             generation.workers == 1 ? "" : "s"));
}

void Reload::fail(const std::string& why) {
    complain(why);
    undo();
    const Generation* serving = core_.generations.serving();
    finish(false, serving == nullptr ? why
                                     : fmt::format("reload failed: {}; generation {} goes on serving", why,
                                                   serving->number));
}

void Reload::undo() {
    Generation* generation = number_ == 0 ? nullptr : core_.generations.find(number_);
    if (generation == nullptr) return;
    const Generation* serving = core_.generations.serving();
    generation->phase = Generation::Phase::closing;
    if (serving != nullptr && begun_ &&
        !(serving->config->global.error_log == generation->config->global.error_log)) {
        log::open(serving->config->global.error_log);
    }
    if (serving != nullptr) {
        if (std::string error = move_files(serving->config->global); !error.empty()) log::error("{}", error);
    }
    for (const auto& child : core_.children.all()) {
        if (child->generation != number_) continue;
        // Those that were ready may have clients already, the others have nobody to lose. Not for long: until the last
        // is gone and the generation retires, the pools have its backends.
        const bool busy = child->ready && child->role == shm::Role::worker && serving != nullptr;
        if (busy) {
            core_.children.drain(*child, undo_patience, true);
        } else {
            core_.children.stop(*child);
        }
    }
    for (const SocketId& id : opened_) core_.listeners.close(id);
    opened_.clear();
    if (serving != nullptr) retire_unwanted(*serving);
    held_.clear();
    core_.accepting.reconcile();
}

void Reload::finish(bool ok, const std::string& text) {
    phase_ = Phase::idle;
    core_.membership.unexpect();
    core_.membership.look();
    log::notice("{}", text);
    if (first_) {
        std::exchange(first_, {})(ok, text);
    } else {
        core_.writer.column().add<"lb_reloads_total">(0, ok ? 0 : 1);
        (ok ? completed_ : failures_)++;
        if (!over_) core_.manager.ready();
    }
    if (ok) {
        failure_.clear();
    } else {
        failure_ = text;
    }
    for (const CallerPtr& caller : std::exchange(waiting_, {})) caller->done(ok, text);
    if (!std::exchange(again_, false) || over_) return;
    waiting_ = std::exchange(next_, {});
    begin_run();
}

void Reload::end() {
    over_ = true;
    if (phase_ != Phase::idle && phase_ != Phase::holding) fail("lb is stopping");
    if (phase_ == Phase::holding) {
        drain_older();
        succeed();
    }
    for (const CallerPtr& caller : std::exchange(next_, {})) caller->done(false, "lb is stopping");
}

}  // namespace lb
