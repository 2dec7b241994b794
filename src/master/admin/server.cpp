// master/admin/server.cpp -- see server.h. evhttp with its limits set, on sockets that the master opened.
//
// Bounds: one process has at most `most_descriptors`; a connection has 10 s; a request has 8 KiB of head and 16 KiB of
//         body, of which 4 KiB are read; 16 changes at once are asked of the master; answers under way hold at most `most_held` bytes. A page that is expensive to make is shared by everybody who
//         asks within the time it took.
#include "master/admin/server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "master/admin/api.h"
#include "master/admin/changes.h"
#include "master/admin/control_client.h"
#include "master/admin/exposition.h"
#include "master/admin/inventory.h"
#include "master/admin/load.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/net/event_ptr.h"
#include "shared/shm/counters.h"

namespace lb::admin {
namespace {

using HttpPtr = std::unique_ptr<evhttp, Frees<evhttp_free>>;
using ListenerPtr = std::unique_ptr<evconnlistener, Frees<evconnlistener_free>>;

constexpr rlim_t most_descriptors = 512;
constexpr std::size_t most_held = 256u << 20;
constexpr int connection_seconds = 10;
constexpr ev_ssize_t most_received =
    16384;  // of a body; what is longer than changes.h allows gets an answer as JSON
constexpr Micros tick = 100'000;
constexpr Micros finish_time = 1'000'000;  // for answers under way, once told to end
constexpr Micros orphan_time = 5'000'000;  // without a master
constexpr Micros expensive = 50'000;       // a page that took longer than this is shared
constexpr int most_messages = 64;          // of the master, in one turn

constexpr std::string_view index_text =
    "lb admin\n"
    "\n"
    "/metrics  counters in Prometheus text format\n"
    "/healthz  200 while this process and its master live\n"
    "/readyz   200 while traffic is welcome\n"
    "/status   processes, listeners, routes, pools and backends as JSON\n"
    "/api      the same; /api/pools one of its lists, /api/pools/NAME one entry of it\n"
    "/api/v1   the same, and\n"
    "/api/v1/load                       the load of each pool, for autoscalers\n"
    "/api/v1/pools/POOL/load            of one\n"
    "/api/v1/pools/POOL/backends/NAME   PUT, PATCH, DELETE: register, change, take out; needs a token\n";

struct Answer {
    int status = 200;
    const char* reason = "OK";
    std::string_view type = "text/plain; charset=utf-8";
    std::shared_ptr<const std::string> body;
};
Answer text_answer(int status, const char* reason, std::string_view body) {
    Answer answer;
    answer.status = status;
    answer.reason = reason;
    answer.body = std::make_shared<const std::string>(body);
    return answer;
}

const char* reason_of(int status) {
    switch (status) {
        case 200: return "OK";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 409: return "Conflict";
        case 413: return "Content Too Large";
        case 503: return "Service Unavailable";
        case 504: return "Gateway Timeout";
        default: return "Error";
    }
}
Answer json_answer(int status, std::string body) {
    Answer answer;
    answer.status = status;
    answer.reason = reason_of(status);
    answer.type = "application/json";
    answer.body = std::make_shared<const std::string>(std::move(body));
    return answer;
}
Answer refusal(int status, std::string_view why) { return json_answer(status, field_json("error", why)); }

const char* method_of(evhttp_request* request) {
    switch (evhttp_request_get_command(request)) {
        case EVHTTP_REQ_PUT: return "PUT";
        case EVHTTP_REQ_PATCH: return "PATCH";
        case EVHTTP_REQ_DELETE: return "DELETE";
        case EVHTTP_REQ_POST: return "POST";
        default: return "";
    }
}

// A path with %XX taken for the bytes they stand for.
std::string decoded(std::string_view path) {
    std::size_t size = 0;
    const std::unique_ptr<char, Frees<std::free>> text(evhttp_uridecode(std::string(path).c_str(), 0, &size));
    return text ? std::string(text.get(), size) : std::string();
}

class Server {
 public:
    explicit Server(ChildContext& context)
        : context_(context), table_(*context.table), column_(*context.table, context.column) {}

    bool start();
    int loop();

 private:
    // An answer's bytes, from evhttp_send_reply until the last one left or its connection died.
    struct Held {
        Server* server;
        std::shared_ptr<const std::string> body;
    };

    // A change that was asked of the master, from its request to its answer.
    struct Pending {
        Server* server;
        evhttp_request* request;  // null once its connection is gone
        Change change;
        std::size_t next = 0;  // of its lines
    };

    bool listen_on(int fd);
    void on_tick();
    void on_channel();
    void end_by(Micros when);
    void on_request(evhttp_request* request);
    void send(evhttp_request* request, const Answer& answer);
    static void release(const void*, std::size_t, void* held);
    [[nodiscard]] bool allowed(evhttp_request* request) const;
    Answer answer_to(std::string_view path);
    Answer metrics();
    Answer status(std::string_view path);
    std::optional<Answer> load(std::string_view path);
    void change(evhttp_request* request, const std::string& path);
    void ask_next(Pending& pending);
    void finish(Pending& pending, const Answer& answer);
    // 404 when there is nothing that the change is about; 409 when it is of the wrong kind.
    [[nodiscard]] std::optional<Refusal> missing(const Change& change) const;
    // The configuration in force, while it is the one that this process was started with.
    [[nodiscard]] const config::Config* present() const;

    ChildContext& context_;
    const shm::Segment& table_;
    shm::Column column_;
    // Before http_: its end releases what connections still hold.
    std::size_t held_bytes_ = 0;
    std::size_t held_answers_ = 0;
    EventBasePtr base_;
    HttpPtr http_;
    EventPtr tick_;
    EventPtr messages_;
    LoadSampler load_{table_};
    // After http_: who still waits for the master is forgotten before its connection ends.
    std::vector<std::unique_ptr<Pending>> pending_;
    std::unique_ptr<ControlClient> control_;
    std::vector<evconnlistener*> listeners_;   // http_ owns them
    std::shared_ptr<const std::string> page_;  // the last /metrics
    Micros page_made_ = 0;
    Micros page_cost_ = 0;
    bool master_gone_ = false;
    Micros end_ = 0;  // when this process ends at the latest; 0: not told to
    bool ending_ = false;
};

// --- the process ----------------------------------------------------------------------------------------------------

bool Server::start() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > most_descriptors) {
        limit.rlim_cur = most_descriptors;
        setrlimit(RLIMIT_NOFILE, &limit);  // fewer than before is always granted
    }
    base_ = make_event_base();
    http_.reset(base_ ? evhttp_new(base_.get()) : nullptr);
    if (!http_) {
        log::error("no memory for the admin port");
        return false;
    }
    evhttp_set_max_headers_size(http_.get(), 8192);
    evhttp_set_max_body_size(http_.get(), most_received);
    evhttp_set_timeout(http_.get(), connection_seconds);
    evhttp_set_allowed_methods(http_.get(), EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
                                                EVHTTP_REQ_POST | EVHTTP_REQ_PATCH | EVHTTP_REQ_DELETE);
    control_ = std::make_unique<ControlClient>(base_.get(), context_.config->global.control);
    evhttp_set_gencb(
        http_.get(),
        [](evhttp_request* request, void* self) { static_cast<Server*>(self)->on_request(request); }, this);
    for (const ListenFd& socket : context_.listen) {
        if (!listen_on(socket.fd)) return false;
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
    return true;
}

bool Server::listen_on(int fd) {
    evutil_make_socket_nonblocking(fd);
    ListenerPtr listener(evconnlistener_new(base_.get(), nullptr, nullptr,
                                            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd));
    if (!listener || evhttp_bind_listener(http_.get(), listener.get()) == nullptr) {
        log::error("cannot accept on the admin socket {}", fd);
        return false;
    }
    listeners_.push_back(listener.release());
    // Out of descriptors: a level-triggered listener would spin. The tick switches it on again. The callback's argument
    // is evhttp's, not ours.
    evconnlistener_set_error_cb(listeners_.back(),
                                [](evconnlistener* mine, void*) { evconnlistener_disable(mine); });
    return true;
}

int Server::loop() {
    column_.beat(monotonic_now());
    column_.quiescent();
    context_.channel.send({MessageKind::ready, 0, 0});
    for (;;) {
        if (event_base_loop(base_.get(), EVLOOP_ONCE) < 0) return 1;
        column_.quiescent();
        if (end_ == 0) continue;
        if (monotonic_now() >= end_ || (ending_ && held_answers_ == 0 && pending_.empty())) return 0;
    }
}

void Server::on_tick() {
    column_.beat(monotonic_now());
    load_.tick(monotonic_now());
    if (ending_) return;
    for (evconnlistener* listener : listeners_) evconnlistener_enable(listener);
}

void Server::on_channel() {
    for (int i = 0; i < most_messages; i++) {
        Channel::Received got = context_.channel.receive();
        if (got.got == Channel::Got::nothing) return;
        if (got.got == Channel::Got::closed) {
            event_del(messages_.get());
            if (!ending_) log::warn("the master is gone; answering for {} s more", orphan_time / 1'000'000);
            master_gone_ = true;
            end_by(monotonic_now() + orphan_time);
            return;
        }
        switch (got.message.kind) {
            case MessageKind::drain:
            case MessageKind::stop:
                ending_ = true;
                for (evconnlistener* listener : listeners_) evconnlistener_disable(listener);
                end_by(monotonic_now() + finish_time);
                break;
            case MessageKind::reopen_logs:
                if (const std::string error = log::reopen(); !error.empty()) {
                    log::error("cannot reopen the error log: {}", error);
                }
                break;
            case MessageKind::serve:
            case MessageKind::unserve:
            case MessageKind::ready:
            case MessageKind::suspect:
            case MessageKind::eject: break;  // not for this process
        }
    }
}

// The earlier end holds.
void Server::end_by(Micros when) { end_ = end_ == 0 ? when : std::min(end_, when); }

// --- requests -------------------------------------------------------------------------------------------------------

bool Server::allowed(evhttp_request* request) const {
    evhttp_connection* connection = evhttp_request_get_connection(request);
    if (connection == nullptr) return false;
    const evutil_socket_t fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
    Address client;
    socklen_t length = sizeof client.any;
    if (getpeername(fd, &client.any.base, &length) != 0) return false;
    client.length = length;
    // Who may open a unix socket is decided by its directory.
    if (client.family() == AF_UNIX) return true;
    const auto& allow = context_.config->admin.allow;
    return std::any_of(allow.begin(), allow.end(), [&](const Cidr& range) { return range.contains(client); });
}

void Server::on_request(evhttp_request* request) {
    if (!allowed(request)) return send(request, text_answer(403, "Forbidden", "forbidden\n"));
    const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
    const char* bytes = uri != nullptr ? evhttp_uri_get_path(uri) : nullptr;
    const std::string path = bytes != nullptr ? bytes : "/";
    const auto command = evhttp_request_get_command(request);
    if (command != EVHTTP_REQ_GET && command != EVHTTP_REQ_HEAD) return change(request, path);
    if (auto answer = load(path)) return send(request, *answer);
    send(request, answer_to(path));
}

Answer Server::answer_to(std::string_view path) {
    if (path == "/metrics") return metrics();
    if (path == "/healthz") {
        return master_gone_ ? text_answer(503, "Service Unavailable", "the master is gone\n")
                            : text_answer(200, "OK", "ok\n");
    }
    if (path == "/readyz") {
        const std::string why = not_ready(table_, monotonic_now());
        return why.empty() ? text_answer(200, "OK", "ok\n")
                           : text_answer(503, "Service Unavailable", why + "\n");
    }
    if (path == "/status" || path == "/api" || path.starts_with("/api/")) return status(path);
    if (path.empty() || path == "/") return text_answer(200, "OK", index_text);
    return text_answer(404, "Not Found", "not found\n");
}

const config::Config* Server::present() const {
    const auto generation = table_.header().generation.load(std::memory_order_acquire);
    return generation == context_.generation ? context_.config.get() : nullptr;
}

// The paths of /api/v1 that /api has not; everything else is the same below both.
std::optional<Answer> Server::load(std::string_view path) {
    if (!path.starts_with("/api/v1/")) return std::nullopt;
    const auto parts = path_parts(path);
    const bool all = parts && parts->size() == 1 && (*parts)[0] == "load";
    const bool one = parts && parts->size() == 3 && (*parts)[0] == "pools" && (*parts)[2] == "load";
    if (!all && !one) return std::nullopt;
    const Inventory inventory = take_inventory(table_);
    if (all) return json_answer(200, load_.all(inventory, present()));
    auto body = load_.one((*parts)[1], inventory, present());
    return body ? json_answer(200, std::move(*body)) : refusal(404, "no such pool");
}

// --- changes --------------------------------------------------------------------------------------------------------

void Server::change(evhttp_request* request, const std::string& path) {
    evbuffer* in = evhttp_request_get_input_buffer(request);
    std::string body(evbuffer_get_length(in), '\0');
    evbuffer_copyout(in, body.data(), body.size());
    const auto wanted = read_change(method_of(request), path, body);
    const char* field = evhttp_find_header(evhttp_request_get_input_headers(request), "Authorization");
    const config::Admin& admin = context_.config->admin;
    const auto stranger = not_authorized(field != nullptr ? field : "", admin.token_file, admin.token);
    evkeyvalq* headers = evhttp_request_get_output_headers(request);
    // Who may not change anything learns nothing about what there is; but a wrong path is nobody's secret.
    if (!wanted && (wanted.error().status == 404 || wanted.error().status == 405)) {
        if (wanted.error().allow != nullptr) evhttp_add_header(headers, "Allow", wanted.error().allow);
        return send(request, refusal(wanted.error().status, wanted.error().error));
    }
    if (stranger) {
        if (stranger->status == 401) evhttp_add_header(headers, "WWW-Authenticate", "Bearer");
        return send(request, refusal(stranger->status, stranger->error));
    }
    if (!wanted) return send(request, refusal(wanted.error().status, wanted.error().error));
    if (const auto gone = missing(wanted.value())) return send(request, refusal(gone->status, gone->error));

    Pending& mine =
        *pending_.emplace_back(std::make_unique<Pending>(Pending{this, request, wanted.value(), 0}));
    evhttp_connection_set_closecb(
        evhttp_request_get_connection(request),
        [](evhttp_connection*, void* pending) { static_cast<Pending*>(pending)->request = nullptr; }, &mine);
    ask_next(mine);
}

std::optional<Refusal> Server::missing(const Change& change) const {
    const Inventory inventory = take_inventory(table_);
    const auto pool = std::find_if(inventory.pools.begin(), inventory.pools.end(),
                                   [&](const Group& one) { return one.name == change.pool; });
    if (pool == inventory.pools.end()) return Refusal{404, "no such pool"};
    if (change.registers) return std::nullopt;
    const auto number = static_cast<std::size_t>(pool - inventory.pools.begin());
    const auto backend =
        std::find_if(inventory.backends.begin(), inventory.backends.end(), [&](const BackendGroup& one) {
            return one.pool == number && one.name == change.backend && one.member;
        });
    if (backend == inventory.backends.end()) return Refusal{404, "no such backend"};
    return std::nullopt;
}

void Server::ask_next(Pending& pending) {
    control_->ask(pending.change.lines[pending.next],
                  [this, &pending](const ControlClient::Outcome& outcome) {
                      using How = ControlClient::How;
                      switch (outcome.how) {
                          case How::failed: return finish(pending, refusal(409, outcome.text));
                          case How::late: return finish(pending, refusal(504, outcome.text));
                          case How::busy:
                          case How::unreachable: return finish(pending, refusal(503, outcome.text));
                          case How::ok: break;
                      }
                      if (++pending.next < pending.change.lines.size()) return ask_next(pending);
                      finish(pending, json_answer(200, field_json("result", outcome.text)));
                  });
}

void Server::finish(Pending& pending, const Answer& answer) {
    if (pending.request != nullptr) {
        evhttp_connection_set_closecb(evhttp_request_get_connection(pending.request), nullptr, nullptr);
        if (answer.status == 503) {
            evhttp_add_header(evhttp_request_get_output_headers(pending.request), "Retry-After", "1");
        }
        send(pending.request, answer);
    }
    std::erase_if(pending_, [&](const std::unique_ptr<Pending>& each) { return each.get() == &pending; });
}

Answer Server::status(std::string_view path) {
    // What a path below /api/v1 or /api asks for; nothing for the whole.
    std::optional<std::string_view> wanted;
    if (path != "/status" && path != "/api" && path != "/api/v1") {
        constexpr std::string_view versioned = "/api/v1/", plain = "/api/";
        wanted = path.substr((path.starts_with(versioned) ? versioned : plain).size());
    }
    Inventory inventory = take_inventory(table_);
    if (const config::Config* config = present()) arrange(inventory, *config);
    const Moment moment{table_, inventory, present(), std::time(nullptr), monotonic_now()};
    const std::optional<std::string> body =
        wanted ? part_json(moment, decoded(*wanted)) : status_json(moment);
    if (!body) return text_answer(404, "Not Found", "not found\n");
    Answer answer = text_answer(200, "OK", *body);
    answer.type = "application/json";
    return answer;
}

Answer Server::metrics() {
    const Micros begun = monotonic_now();
    if (!page_ || page_cost_ < expensive || begun - page_made_ >= page_cost_) {
        Exposition page = expose(table_, take_inventory(table_), context_.config->admin.backend_histograms);
        if (page.left_out > 0) {
            log::warn("/metrics leaves out {} series: more than {} would not be read by anybody",
                      page.left_out, most_series);
        }
        page_ = std::make_shared<const std::string>(std::move(page.text));
        page_made_ = monotonic_now();
        page_cost_ = page_made_ - begun;
    }
    Answer answer;
    answer.type = exposition_type;
    answer.body = page_;
    if (page_cost_ < expensive) page_.reset();
    return answer;
}

void Server::send(evhttp_request* request, const Answer& answer) {
    evkeyvalq* headers = evhttp_request_get_output_headers(request);
    const std::string& body = *answer.body;
    if (held_bytes_ + body.size() > most_held) {
        evhttp_add_header(headers, "Retry-After", "1");
        return evhttp_send_error(request, 503, nullptr);
    }
    evhttp_add_header(headers, "Content-Type", std::string(answer.type).c_str());
    evhttp_add_header(headers, "Content-Length", std::to_string(body.size()).c_str());
    evhttp_add_header(headers, "Cache-Control", "no-store");
    if (ending_) evhttp_add_header(headers, "Connection", "close");
    if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD) {
        auto held = std::make_unique<Held>(Held{this, answer.body});
        evbuffer* out = evhttp_request_get_output_buffer(request);
        if (evbuffer_add_reference(out, body.data(), body.size(), &Server::release, held.get()) != 0) {
            return evhttp_send_error(request, 500, nullptr);
        }
        (void)held.release();  // release() below has it from now on
        held_bytes_ += body.size();
        held_answers_++;
    }
    evhttp_send_reply(request, answer.status, answer.reason, nullptr);
}

void Server::release(const void*, std::size_t size, void* held) {
    const std::unique_ptr<Held> mine(static_cast<Held*>(held));
    mine->server->held_bytes_ -= size;
    mine->server->held_answers_--;
}

}  // namespace

int run(ChildContext& context) {
    Server server(context);
    return server.start() ? server.loop() : 1;
}

}  // namespace lb::admin
