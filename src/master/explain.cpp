// master/explain.cpp -- see explain.h.
#include "master/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "shared/balance/least_conn.h"
#include "shared/balance/round_robin.h"
#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "shared/http/http1_parser.h"
#include "shared/route/host.h"
#include "shared/route/matcher.h"
#include "shared/route/path.h"
#include "shared/route/rewrite.h"

namespace lb {
namespace {

std::string escaped(std::string_view text) {
    std::string out;
    text::append_escaped(out, text);
    return out;
}

// "label     text", and further texts under the first.
class Lines {
 public:
    explicit Lines(std::vector<std::string>& lines) : lines_(lines) {}
    void add(std::string_view label, std::string_view text) {
        lines_.push_back(fmt::format("{:<10}{}", label, text));
    }
    // Rows of two columns, the first as wide as its longest within reason.
    void table(std::string_view label, const std::vector<std::pair<std::string, std::string>>& rows) {
        constexpr std::size_t widest = 40;
        std::size_t width = 0;
        for (const auto& row : rows) width = std::max(width, std::min(row.first.size(), widest));
        for (const auto& [name, text] : rows) {
            add(label, fmt::format("{:<{}}  {}", name, width, text));
            label = "";
        }
    }

 private:
    std::vector<std::string>& lines_;
};

// -- the request

struct Parts {
    std::string_view method, target, from, listener;
    std::vector<std::string_view> fields;
};

Result<Parts, std::string> split(std::string_view request) {
    std::vector<std::string_view> list;
    for (std::size_t tab = 0; tab != std::string_view::npos;) {
        tab = request.find('\t');
        list.push_back(request.substr(0, tab));
        if (tab != std::string_view::npos) request.remove_prefix(tab + 1);
    }
    if (list.size() < 4) {
        return Failed{std::string("explain takes a method, a target, an address and a listener's name")};
    }
    return Parts{list[0], list[1], list[2], list[3], {list.begin() + 4, list.end()}};
}

// The text of a request as a client would send it to the host of the URL, and the port it would send it to.
struct Written {
    std::string text;
    std::uint64_t port = 80;
};

Written write_request(const Parts& parts) {
    Written out;
    std::string_view target = parts.target;
    std::string_view host;
    const bool secure = text::equals_lower(target.substr(0, 8), "https://");
    const bool url = secure || text::equals_lower(target.substr(0, 7), "http://");
    if (url) {
        target.remove_prefix(secure ? 8 : 7);
        host = target.substr(0, target.find_first_of("/?"));
        target.remove_prefix(host.size());
    }
    bool has_host = !url;
    for (const std::string_view field : parts.fields) {
        if (!text::equals_lower(field.substr(0, field.find(':')), "host")) continue;
        if (!url) host = text::trim(field.substr(std::min(field.find(':'), field.size() - 1) + 1));
        has_host = true;
    }
    out.port = secure ? 443 : 80;
    const std::size_t colon = host.rfind(':');
    if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
        out.port = text::number(host.substr(colon + 1)).value_or(out.port);
    }
    std::string_view front = url && !target.starts_with('/') ? "/" : "";
    if (url && target.empty() && parts.method == "OPTIONS") front = "*";  // RFC 9112 3.2.4
    out.text = fmt::format("{} {}{} HTTP/1.1\r\n", parts.method, front, target);
    if (!has_host) out.text += fmt::format("Host: {}\r\n", host);
    for (const std::string_view field : parts.fields) out.text += fmt::format("{}\r\n", field);
    out.text += "\r\n";
    return out;
}

Result<std::uint32_t, std::string> choose_listener(const config::Config& config, std::string_view name,
                                                   std::uint64_t port) {
    if (config.listeners.empty()) return Failed{std::string("there is no listener")};
    std::vector<std::uint32_t> fits;
    std::string names;
    for (std::uint32_t i = 0; i < config.listeners.size(); i++) {
        const config::Listener& listener = config.listeners[i];
        names += (i == 0 ? "" : " ") + listener.name;
        const auto same_port = [&](const config::Bind& bind) { return bind.address.port() == port; };
        const bool wanted =
            name.empty() ? config.listeners.size() == 1 || std::ranges::any_of(listener.binds, same_port)
                         : listener.name == name;
        if (wanted) fits.push_back(i);
    }
    if (fits.size() == 1) return fits.front();
    if (!name.empty())
        return Failed{fmt::format("there is no listener {}; there are {}", escaped(name), names)};
    return Failed{fmt::format("{} listener has port {}: choose one of {} with --listener",
                              fits.empty() ? "no" : "more than one", port, names)};
}

int status_of(http::HeadError error) noexcept {
    switch (error) {
        case http::HeadError::uri_too_long: return 414;
        case http::HeadError::too_large: return 431;
        case http::HeadError::not_implemented: return 501;
        case http::HeadError::expectation: return 417;
        case http::HeadError::bad_version: return 505;
        case http::HeadError::none:
        case http::HeadError::bad_request:
        case http::HeadError::bad_response: break;
    }
    return 400;
}

// Whether Max-Forwards says that the request goes no further (RFC 9110 7.6.2).
bool ends_here(const http::RequestHead& head) {
    if (head.method != http::Method::options) return false;
    std::optional<std::string_view> hops;
    for (const http::Field& field : head.fields) {
        if (field.id != http::FieldId::max_forwards) continue;
        if (hops) return false;
        hops = field.value;
    }
    return hops && !hops->empty() && hops->find_first_not_of('0') == std::string_view::npos;
}

// What a rewrite makes of a request. Variables that only a worker knows stand there by their names.
struct Rewriting {
    bool too_long = false;
    std::string text;
};

Rewriting rewriting(const config::Rewrite& rewrite, const http::RequestHead& head) {
    const std::string rule = fmt::format("{} to {}", rewrite.pattern.source(), rewrite.to.source);
    const route::Found found(rewrite.pattern, head);
    if (!found) return {false, rule + ": the pattern is not found, nothing is changed"};
    std::string made;
    bool whole = true;  // no value is missing
    for (const config::Piece& piece : rewrite.to.pieces) {
        if (piece.variable == config::Variable::text) {
            made += piece.text;
        } else if (piece.variable == config::Variable::capture) {
            made += found.groups()[piece.capture];
        } else {
            const auto* spec =
                std::ranges::find(config::variables, piece.variable, &config::VariableSpec::id);
            std::string argument = piece.text;
            if (piece.variable == config::Variable::http) std::ranges::replace(argument, '-', '_');
            made += fmt::format("${}{}", spec->name, argument);
            whole = false;
        }
    }
    std::string target;
    const bool fits = route::make_target(target, std::move(made), rewrite.to, head);
    if (whole && !fits) return {true, rule + ": too long"};
    return {false, fmt::format("{}: {}{}", rule, found.in_copy() ? "taken as compared, " : "", target)};
}

// -- backends

std::string utc(std::int64_t seconds) {
    const std::time_t time = seconds;
    std::tm parts{};
    char text[32];
    if (gmtime_r(&time, &parts) == nullptr) return "?";
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

// One pool as its workers see it at this moment.
class PoolView {
 public:
    PoolView(const config::Pool& pool, const shm::Segment& table, std::uint64_t seed)
        : pool_(pool), table_(table) {
        const auto* published =
            table.block<shm::PublishedPool>(table.pool(pool.slot).published.load(std::memory_order_acquire));
        if (published != nullptr) {
            eligible_ = published->eligible();
            schedule_ = published->schedule();
        }
        switch (pool.policy) {
            case config::Policy::round_robin: find_turns(); break;
            case config::Policy::least_conn: {
                Random random(seed);
                const auto in_flight = [this](std::uint32_t slot) noexcept { return load(slot); };
                next_ = balance::pick_least_conn(eligible_, in_flight, {}, random);
                break;
            }
        }
    }

    [[nodiscard]] bool usable() const noexcept { return next_.has_value(); }
    [[nodiscard]] std::string next_name() const { return std::string(name_of(eligible_[*next_].backend)); }

    [[nodiscard]] std::vector<std::pair<std::string, std::string>> rows() const {
        std::unordered_map<std::uint32_t, std::uint32_t> places;  // slot to index into eligible_
        for (std::uint32_t i = 0; i < eligible_.size(); i++) places.emplace(eligible_[i].backend, i);
        std::vector<std::pair<std::string, std::string>> rows;
        for (const config::Backend& backend : pool_.backends) {
            const auto place = places.find(backend.slot);
            rows.emplace_back(described(backend.slot),
                              place == places.end() ? why_unusable(backend.slot) : why_now(place->second));
            if (place != places.end()) places.erase(place);
        }
        // While a reload is under way, workers choose among the backends of the new configuration already.
        for (std::uint32_t i = 0; i < eligible_.size(); i++) {
            if (places.contains(eligible_[i].backend))
                rows.emplace_back(described(eligible_[i].backend), why_now(i));
        }
        return rows;
    }

 private:
    [[nodiscard]] std::uint32_t load(std::uint32_t slot) const noexcept {
        return table_.backend_cell(slot).in_flight.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::string_view name_of(std::uint32_t slot) const noexcept {
        return table_.text(table_.backend(slot).name.load(std::memory_order_acquire));
    }

    // How many requests come before the turn of each.
    void find_turns() {
        const std::uint64_t cursor = table_.pool_cell(pool_.slot).cursor.load(std::memory_order_relaxed);
        next_ = balance::pick_round_robin(eligible_, schedule_, cursor, {});
        turns_.assign(eligible_.size(), 0);
        std::vector<char> seen(eligible_.size());
        for (std::size_t i = 0; i < schedule_.size(); i++) {
            const std::uint32_t choice = schedule_[(cursor + i) % schedule_.size()];
            if (std::exchange(seen[choice], 1) == 0) turns_[choice] = i;
        }
    }

    [[nodiscard]] std::string described(std::uint32_t slot) const {
        std::string name(name_of(slot));
        const auto* addresses =
            table_.block<shm::AddressBlock>(table_.backend(slot).addresses.load(std::memory_order_acquire));
        if (addresses == nullptr || addresses->count == 0) return name + " (no address)";
        const std::string address = to_string(addresses->data()[0]);
        if (addresses->count > 1)
            return name + fmt::format(" ({} and {} more)", address, addresses->count - 1);
        return address == name ? name : name + fmt::format(" ({})", address);
    }

    [[nodiscard]] std::string why_now(std::uint32_t index) const {
        const shm::Eligible& one = eligible_[index];
        const bool next = next_ == index;
        if (pool_.policy == config::Policy::round_robin) {
            return next ? "next: it is its turn"
                        : fmt::format("usable: its turn comes in {} request{}", turns_[index],
                                      turns_[index] == 1 ? "" : "s");
        }
        const std::string carries =
            one.weight == 1 ? fmt::format("{} in flight", load(one.backend))
                            : fmt::format("{} in flight for weight {}", load(one.backend), one.weight);
        if (eligible_.size() > balance::least_conn_scan) {
            return next ? fmt::format("next: {}, the least of {} drawn by chance", carries,
                                      balance::least_conn_samples)
                        : fmt::format("usable: {}", carries);
        }
        if (next) return fmt::format("next: {}, the least", carries);
        const shm::Eligible& best = eligible_[*next_];
        const bool same = (std::uint64_t{load(one.backend)} + 1) * best.weight ==
                          (std::uint64_t{load(best.backend)} + 1) * one.weight;
        return fmt::format("usable: {}, {}", carries, same ? "as good: chance decides" : "more load");
    }

    [[nodiscard]] std::string why_unusable(std::uint32_t slot) const {
        const shm::BackendSlot& backend = table_.backend(slot);
        const std::string reason = escaped(table_.text(backend.check_reason.load(std::memory_order_acquire)));
        const std::int64_t changed = backend.changed.load(std::memory_order_acquire);
        switch (backend.health.load(std::memory_order_acquire)) {
            case shm::Health::down:
                return fmt::format("down{}{}{}", changed == 0 ? "" : " since " + utc(changed),
                                   reason.empty() ? "" : ": ", reason);
            case shm::Health::checking: return "checking: not used before its first check has passed";
            case shm::Health::up: break;
        }
        const bool spare = backend.backup.load(std::memory_order_acquire) != 0 && !eligible_.empty();
        return spare ? "backup: not used while a primary is usable" : "up, but not published yet";
    }

    const config::Pool& pool_;
    const shm::Segment& table_;
    std::span<const shm::Eligible> eligible_;
    std::span<const std::uint32_t> schedule_;
    std::optional<std::uint32_t> next_;  // index into eligible_
    std::vector<std::size_t> turns_;     // round robin; of eligible_
};

// -- the answer

class Explaining {
 public:
    Explaining(const config::Config& config, const shm::Segment& table, std::uint64_t seed, Explained& out)
        : config_(config), table_(table), seed_(seed), out_(out), lines_(out.lines) {}

    void run(const Parts& parts) {
        const Written written = write_request(parts);
        const auto listener = choose_listener(config_, parts.listener, written.port);
        if (!listener) return end(false, listener.error());
        auto client = parse_host(parts.from.empty() ? "127.0.0.1" : parts.from, 0);
        if (!client) return end(false, client.error());
        const config::Listener& from = config_.listeners[listener.value()];
        http::RequestHead head;
        const http::HeadResult parsed =
            http::parse_request(written.text, 0, {from.traffic.max_header, from.traffic.max_headers}, head);
        if (parsed.state == http::HeadResult::State::error) {
            return end(false, fmt::format("refused with {}: {}", status_of(parsed.error), parsed.why));
        }
        if (parsed.state != http::HeadResult::State::complete || parsed.consumed != written.text.size()) {
            return end(false, "that is not one request");
        }
        say_request(head, client.value(), from);
        if (head.method == http::Method::trace) return end(false, "refused with 405: TRACE");
        decide({listener.value(), head, client.value()});
    }

 private:
    void end(bool found, std::string text) {
        out_.found = found;
        out_.outcome = std::move(text);
    }

    void say_request(const http::RequestHead& head, const Address& client, const config::Listener& listener) {
        std::string from;
        append_host(from, client);
        lines_.add("request", fmt::format("{} {} from {}", head.method_text, head.target, from));
        std::string scratch;
        route::HostRoom room;
        const std::string_view host = route::compared_host(head.host, room);
        const std::string path =
            head.target == "*" ? "no path" : "path " + escaped(route::normalise(head.target, scratch));
        lines_.add("compared", fmt::format("host {}, {}", host.empty() ? "none" : host, path));
        lines_.add("listener", listener.name);
    }

    void decide(const route::Question& question) {
        route::Matcher matcher(config_);
        const std::vector<route::Matcher::Verdict> verdicts = matcher.explain(question);
        const auto taken = std::ranges::find(verdicts, true, &route::Matcher::Verdict::taken);
        const config::Route* route = taken == verdicts.end() ? nullptr : &config_.routes[taken->route];
        std::vector<std::pair<std::string, std::string>> rows;
        rows.reserve(verdicts.size());
        for (const auto& verdict : verdicts) {
            const std::string& name = config_.routes[verdict.route].name;
            if (verdict.taken) {
                rows.emplace_back(name, "taken");
            } else if (verdict.why.empty()) {
                rows.emplace_back(name, fmt::format("would hold, but {} comes first", route->name));
            } else {
                rows.emplace_back(name, verdict.why);
            }
        }
        if (rows.empty()) rows.emplace_back("none", "there are no routes");
        lines_.table("route", rows);
        const config::Listener& listener = config_.listeners[question.listener];
        if (refused(route, listener, question.head) || answered(route)) return;
        if (route == nullptr && listener.pool == config::no_index) {
            return end(false, fmt::format("404: no route, and listener {} has no pool", listener.name));
        }
        if (ends_here(question.head)) return end(true, "answer 200 of lb's own: Max-Forwards is 0");
        if (route == nullptr)
            return show_pools({{listener.pool, 1}}, fmt::format("of listener {}", listener.name));
        if (route->mirror) {
            lines_.add("mirror",
                       fmt::format("{}% of the requests to pool {}", route->mirror->share / 10'000.0,
                                   config_.pools[route->mirror->pool].name));
        }
        show_pools(route->pools, fmt::format("of route {}", route->name));
    }

    // By limits; `route` may be null.
    bool refused(const config::Route* route, const config::Listener& listener,
                 const http::RequestHead& head) {
        if (route != nullptr && route->rewrite) {
            const Rewriting made = rewriting(*route->rewrite, head);
            lines_.add("rewrite", made.text);
            if (made.too_long) {
                end(false, "refused with 414: the rewritten path is too long");
                return true;
            }
        }
        const std::uint64_t most =
            route != nullptr && route->max_body ? *route->max_body : listener.traffic.max_body;
        if (head.body.kind != http::BodyKind::length || head.body.length <= most) return false;
        end(false, fmt::format("refused with 413: the body is longer than max_body, {} bytes", most));
        return true;
    }

    // By the route itself; `route` may be null.
    bool answered(const config::Route* route) {
        if (route != nullptr && route->redirect) {
            end(true,
                fmt::format("redirect {} to {}", route->redirect->status, route->redirect->location.source));
            return true;
        }
        if (route == nullptr || !route->respond) return false;
        const config::Respond& respond = *route->respond;
        if (respond.path.empty()) {
            end(true, fmt::format("answer {} with a page of lb's own", respond.status));
        } else {
            end(true, fmt::format("answer {} with {}: {} bytes, {}", respond.status, respond.path,
                                  respond.content ? respond.content->size() : 0, respond.content_type));
        }
        return true;
    }

    void show_pools(const std::vector<config::Share>& shares, const std::string& whose) {
        std::uint64_t all = 0;
        for (const config::Share& share : shares) all += share.weight;
        for (const config::Share& share : shares) {
            const config::Pool& pool = config_.pools[share.pool];
            const PoolView view(pool, table_, seed_);
            const std::string part =
                shares.size() == 1 ? "" : fmt::format(": {} of {} requests, by a counter", share.weight, all);
            const std::string_view policy = config::policy_names[static_cast<std::size_t>(pool.policy)];
            lines_.add("pool", fmt::format("{} ({}) {}{}", pool.name, policy, whose, part));
            lines_.table("backend", view.rows());
            end(true, view.usable()
                          ? fmt::format("backend {} of pool {} is next", view.next_name(), pool.name)
                          : fmt::format("503: no backend of pool {} is usable", pool.name));
        }
        if (shares.size() > 1) end(true, fmt::format("one of {} pools, by their weights", shares.size()));
    }

    const config::Config& config_;
    const shm::Segment& table_;
    std::uint64_t seed_;
    Explained& out_;
    Lines lines_;
};

}  // namespace

Explained explain(std::string_view request, const config::Config& config, const shm::Segment& table,
                  std::uint64_t seed) {
    Explained out;
    const auto parts = split(request);
    if (!parts) {
        out.outcome = parts.error();
        return out;
    }
    Explaining(config, table, seed, out).run(parts.value());
    return out;
}

void explain(std::string_view request, const config::Config* serving, const shm::Segment& table,
             const CallerPtr& caller) {
    if (serving == nullptr) return caller->done(false, "starting: nothing serves yet");
    const Explained said = explain(request, *serving, table, static_cast<std::uint64_t>(monotonic_now()));
    for (const std::string& line : said.lines) caller->info(line);
    caller->done(said.found, said.outcome);
}

}  // namespace lb
