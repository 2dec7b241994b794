// master/health/board.cpp -- see board.h.
//
// One timer for everything: it is set for the earliest due check or deadline, rounded up to a tick. Each time
// it runs, it ends what is late, starts at most `starts_a_turn` probes, and leaves the rest to the next turn
// of the loop, so that ten thousand new backends are checked as fast as the machine can, but never in one go.
//
//   agenda_ --due--> start --outcome--> verdict --> agenda_
//                      |                   ^
//                      +--deadlines_-------+   "timeout after 1s"
//
// A flight may outlive its outcome (a body being read away); it ends by itself, at its deadline, or when the
// next check of its backend is due.
#include "master/health/board.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "master/health/probe.h"
#include "master/health/schedule.h"
#include "master/health/verdict.h"
#include "shared/base/log.h"
#include "shared/base/random.h"
#include "shared/net/event_ptr.h"

namespace lb::health {
namespace {

using shm::Health;

constexpr unsigned starts_a_turn = 64;
constexpr std::size_t most_flights = 1024;
constexpr Micros tick = 10'000;
constexpr Micros suspect_gap = 100'000;
constexpr Micros local_retry = 500'000;  // after this host, not the backend, was at fault
constexpr Micros local_log_gap = 10'000'000;

std::string span_text(config::Millis t) {
    if (t.count() % 1000 == 0) return fmt::format("{}s", t.count() / 1000);
    return fmt::format("{}ms", t.count());
}

}  // namespace

struct Board::State {
    // Members are destroyed from last to first: the event goes before the socket it watches.
    struct Flight {
        State* board;
        std::uint32_t slot;
        std::size_t address;  // index of the backend's addresses
        std::unique_ptr<Probe> probe;
        EventPtr event;
        bool answered = false;
        std::optional<Outcome> failure = std::nullopt;  // of the first address that failed
    };
    struct Entry {
        std::shared_ptr<const config::Config> owner;  // keeps the two below
        const config::Pool* pool = nullptr;
        const config::Backend* backend = nullptr;
        Verdict verdict;
        Micros started = 0;       // of the last check; 0: none yet
        std::uint64_t round = 0;  // of configure
        bool lost = false;        // down for want of an address, and reported so
        std::unique_ptr<Flight> flight;
    };

    State(event_base* loop, Reports to) : base(loop), reports(std::move(to)) {}

    void configure(const std::vector<std::shared_ptr<const config::Config>>& generations);
    void adopt(const std::shared_ptr<const config::Config>& owner, const config::Pool& pool,
               const config::Backend& backend);
    void enter(Entry& entry, std::uint32_t slot);
    void lose(Entry& entry, std::uint32_t slot);
    void suspect(std::uint32_t slot);
    void stop();

    void turn();
    void wake();
    void start(std::uint32_t slot, Micros now);
    void launch(std::uint32_t slot, std::size_t address, std::optional<Outcome> failure = std::nullopt);
    void step(std::uint32_t slot, Step step);
    void expire(std::uint32_t slot);
    void conclude(std::uint32_t slot, const Outcome& outcome);
    void land(Entry& entry, std::uint32_t slot);
    void settle();

    event_base* base;
    Reports reports;
    std::unordered_map<std::uint32_t, Entry> entries;
    Agenda agenda;
    Agenda deadlines;
    std::size_t flights = 0;
    std::size_t pending = 0;
    std::uint64_t round = 0;
    Random random{static_cast<std::uint64_t>(monotonic_now())};
    EventPtr timer;
    std::vector<std::uint32_t>
        released;  // not up, and by their pool's wish nobody waits for a check: to be reported up
    std::vector<std::uint32_t> unresolved;  // to be reported down at the end of configure()
    std::vector<std::function<void()>> waiting;
    Micros local_logged = 0;
};

// --- what is checked
// ------------------------------------------------------------------------------------------------

void Board::State::configure(const std::vector<std::shared_ptr<const config::Config>>& generations) {
    round++;
    for (const auto& owner : generations) {
        for (const config::Pool& pool : owner->pools) {
            for (const config::Backend& backend : pool.backends) {
                if (backend.slot != config::no_index) adopt(owner, pool, backend);
            }
        }
    }
    for (auto it = entries.begin(); it != entries.end();) {
        if (it->second.round == round && (it->second.pool->check.kind != config::CheckKind::off ||
                                          it->second.backend->addresses.empty())) {
            ++it;
            continue;
        }
        Entry& entry = it->second;
        if (entry.verdict.health() == Health::checking) pending--;
        // Nobody will ever say again that it is up.
        if (entry.round == round && entry.verdict.health() != Health::up) released.push_back(it->first);
        land(entry, it->first);
        agenda.remove(it->first);
        it = entries.erase(it);
    }
    for (const std::uint32_t slot : std::exchange(unresolved, {})) {
        reports.verdict(slot, Health::down, reports.why_unresolved(*entries.at(slot).backend));
    }
    wake();
}

void Board::State::adopt(const std::shared_ptr<const config::Config>& owner, const config::Pool& pool,
                         const config::Backend& backend) {
    const bool off = pool.check.kind == config::CheckKind::off;
    auto it = entries.find(backend.slot);
    if (it != entries.end()) {
        Entry& entry = it->second;
        if (entry.round == round) return;  // a newer generation names it
        // The same slot with another owner: what was learnt about the old one does not count.
        const bool named = !backend.dns_name.empty();
        const bool same = entry.pool->name == pool.name && entry.backend->name == backend.name &&
                          entry.backend->dns_name == backend.dns_name &&
                          (named || entry.backend->addresses == backend.addresses);
        if (same) {
            const bool moved = entry.backend->addresses != backend.addresses;
            const bool other_check =
                !(entry.pool->check == pool.check) || entry.pool->send_proxy != pool.send_proxy;
            const bool had_none = entry.backend->addresses.empty();
            entry.owner = owner;
            entry.pool = &pool;
            entry.backend = &backend;
            entry.round = round;
            if (moved) land(entry, backend.slot);
            if (backend.addresses.empty()) return lose(entry, backend.slot);
            if (off) return;
            if (had_none) {
                enter(entry, backend.slot);
                if (pool.check.start_up) released.push_back(backend.slot);
                return;
            }
            // Another place, check or pace: at once, not when the old one would have been due.
            if ((moved || other_check) && !entry.flight) agenda.set(backend.slot, monotonic_now());
            return;
        }
        if (entry.verdict.health() == Health::checking) pending--;
        land(entry, backend.slot);
        agenda.remove(backend.slot);
        entries.erase(it);
    }
    Entry& entry = entries[backend.slot];
    entry.owner = owner;
    entry.pool = &pool;
    entry.backend = &backend;
    entry.round = round;
    entry.verdict = Verdict(Health::up);  // not counted in `pending` until enter() says so
    if (backend.addresses.empty()) return lose(entry, backend.slot);
    if (!off) enter(entry, backend.slot);
}

// It can be checked, and is so at once.
void Board::State::enter(Entry& entry, std::uint32_t slot) {
    entry.lost = false;
    entry.verdict = Verdict(entry.pool->check.start_up ? Health::up : Health::checking);
    if (entry.verdict.health() == Health::checking) pending++;
    agenda.set(slot, monotonic_now());
}

// Its name leads nowhere (any more).
void Board::State::lose(Entry& entry, std::uint32_t slot) {
    if (std::exchange(entry.lost, true)) return;
    agenda.remove(slot);
    std::erase(released, slot);
    if (entry.verdict.health() == Health::checking) pending--;
    entry.verdict = Verdict(Health::down);
    unresolved.push_back(slot);
}

void Board::State::suspect(std::uint32_t slot) {
    auto it = entries.find(slot);
    if (it == entries.end()) return;
    const Entry& entry = it->second;
    if (entry.backend->addresses.empty()) return;
    if (entry.flight && !entry.flight->answered) return;  // being asked already
    const Micros soonest = std::max(monotonic_now(), entry.started + suspect_gap);
    if (const auto due = agenda.due(slot); due && *due <= soonest) return;
    agenda.set(slot, soonest);
    wake();
}

void Board::State::stop() {
    entries.clear();
    agenda.clear();
    deadlines.clear();
    flights = 0;
    pending = 0;
    released.clear();
    waiting.clear();
    timer.reset();
}

// --- the loop
// -------------------------------------------------------------------------------------------------------

// Sets the timer for whatever comes first.
void Board::State::wake() {
    if (!timer) {
        timer.reset(evtimer_new(
            base, [](evutil_socket_t, short, void* self) { static_cast<State*>(self)->turn(); }, this));
        if (!timer) {
            log::error("health checks: no memory for a timer");
            return;
        }
    }
    const bool at_once = !released.empty() || (!waiting.empty() && pending == 0);
    std::optional<Micros> next = deadlines.next();
    // With every place taken, the next start waits for a flight to end, and that wakes the timer.
    if (const auto due = agenda.next(); due && flights < most_flights)
        next = std::min(*due, next.value_or(*due));
    if (!next && !at_once) {
        evtimer_del(timer.get());
        return;
    }
    const Micros now = monotonic_now();
    // At least a tick for what lies ahead, so that many backends share a turn; nothing for what is already
    // late.
    const Micros wait = at_once || *next <= now ? 0 : std::max(*next - now, tick);
    const timeval t{wait / 1'000'000, wait % 1'000'000};
    evtimer_add(timer.get(), &t);
}

void Board::State::turn() {
    const Micros now = monotonic_now();
    while (const auto slot = deadlines.pop(now)) expire(*slot);
    for (unsigned n = 0; n < starts_a_turn && flights < most_flights; n++) {
        const auto slot = agenda.pop(now);
        if (!slot) break;
        start(*slot, now);
    }
    for (const std::uint32_t slot : std::exchange(released, {})) reports.verdict(slot, Health::up, "");
    wake();
    settle();
}

// Last in a turn: the one who waits may fork, configure or destroy this board.
void Board::State::settle() {
    if (pending != 0 || waiting.empty()) return;
    const auto all = std::exchange(waiting, {});
    for (const auto& done : all) done();
}

// --- one check
// ------------------------------------------------------------------------------------------------------

void Board::State::start(std::uint32_t slot, Micros now) {
    Entry& entry = entries.at(slot);
    land(entry, slot);  // an answered one that still reads a body
    entry.started = now;
    flights++;
    deadlines.set(slot, now + to_micros(entry.pool->check.timeout));
    launch(slot, 0);
}

// One check tries the backend's addresses in their order, all within its one timeout: it passes when one of them does,
// fails when one failed, and says nothing when this host was at fault each time.
void Board::State::launch(std::uint32_t slot, std::size_t address, std::optional<Outcome> failure) {
    Entry& entry = entries.at(slot);
    entry.flight = std::make_unique<Flight>();
    entry.flight->board = this;
    entry.flight->slot = slot;
    entry.flight->address = address;
    entry.flight->failure = std::move(failure);
    entry.flight->probe = make_probe(*entry.pool, *entry.backend, entry.backend->addresses[address]);

    Step first = entry.flight->probe->start();
    if (!first.over) {
        Flight& flight = *entry.flight;
        flight.event.reset(event_new(
            base, flight.probe->descriptor(), EV_READ | EV_WRITE | EV_ET | EV_PERSIST,
            [](evutil_socket_t, short, void* arg) {
                const Flight& mine = *static_cast<Flight*>(arg);
                State& board = *mine.board;
                board.step(mine.slot, mine.probe->ready());
                board.wake();
            },
            &flight));
        if (!flight.event || event_add(flight.event.get(), nullptr) != 0) {
            first = {true, Outcome{Outcome::Kind::local, "cannot watch a socket"}};
        }
    }
    step(slot, std::move(first));
}

// Ends the flight first and speaks about it afterwards: a report may come back into this board.
void Board::State::step(std::uint32_t slot, Step step) {
    Entry& entry = entries.at(slot);
    if (step.outcome && step.outcome->kind != Outcome::Kind::pass) {
        std::optional<Outcome> failure = std::move(entry.flight->failure);
        if (!failure && step.outcome->kind == Outcome::Kind::fail) failure = *step.outcome;
        const std::size_t next = entry.flight->address + 1;
        if (next < entry.backend->addresses.size()) return launch(slot, next, std::move(failure));
        if (failure) step.outcome = std::move(failure);
    }
    if (step.outcome) entry.flight->answered = true;
    if (step.over) land(entry, slot);
    if (step.outcome) conclude(slot, *step.outcome);
}

void Board::State::expire(std::uint32_t slot) {
    Entry& entry = entries.at(slot);
    const bool answered = entry.flight->answered;
    const std::string reason = fmt::format("timeout after {}: {}", span_text(entry.pool->check.timeout),
                                           entry.flight->probe->waiting_for());
    land(entry, slot);
    if (!answered) conclude(slot, {Outcome::Kind::fail, reason});
}

void Board::State::land(Entry& entry, std::uint32_t slot) {
    if (!entry.flight) return;
    entry.flight.reset();
    deadlines.remove(slot);
    flights--;
}

void Board::State::conclude(std::uint32_t slot, const Outcome& outcome) {
    Entry& entry = entries.at(slot);
    const Micros now = monotonic_now();
    if (outcome.kind == Outcome::Kind::local) {
        agenda.set(slot, now + local_retry);
        if (local_logged == 0 || now - local_logged >= local_log_gap) {
            local_logged = now;
            log::warn("health check of {} in pool {} not made: {}", entry.backend->name, entry.pool->name,
                      outcome.reason);
        }
        return;
    }
    const bool passed = outcome.kind == Outcome::Kind::pass;
    const config::Check& check = entry.pool->check;
    const bool first = entry.verdict.health() == Health::checking;
    const bool changed = entry.verdict.add(passed, {check.rise, check.fall});
    if (first) pending--;
    const Micros next = entry.started + delay(to_micros(check.interval), entry.verdict.pace(),
                                              entry.verdict.down_checks(), random);
    agenda.set(slot, std::max(next, now));
    const Health health = entry.verdict.health();

    reports.checked(slot, passed);
    if (changed) reports.verdict(slot, health, outcome.reason);
}

// --- the outside
// ----------------------------------------------------------------------------------------------------

Board::Board(event_base* base, Reports reports) : state_(std::make_unique<State>(base, std::move(reports))) {}
Board::~Board() = default;

void Board::configure(const std::vector<std::shared_ptr<const config::Config>>& generations) {
    state_->configure(generations);
}
std::size_t Board::pending() const noexcept { return state_->pending; }
void Board::when_settled(std::function<void()> done) {
    state_->waiting.push_back(std::move(done));
    state_->wake();
}
void Board::suspect(std::uint32_t slot) { state_->suspect(slot); }
void Board::stop() { state_->stop(); }

}  // namespace lb::health
