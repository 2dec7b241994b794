// master/admin/server.cpp -- see server.h. The life of the process: its loop, what the master tells it, when it ends.
//
// Bounds: one process has at most `most_descriptors`; connections and answers are bounded by the port, changes by the desk.
// Work:   one page or change a turn of the loop, so that however many ask for large pages at once, the heartbeat, the
//         master's words and /healthz come in between; who asks for the same page meanwhile gets the same one.
#include "master/admin/server.h"

#include <sys/resource.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "master/admin/change_desk.h"
#include "master/admin/pages.h"
#include "master/admin/port.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/net/event_ptr.h"
#include "shared/net/socket.h"
#include "shared/process/lifeline.h"
#include "shared/shm/counters.h"

namespace lb::admin {
namespace {

constexpr rlim_t most_descriptors = 512;
constexpr Micros tick = 100'000;
constexpr Micros finish_time = 1'000'000;  // for answers under way, once told to end
constexpr Micros orphan_time = 5'000'000;  // without a master
constexpr int most_messages = 64;          // of the master, in one turn

class Server {
 public:
    explicit Server(ChildContext& context)
        : context_(context), column_(*context.table, context.column), pages_(context) {}

    bool start();
    int loop();

 private:
    void on_request(Port::Id id, const Port::Request& request);
    void work();
    void on_tick();
    void on_channel();
    void on_lifeline();
    void wind_down();
    void reopen_log(std::uint64_t request);
    void end_by(Micros when);

    // What waits for its turn: who wants it, and what. At most as many as there are connections.
    struct Wanted {
        Port::Request request;
        bool reads = false;
        std::vector<Port::Id> by;
    };

    ChildContext& context_;
    shm::Column column_;
    Pages pages_;
    EventBasePtr base_;
    EventPtr tick_;
    EventPtr messages_;
    EventPtr lifeline_;
    std::optional<Port> port_;
    std::optional<ChangeDesk> changes_;  // after the port, which its answers go to
    std::deque<Wanted> wanted_;
    Micros end_ = 0;  // when this process ends at the latest; 0: not told to
    bool ending_ = false;
    bool orphaned_ = false;
};

bool Server::start() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > most_descriptors) {
        limit.rlim_cur = most_descriptors;
        // Fewer than before is granted, unless a filter of system calls forbids to ask: then it goes on with more.
        static_cast<void>(setrlimit(RLIMIT_NOFILE, &limit));
    }
    base_ = make_event_base();
    if (!base_) {
        log::error("no memory for the admin port");
        return false;
    }
    port_.emplace(base_.get(), context_.config->admin.allow,
                  [this](Port::Id id, const Port::Request& request) { on_request(id, request); });
    changes_.emplace(base_.get(), *context_.config, *context_.table);
    for (const ListenFd& socket : context_.listen) {
        if (port_->listen_on(socket.fd)) continue;
        log::error("cannot accept on the admin socket {}", socket.fd);
        return false;
    }
    tick_.reset(event_new(
        base_.get(), -1, EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Server*>(self)->on_tick(); }, this));
    messages_.reset(event_new(
        base_.get(), context_.channel.descriptor(), EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Server*>(self)->on_channel(); }, this));
    const timeval every{0, tick};
    if (!tick_ || !messages_ || event_add(tick_.get(), &every) != 0 ||
        event_add(messages_.get(), nullptr) != 0) {
        log::error("cannot watch the master's channel");
        return false;
    }
    if (context_.lifeline < 0) return true;
    // Nobody empties the pipe: edges only.
    lifeline_.reset(event_new(
        base_.get(), context_.lifeline, EV_READ | EV_ET | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Server*>(self)->on_lifeline(); }, this));
    if (!lifeline_ || event_add(lifeline_.get(), nullptr) != 0) {
        log::error("cannot watch the lifeline");
        return false;
    }
    return true;
}

int Server::loop() {
    column_.beat(monotonic_now());
    column_.quiescent();
    context_.channel.send({MessageKind::ready, 0, 0});
    for (;;) {
        const int wait = wanted_.empty() ? 0 : EVLOOP_NONBLOCK;
        if (event_base_loop(base_.get(), EVLOOP_ONCE | wait) < 0) return 1;
        work();
        column_.quiescent();
        if (end_ == 0) continue;
        const bool idle =
            wanted_.empty() && port_->under_way() == 0 && port_->expected() == 0 && changes_->idle();
        if (monotonic_now() >= end_ || (ending_ && idle)) return 0;
    }
}

void Server::on_request(Port::Id id, const Port::Request& request) {
    using http::Method;
    const bool reads = request.method == Method::get || request.method == Method::head;
    if (reads && Pages::is_light(request.path)) return port_->answer(id, pages_.get(request.path));
    if (reads) {
        const auto same = std::find_if(wanted_.begin(), wanted_.end(), [&](const Wanted& each) {
            return each.reads && each.request.path == request.path;
        });
        if (same != wanted_.end()) return same->by.push_back(id);
    }
    wanted_.push_back({request, reads, {id}});
}

// One of what is wanted.
void Server::work() {
    if (wanted_.empty()) return;
    const Wanted next = std::move(wanted_.front());
    wanted_.pop_front();
    if (!next.reads) {
        return changes_->take(
            next.request, [this, id = next.by.front()](const Answer& answer) { port_->answer(id, answer); });
    }
    const Answer page = pages_.get(next.request.path);
    for (const Port::Id id : next.by) port_->answer(id, page);
}

void Server::on_tick() {
    column_.beat(monotonic_now());
    pages_.tick(monotonic_now());
    port_->accept_again();
}

void Server::on_channel() {
    for (int i = 0; i < most_messages; i++) {
        Channel::Received got = context_.channel.receive();
        if (got.got == Channel::Got::nothing) return;
        if (got.got == Channel::Got::closed) {
            event_del(messages_.get());
            orphaned_ = true;
            if (!ending_) log::warn("the master is gone; answering for {} s more", orphan_time / 1'000'000);
            pages_.master_is_gone();
            end_by(monotonic_now() + orphan_time);
            return;
        }
        switch (got.message.kind) {
            case MessageKind::drain:
            case MessageKind::stop: wind_down(); break;
            case MessageKind::reopen_logs: reopen_log(got.message.value); break;
            case MessageKind::serve:
            case MessageKind::unserve:
            case MessageKind::ready:
            case MessageKind::suspect:
            case MessageKind::eject:
            case MessageKind::reopened: break;  // not for this process
        }
    }
}

// Another master's admin process answers now, on the same socket, or the service has ended.
void Server::on_lifeline() {
    const Told told = Lifeline::told(context_.lifeline);
    if (told == Told::nothing) return;
    if (!orphaned_) on_channel();
    // While the master lives: nobody keeps the line.
    if (orphaned_) wind_down();
    if (told == Told::end) lifeline_.reset();
}

void Server::wind_down() {
    ending_ = true;
    port_->wind_down();
    end_by(monotonic_now() + finish_time);
}

void Server::reopen_log(std::uint64_t request) {
    const int error = log::reopen();
    if (error != 0) log::error("cannot reopen the error log: {}", errno_text(error));
    context_.channel.send({MessageKind::reopened, static_cast<std::uint32_t>(error), request});
}

// The earlier end holds.
void Server::end_by(Micros when) { end_ = end_ == 0 ? when : std::min(end_, when); }

}  // namespace

int run(ChildContext& context) {
    Server server(context);
    return server.start() ? server.loop() : 1;
}

}  // namespace lb::admin
