// master/operators.cpp -- see operators.h.
#include "master/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "master/operator/export.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/config/words.h"

namespace lb {
namespace {

using operators::Moment;
using operators::Setting;

constexpr std::size_t most_candidates = 10'000;  // looked at for a near miss

std::vector<std::string> fields_of(std::string_view text) {
    std::vector<std::string> out;
    for (;;) {
        const std::size_t tab = text.find('\t');
        out.emplace_back(text.substr(0, tab));
        if (tab == std::string_view::npos) return out;
        text.remove_prefix(tab + 1);
    }
}

std::string asked_by(const CallerPtr& caller) {
    const auto who = caller->who();
    return who ? fmt::format(", as user {} asked (pid {})", who->uid, who->pid) : std::string();
}

std::string near(std::string_view word, const std::vector<std::string_view>& candidates) {
    const std::string hint = config::near_miss(word, candidates);
    return hint.empty() ? hint : "; " + hint;
}

std::string of(const std::string& pool, const std::string& backend) {
    return fmt::format("pool {}: backend {}", pool, backend);
}

const char* origin_text(shm::MemberOf from) noexcept {
    switch (from) {
        case shm::MemberOf::file: return "is in the file";
        case shm::MemberOf::discovery: return "was found by discovery";
        case shm::MemberOf::operators: return "was added by an operator";
        case shm::MemberOf::registry: return "registered itself";
    }
    return "";
}

}  // namespace

Operators::Operators(const shm::Segment& segment, TableWriter& writer, Generations& generations,
                     Membership& membership, operators::Store& store)
    : generations_(&generations),
      membership_(&membership),
      store_(&store),
      keeper_(writer, store),
      drains_(segment, generations) {}

// --- requests

void Operators::command(std::string_view request, const CallerPtr& caller, const Moment& moment) {
    const auto fields = fields_of(request);
    const Fields rest = Fields(fields).subspan(1);
    const std::string& verb = fields[0];
    static constexpr std::string_view verbs[] = {"drain",  "ready",    "maint",      "weight", "add",
                                                 "remove", "register", "deregister", "set",    "export"};
    static constexpr std::size_t counts[] = {2, 2, 2, 2, 2, 1, 5, 2, 4, 0};
    const auto known = std::ranges::find(verbs, verb);
    if (known == std::end(verbs)) {
        return caller->done(false, fmt::format("unknown command 'backend {}'{}", verb,
                                               near(verb, {std::begin(verbs), std::end(verbs)})));
    }
    const auto index = static_cast<std::size_t>(known - std::begin(verbs));
    if (rest.size() != counts[index]) {
        return caller->done(false,
                            fmt::format("backend {}: {} fields, not {}", verb, counts[index], rest.size()));
    }
    if (serving() == nullptr) return caller->done(false, "nothing serves yet");
    switch (index) {
        case 0: return set_state(shm::Operator::drain, rest, caller, moment);
        case 1: return set_state(shm::Operator::ready, rest, caller, moment);
        case 2: return set_state(shm::Operator::maint, rest, caller, moment);
        case 3: return set_weight(rest, caller, moment);
        case 4: return add(rest, caller, moment);
        case 5: return remove(rest, caller, moment);
        case 6: return enroll(rest, caller, moment);
        case 7: return leave(rest, caller, moment);
        case 8: return set_both(rest, caller, moment);
        default: return export_all(caller, moment);
    }
}

void Operators::set_state(shm::Operator state, Fields fields, const CallerPtr& caller, const Moment& moment) {
    std::string pool;
    std::string backend;
    if (!split(fields[0], pool, backend, caller)) return;
    const auto patience = text::number(fields[1]);
    constexpr std::uint64_t longest = 86'400'000;
    const bool waits = !fields[1].empty();
    if (waits && (!patience || *patience > longest || state == shm::Operator::ready)) {
        return caller->done(false, state == shm::Operator::ready ? "ready waits for nothing"
                                                                 : "the time to wait is 0 to 86400000 ms");
    }
    const std::string word = shm::operator_words[static_cast<std::size_t>(state)];
    Setting setting = store_->setting(pool, backend);
    setting.state = state;
    std::function<void()> kept;
    if (waits) {
        kept = [this, caller, pool, backend, state, time = static_cast<Micros>(*patience) * 1000,
                now = moment.now] {
            // Somebody may have said something else since, while this waited for the write.
            if (store_->setting(pool, backend).state == shm::Operator::ready) {
                return caller->done(false, of(pool, backend) + " was made ready or removed meanwhile");
            }
            drains_.wait(caller, pool, backend, state, time, now);
        };
    }
    change(pool, backend, setting, caller, "is in " + word, moment, std::move(kept));
    drains_.changed(pool, backend, state);
}

void Operators::set_weight(Fields fields, const CallerPtr& caller, const Moment& moment) {
    std::string pool;
    std::string backend;
    if (!split(fields[0], pool, backend, caller)) return;
    Setting setting = store_->setting(pool, backend);
    const std::string what = read_weight(fields[1], setting, caller);
    if (!what.empty()) change(pool, backend, setting, caller, what, moment);
}

// Pool and name apart: either may hold a slash. Both settings in one change, or none of them.
void Operators::set_both(Fields fields, const CallerPtr& caller, const Moment& moment) {
    const std::string& pool = fields[0];
    const std::string& backend = fields[1];
    if (!is_known(pool, backend)) return caller->done(false, no_backend(pool, backend));
    Setting setting = store_->setting(pool, backend);
    std::vector<std::string> what;
    if (!fields[2].empty()) {
        const auto word = std::ranges::find(shm::operator_words, fields[2]);
        if (word == std::end(shm::operator_words)) {
            return caller->done(false, fmt::format("state {}: it is ready, drain or maint", fields[2]));
        }
        setting.state = static_cast<shm::Operator>(word - std::begin(shm::operator_words));
        what.push_back("is in " + fields[2]);
    }
    if (!fields[3].empty()) {
        what.push_back(read_weight(fields[3], setting, caller));
        if (what.back().empty()) return;
    }
    if (what.empty()) return caller->done(false, "backend set: neither a state nor a weight");
    change(pool, backend, setting, caller, fmt::format("{}", fmt::join(what, " and ")), moment);
    if (!fields[2].empty()) drains_.changed(pool, backend, setting.state);
}

// A weight as written into `setting`; what that comes to, or "" after it told the caller that it is none.
std::string Operators::read_weight(const std::string& text, Setting& setting, const CallerPtr& caller) {
    setting.weight = 0;
    if (text == "default") return "has its configured weight";
    const auto weight = text::number(text);
    if (!weight || *weight == 0 || *weight > operators::most_weight) {
        caller->done(false,
                     fmt::format("weight {}: it is 1 to {}, or default", text, operators::most_weight));
        return {};
    }
    setting.weight = static_cast<std::uint32_t>(*weight);
    return fmt::format("has weight {}", setting.weight);
}

void Operators::change(const std::string& pool, const std::string& backend, const Setting& setting,
                       const CallerPtr& caller, const std::string& what, const Moment& moment,
                       std::function<void()> kept) {
    if (const auto done = store_->set(pool, backend, setting); !done)
        return caller->done(false, done.error());
    membership_->apply(pool, backend);
    const std::string text = fmt::format("{} {}", of(pool, backend), what);
    log::notice("{}{}", text, asked_by(caller));
    if (!kept) kept = [caller, text] { caller->done(true, text); };
    keeper_.keep(caller, std::move(kept), moment);
}

void Operators::add(Fields fields, const CallerPtr& caller, const Moment& moment) {
    const std::string& pool = fields[0];
    if (find_pool(pool) == nullptr) return caller->done(false, no_pool(pool));
    auto backend = operators::read_backend(fields[1]);
    if (!backend) return caller->done(false, fmt::format("backend = {}: {}", fields[1], backend.error()));
    const std::string name = backend.value().name;
    if (std::string bad = taken(pool, backend.value()); !bad.empty()) return caller->done(false, bad);
    if (const Known known = find_in(*serving(), pool, name); known.backend != nullptr) {
        return caller->done(false, fmt::format("{} {} already", of(pool, name), origin_text(known.from)));
    }
    if (const auto* member = store_->member(pool, name)) {
        return caller->done(false, fmt::format("{} {} already", of(pool, name), origin_text(member->from)));
    }
    if (const auto done = store_->add(pool, std::move(backend).value()); !done) {
        return caller->done(false, done.error());
    }
    membership_->look();
    const std::string text = of(pool, name) + " is added";
    log::notice("{}{}", text, asked_by(caller));
    keeper_.keep(
        caller, [caller, text] { caller->done(true, text); }, moment);
}

void Operators::remove(Fields fields, const CallerPtr& caller, const Moment& moment) {
    std::string pool;
    std::string backend;
    if (!split(fields[0], pool, backend, caller)) return;
    if (store_->member(pool, backend) == nullptr) {
        const Known known = find(pool, backend);
        if (known.backend == nullptr) return caller->done(false, no_backend(pool, backend));
        const auto from = known.from;
        const char* hint =
            from == shm::MemberOf::file ? "take it out of the file and reload" : "its source has it";
        return caller->done(
            false, fmt::format("{} {}: {}, or set it to maint", of(pool, backend), origin_text(from), hint));
    }
    store_->remove(pool, backend);
    // What was said of it went with it: the next one of this name is another backend.
    static_cast<void>(store_->set(pool, backend, {}));
    membership_->dropped(pool, backend);
    const std::string text = of(pool, backend) + " is removed";
    log::notice("{}{}", text, asked_by(caller));
    keeper_.keep(
        caller, [caller, text] { caller->done(true, text); }, moment);
}

void Operators::export_all(const CallerPtr& caller, const Moment& moment) {
    const auto lines = operators::export_lines(*store_, *serving()->config, moment.now);
    for (const std::string& each : lines) caller->info(each);
    caller->done(true, lines.empty() ? "nothing is different from the file"
                                     : fmt::format("{} changes", store_->entries()));
}

void Operators::enroll(Fields fields, const CallerPtr& caller, const Moment& moment) {
    const std::string& pool = fields[0];
    const std::string& name = fields[1];
    if (find_pool(pool) == nullptr) return caller->done(false, no_pool(pool));
    const auto weight = text::number(fields[3]);
    const auto ttl = text::number(fields[4]);
    if (!ttl || *ttl < operators::least_ttl || *ttl > operators::most_ttl) {
        return caller->done(
            false, fmt::format("the ttl must be {} to {} ms", operators::least_ttl, operators::most_ttl));
    }
    auto backend = operators::read_registered(
        fields[2], name,
        weight && *weight <= operators::most_weight ? static_cast<std::uint32_t>(*weight) : 0);
    if (!backend) return caller->done(false, fmt::format("{}: {}", of(pool, name), backend.error()));
    // A renewal, which there may be thousands of in a second, need not be compared with all that are there.
    const auto* member = store_->member(pool, name);
    if (member == nullptr || !(member->backend == backend.value())) {
        const Known known = find_in(*serving(), pool, name);
        if (known.backend != nullptr && known.from == shm::MemberOf::file) {
            return caller->done(false, of(pool, name) + " is in the file");
        }
        if (std::string bad = taken(pool, backend.value()); !bad.empty()) return caller->done(false, bad);
    }
    const auto done =
        store_->enroll(pool, std::move(backend).value(), static_cast<std::int64_t>(*ttl), moment);
    if (!done) return caller->done(false, fmt::format("{}: {}", of(pool, name), done.error()));
    using Enrolled = operators::Store::Enrolled;
    const std::string text = fmt::format("{} is registered for {} ms", of(pool, name), *ttl);
    if (done.value() == Enrolled::renewed) {
        membership_->apply(pool, name);  // when it runs out
        keeper_.renewed(moment);
        return caller->done(true, text);
    }
    membership_->look();
    log::notice("{}{}", text, asked_by(caller));
    keeper_.keep(
        caller, [caller, text] { caller->done(true, text); }, moment);
}

void Operators::leave(Fields fields, const CallerPtr& caller, const Moment& moment) {
    const std::string& pool = fields[0];
    const std::string& name = fields[1];
    const auto* member = store_->member(pool, name);
    if (member == nullptr || member->from != shm::MemberOf::registry) {
        return caller->done(false, of(pool, name) + " is not registered");
    }
    store_->remove(pool, name);
    static_cast<void>(store_->set(pool, name, {}));
    membership_->dropped(pool, name);
    const std::string text = of(pool, name) + " is no longer registered";
    log::notice("{}{}", text, asked_by(caller));
    keeper_.keep(
        caller, [caller, text] { caller->done(true, text); }, moment);
}

// --- names

const Generation* Operators::serving() const { return generations_->serving(); }

const config::Pool* Operators::find_pool(const std::string& name) const {
    const auto& pools = serving()->config->pools;
    const auto found = std::ranges::find(pools, name, &config::Pool::name);
    return found == pools.end() ? nullptr : &*found;
}

Operators::Known Operators::find_in(const Generation& generation, const std::string& pool,
                                    const std::string& backend) const {
    const auto& pools = generation.config->pools;
    for (std::size_t i = 0; i < pools.size(); i++) {
        if (pools[i].name != pool) continue;
        const auto& list = pools[i].backends;
        const auto found = std::ranges::find(list, backend, &config::Backend::name);
        if (found == list.end()) return {};
        if (static_cast<std::size_t>(found - list.begin()) < generation.configured[i]) {
            return {&*found, shm::MemberOf::file};
        }
        if (const auto* member = store_->member(pool, backend)) return {&*found, member->from};
        if (membership_->is_dropped(pool, backend)) return {};
        return {&*found, shm::MemberOf::discovery};
    }
    return {};
}

Operators::Known Operators::find(const std::string& pool, const std::string& backend) const {
    if (const Known known = find_in(*serving(), pool, backend); known.backend != nullptr) return known;
    for (const Generation& each : generations_->all()) {
        if (const Known known = find_in(each, pool, backend); known.backend != nullptr) return known;
    }
    return {};
}

std::string Operators::no_pool(const std::string& name) const {
    std::vector<std::string_view> names;
    for (const config::Pool& each : serving()->config->pools) names.push_back(each.name);
    return fmt::format("there is no pool '{}'{}", name, near(name, names));
}

std::string Operators::no_backend(const std::string& pool, const std::string& backend) const {
    std::vector<std::string_view> names;
    const config::Pool* found = find_pool(pool);
    if (found == nullptr) return no_pool(pool);
    for (const config::Backend& each : found->backends) {
        if (each.name != backend && names.size() < most_candidates) names.push_back(each.name);
    }
    return fmt::format("pool {}: there is no backend '{}'{}", pool, backend, near(backend, names));
}

// Why a new member's place is not free; "" when it is.
std::string Operators::taken(const std::string& pool, const config::Backend& backend) const {
    const auto by = [&](const config::Backend& other, shm::MemberOf from) {
        return fmt::format("pool {}: {} is backend {} already, which {}", pool, backend.host, other.name,
                           origin_text(from));
    };
    const auto differs = [&](const config::Backend& other) {
        return other.name == backend.name || !operators::same_place(other, backend);
    };
    const config::Pool* in = find_pool(pool);
    const auto& configured = serving()->configured;
    const auto own = configured[static_cast<std::size_t>(in - serving()->config->pools.data())];
    for (std::size_t i = 0; i < own; i++) {
        if (!differs(in->backends[i])) return by(in->backends[i], shm::MemberOf::file);
    }
    // Not members(), which is made anew after each change: many may join one after the other.
    if (const auto changes = store_->pools().find(pool); changes != store_->pools().end()) {
        for (const auto& [name, member] : changes->second.members) {
            if (!differs(member.backend)) return by(member.backend, member.from);
        }
    }
    return {};
}

// Known now, or something of it is kept.
bool Operators::is_known(const std::string& pool, const std::string& backend) const {
    return find(pool, backend).backend != nullptr || store_->member(pool, backend) != nullptr ||
           !store_->setting(pool, backend).none();
}

// POOL/NAME of a backend that is known.
bool Operators::split(const std::string& name, std::string& pool, std::string& backend,
                      const CallerPtr& caller) const {
    const std::size_t slash = name.find('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == name.size()) {
        caller->done(false, fmt::format("'{}': a backend is named as POOL/NAME", name));
        return false;
    }
    pool = name.substr(0, slash);
    backend = name.substr(slash + 1);
    if (is_known(pool, backend)) return true;
    caller->done(false, no_backend(pool, backend));
    return false;
}

// --- time

void Operators::load(const std::string& path, const Moment& moment) { keeper_.load(path, moment); }

// The file has caught up with some changes: they are dropped, or they would come back when the file changes again.
void Operators::settle(const Generation& generation) {
    const config::Config& config = *generation.config;
    bool changed = false;
    for (std::size_t i = 0; i < config.pools.size(); i++) {
        const config::Pool& pool = config.pools[i];
        if (!store_->pools().contains(pool.name)) continue;
        for (std::size_t b = 0; b < generation.configured[i]; b++) {
            const config::Backend& backend = pool.backends[b];
            if (store_->remove(pool.name, backend.name)) {
                log::notice("{} is in the file now: what was added under this name is dropped",
                            of(pool.name, backend.name));
                changed = true;
            }
            Setting setting = store_->setting(pool.name, backend.name);
            if (setting.weight == 0 || setting.weight != backend.weight) continue;
            setting.weight = 0;
            static_cast<void>(store_->set(pool.name, backend.name, setting));
            membership_->apply(pool.name, backend.name);
            changed = true;
        }
    }
    if (keeper_.use(config.global.state_file)) changed = true;
    if (changed) keeper_.settled();
}

void Operators::tick(const Moment& moment) {
    const Generation* now = serving();
    if (now != nullptr && now->number != settled_) {
        settled_ = now->number;
        settle(*now);
    }
    const auto over = store_->expire(moment.now);
    for (const auto& [pool, backend] : over) {
        log::notice("{}: its registration ran out", of(pool, backend));
        membership_->dropped(pool, backend);
    }
    if (!over.empty()) keeper_.expired(moment);
    keeper_.tick(moment);
    drains_.tick(moment.now);
}

void Operators::end(const Moment& moment) {
    keeper_.end(moment);
    drains_.end();
}

}  // namespace lb
