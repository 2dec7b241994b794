// master/admin/control_client.cpp -- see control_client.h.
#include "master/admin/control_client.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "shared/net/event_ptr.h"
#include "shared/process/control.h"

namespace lb::admin {
namespace {

using BufferPtr = std::unique_ptr<bufferevent, Frees<bufferevent_free>>;

constexpr std::size_t most_answer = 65536;

timeval timeval_of(Micros time) { return {time / 1'000'000, static_cast<suseconds_t>(time % 1'000'000)}; }

}  // namespace

struct ControlClient::Call {
    ControlClient* client = nullptr;
    Then then;
    std::string errors;    // of lines "error TEXT"
    std::size_t seen = 0;  // bytes of the answer
    BufferPtr socket;
    EventPtr deadline;
};

ControlClient::ControlClient(event_base* base, std::string path, Micros patience)
    : base_(base), path_(std::move(path)), patience_(patience) {}
ControlClient::~ControlClient() = default;

void ControlClient::ask(std::string_view line, Then then) {
    if (calls_.size() >= most_at_once) return then({How::busy, "too many changes at once"});
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    auto call = std::make_unique<Call>();
    call->client = this;
    call->socket.reset(bufferevent_socket_new(base_, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS));
    call->deadline.reset(evtimer_new(
        base_,
        [](evutil_socket_t, short, void* self) {
            auto& late = *static_cast<Call*>(self);
            late.client->end(late, {How::late, "the master did not say how it went in time"});
        },
        call.get()));
    const timeval patience = timeval_of(patience_);
    if (!call->socket || !call->deadline || event_add(call->deadline.get(), &patience) != 0 ||
        path_.size() >= sizeof address.sun_path) {
        return then({How::unreachable, "no socket to the master"});
    }
    std::memcpy(address.sun_path, path_.data(), path_.size());
    bufferevent_setcb(
        call->socket.get(),
        [](bufferevent*, void* self) {
            auto& mine = *static_cast<Call*>(self);
            mine.client->read(mine);
        },
        nullptr,
        [](bufferevent*, short what, void* self) {
            if ((what & BEV_EVENT_CONNECTED) != 0) return;
            auto& mine = *static_cast<Call*>(self);
            mine.client->end(mine, {How::unreachable, "the master cannot be asked"});
        },
        call.get());
    call->then = std::move(then);
    evbuffer* out = bufferevent_get_output(call->socket.get());
    evbuffer_add(out, line.data(), line.size());
    evbuffer_add(out, "\n", 1);
    bufferevent_enable(call->socket.get(), EV_READ | EV_WRITE);
    bufferevent* const socket = call->socket.get();
    Call& kept = *calls_.emplace_back(std::move(call));
    // A unix socket connects at once or not at all; why not is told by the callback or by this value, never by both
    // at once because callbacks are deferred.
    if (bufferevent_socket_connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        end(kept, {How::unreachable, "the master cannot be asked"});
    }
}

void ControlClient::read(Call& call) {
    evbuffer* in = bufferevent_get_input(call.socket.get());
    std::size_t length = 0;
    using LinePtr = std::unique_ptr<char, Frees<std::free>>;
    while (const LinePtr bytes{evbuffer_readln(in, &length, EVBUFFER_EOL_LF)}) {
        const std::string_view line(bytes.get(), length);
        call.seen += length;
        if (line.starts_with(control::error)) {
            call.errors +=
                (call.errors.empty() ? "" : "; ") + std::string(line.substr(control::error.size()));
        } else if (line.starts_with(control::ok)) {
            return end(call, {How::ok, std::string(line.substr(control::ok.size()))});
        } else if (line.starts_with(control::failed)) {
            const std::string why(line.substr(control::failed.size()));
            return end(call, {How::failed, call.errors.empty() ? why : call.errors + "; " + why});
        }
        if (call.seen > most_answer) break;
    }
    if (call.seen + evbuffer_get_length(in) > most_answer) {
        end(call, {How::unreachable, "the master's answer is too long"});
    }
}

void ControlClient::end(Call& call, const Outcome& outcome) {
    const auto mine =
        std::find_if(calls_.begin(), calls_.end(), [&](auto& each) { return each.get() == &call; });
    const std::unique_ptr<Call> over = std::move(*mine);
    calls_.erase(mine);
    over->then(outcome);
}

}  // namespace lb::admin
