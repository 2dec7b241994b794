// master/admin/port.cpp -- see port.h. Connections are libevent's buffers; heads and chunks are read by shared/http.
#include "master/admin/port.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/http/chunked.h"
#include "shared/http/http1_parser.h"
#include "shared/http/http1_writer.h"
#include "shared/net/event_ptr.h"

namespace lb::admin {
namespace {

using BufferPtr = std::unique_ptr<bufferevent, Frees<bufferevent_free>>;

constexpr http::HeadLimits head_limits{8192, 64};
constexpr std::size_t most_received = 16384;  // of a body, and of what waits to be read
constexpr std::size_t most_held = 256u << 20;
constexpr std::size_t small = 4096;
constexpr std::size_t most_strangers = 64;
constexpr std::size_t most_discarded = 1u << 20;  // behind a refusal
constexpr timeval patience{10, 0};                // for a whole request, and for an answer to move
constexpr timeval lingers{2, 0};                  // for a client to see its answer before the connection ends

constexpr Micros about_to_ask = 200'000;  // a client that has just connected

constexpr const char* readable = "GET, HEAD";

std::string_view bytes_of(evbuffer* buffer) {
    const std::size_t size = evbuffer_get_length(buffer);
    const auto* bytes = reinterpret_cast<const char*>(evbuffer_pullup(buffer, -1));
    return bytes == nullptr ? std::string_view{} : std::string_view(bytes, size);
}

Answer refused_head(const http::HeadResult& result, const http::RequestHead& head) {
    using http::HeadError;
    if (head.method == http::Method::connect) return refusal(405, "this is no proxy", readable);
    switch (result.error) {
        case HeadError::uri_too_long: return refusal(414, result.why);
        case HeadError::too_large: return refusal(431, result.why);
        case HeadError::not_implemented: return refusal(501, result.why);
        case HeadError::expectation: return refusal(417, result.why);
        case HeadError::bad_version: return refusal(505, result.why);
        case HeadError::none:
        case HeadError::bad_response:
        case HeadError::bad_request: break;
    }
    return refusal(400, result.why);
}

std::string date_text() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[64];
    return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

}  // namespace

struct Port::Connection {
    // reading: a head or a body; asked: its answer is being made; writing: on its way; leaving: written, and what still
    // comes is thrown away.
    enum class Phase : std::uint8_t { head, body, asked, writing, leaving };
    Port* port = nullptr;
    Id id = 0;
    bool allowed = false;
    Phase phase = Phase::head;
    bool keep_alive = false;
    Micros accepted = 0;   // until something was asked
    std::size_t seen = 0;  // bytes of the head that were looked at; while leaving: bytes thrown away
    Request request;
    http::Framing framing;
    http::ChunkedDecoder chunks;
    BufferPtr socket;
    EventPtr deadline;

    [[nodiscard]] evbuffer* in() const { return bufferevent_get_input(socket.get()); }
    [[nodiscard]] evbuffer* out() const { return bufferevent_get_output(socket.get()); }
};

// A body from when it is written until its last byte left or its connection ended.
struct Port::Held {
    std::shared_ptr<Totals> totals;
    std::shared_ptr<const std::string> body;
    Held(std::shared_ptr<Totals> all, std::shared_ptr<const std::string> mine)
        : totals(std::move(all)), body(std::move(mine)) {
        totals->bytes += body->size();
        totals->answers++;
    }
    ~Held() {
        totals->bytes -= body->size();
        totals->answers--;
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    static void release(const void*, std::size_t, void* held) {
        const std::unique_ptr<Held> over(static_cast<Held*>(held));
    }
};

void Port::Unlistens::operator()(evconnlistener* listener) const noexcept { evconnlistener_free(listener); }

Port::Port(event_base* base, const std::vector<Cidr>& allow, Handler handler)
    : base_(base), allow_(allow), handler_(std::move(handler)) {}
Port::~Port() = default;

// --- connections ----------------------------------------------------------------------------------------------------

bool Port::listen_on(int fd) {
    evutil_make_socket_nonblocking(fd);
    listeners_.emplace_back(evconnlistener_new(
        base_,
        [](evconnlistener*, evutil_socket_t client, sockaddr* from, int length, void* self) {
            Address address;
            address.length = std::min<std::uint32_t>(static_cast<std::uint32_t>(length), sizeof address.any);
            std::memcpy(&address.any, from, address.length);
            static_cast<Port*>(self)->accept(client, address);
        },
        this, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd));
    if (!listeners_.back()) {
        listeners_.pop_back();
        return false;
    }
    // Out of descriptors: a level-triggered listener would spin until somebody calls accept_again().
    evconnlistener_set_error_cb(listeners_.back().get(),
                                [](evconnlistener* mine, void*) { evconnlistener_disable(mine); });
    return true;
}

void Port::accept_again() {
    if (winding_down_) return;
    for (const auto& listener : listeners_) evconnlistener_enable(listener.get());
}

void Port::wind_down() {
    winding_down_ = true;
    for (const auto& listener : listeners_) evconnlistener_disable(listener.get());
}

void Port::accept(int fd, const Address& from) {
    // Who may open a unix socket is decided by its directory.
    const bool allowed =
        from.family() == AF_UNIX ||
        std::any_of(allow_.begin(), allow_.end(), [&](const Cidr& range) { return range.contains(from); });
    if (!allowed && strangers_ >= most_strangers) {
        evutil_closesocket(fd);
        return;
    }
    auto made = std::make_unique<Connection>();
    Connection& mine = *made;
    mine.port = this;
    mine.id = next_++;
    mine.accepted = monotonic_now();
    mine.allowed = allowed;
    mine.socket.reset(bufferevent_socket_new(base_, fd, BEV_OPT_CLOSE_ON_FREE));
    if (!mine.socket) {
        evutil_closesocket(fd);
        return;
    }
    mine.deadline.reset(evtimer_new(
        base_,
        [](evutil_socket_t, short, void* self) {
            auto& late = *static_cast<Connection*>(self);
            late.port->on_deadline(late);
        },
        &mine));
    if (!mine.deadline) return;
    bufferevent_setcb(
        mine.socket.get(),
        [](bufferevent*, void* self) {
            auto& each = *static_cast<Connection*>(self);
            each.port->on_read(each);
        },
        [](bufferevent*, void* self) {
            auto& each = *static_cast<Connection*>(self);
            each.port->on_written(each);
        },
        [](bufferevent*, short, void* self) {
            auto& each = *static_cast<Connection*>(self);
            each.port->drop(each);
        },
        &mine);
    bufferevent_setwatermark(mine.socket.get(), EV_READ, 0, most_received);
    bufferevent_set_timeouts(mine.socket.get(), nullptr, &patience);
    connections_.emplace(mine.id, std::move(made));
    if (!allowed) strangers_++;
    await_request(mine);
}

void Port::await_request(Connection& connection) {
    connection.phase = Connection::Phase::head;
    connection.seen = 0;
    connection.request = {};
    connection.chunks.reset();
    evtimer_add(connection.deadline.get(), &patience);
    bufferevent_enable(connection.socket.get(), EV_READ | EV_WRITE);
}

void Port::drop(Connection& connection) {
    if (!connection.allowed) strangers_--;
    connections_.erase(connection.id);
}

void Port::on_read(Connection& connection) {
    if (connection.phase != Connection::Phase::leaving) return advance(connection);
    const std::size_t size = evbuffer_get_length(connection.in());
    evbuffer_drain(connection.in(), size);
    connection.seen += size;
    if (connection.seen > most_discarded) drop(connection);
}

void Port::on_deadline(Connection& connection) {
    const bool begun =
        connection.phase == Connection::Phase::body ||
        (connection.phase == Connection::Phase::head && evbuffer_get_length(connection.in()) > 0);
    if (!begun) return drop(connection);
    refuse(connection, refusal(408, "the request did not come in time"));
}

void Port::on_written(Connection& connection) {
    // A "100 Continue" may be what left.
    if (connection.phase != Connection::Phase::writing || evbuffer_get_length(connection.out()) > 0) return;
    if (connection.keep_alive) {
        await_request(connection);
        return advance(connection);
    }
    // The end of what is said, but not yet of the connection: closing a socket with unread bytes would take the answer
    // away from the client.
    connection.phase = Connection::Phase::leaving;
    connection.seen = 0;
    shutdown(bufferevent_getfd(connection.socket.get()), SHUT_WR);
    evtimer_add(connection.deadline.get(), &lingers);
    bufferevent_enable(connection.socket.get(), EV_READ);
    on_read(connection);
}

// --- requests -------------------------------------------------------------------------------------------------------

void Port::advance(Connection& connection) {
    if (connection.phase == Connection::Phase::head && !read_head(connection)) return;
    if (connection.phase == Connection::Phase::body && read_body(connection)) ask(connection);
}

// True when the head is complete.
bool Port::read_head(Connection& connection) {
    const std::string_view bytes = bytes_of(connection.in());
    if (bytes.empty()) return false;
    if (!connection.allowed) {
        refuse(connection, text_answer(403, "forbidden\n"));
        return false;
    }
    http::RequestHead head;
    const auto result = http::parse_request(bytes, connection.seen, head_limits, head);
    if (result.state == http::HeadResult::State::incomplete) {
        connection.seen = bytes.size();
        return false;
    }
    Request& request = connection.request;
    request.method = head.method;
    if (result.state == http::HeadResult::State::error) {
        refuse(connection, refused_head(result, head));
        return false;
    }
    request.method_text = head.method_text;
    request.path = head.target_needs_slash ? "/" : head.target.substr(0, head.target.find('?'));
    for (const http::Field& field : head.fields) {
        if (text::equals_lower(field.name, "authorization")) request.authorization = field.value;
    }
    connection.keep_alive = head.keep_alive && head.minor > 0;
    connection.framing = head.body;
    const bool waits = head.expect_continue && head.body.kind != http::BodyKind::none;
    evbuffer_drain(connection.in(), result.consumed);
    if (connection.framing.kind == http::BodyKind::length && connection.framing.length > most_received) {
        refuse(connection, refusal(413, fmt::format("the body is longer than {} bytes", most_received)));
        return false;
    }
    connection.phase = Connection::Phase::body;
    if (waits && evbuffer_get_length(connection.in()) == 0) {
        constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        evbuffer_add(connection.out(), go_on.data(), go_on.size());
    }
    return true;
}

// True when the request is complete.
bool Port::read_body(Connection& connection) {
    if (connection.framing.kind == http::BodyKind::none) return true;
    const std::string_view bytes = bytes_of(connection.in());
    if (connection.framing.kind == http::BodyKind::chunked) return read_chunks(connection, bytes);
    std::string& body = connection.request.body;
    const auto missing = static_cast<std::size_t>(connection.framing.length) - body.size();
    const std::string_view mine = bytes.substr(0, missing);
    body += mine;
    evbuffer_drain(connection.in(), mine.size());
    return body.size() == connection.framing.length;
}

bool Port::read_chunks(Connection& connection, std::string_view bytes) {
    using State = http::ChunkedDecoder::State;
    std::string& body = connection.request.body;
    std::size_t used = 0;
    auto state = State::more;
    do {
        const auto step = connection.chunks.next(bytes.substr(used));
        used += step.consumed;
        state = step.state;
        if (state == State::data) body += step.data;
    } while ((state == State::data || state == State::trailer) && body.size() <= most_received);
    evbuffer_drain(connection.in(), used);
    if (body.size() > most_received) {
        refuse(connection, refusal(413, fmt::format("the body is longer than {} bytes", most_received)));
        return false;
    }
    if (state == State::error) refuse(connection, refusal(400, "the chunks of the body are malformed"));
    return state == State::end;
}

std::size_t Port::expected() const noexcept {
    return static_cast<std::size_t>(std::count_if(
        connections_.begin(), connections_.end(),
        [now = monotonic_now()](const auto& each) { return now - each.second->accepted < about_to_ask; }));
}

void Port::ask(Connection& connection) {
    connection.accepted = 0;
    connection.phase = Connection::Phase::asked;
    // What the client sends meanwhile, or that it has nothing more to say, waits for the answer.
    bufferevent_disable(connection.socket.get(), EV_READ);
    evtimer_del(connection.deadline.get());
    handler_(connection.id, connection.request);
}

// --- answers --------------------------------------------------------------------------------------------------------

void Port::answer(Id id, const Answer& answer) {
    const auto found = connections_.find(id);
    if (found != connections_.end() && found->second->phase == Connection::Phase::asked) {
        write(*found->second, answer);
    }
}

// What comes behind a request that was not read to its end cannot be told from it.
void Port::refuse(Connection& connection, const Answer& answer) {
    connection.accepted = 0;
    connection.keep_alive = false;
    bufferevent_disable(connection.socket.get(), EV_READ);
    evtimer_del(connection.deadline.get());
    write(connection, answer);
}

void Port::write(Connection& connection, const Answer& answer) {
    // Never the refusal itself.
    if (answer.body->size() > small && totals_->bytes + answer.body->size() > most_held) {
        return write(connection, refusal(503, "too many answers are on their way"));
    }
    if (winding_down_) connection.keep_alive = false;
    connection.phase = Connection::Phase::writing;
    std::string head = fmt::format(
        "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n",
        answer.status, http::reason_phrase(answer.status), date_text(), answer.type, answer.body->size());
    for (const auto& [name, value] : answer.fields) head += fmt::format("{}: {}\r\n", name, value);
    head += connection.keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
    evbuffer* out = connection.out();
    evbuffer_add(out, head.data(), head.size());
    if (connection.request.method == http::Method::head) return;
    auto held = std::make_unique<Held>(totals_, answer.body);
    const std::string& body = *held->body;
    if (evbuffer_add_reference(out, body.data(), body.size(), &Held::release, held.get()) != 0) {
        connection.keep_alive = false;  // it ends short
        return log::error("no memory for an answer of the admin port");
    }
    static_cast<void>(held.release());  // release() above has it from now on
}

}  // namespace lb::admin
