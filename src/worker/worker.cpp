#include "worker/worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "shared/base/log.h"
#include "shared/net/socket.h"
#include "shared/process/lifeline.h"
#include "worker/client/acceptor.h"
#include "worker/client/client_conns.h"
#include "worker/exchange/mirror.h"
#include "worker/exchange/services.h"

namespace lb {
namespace {

constexpr Micros master_grace = 5'000'000;  // still accepting after the master went away
// The master ends a generation whose time is over, and counts it. The worker's own limit is for when it cannot.
constexpr Micros drain_grace = 1'000'000;

// Room for a rewritten head: what may come in, and what lb adds.
std::size_t longest_head(const config::Config& config) {
    std::size_t most = 0;
    for (const auto& listener : config.listeners)
        most = std::max<std::size_t>(most, listener.traffic.max_header);
    for (const auto& pool : config.pools) most = std::max<std::size_t>(most, pool.traffic.max_header);
    return most + 16384;
}

bool wants_backend_histograms(const config::Config& config) {
    constexpr std::size_t automatic_limit = 500;
    if (config.admin.backend_histograms != config::Switch::automatic) {
        return config.admin.backend_histograms == config::Switch::on;
    }
    std::size_t backends = 0;
    for (const auto& pool : config.pools) backends += pool.backends.size();
    return backends <= automatic_limit;
}

std::uint64_t seed_of(const ChildContext& context) {
    return static_cast<std::uint64_t>(monotonic_now()) * 0x9e3779b97f4a7c15ULL ^ context.column;
}

class Worker {
 public:
    explicit Worker(ChildContext& context)
        : context_(context),
          io_(seed_of(context), longest_head(*context.config)),
          column_(*context.table, context.column),
          logs_(context.config->logs, context.standard_output),
          backends_(io_, *context.table, column_, *context.config, context.number, context.workers,
                    context.channel, context.wakeups),
          matcher_(*context.config),
          access_(*context.config),
          zones_(context.config->zones),
          limits_(*context.config, *context.table, column_, context.column),
          services_{io_,     *context.table, column_, *context.config, matcher_, access_,     zones_,
                    limits_, backends_,      logs_,   exchanges_,      mirrors_, compressors_},
          conns_(services_) {
        services_.worker = context.number;
        services_.pid = static_cast<std::uint32_t>(getpid());
        services_.backend_histograms = wants_backend_histograms(*context.config);
    }

    int run();

 private:
    static void on_tick(int, short, void* self) { static_cast<Worker*>(self)->tick(); }
    static void on_channel(int, short, void* self) { static_cast<Worker*>(self)->messages(); }
    static void on_lifeline(int, short, void* self) { static_cast<Worker*>(self)->lifeline(); }
    static void on_wakeup(int, short, void* self) { static_cast<Worker*>(self)->backends_.wake(); }
    bool start();
    void tick();
    void messages();
    void message(Channel::Received& got);
    void lifeline();
    void drain(Micros limit, bool close_idle);
    void reopen_logs(std::uint64_t request);
    void end_of_turn();
    void count_log_lines();

    ChildContext& context_;
    io::Io io_;
    shm::Column column_;
    AccessLogs logs_;
    io::ObjectPool<Exchange> exchanges_;
    Backends backends_;
    route::Matcher matcher_;
    route::AccessLists access_;
    route::ZoneOf zones_;
    worker::Limits limits_;
    Mirrors mirrors_{io_.wheel, io_.clock};
    CompressorPool compressors_;
    Services services_;
    ClientConns conns_;
    std::vector<std::unique_ptr<Acceptor>> acceptors_;
    EventPtr tick_event_, channel_event_, wakeup_event_, lifeline_event_;
    Micros orphaned_ = 0;  // when the master went away
    Micros drain_until_ = 0;
    bool over_ = false;
};

bool Worker::start() {
    if (!io_.base) return false;
    io_.wall.refresh();
    rlimit descriptors{};
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0)
        io_.pipes.bound(io::PipePool::affordable(descriptors.rlim_cur, context_.config->global.connections));
    constexpr timeval every{0, static_cast<suseconds_t>(io::Wheel::tick)};
    tick_event_.reset(event_new(io_.base.get(), -1, EV_PERSIST, on_tick, this));
    channel_event_.reset(
        event_new(io_.base.get(), context_.channel.descriptor(), EV_READ | EV_PERSIST, on_channel, this));
    if (!tick_event_ || !channel_event_ || event_add(tick_event_.get(), &every) != 0 ||
        event_add(channel_event_.get(), nullptr) != 0) {
        return false;
    }
    if (const int wakeups = backends_.wakeup_descriptor(); wakeups >= 0) {
        wakeup_event_.reset(event_new(io_.base.get(), wakeups, EV_READ | EV_PERSIST, on_wakeup, this));
        if (!wakeup_event_ || event_add(wakeup_event_.get(), nullptr) != 0) return false;
    }
    if (context_.lifeline >= 0) {
        // Nobody empties the pipe: edges only.
        lifeline_event_.reset(
            event_new(io_.base.get(), context_.lifeline, EV_READ | EV_ET | EV_PERSIST, on_lifeline, this));
        if (!lifeline_event_ || event_add(lifeline_event_.get(), nullptr) != 0) return false;
    }
    for (ListenFd& socket : context_.listen) {
        acceptors_.push_back(std::make_unique<Acceptor>(services_, conns_, socket.listener, Fd(socket.fd),
                                                        socket.deferred, 0));
        if (!acceptors_.back()->listening()) return false;
    }
    return true;
}

int Worker::run() {
    if (!start()) {
        log::error("worker {} cannot start: no memory or descriptors for its event loop", context_.number);
        return 1;
    }
    column_.beat(io_.clock.now());
    io_.progress.tells([](void* self) { static_cast<Worker*>(self)->column_.beat(monotonic_now()); }, this);
    if (!context_.channel.send({MessageKind::ready, 0, 0})) return 1;
    log::debug("accepting on {} sockets", acceptors_.size());
    while (!over_) {
        column_.quiescent();
        io_.clock.next_turn();
        io_.share.next_turn();
        if (event_base_loop(io_.base.get(), EVLOOP_ONCE) < 0) break;
        end_of_turn();
    }
    conns_.stop_all();
    mirrors_.stop_all();
    end_of_turn();
    logs_.close(io_.clock.now());
    count_log_lines();
    return 0;
}

// No function of a connection or an exchange is on the stack here.
void Worker::end_of_turn() {
    column_.add<"lb_loop_turns_total">();
    mirrors_.sweep();
    exchanges_.sweep();
    conns_.sweep();
    backends_.sweep();
    io_.wake_again();
}

void Worker::count_log_lines() {
    column_.add<"lb_log_lines_total">(0, 0, logs_.take_written());
    column_.add<"lb_log_lines_dropped_total">(0, 0, logs_.take_dropped());
}

void Worker::tick() {
    const Micros now = io_.clock.now();
    column_.beat(now);
    io_.wall.refresh();
    io_.wheel.advance(now);
    conns_.settle();
    io_.buffers.trim();
    backends_.tick();
    for (auto& acceptor : acceptors_) acceptor->resume();
    logs_.flush(now);
    count_log_lines();
    if (orphaned_ != 0 && !lifeline_event_ && !services_.draining && now - orphaned_ > master_grace) {
        log::warn("the master is gone; draining");
        drain(to_micros(context_.config->global.drain_timeout), true);
    }
    if (services_.draining && (conns_.open() == 0 || now >= drain_until_)) {
        if (conns_.open() > 0) log::notice("drain time is over; closing {} connections", conns_.open());
        over_ = true;
    }
}

void Worker::messages() {
    for (;;) {
        Channel::Received got = context_.channel.receive();
        switch (got.got) {
            case Channel::Got::nothing: return;
            case Channel::Got::message: message(got); break;
            case Channel::Got::closed:
                channel_event_.reset();
                context_.channel.close();
                orphaned_ = io_.clock.now();
                if (lifeline_event_) {
                    log::notice("the master is gone; accepting until another one's workers do");
                } else {
                    log::warn("the master is gone; accepting for {} s more", master_grace / 1'000'000);
                }
                return;
        }
    }
}

void Worker::lifeline() {
    const Told told = Lifeline::told(context_.lifeline);
    if (told == Told::drain || told == Told::quit) {
        const bool quit = told == Told::quit;
        const config::Global& global = context_.config->global;
        return drain(to_micros(quit ? global.quit_timeout : global.drain_timeout), quit);
    }
    if (told != Told::end) return;
    if (orphaned_ == 0) messages();  // it may be gone, too
    lifeline_event_.reset();
    // While the master lives: nobody kept the line, so nobody keeps the sockets either, and nobody can say more.
    if (orphaned_ == 0 && !Lifeline::spoken(context_.lifeline)) return;
    log::notice("the service has ended");
    over_ = true;
}

void Worker::message(Channel::Received& got) {
    switch (got.message.kind) {
        case MessageKind::drain:
            drain(static_cast<Micros>(got.message.value) * 1000, got.message.listener != 0);
            return;
        case MessageKind::stop: over_ = true; return;
        case MessageKind::reopen_logs: reopen_logs(got.message.value); return;
        case MessageKind::serve:
            if (!services_.draining && got.message.listener < context_.config->listeners.size()) {
                acceptors_.push_back(std::make_unique<Acceptor>(services_, conns_, got.message.listener,
                                                                std::move(got.fd), false, got.message.value));
            }
            return;
        case MessageKind::unserve:
            std::erase_if(acceptors_, [&](const std::unique_ptr<Acceptor>& acceptor) {
                if (acceptor->lent() != got.message.value) return false;
                acceptor->accept_all();
                return true;
            });
            return;
        case MessageKind::ready:
        case MessageKind::suspect:
        case MessageKind::eject:
        case MessageKind::reopened: return;  // a child's words, not the master's
    }
}

// Answered when nothing more goes to the files that were moved away.
void Worker::reopen_logs(std::uint64_t request) {
    int error = logs_.reopen();
    if (const int own = log::reopen(); own != 0) {
        log::error("cannot reopen the error log: {}", errno_text(own));
        error = own;
    }
    // A master that takes no more messages has given this worker up, and says so to whoever asked.
    context_.channel.send({MessageKind::reopened, static_cast<std::uint32_t>(error), request});
}

// The listening sockets go on in other processes; what is open here is finished, each answer the last one of its
// connection. Idle connections stay until their next request, which is then not lost -- unless lb itself ends.
void Worker::drain(Micros limit, bool close_idle) {
    drain_until_ = io_.clock.now() + limit + drain_grace;
    if (!services_.draining) {
        services_.draining = true;
        log::debug("draining {} connections", conns_.open());
        acceptors_.clear();
    }
    if (close_idle) conns_.close_idle();
}

}  // namespace

int run_worker(ChildContext& context) {
    Worker worker(context);
    return worker.run();
}

}  // namespace lb
