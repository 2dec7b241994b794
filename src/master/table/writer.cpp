// master/table/writer.cpp -- verdicts, operator's states, publication and columns.
#include "master/table/writer.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "master/table/slow_start.h"
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
      limits(s.header().limits),
      pools(s.header().pools),
      backends(s.header().backends),
      own(s, 0) {}

void TableWriter::State::mark_dirty(std::uint32_t pool) {
    if (pools[pool].dirty) return;
    pools[pool].dirty = true;
    dirty.push_back(pool);
}

// The parts of a pool's members that start slowly, empty when none does. Who was not usable and is now begins.
std::span<const std::uint16_t> TableWriter::State::warm_up(std::uint32_t pool) {
    auto& record = pools[pool];
    parts.clear();
    if (record.members != nullptr) {
        const auto& list = record.members->backends;
        const Micros length = to_micros(record.members->slow_start);
        for (std::size_t i = 0; i < list.size(); i++) {
            auto& backend = backends[list[i].slot];
            if (!table::usable(segment->backend(list[i].slot), list[i])) {
                backend.warming = 0;
                continue;
            }
            if (std::exchange(backend.cold, false)) backend.warming = std::max<Micros>(now, 1);
            if (backend.warming == 0) continue;
            const auto part =
                length > 0 ? table::slow_start_part(backend.warming, now, length) : table::whole_part;
            if (part == table::whole_part) {
                backend.warming = 0;
                continue;
            }
            if (parts.empty()) parts.assign(list.size(), table::whole_part);
            parts[i] = part;
        }
        if (!parts.empty()) {
            if (record.next_step == 0) starting.push_back(pool);
            record.next_step = now + table::slow_start_step(length);
        }
    }
    if (parts.empty()) record.next_step = 0;
    return parts;
}

bool TableWriter::State::publish(std::uint32_t pool) {
    auto& record = pools[pool];
    const table::PoolView view{record.members, record.spill, warm_up(pool)};
    if (publisher.pool(pool, view) == table::Publisher::Outcome::no_room) return false;
    record.dirty = false;
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
    if (health == shm::Health::down) s.backends[backend].cold = true;
    if ((before == shm::Health::up) != (health == shm::Health::up)) s.mark_dirty(s.backends[backend].pool);
}

void TableWriter::set_operator(std::uint32_t backend, shm::Operator state, std::uint32_t weight) {
    auto& s = *state_;
    if (!s.backends.has(backend)) return;
    auto& record = s.backends[backend];
    auto& slot = s.segment->backend(backend);
    record.operator_weight = weight;
    if (state != shm::Operator::ready) record.cold = true;
    const auto in_force = static_cast<std::uint16_t>(weight != 0 ? weight : record.configured_weight);
    if (slot.operator_state.load(relaxed) == state && slot.weight.load(relaxed) == in_force) return;
    slot.operator_state.store(state, release);
    slot.weight.store(in_force, release);
    s.mark_dirty(record.pool);
}

void TableWriter::set_ejected(std::uint32_t backend, std::int64_t until) {
    auto& s = *state_;
    if (!s.backends.has(backend)) return;
    auto& slot = s.segment->backend(backend);
    const auto before = slot.ejected_until.load(relaxed);
    if (before == until) return;
    slot.ejected_until.store(until, release);
    if (until != 0) s.backends[backend].cold = true;
    if ((before == 0) == (until == 0)) return;
    if (until == 0) {
        auto& cell = s.segment->backend_cell(backend);
        cell.failures.store(0, relaxed);
        cell.failing_since.store(0, relaxed);
    }
    s.mark_dirty(s.backends[backend].pool);
}

void TableWriter::set_member_of(std::uint32_t backend, shm::MemberOf member_of, std::int64_t expires) {
    auto& s = *state_;
    if (!s.backends.has(backend)) return;
    auto& slot = s.segment->backend(backend);
    slot.member_of.store(member_of, release);
    slot.expires.store(expires, release);
}

std::size_t TableWriter::flush() { return state_->flush(); }

Result<std::uint32_t, std::string> TableWriter::claim_column(shm::Role role, std::uint32_t generation,
                                                             std::uint32_t worker,
                                                             const config::Config& config) {
    auto& s = *state_;
    const table::Rows rows{.listeners = s.listeners.ids().mark(),
                           .routes = s.routes.ids().mark(),
                           .limits = s.limits.ids().mark(),
                           .pools = s.pools.ids().mark(),
                           .backends = s.backends.ids().mark()};
    return s.columns.claim(role, generation, worker, rows, role == shm::Role::worker && keeps_detail(config));
}

void TableWriter::column_started(std::uint32_t column, std::int32_t pid) {
    state_->columns.started(column, pid);
}

void TableWriter::column_draining(std::uint32_t column) { state_->columns.draining(column); }

void TableWriter::column_ended(std::uint32_t column) { state_->columns.ended(column); }

void TableWriter::tick(Micros now) { state_->tick(now); }

shm::Column& TableWriter::column() noexcept { return state_->own; }

TableWriter::Usage TableWriter::usage() const noexcept {
    const auto& s = *state_;
    return {s.listeners.ids().in_use(), s.routes.ids().in_use(),   s.limits.ids().in_use(),
            s.pools.ids().in_use(),     s.backends.ids().in_use(), s.retiring.size(),
            s.arena.bytes_used(),       s.arena.blocks_waiting()};
}

}  // namespace lb
