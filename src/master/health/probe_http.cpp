// master/health/probe_http.cpp -- the http check: one request, and the status of its answer.
// The outcome is known with the end of the response head. The body is read and dropped until it is complete,
// the backend closes (it was asked to), a bound or the deadline, so that the backend sees its answer taken and
// no reset.
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "master/health/probe.h"
#include "shared/http/http1_parser.h"
#include "shared/net/proxy_protocol.h"

namespace lb::health {
namespace {

using Kind = Outcome::Kind;

constexpr http::HeadLimits limits{16 * 1024, 128};
constexpr std::size_t most_body = 65536;

// A pool with send_proxy expects it from everybody who speaks.
std::string_view proxy_header(config::SendProxy kind) noexcept {
    switch (kind) {
        case config::SendProxy::off: return {};
        case config::SendProxy::v1: return own_proxy_header(ProxyVersion::v1);
        case config::SendProxy::v2: return own_proxy_header(ProxyVersion::v2);
    }
    return {};
}

class HttpProbe final : public Probe {
 public:
    HttpProbe(const config::Pool& pool, const config::Backend& backend, const Address& address)
        : address_(address),
          expect_(pool.check.expect),
          method_(pool.check.method == "HEAD" ? http::Method::head : http::Method::get),
          request_(
              fmt::format("{}{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: lb-check\r\nConnection: close\r\n\r\n",
                          proxy_header(pool.send_proxy), pool.check.method, pool.check.path, backend.host)) {}

    Step start() override {
        Step step = connect(address_);
        return step.over ? step : ready();
    }

    Step ready() override {
        if (state_ == State::connecting) {
            const std::optional<int> error = connected();
            if (!error) return {};
            if (*error != 0) return {true, failed_with(*error)};
            state_ = State::sending;
        }
        if (state_ == State::sending) {
            Step step = send_request();
            if (step.over || state_ == State::sending) return step;
        }
        if (state_ == State::reading) return read_head();
        return {discard(body_left_), std::nullopt};
    }

    [[nodiscard]] const char* waiting_for() const noexcept override {
        return state_ == State::connecting ? "no connection" : "no answer";
    }

 private:
    enum class State : std::uint8_t { connecting, sending, reading, draining };

    Step send_request() {
        while (sent_ < request_.size()) {
            const ssize_t n = send(fd_.get(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return {};
            // A backend may answer and close before it has read: what it said decides, if anything.
            if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) break;
            if (n < 0) return {true, failed_with(errno)};
            sent_ += static_cast<std::size_t>(n);
        }
        state_ = State::reading;
        return {};
    }

    Step read_head() {
        for (;;) {
            char piece[4096];
            const ssize_t n = recv(fd_.get(), piece, sizeof piece, MSG_DONTWAIT);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return {};
            if (n < 0) return {true, failed_with(errno)};
            if (n == 0) {
                return {true,
                        Outcome{Kind::fail, head_.empty() ? "connection closed without an answer"
                                                          : "connection closed inside the response head"}};
            }
            head_.append(piece, static_cast<std::size_t>(n));
            if (std::optional<Outcome> outcome = judge()) {
                head_ = std::string();
                state_ = State::draining;
                // At once: the body may have come with the head, and then no edge would tell.
                return {discard(body_left_), std::move(outcome)};
            }
        }
    }

    // The outcome of what has arrived; nothing when the head is not complete yet. Interim answers (RFC
    // 9110 15.2) are skipped; the bound on the whole buffer holds for them, too.
    std::optional<Outcome> judge() {
        for (;;) {
            http::ResponseHead head;
            const std::string_view bytes = std::string_view(head_).substr(from_);
            const http::HeadResult result = http::parse_response(bytes, seen_, limits, method_, head);
            switch (result.state) {
                case http::HeadResult::State::incomplete:
                    seen_ = bytes.size();
                    if (head_.size() > limits.bytes) return Outcome{Kind::fail, "response head too large"};
                    return std::nullopt;
                case http::HeadResult::State::error: return Outcome{Kind::fail, refusal(bytes, result.why)};
                case http::HeadResult::State::complete: break;
            }
            if (head.status >= 200 || head.status == 101) {
                const std::size_t come = bytes.size() - result.consumed;
                if (head.body.kind == http::BodyKind::none) body_left_ = 0;
                if (head.body.kind == http::BodyKind::length) {
                    body_left_ = std::min(body_left_, head.body.length - std::min(head.body.length, come));
                }
                return judge(head.status);
            }
            from_ += result.consumed;
            seen_ = 0;
        }
    }

    [[nodiscard]] Outcome judge(std::uint16_t status) const {
        std::string ranges;
        for (const auto& [low, high] : expect_) {
            if (low <= status && status <= high) return Outcome{};
            if (!ranges.empty()) ranges += ' ';
            ranges += low == high ? fmt::format("{}", low) : fmt::format("{}-{}", low, high);
        }
        return {Kind::fail, fmt::format("status {}, expected {}", status, ranges)};
    }

    static std::string refusal(std::string_view bytes, const char* why) {
        constexpr std::string_view name = "HTTP/";
        if (bytes.substr(0, name.size()) != name.substr(0, bytes.size())) return "not an HTTP response";
        return fmt::format("bad response head: {}", why);
    }

    Address address_;
    std::vector<std::pair<std::uint16_t, std::uint16_t>> expect_;
    http::Method method_;
    State state_ = State::connecting;
    std::string request_;
    std::size_t sent_ = 0;
    std::string head_;
    std::size_t from_ = 0;               // of head_: behind the interim answers
    std::size_t seen_ = 0;               // of the bytes from from_: already looked at
    std::size_t body_left_ = most_body;  // to be read away before the close
};

}  // namespace

std::unique_ptr<Probe> make_http_probe(const config::Pool& pool, const config::Backend& backend,
                                       const Address& address) {
    return std::make_unique<HttpProbe>(pool, backend, address);
}

}  // namespace lb::health
