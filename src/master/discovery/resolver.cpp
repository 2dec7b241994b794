// master/discovery/resolver.cpp -- see resolver.h.
//
//   ask --> Query --ares_query, once or twice--> channel --callback--> finished_ --deliver_, next turn--> done
//
// c-ares 1.18 may call back from inside any call into it, so nothing but bookkeeping happens there: a `done` may fork,
// ask anew or let a channel go.
#include "master/discovery/resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <event2/event.h>

#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "master/discovery/hosts.h"
#include "shared/base/log.h"
#include "shared/net/event_ptr.h"

namespace lb::discovery {
namespace {

constexpr timeval tick{0, 100'000};  // c-ares' timeouts, while questions are under way
constexpr int edns_bytes = 1232;     // what passes everywhere in one piece
constexpr timeval at_once{0, 0};

}  // namespace

struct Resolver::State {
    struct Channel {
        struct Watched {
            short what = 0;
            EventPtr event;
        };
        State* owner = nullptr;
        ares_channel handle = nullptr;
        std::map<int, Watched> sockets;
        std::size_t open = 0;  // questions c-ares has not answered

        Channel() = default;
        Channel(const Channel&) = delete;
        Channel& operator=(const Channel&) = delete;
        ~Channel() {
            if (handle != nullptr) ares_destroy(handle);
        }
    };
    // One question of ours: one or two of c-ares'.
    struct Query {
        State* owner;
        Question question;
        Done done;
        Reply reply;
        int left = 0;
    };
    // What c-ares hands back, one for each of its questions.
    struct Part {
        Query* query;
        Channel* channel;
        int type;
    };

    State(event_base* loop, std::function<void(metrics::QueryLabel)> count, std::string path, Patience limits)
        : base(loop), counted(std::move(count)), hosts(std::move(path)), patience(limits) {}

    std::string open_channel();
    void ask(const Question& question, Done done);
    void send(Query& query, int type);
    void finish(Query& query);
    void deliver();
    void stop();
    void socket_changed(Channel& from, int fd, bool readable, bool writable);

    event_base* base;
    std::function<void(metrics::QueryLabel)> counted;
    Hosts hosts;
    Patience patience;
    std::vector<Address> nameservers;
    std::vector<std::unique_ptr<Channel>> channels;  // those with questions under way
    Channel* current = nullptr;  // the one that takes more; null: the next question opens one
    std::map<Query*, std::unique_ptr<Query>> queries;
    std::map<Part*, std::unique_ptr<Part>> parts;
    std::vector<std::unique_ptr<Query>> finished;
    EventPtr deliver_event, tick_event;
    bool stopping = false;
};

namespace {

void take_addresses(Family& family, int status, std::string_view name, int kind, Message message) {
    switch (status) {
        case ARES_SUCCESS: {
            auto answer = read_addresses(message, name, kind);
            if (!answer) {
                family.error = answer.error();
                return;
            }
            family.answer = std::move(answer).value();
            family.outcome = family.answer.addresses.empty() ? Outcome::nothing : Outcome::ok;
            return;
        }
        case ARES_ENODATA: family.outcome = Outcome::nothing; return;
        case ARES_ENOTFOUND: family.outcome = Outcome::no_such_name; return;
        default: family.error = ares_strerror(status); return;
    }
}

void take_services(Reply& reply, int status, std::string_view name, Message message) {
    switch (status) {
        case ARES_SUCCESS: {
            auto answer = read_srv(message, name);
            if (!answer) {
                reply.srv_error = answer.error();
                return;
            }
            reply.srv = std::move(answer).value();
            reply.srv_outcome = reply.srv.records.empty() ? Outcome::nothing : Outcome::ok;
            return;
        }
        case ARES_ENODATA: reply.srv_outcome = Outcome::nothing; return;
        case ARES_ENOTFOUND: reply.srv_outcome = Outcome::no_such_name; return;
        default: reply.srv_error = ares_strerror(status); return;
    }
}

metrics::QueryLabel label_of(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::ok:
        case Outcome::nothing: return metrics::query_ok;
        case Outcome::no_such_name: return metrics::query_no_such_name;
        case Outcome::failed: return metrics::query_failed;
    }
    return metrics::query_failed;
}

ares_addr_port_node node_of(const Address& address) {
    ares_addr_port_node node{};
    node.family = address.family();
    node.udp_port = node.tcp_port = address.port();
    if (address.family() == AF_INET) {
        node.addr.addr4 = address.any.in.sin_addr;
    } else {
        static_assert(sizeof node.addr.addr6 == sizeof(in6_addr));
        std::memcpy(&node.addr.addr6, &address.any.in6.sin6_addr, sizeof(in6_addr));
    }
    return node;
}

}  // namespace

// Why there is none, or "".
std::string Resolver::State::open_channel() {
    if (current != nullptr) return {};
    auto fresh = std::make_unique<Channel>();
    fresh->owner = this;
    ares_options options{};
    options.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
    options.timeout = patience.timeout_ms;
    options.tries = patience.tries;
    options.ednspsz = edns_bytes;
    options.sock_state_cb = [](void* to, ares_socket_t fd, int readable, int writable) {
        auto& mine = *static_cast<Channel*>(to);
        mine.owner->socket_changed(mine, fd, readable != 0, writable != 0);
    };
    options.sock_state_cb_data = fresh.get();
    int status = ares_init_options(
        &fresh->handle, &options,
        ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);
    if (status == ARES_SUCCESS && !nameservers.empty()) {
        std::vector<ares_addr_port_node> nodes;
        for (const Address& each : nameservers) nodes.push_back(node_of(each));
        for (std::size_t i = 0; i + 1 < nodes.size(); i++) nodes[i].next = &nodes[i + 1];
        status = ares_set_servers_ports(fresh->handle, nodes.data());
    }
    if (!tick_event) {
        tick_event.reset(event_new(
            base, -1, EV_PERSIST,
            [](evutil_socket_t, short, void* self) {
                for (const auto& each : static_cast<State*>(self)->channels) {
                    ares_process_fd(each->handle, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
                }
            },
            this));
    }
    if (status != ARES_SUCCESS) return ares_strerror(status);
    if (!tick_event || event_add(tick_event.get(), &tick) != 0) return "no memory for a timer";
    current = fresh.get();
    channels.push_back(std::move(fresh));
    return {};
}

void Resolver::State::socket_changed(Channel& from, int fd, bool readable, bool writable) {
    // Before c-ares closes it: the event goes first.
    if (!readable && !writable) {
        from.sockets.erase(fd);
        return;
    }
    const auto what = static_cast<short>(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    Channel::Watched& watched = from.sockets[fd];
    if (watched.event && watched.what == what) return;
    watched.what = what;
    watched.event.reset(event_new(
        base, fd, what,
        [](evutil_socket_t socket, short happened, void* to) {
            auto& mine = *static_cast<Channel*>(to);
            ares_process_fd(mine.handle, (happened & EV_READ) != 0 ? socket : ARES_SOCKET_BAD,
                            (happened & EV_WRITE) != 0 ? socket : ARES_SOCKET_BAD);
        },
        &from));
    // Without an event the tick still ends the question, as a timeout.
    if (!watched.event || event_add(watched.event.get(), nullptr) != 0)
        log::error("resolver: cannot watch a socket");
}

void Resolver::State::ask(const Question& question, Done done) {
    auto made = std::make_unique<Query>();
    Query& query = *made;
    query.owner = this;
    query.question = question;
    query.done = std::move(done);
    queries.emplace(&query, std::move(made));
    const bool srv = question.kind == Question::Kind::srv;
    if (!srv) {
        for (const Address& address : hosts.find(question.name)) {
            Family& family = address.family() == AF_INET ? query.reply.v4 : query.reply.v6;
            family.outcome = Outcome::ok;
            family.answer.addresses.push_back(address);
            family.answer.ttl = hosts_ttl;
        }
        if (query.reply.v4.outcome == Outcome::ok || query.reply.v6.outcome == Outcome::ok) {
            for (Family* family : {&query.reply.v4, &query.reply.v6}) {
                if (family->outcome != Outcome::ok) family->outcome = Outcome::nothing;
            }
            return finish(query);
        }
    }
    if (std::string error = open_channel(); !error.empty()) {
        query.reply.v4.error = query.reply.v6.error = query.reply.srv_error = error;
        return finish(query);
    }
    query.left = srv ? 1 : 2;  // before the first one is sent: it may be answered within the call
    send(query, srv ? ns_t_srv : ns_t_a);
    if (!srv) send(query, ns_t_aaaa);
}

void Resolver::State::send(Query& query, int type) {
    auto made = std::make_unique<Part>(Part{&query, current, type});
    Part* part = made.get();
    parts.emplace(part, std::move(made));
    current->open++;
    ares_query(
        current->handle, query.question.name.c_str(), ns_c_in, type,
        [](void* arg, int status, int, unsigned char* data, int size) {
            Part& mine = *static_cast<Part*>(arg);
            Query& of = *mine.query;
            State& self = *of.owner;
            const Message message(data, data == nullptr || size < 0 ? 0 : static_cast<std::size_t>(size));
            Outcome outcome = Outcome::failed;
            if (mine.type == ns_t_srv) {
                take_services(of.reply, status, of.question.name, message);
                outcome = of.reply.srv_outcome;
            } else {
                const bool v4 = mine.type == ns_t_a;
                Family& family = v4 ? of.reply.v4 : of.reply.v6;
                take_addresses(family, status, of.question.name, v4 ? AF_INET : AF_INET6, message);
                outcome = family.outcome;
            }
            mine.channel->open--;
            self.parts.erase(&mine);
            if (self.stopping) return;
            self.counted(label_of(outcome));
            if (--of.left == 0) self.finish(of);
        },
        part);
}

void Resolver::State::finish(Query& query) {
    const auto place = queries.find(&query);
    finished.push_back(std::move(place->second));
    queries.erase(place);
    if (!deliver_event) {
        deliver_event.reset(evtimer_new(
            base, [](evutil_socket_t, short, void* self) { static_cast<State*>(self)->deliver(); }, this));
    }
    if (!deliver_event || evtimer_add(deliver_event.get(), &at_once) != 0) {
        log::error("resolver: no memory for a timer");
    }
}

// From the loop, with nothing of c-ares on the stack.
void Resolver::State::deliver() {
    auto all = std::exchange(finished, {});
    if (current != nullptr && current->open == 0) current = nullptr;
    std::erase_if(channels, [](const auto& each) { return each->open == 0; });
    if (channels.empty() && tick_event) event_del(tick_event.get());
    for (auto& query : all) query->done(query->question, std::move(query->reply));
}

void Resolver::State::stop() {
    stopping = true;
    current = nullptr;
    channels.clear();  // ends their questions
    queries.clear();
    finished.clear();
    parts.clear();
    deliver_event.reset();
    tick_event.reset();
    stopping = false;
}

Resolver::Resolver(event_base* base, std::function<void(metrics::QueryLabel)> counted, std::string hosts,
                   Patience patience)
    : state_(std::make_unique<State>(base, std::move(counted), std::move(hosts), patience)) {
    ares_library_init(ARES_LIB_INIT_ALL);  // counted; needs no files and no network
}
Resolver::~Resolver() {
    state_->stop();
    ares_library_cleanup();
}
void Resolver::use(std::vector<Address> nameservers) {
    if (state_->nameservers == nameservers) return;
    state_->nameservers = std::move(nameservers);
    state_->current = nullptr;  // questions under way go on with those they were sent to
}
void Resolver::ask(const Question& question, Done done) { state_->ask(question, std::move(done)); }
std::size_t Resolver::under_way() const noexcept { return state_->queries.size() + state_->finished.size(); }
void Resolver::stop() { state_->stop(); }

}  // namespace lb::discovery
