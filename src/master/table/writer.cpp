// master/table/writer.cpp -- verdicts, publication, columns and the tick.
#include "master/table/writer.h"

#include <algorithm>
#include <ctime>

#include "master/table/state.h"

namespace lb {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto release = std::memory_order_release;
constexpr std::size_t auto_detail_backends = 500;

bool keeps_detail(const config::Config& config) noexcept {
    if (config.admin.backend_histograms != config::Switch::automatic) {
        return config.admin.backend_histograms == config::Switch::on;
    }
    std::size_t total = 0;
    for (const auto& pool : config.pools) total += pool.backends.size();
    return total <= auto_detail_backends;
}

}  // namespace

TableWriter::State::State(const shm::Segment& s)
    : segment(&s),
      arena(s),
      publisher(s, arena),
      columns(s),
      listeners(s.header().listeners),
      routes(s.header().routes),
      pools(s.header().pools),
      backends(s.header().backends),
      own(s, 0) {}

void TableWriter::State::mark_dirty(std::uint32_t pool) {
    if (pools[pool].dirty) return;
    pools[pool].dirty = true;
    dirty.push_back(pool);
}

std::span<const config::Backend> TableWriter::State::members(std::uint32_t pool) {
    const auto* from = pools[pool].members;
    return from == nullptr ? std::span<const config::Backend>{} : std::span(from->backends);
}

bool TableWriter::State::publish(std::uint32_t pool) {
    if (publisher.pool(pool, members(pool)) == table::Publisher::Outcome::no_room) return false;
    pools[pool].dirty = false;
    return true;
}

std::size_t TableWriter::State::flush() {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < dirty.size(); i++) {
        const auto pool = dirty[i];
        if (!pools[pool].dirty || publish(pool)) continue;
        seal();
        arena.reclaim(columns.reached());
        if (!publish(pool)) dirty[kept++] = pool;
    }
    dirty.resize(kept);
    seal();
    return kept;
}

std::uint64_t TableWriter::State::next_epoch() noexcept {
    return segment->header().epoch.fetch_add(1, release) + 1;
}

// Blocks replaced so far may be used again once everybody has reached an epoch that began after their replacement.
void TableWriter::State::seal() {
    if (arena.unsealed()) arena.seal(next_epoch());
}

TableWriter::TableWriter(const shm::Segment& segment) : state_(std::make_unique<State>(segment)) {}
TableWriter::~TableWriter() = default;

Result<Nothing, std::string> TableWriter::adopt(config::Config& config, std::uint32_t generation) {
    return state_->adopt(config, generation);
}

Result<std::shared_ptr<const config::Config>, std::string> TableWriter::update(config::Config config,
                                                                               std::uint32_t generation) {
    return state_->update(std::move(config), generation);
}

void TableWriter::begin(std::shared_ptr<const config::Config> config, std::uint32_t generation) {
    state_->begin(std::move(config), generation);
}

void TableWriter::retire(std::uint32_t generation) { state_->retire(generation); }

void TableWriter::set_health(std::uint32_t backend, shm::Health health, std::string_view reason) {
    auto& s = *state_;
    if (!s.backends.has(backend)) return;
    auto& slot = s.segment->backend(backend);
    reason = reason.substr(0, State::max_reason);
    if (s.segment->text(slot.check_reason.load(relaxed)) != reason) {
        // Without room for the text the verdict still counts; no reason is better than an old one.
        s.publisher.replace(slot.check_reason, s.publisher.text(reason).value_or(0));
    }
    const auto before = slot.health.load(relaxed);
    if (before == health) return;
    slot.health.store(health, release);
    slot.changed.store(std::time(nullptr), release);
    if ((before == shm::Health::up) != (health == shm::Health::up)) s.mark_dirty(s.backends[backend].pool);
}

std::size_t TableWriter::flush() { return state_->flush(); }

Result<std::uint32_t, std::string> TableWriter::claim_column(shm::Role role, std::uint32_t generation,
                                                             std::uint32_t worker,
                                                             const config::Config& config) {
    auto& s = *state_;
    const table::Rows rows{s.listeners.ids().mark(), s.routes.ids().mark(), s.pools.ids().mark(),
                           s.backends.ids().mark()};
    return s.columns.claim(role, generation, worker, rows, role == shm::Role::worker && keeps_detail(config));
}

void TableWriter::column_started(std::uint32_t column, std::int32_t pid) {
    state_->columns.started(column, pid);
}

void TableWriter::column_draining(std::uint32_t column) { state_->columns.draining(column); }

void TableWriter::column_ended(std::uint32_t column) { state_->columns.ended(column); }

void TableWriter::tick(Micros now) {
    auto& s = *state_;
    s.flush();
    s.take_back_slots();
    s.arena.reclaim(s.columns.reached());
    if (s.last_repair != 0 && now - s.last_repair < State::repair_interval) return;
    s.last_repair = now;
    const auto mark = s.backends.ids().mark();
    if (s.next_repair >= mark) s.next_repair = 0;
    const auto last = std::min(mark, s.next_repair + State::repair_batch);
    s.columns.repair(s.next_repair, last);
    s.next_repair = last;
}

shm::Column& TableWriter::column() noexcept { return state_->own; }

TableWriter::Usage TableWriter::usage() const noexcept {
    const auto& s = *state_;
    return {s.listeners.ids().in_use(), s.routes.ids().in_use(), s.pools.ids().in_use(),
            s.backends.ids().in_use(),  s.retiring.size(),       s.arena.bytes_used(),
            s.arena.blocks_waiting()};
}

}  // namespace lb
