// master/discovery/discovery.cpp -- see discovery.h. One timer: for the book's next question, or for what to report.
#include "master/discovery/discovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "master/discovery/book.h"
#include "master/discovery/dns_source.h"
#include "master/discovery/file_source.h"
#include "master/discovery/line_limit.h"
#include "master/discovery/resolver.h"
#include "shared/base/log.h"
#include "shared/net/event_ptr.h"

namespace lb::discovery {
namespace {

constexpr std::uint32_t lines_a_second = 10;

std::string what_of(const Question& question) {
    return (question.kind == Question::Kind::srv ? "services of " : "") + question.name;
}

}  // namespace

struct Discovery::State {
    struct Found {
        config::Discover wanted;
        std::unique_ptr<Source> source;
        DnsSource* dns = nullptr;  // the same, if it is one
    };

    State(event_base* loop, Reports to, const std::string& hosts)
        : base(loop),
          reports(std::move(to)),
          resolver(loop, reports.counted, hosts),
          book({[this](const Question& question) { ask(question); },
                [this](const Question& question) { learnt(question); },
                [this](const Question& question, const std::string& error) { trouble(question, error); }},
               static_cast<std::uint64_t>(monotonic_now())) {}

    void want(const Wanted& wanted, const config::Resolver& settings);
    void ask(const Question& question);
    void learnt(const Question& question);
    void trouble(const Question& question, const std::string& error);
    void say(log::Level level, const std::string& text);
    std::unique_ptr<Source> make(const config::Discover& wanted, DnsSource*& dns);
    void wake();
    void turn();

    event_base* base;
    Reports reports;
    Resolver resolver;
    Book book;
    std::vector<Found> sources;
    LineLimit lines{lines_a_second};
    std::vector<Address> nameservers;
    std::uint64_t round = 0;  // of them
    Micros stale = 0;
    bool changed = false;
    EventPtr timer;
};

void Discovery::State::want(const Wanted& wanted, const config::Resolver& settings) {
    const Clamps clamps = clamps_of(settings);
    stale = std::max(clamps.stale, Freshness::least_stale);
    book.set_clamps(clamps);
    resolver.use(settings.nameservers);
    if (std::exchange(nameservers, settings.nameservers) != settings.nameservers) {
        round++;
        book.ask_anew(monotonic_now());
    }
    std::set<Question> questions;
    for (const std::string& name : wanted.names) questions.insert({Question::Kind::addresses, name});
    for (const config::Discover& source : wanted.sources) {
        if (source.kind != config::DiscoverKind::file) questions.insert(DnsSource::question_of(source));
    }
    book.watch(questions, monotonic_now());
    std::erase_if(sources, [&](const Found& each) {
        return std::find(wanted.sources.begin(), wanted.sources.end(), each.wanted) == wanted.sources.end();
    });
    for (const config::Discover& each : wanted.sources) {
        const bool there = std::any_of(sources.begin(), sources.end(),
                                       [&](const Found& found) { return found.wanted == each; });
        if (there) continue;
        Found found{each, nullptr, nullptr};
        found.source = make(each, found.dns);
        sources.push_back(std::move(found));
    }
    wake();
}

std::unique_ptr<Source> Discovery::State::make(const config::Discover& wanted, DnsSource*& dns) {
    if (wanted.kind != config::DiscoverKind::file) {
        auto source = std::make_unique<DnsSource>(book, wanted);
        dns = source.get();
        return source;
    }
    auto source = std::make_unique<FileSource>(
        base, wanted.path,
        FileSource::Calls{[this] {
                              changed = true;
                              wake();
                          },
                          [this, path = wanted.path](const std::string& error) {
                              if (error.empty())
                                  return say(log::Level::notice, fmt::format("{}: read again", path));
                              say(log::Level::error, fmt::format("{}; the last set stays", error));
                          }});
    if (!source->error().empty())
        say(log::Level::error, fmt::format("{}; nothing is known yet", source->error()));
    return source;
}

void Discovery::State::ask(const Question& question) {
    resolver.ask(question, [this, of = round](const Question& asked, const Reply& reply) {
        if (of != round) return;  // from name servers that are asked no more
        book.answered(asked, reply, monotonic_now());
        wake();
    });
}

void Discovery::State::learnt(const Question& question) {
    for (const Found& each : sources) {
        if (each.dns != nullptr && DnsSource::question_of(each.wanted) == question) each.dns->look();
    }
    changed = true;
}

void Discovery::State::trouble(const Question& question, const std::string& error) {
    if (error.empty()) {
        say(log::Level::notice, fmt::format("{} can be resolved again", what_of(question)));
        return;
    }
    const bool known = question.kind == Question::Kind::srv ? book.services(question.name) != nullptr
                                                            : book.addresses(question.name) != nullptr;
    say(log::Level::warn,
        fmt::format("cannot resolve {}: {}{}", what_of(question), error,
                    known ? fmt::format("; the last answer is kept for up to {} s", stale / 1'000'000) : ""));
}

void Discovery::State::say(log::Level level, const std::string& text) {
    if (lines.allows(monotonic_now())) log::line(level, "{}", text);
}

// What is to be reported goes out in a turn of its own: whoever hears of it may fork or want something else.
void Discovery::State::wake() {
    if (!timer) {
        timer.reset(evtimer_new(
            base, [](evutil_socket_t, short, void* self) { static_cast<State*>(self)->turn(); }, this));
        if (!timer) {
            log::error("discovery: no memory for a timer");
            return;
        }
    }
    const auto next = book.next();
    if (!changed && !next) {
        evtimer_del(timer.get());
        return;
    }
    const Micros wait = changed ? 0 : std::max<Micros>(*next - monotonic_now(), 0);
    const timeval t{wait / 1'000'000, wait % 1'000'000};
    evtimer_add(timer.get(), &t);
}

void Discovery::State::turn() {
    const Micros now = monotonic_now();
    book.turn(now);
    if (const auto more = lines.take_left_out(now); more != 0) {
        log::notice("discovery: {} more lines like these were left out", more);
    }
    const bool tell = std::exchange(changed, false);
    wake();
    if (tell) reports.changed();
}

void Wanted::add(const config::Discover& source) {
    if (std::find(sources.begin(), sources.end(), source) == sources.end()) sources.push_back(source);
}

Discovery::Discovery(event_base* base, Reports reports, const std::string& hosts)
    : state_(std::make_unique<State>(base, std::move(reports), hosts)) {}
Discovery::~Discovery() = default;

void Discovery::want(const Wanted& wanted, const config::Resolver& settings) {
    state_->want(wanted, settings);
}

void Discovery::retry() {
    state_->book.retry_unknown(monotonic_now());
    state_->wake();
}

const Members* Discovery::members(const config::Discover& source) const {
    for (const auto& each : state_->sources) {
        if (each.wanted == source) return each.source->members();
    }
    return nullptr;
}

const std::vector<Address>* Discovery::addresses(const std::string& name) const {
    return state_->book.addresses(name);
}

std::string Discovery::why_unresolved(const std::string& name) const {
    const std::string error = state_->book.error({Question::Kind::addresses, name});
    return fmt::format("cannot resolve {}{}{}", name, error.empty() ? "" : ": ", error);
}

bool Discovery::settled() const {
    return !state_->changed && state_->book.settled() &&
           std::all_of(state_->sources.begin(), state_->sources.end(),
                       [](const auto& each) { return each.source->settled(); });
}

void Discovery::stop() {
    state_->timer.reset();
    state_->resolver.stop();
    state_->sources.clear();
}

}  // namespace lb::discovery
