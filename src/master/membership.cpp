// master/membership.cpp -- see membership.h.
#include "master/membership.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "shared/base/log.h"

namespace lb {
namespace {

std::vector<std::size_t> sizes_of(const config::Config& config) {
    std::vector<std::size_t> out;
    for (const config::Pool& pool : config.pools) out.push_back(pool.backends.size());
    return out;
}

void set_port(Address& address, std::uint16_t port) noexcept {
    if (address.family() == AF_INET) {
        address.any.in.sin_port = htons(port);
    } else {
        address.any.in6.sin6_port = htons(port);
    }
}

std::string text_of(const std::vector<Address>& addresses) {
    std::string out;
    for (const Address& each : addresses) out += (out.empty() ? "" : " ") + to_string(each);
    return out.empty() ? "no address" : out;
}

}  // namespace

Membership::Membership(event_base* base, TableWriter& writer, health::Board& board, Generations& generations,
                       BackendNames& names, const operators::Store& changes, std::function<void()> settled)
    : base_(base),
      writer_(writer),
      board_(board),
      generations_(generations),
      names_(names),
      changes_(changes),
      settled_(std::move(settled)),
      discovery_(base, {[this] {
                            unseen_ = true;
                            look();
                        },
                        [this](metrics::QueryLabel label) {
                            writer_.column().add<"lb_resolver_queries_total">(0, label);
                        }}) {}

void Membership::expect(const config::Config& config) {
    expected_ = std::make_shared<const config::Config>(config);
    expected_configured_ = sizes_of(config);
    renew_wants();
    discovery_.retry();
}

void Membership::unexpect() {
    if (!expected_) return;
    expected_.reset();
    look();
}

std::vector<std::size_t> Membership::fill(config::Config& config) const {
    auto sizes = sizes_of(config);
    for (config::Pool& pool : config.pools) pool.backends = members_of(pool, pool.backends.size(), true);
    return sizes;
}

void Membership::dropped(std::string pool, std::string backend) {
    dropped_.emplace(std::move(pool), std::move(backend));
    look();
}

bool Membership::is_dropped(const std::string& pool, const std::string& backend) const {
    return !dropped_.empty() && dropped_.contains({pool, backend});
}

// In a turn of its own: whoever calls may be in the middle of something.
void Membership::look() { wait(std::max<Micros>(last_ + pause - monotonic_now(), 0)); }

void Membership::wait(Micros time) {
    if (!timer_) {
        timer_.reset(evtimer_new(
            base_, [](evutil_socket_t, short, void* self) { static_cast<Membership*>(self)->run(); }, this));
    }
    const timeval t{time / 1'000'000, time % 1'000'000};
    if (!timer_ || evtimer_add(timer_.get(), &t) != 0) log::error("membership: no memory for a timer");
}

void Membership::run() {
    const Micros now = monotonic_now();
    last_ = now;
    renew_wants();
    bool changed = false;
    const std::string before = std::exchange(complaint_, {});
    // The newest first: a backend that goes from one generation to another is never without a name, and so keeps its
    // health.
    auto& all = generations_.all();
    for (auto each = all.rbegin(); each != all.rend(); ++each) changed = renew(*each, now) || changed;
    // One that another source has, or that was added again, is still there, and nothing may be new of it but this.
    for (const auto& [pool, backend] : std::exchange(dropped_, {})) apply(pool, backend);
    if (const auto more = lines_.take_left_out(now); more != 0) {
        log::notice("{} more changes of the pools' members were not logged one by one", more);
    }
    if (changed) {
        names_.learn(generations_.configs());
        board_.configure(generations_.configs());
    }
    if (!complaint_.empty() && complaint_ != before) log::error("{}", complaint_);
    if (lines_.left_out() != 0 || names_.left_out(now) != 0) wait(1'000'000);
    if (!complaint_.empty()) wait(retry_after);
    // Last: whoever hears of it may fork, or expect something else.
    if (expected_ && settled()) settled_();
}

// The newest generation that serves a pool publishes its members, and so does one that is about to; for what an older one
// still publishes nobody else finds anything.
bool Membership::publishes(const Generation& generation, const std::string& pool) const {
    for (const Generation& other : generations_.all()) {
        if (other.number <= generation.number || other.phase != Generation::Phase::serving) continue;
        const auto& pools = other.config->pools;
        if (std::any_of(pools.begin(), pools.end(), [&](const auto& each) { return each.name == pool; }))
            return false;
    }
    return true;
}

void Membership::add_wants(const config::Config& config, const std::vector<std::size_t>& configured,
                           const Generation* of, discovery::Wanted& wanted) const {
    for (std::size_t i = 0; i < config.pools.size(); i++) {
        const config::Pool& pool = config.pools[i];
        for (const config::Backend& each : std::span(pool.backends).first(configured[i])) {
            if (!each.dns_name.empty()) wanted.names.insert(each.dns_name);
        }
        if (of != nullptr && !publishes(*of, pool.name)) continue;
        if (const auto* added = changes_.members(pool.name)) {
            for (const config::Backend& each : *added) {
                if (!each.dns_name.empty()) wanted.names.insert(each.dns_name);
            }
        }
        for (const config::Discover& source : pool.discover) {
            wanted.add(source);
            const auto* members = discovery_.members(source);
            if (members == nullptr) continue;
            for (const config::Backend& each : *members) {
                if (!each.dns_name.empty()) wanted.names.insert(each.dns_name);
            }
        }
    }
}

void Membership::renew_wants() {
    const Generation* newest = nullptr;
    for (const Generation& each : generations_.all()) {
        if (each.phase != Generation::Phase::closing) newest = &each;
    }
    const config::Config* settings = expected_           ? expected_.get()
                                     : newest != nullptr ? newest->config.get()
                                                         : nullptr;
    // A set that is known at once, such as a file's, may bring names of its own.
    for (int round = 0; round < 3; round++) {
        discovery::Wanted wanted;
        for (const Generation& each : generations_.all())
            add_wants(*each.config, each.configured, &each, wanted);
        if (expected_) add_wants(*expected_, expected_configured_, nullptr, wanted);
        const bool same_settings = settings == nullptr || settings->resolver == settings_;
        unseen_ = false;
        if (wanted == wanted_ && same_settings) return;
        if (settings != nullptr) settings_ = settings->resolver;
        wanted_ = std::move(wanted);
        discovery_.want(wanted_, settings_);
    }
}

discovery::Members Membership::members_of(const config::Pool& pool, std::size_t configured,
                                          bool found) const {
    std::vector<const discovery::Members*> sets;
    if (found) {
        sets.push_back(changes_.members(pool.name));
        for (const config::Discover& source : pool.discover) sets.push_back(discovery_.members(source));
    }
    auto out = discovery::merge(std::span(pool.backends).first(configured), sets);
    for (config::Backend& each : out) {
        if (each.dns_name.empty()) continue;
        const auto* addresses = discovery_.addresses(each.dns_name);
        each.addresses = addresses == nullptr ? std::vector<Address>() : *addresses;
        if (each.addresses.size() > most_addresses) each.addresses.resize(most_addresses);
        for (Address& address : each.addresses) set_port(address, each.port);
    }
    return out;
}

// True when the generation has another configuration now.
bool Membership::renew(Generation& generation, Micros now) {
    const ConfigPtr held = generation.config;
    const config::Config& config = *held;
    Found next;
    for (std::size_t i = 0; i < config.pools.size(); i++) {
        const config::Pool& pool = config.pools[i];
        const bool fixed = pool.discover.empty() && pool.backends.size() == generation.configured[i] &&
                           changes_.members(pool.name) == nullptr &&
                           std::all_of(pool.backends.begin(), pool.backends.end(),
                                       [](const config::Backend& each) { return each.dns_name.empty(); });
        if (fixed) continue;
        auto members = members_of(pool, generation.configured[i], publishes(generation, pool.name));
        if (!discovery::compare(pool.backends, members).none()) next.emplace_back(i, std::move(members));
    }
    if (next.empty()) return false;
    if (next.size() > 1 && update(generation, next, now)) return true;
    // Not all of them fit. Each for itself then, and the small ones first: one pool must not hold up the others.
    std::ranges::stable_sort(next, {}, [](const auto& each) { return each.second.size(); });
    bool changed = false;
    std::string refused;
    for (auto& each : next) {
        const std::string& name = config.pools[each.first].name;
        const auto updated = update(generation, Found{std::move(each)}, now);
        if (updated) changed = true;
        if (!updated && refused.empty())
            refused = fmt::format("pool {}: members found cannot join: {}", name, updated.error());
    }
    if (complaint_.empty()) complaint_ = refused;
    return changed;
}

Result<Nothing, std::string> Membership::update(Generation& generation, const Found& found, Micros now) {
    config::Config copy = *generation.config;
    for (const auto& [i, members] : found) copy.pools[i].backends = members;
    auto updated = writer_.update(std::move(copy), generation.number);
    if (!updated) return Failed{updated.error()};
    const ConfigPtr before = std::exchange(generation.config, updated.value());
    for (const auto& each : found) {
        apply(generation.config->pools[each.first], generation.configured[each.first]);
    }
    if (generation.phase != Generation::Phase::serving) return Nothing{};
    for (const auto& [i, members] : found) {
        const config::Pool& pool = generation.config->pools[i];
        tell(pool, discovery::compare(before->pools[i].backends, pool.backends), pool.backends.size(), now);
    }
    return Nothing{};
}

// Every one, not only those of whom something is said: one that comes back to its slot may have been drained before.
void Membership::apply(const config::Pool& pool, std::size_t configured) {
    for (std::size_t i = 0; i < pool.backends.size(); i++) apply(pool, pool.backends[i], i < configured);
}

void Membership::apply(const config::Pool& pool, const config::Backend& backend, bool of_file) {
    const auto setting = changes_.setting(pool.name, backend.name);
    writer_.set_operator(backend.slot, setting.state, setting.weight);
    const auto* member = of_file ? nullptr : changes_.member(pool.name, backend.name);
    if (member != nullptr) return writer_.set_member_of(backend.slot, member->from, member->expires);
    writer_.set_member_of(backend.slot, of_file ? shm::MemberOf::file : shm::MemberOf::discovery, 0);
}

void Membership::apply(const Generation& generation) {
    const auto& pools = generation.config->pools;
    for (std::size_t i = 0; i < pools.size(); i++) apply(pools[i], generation.configured[i]);
}

void Membership::apply(const std::string& pool, const std::string& backend) {
    for (const Generation& generation : generations_.all()) {
        const auto& pools = generation.config->pools;
        for (std::size_t i = 0; i < pools.size(); i++) {
            if (pools[i].name != pool) continue;
            const auto& list = pools[i].backends;
            for (std::size_t b = 0; b < list.size(); b++) {
                if (list[b].name == backend) apply(pools[i], list[b], b < generation.configured[i]);
            }
        }
    }
}

void Membership::tell(const config::Pool& pool, const discovery::Changes& changes, std::size_t now_members,
                      Micros now) {
    auto& column = writer_.column();
    column.add<"lb_pool_membership_changes_total">(pool.slot, metrics::change_added, changes.joined.size());
    column.add<"lb_pool_membership_changes_total">(pool.slot, metrics::change_removed, changes.left.size());
    for (const auto* each : changes.left)
        say(now, fmt::format("pool {}: backend {} left", pool.name, each->name));
    for (const auto* each : changes.joined) {
        say(now, fmt::format("pool {}: backend {} joined{}{}", pool.name, each->name,
                             each->weight == 1 ? "" : fmt::format(", weight {}", each->weight),
                             each->backup ? ", as a backup" : ""));
    }
    for (const auto& [was, is] : changes.moved) {
        say(now, fmt::format("pool {}: backend {} has {} now, not {}", pool.name, is->name,
                             text_of(is->addresses), text_of(was->addresses)));
    }
    for (const auto& [was, is] : changes.altered) {
        say(now, fmt::format("pool {}: backend {} is {} with weight {} now", pool.name, is->name,
                             is->backup ? "a backup" : "a primary", is->weight));
    }
    if (changes.joined.size() + changes.left.size() > lines_a_second) {
        log::notice("pool {}: {} joined and {} left; it has {} backends now", pool.name,
                    changes.joined.size(), changes.left.size(), now_members);
    }
}

void Membership::say(Micros now, const std::string& text) {
    if (lines_.allows(now)) log::notice("{}", text);
}

void Membership::stop() {
    timer_.reset();
    discovery_.stop();
}

}  // namespace lb
