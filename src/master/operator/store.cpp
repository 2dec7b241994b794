// master/operator/store.cpp -- see store.h.
#include "master/operator/store.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/config/backend_text.h"

namespace lb::operators {
namespace {

// What an entry costs in the state file at most: quotes and backslashes are written as two bytes.
constexpr std::size_t overhead = 96;
std::size_t cost(std::string_view name, std::string_view text = {}) noexcept {
    return overhead + 2 * (name.size() + text.size());
}
std::size_t cost(const Member& member) {
    return cost(member.backend.name, config::print_backend(member.backend));
}

std::string sentence(const config::Problem& problem) {
    return problem.hint.empty() ? problem.what : fmt::format("{}; {}", problem.what, problem.hint);
}

}  // namespace

Result<config::Backend, std::string> read_backend(std::string_view text) {
    if (text.size() > longest_backend) {
        return Failed{fmt::format("the text is longer than {} bytes", longest_backend)};
    }
    auto backend = config::parse_backend(text, {});
    if (!backend) return Failed{sentence(backend.error())};
    for (const Address& each : backend.value().addresses) {
        if (each.family() == AF_UNIX && each.any.un.sun_path[0] != '/') {
            return Failed{std::string("the path of the socket must be absolute")};
        }
    }
    if (config::print_backend(backend.value()).size() > longest_backend) {
        return Failed{fmt::format("it is longer than {} bytes", longest_backend)};
    }
    return std::move(backend).value();
}

Result<config::Backend, std::string> read_registered(std::string_view address, std::string_view name,
                                                     std::uint32_t weight) {
    if (auto bad = config::check_name(name)) return Failed{"the name: " + sentence(*bad)};
    if (weight == 0 || weight > most_weight) {
        return Failed{fmt::format("the weight must be 1 to {}", most_weight)};
    }
    // Quoted, the address is one word whatever it holds, and no option.
    return read_backend(
        fmt::format("{} weight={} name={}", config::quote(address), weight, config::quote(name)));
}

bool same_place(const config::Backend& a, const config::Backend& b) {
    if (a.dns_name.empty() != b.dns_name.empty()) return false;
    return a.dns_name.empty() ? a.addresses == b.addresses : a.dns_name == b.dns_name && a.port == b.port;
}

Setting Store::setting(const std::string& pool, const std::string& backend) const {
    const auto found = pools_.find(pool);
    if (found == pools_.end()) return {};
    const auto setting = found->second.settings.find(backend);
    return setting == found->second.settings.end() ? Setting{} : setting->second;
}

std::optional<std::string> Store::no_room(const std::string& pool, std::size_t entries,
                                          std::size_t bytes) const {
    if (!pools_.contains(pool)) bytes += cost(pool);
    if (entries_ + entries <= most_entries && bytes_ + bytes <= most_bytes) return std::nullopt;
    return fmt::format("no room: {} changes of operators and services are kept, at most {} can be", entries_,
                       most_entries);
}

// An entry of a pool comes or goes. A pool counts while it has one.
void Store::count(const std::string& pool, std::size_t bytes, bool more) {
    if (more) {
        if (pools_.try_emplace(pool).second) bytes_ += cost(pool);
        entries_++;
        bytes_ += bytes;
    } else {
        entries_--;
        bytes_ -= bytes;
    }
}

void Store::tidy(const std::string& pool) {
    const auto found = pools_.find(pool);
    if (found == pools_.end() || !found->second.settings.empty() || !found->second.members.empty()) return;
    bytes_ -= cost(pool);
    pools_.erase(found);
}

Store::Done Store::set(const std::string& pool, const std::string& backend, const Setting& setting) {
    const bool there = !this->setting(pool, backend).none();
    if (setting.none()) {
        if (!there) return Nothing{};
        count(pool, cost(backend), false);
        pools_.at(pool).settings.erase(backend);
        tidy(pool);
        return Nothing{};
    }
    if (!there) {
        if (auto full = no_room(pool, 1, cost(backend))) return Failed{std::move(*full)};
        count(pool, cost(backend), true);
    }
    pools_.at(pool).settings[backend] = setting;
    return Nothing{};
}

const Member* Store::member(const std::string& pool, const std::string& backend) const {
    const auto found = pools_.find(pool);
    if (found == pools_.end()) return nullptr;
    const auto member = found->second.members.find(backend);
    return member == found->second.members.end() ? nullptr : &member->second;
}

Store::Done Store::put(const std::string& pool, Member member) {
    const auto found = pools_.find(pool);
    if (found != pools_.end() && found->second.members.size() >= most_members) {
        return Failed{fmt::format("no room: {} backends were added to the pool already", most_members)};
    }
    if (auto full = no_room(pool, 1, cost(member))) return Failed{std::move(*full)};
    count(pool, cost(member), true);
    lists_.erase(pool);
    std::string name = member.backend.name;
    pools_.at(pool).members.emplace(std::move(name), std::move(member));
    return Nothing{};
}

Store::Done Store::add(const std::string& pool, config::Backend backend) {
    if (member(pool, backend.name) != nullptr) return Failed{std::string("the name is taken")};
    return put(pool, {std::move(backend), shm::MemberOf::operators, 0, 0});
}

Result<Store::Enrolled, std::string> Store::enroll(const std::string& pool, config::Backend backend,
                                                   std::int64_t ttl, const Moment& moment) {
    ttl = std::clamp(ttl, std::int64_t{1}, most_ttl);
    const Micros deadline = moment.now + ttl * 1000;
    const std::int64_t expires = (moment.unix_millis + ttl + 999) / 1000;
    const auto soonest = [&] {
        if (soonest_ == 0 || deadline < soonest_) soonest_ = deadline;
    };
    const Member* now = member(pool, backend.name);
    if (now == nullptr) {
        auto added = put(pool, {std::move(backend), shm::MemberOf::registry, deadline, expires});
        if (!added) return Failed{added.error()};
        soonest();
        return Enrolled::joined;
    }
    if (now->from != shm::MemberOf::registry) return Failed{std::string("an operator added it")};
    Member& kept = pools_.at(pool).members.at(backend.name);
    const bool same = kept.backend == backend;
    if (!same) {
        Member next{std::move(backend), shm::MemberOf::registry, deadline, expires};
        if (cost(next) > cost(kept)) {
            if (auto full = no_room(pool, 0, cost(next) - cost(kept))) return Failed{std::move(*full)};
        }
        bytes_ = bytes_ - cost(kept) + cost(next);
        kept = std::move(next);
        lists_.erase(pool);
    }
    kept.deadline = deadline;
    kept.expires = expires;
    soonest();
    return same ? Enrolled::renewed : Enrolled::changed;
}

bool Store::remove(const std::string& pool, const std::string& backend) {
    const Member* found = member(pool, backend);
    if (found == nullptr) return false;
    count(pool, cost(*found), false);
    pools_.at(pool).members.erase(backend);
    lists_.erase(pool);
    tidy(pool);
    return true;
}

std::vector<Store::Name> Store::expire(Micros now) {
    std::vector<Name> over;
    if (soonest_ == 0 || now < soonest_) return over;
    soonest_ = 0;
    for (const auto& [name, pool] : pools_) {
        for (const auto& [backend, member] : pool.members) {
            if (member.from != shm::MemberOf::registry) continue;
            if (member.deadline <= now) {
                over.emplace_back(name, backend);
            } else if (soonest_ == 0 || member.deadline < soonest_) {
                soonest_ = member.deadline;
            }
        }
    }
    for (const Name& each : over) remove(each.first, each.second);
    return over;
}

const std::vector<config::Backend>* Store::members(const std::string& pool) const {
    const auto found = pools_.find(pool);
    if (found == pools_.end() || found->second.members.empty()) return nullptr;
    const auto [list, missing] = lists_.try_emplace(pool);
    if (missing) {
        list->second.reserve(found->second.members.size());
        for (const auto& each : found->second.members) list->second.push_back(each.second.backend);
    }
    return &list->second;
}

}  // namespace lb::operators
