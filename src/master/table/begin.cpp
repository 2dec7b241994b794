// master/table/begin.cpp -- a generation's members become what the pools publish.
#include <algorithm>
#include <ctime>
#include <utility>

#include "master/table/state.h"
#include "shared/balance/sticky_id.h"

namespace lb {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto release = std::memory_order_release;

}  // namespace

// A generation's members take over a pool: the slots show what it says, and the next publication lists them.
void TableWriter::State::join(const config::Pool& pool, std::uint32_t spill) {
    auto& record = pools[pool.slot];
    const auto* before = std::exchange(record.members, &pool);
    record.spill = spill;
    const auto* published =
        segment->block<shm::PublishedPool>(segment->pool(pool.slot).published.load(relaxed));
    const bool serving = before != nullptr && published != nullptr && published->usable != 0;
    const bool sticky = pool.sticky.kind == config::StickyKind::cookie;
    const bool other_secret = sticky && record.secret != pool.sticky.secret;
    if (other_secret) record.secret = pool.sticky.secret;
    const auto number = ++joins;
    for (const auto& backend : pool.backends) {
        auto& slot = segment->backend(backend.slot);
        backends[backend.slot].joined = number;
        // A new one among others that are warm. At a pool's first start all begin alike.
        if (serving && slot.member.load(relaxed) == 0) backends[backend.slot].cold = true;
        slot.member.store(1, release);
        configure(backend);
        if (!sticky) {
            slot.sticky_id.store(0, release);
        } else if (other_secret || slot.sticky_id.load(relaxed) == 0) {
            slot.sticky_id.store(balance::sticky_id(pool.sticky.secret, pool.name, backend.name), release);
        }
        const auto health = slot.health.load(relaxed);
        // Nobody checks these any more, or nobody waits for their first check: an old verdict would stay for ever.
        const bool lift = pool.check.kind == config::CheckKind::off
                              ? health != shm::Health::up
                              : pool.check.start_up && health == shm::Health::checking;
        if (lift && !backend.addresses.empty()) {
            slot.health.store(shm::Health::up, release);
            slot.changed.store(std::time(nullptr), release);
            publisher.replace(slot.check_reason, 0);
        }
    }
    if (before != nullptr) {
        for (const auto& backend : before->backends) {
            if (backends[backend.slot].joined != number) leave(backend.slot);
        }
    }
    mark_dirty(pool.slot);
}

// No longer a member of what its pool publishes.
void TableWriter::State::leave(std::uint32_t backend) {
    auto& slot = segment->backend(backend);
    slot.member.store(0, release);
    slot.effective_weight.store(0, release);
}

// For people. Without room for the text there is none; workers read the published groups.
void TableWriter::State::show_zones(const config::Pool& pool) {
    for (const auto& backend : pool.backends) {
        auto& zone = segment->backend(backend.slot).zone;
        if (segment->text(zone.load(relaxed)) == backend.zone) continue;
        publisher.replace(zone, publisher.text(backend.zone).value_or(0));
    }
}

void TableWriter::State::begin(std::shared_ptr<const config::Config> config, std::uint32_t number) {
    const auto generation = std::ranges::find(generations, number, &Generation::number);
    if (generation == generations.end() || generation->config != nullptr) return;
    generation->config = std::move(config);
    const auto& members = generation->config->pools;
    for (std::size_t i = 0; i < members.size(); i++) {
        // The reserved block makes way for the real one at once: it is no larger, so there is room for it.
        if (i < generation->reserved.size()) arena.release(generation->reserved[i]);
        join(members[i], generation->config->zones.spill);
        publish(members[i].slot);
    }
    for (const auto& pool : members) show_zones(pool);  // from what the reserved blocks left
    generation->reserved.clear();
    segment->header().generation.store(number, release);
    flush();
}

}  // namespace lb
