// master/accepting.cpp -- see accepting.h.
#include "master/accepting.h"

#include <algorithm>
#include <set>
#include <utility>

#include "master/startup.h"
#include "shared/base/log.h"

namespace lb {

std::uint32_t slots_of(const config::Config& config, std::uint32_t workers,
                       const config::Bind& bind) noexcept {
    const bool shared = bind.inherited_fd >= 0 || bind.address.family() == AF_UNIX ||
                        config.global.accept == config::AcceptMode::shared;
    return shared ? 1 : workers;
}

std::vector<SocketId> sockets_of(const config::Config& config, std::uint32_t workers) {
    std::vector<SocketId> list;
    for (const config::Listener& listener : config.listeners) {
        for (const config::Bind& bind : listener.binds) {
            const std::uint32_t slots = slots_of(config, workers, bind);
            for (std::uint32_t slot = 0; slot < slots; slot++) list.push_back({key_of(bind), slot});
        }
    }
    for (const config::Bind& bind : config.admin.binds) list.push_back({key_of(bind), 0});
    return list;
}

std::vector<std::pair<std::uint32_t, SocketId>> sockets_of_worker(const config::Config& config,
                                                                  std::uint32_t workers,
                                                                  std::uint32_t number) {
    std::vector<std::pair<std::uint32_t, SocketId>> list;
    for (std::uint32_t i = 0; i < config.listeners.size(); i++) {
        for (const config::Bind& bind : config.listeners[i].binds) {
            const bool own = slots_of(config, workers, bind) > 1;
            list.push_back({i, {key_of(bind), own ? number : 0}});
        }
    }
    return list;
}

// The admin port's queue is no worker's business, also where a listener had that address before.
static bool is_admin(const config::Config& config, const std::string& key) {
    return std::any_of(config.admin.binds.begin(), config.admin.binds.end(),
                       [&](const config::Bind& bind) { return key_of(bind) == key; });
}

Child* choose_neighbour(const std::vector<Child*>& accepting, std::uint32_t slot) noexcept {
    Child* above = nullptr;
    Child* lowest = nullptr;
    for (Child* child : accepting) {
        if (child->number > slot && (above == nullptr || child->number < above->number)) above = child;
        if (lowest == nullptr || child->number < lowest->number) lowest = child;
    }
    return above != nullptr ? above : lowest;
}

std::string Accepting::open(const config::Config& config, std::uint32_t workers,
                            std::vector<SocketId>& opened) {
    const std::size_t before = opened.size();
    std::string error;
    // What root alone could make was made before the master became another user.
    for (const std::string& file : startup::socket_files(config)) {
        if (error.empty()) error = startup::make_directories(file, {});
    }
    for (const config::Listener& listener : config.listeners) {
        for (const config::Bind& bind : listener.binds) {
            if (error.empty()) error = listeners_.open(bind, slots_of(config, workers, bind), true, opened);
            if (!error.empty()) break;
            names_[key_of(bind)] = listener.name;
        }
    }
    for (const config::Bind& bind : config.admin.binds) {
        if (error.empty()) error = listeners_.open(bind, 1, false, opened);
    }
    if (error.empty()) return {};
    while (opened.size() > before) {
        listeners_.close(opened.back());
        opened.pop_back();
    }
    return error;
}

std::vector<ListenFd> Accepting::for_worker(const config::Config& config, std::uint32_t workers,
                                            std::uint32_t number) const {
    std::vector<ListenFd> list;
    for (const auto& [listener, id] : sockets_of_worker(config, workers, number)) {
        const Listeners::Group* group = listeners_.group(id.key);
        if (group == nullptr) continue;
        list.push_back({listener, listeners_.descriptor(id), group->deferred && !group->inherited()});
    }
    return list;
}

std::vector<ListenFd> Accepting::for_admin(const config::Config& config) const {
    std::vector<ListenFd> list;
    for (std::uint32_t i = 0; i < config.admin.binds.size(); i++) {
        list.push_back({i, listeners_.descriptor({key_of(config.admin.binds[i]), 0}), false});
    }
    return list;
}

std::uint32_t Accepting::listener_index(const config::Config& config, const std::string& key) const {
    for (std::uint32_t i = 0; i < config.listeners.size(); i++) {
        for (const config::Bind& bind : config.listeners[i].binds) {
            if (key_of(bind) == key) return i;
        }
    }
    const auto name = names_.find(key);
    if (name == names_.end() || is_admin(config, key)) return config::no_index;
    for (std::uint32_t i = 0; i < config.listeners.size(); i++) {
        if (config.listeners[i].name == name->second) return i;
    }
    return config::no_index;
}

bool Accepting::has_successor(const std::string& key) {
    const Generation* serving = generations_.serving();
    return serving != nullptr && listener_index(*serving->config, key) != config::no_index;
}

bool Accepting::served(const SocketId& id) {
    return std::any_of(children_.all().begin(), children_.all().end(), [&](const auto& child) {
        const Generation* generation = child->accepting() ? generations_.find(child->generation) : nullptr;
        if (generation == nullptr) return false;
        const auto list = sockets_of_worker(*generation->config, generation->workers, child->number);
        return std::any_of(list.begin(), list.end(), [&](const auto& each) { return each.second == id; });
    });
}

void Accepting::reconcile() {
    std::set<SocketId> served;
    std::vector<Child*> candidates;
    const Generation* serving = generations_.serving();
    for (const auto& child : children_.all()) {
        if (!child->accepting()) continue;
        const Generation* generation = generations_.find(child->generation);
        if (generation == nullptr) continue;
        for (auto& [listener, id] :
             sockets_of_worker(*generation->config, generation->workers, child->number)) {
            served.insert(std::move(id));
        }
        if (generation == serving) candidates.push_back(child.get());
    }
    for (const auto& [key, group] : listeners_.groups()) {
        if (!names_.contains(key) || (serving != nullptr && is_admin(*serving->config, key))) continue;
        std::vector<std::uint32_t> live;
        for (const Listeners::Member& member : group.members) {
            if (served.contains({key, member.slot})) live.push_back(member.slot);
        }
        listeners_.set_live(key, live);
        if (group.inherited()) continue;
        for (const Listeners::Member& member : group.members) {
            const SocketId id{key, member.slot};
            lend(id, member.served && !served.contains(id), candidates,
                 serving == nullptr ? nullptr : serving->config.get());
        }
    }
}

void Accepting::lend(const SocketId& id, bool needed, const std::vector<Child*>& candidates,
                     const config::Config* config) {
    const auto loan = loans_.find(id);
    if (loan != loans_.end()) {
        const bool alive = std::any_of(candidates.begin(), candidates.end(),
                                       [&](const Child* c) { return c->id == loan->second.borrower; });
        if (needed && alive) return;
        take_back(id);
    }
    Child* neighbour = needed && config != nullptr ? choose_neighbour(candidates, id.slot) : nullptr;
    if (neighbour == nullptr) return;
    const std::uint32_t listener = listener_index(*config, id.key);
    if (listener == config::no_index) return;
    const std::uint64_t number = ++last_number_;
    if (!children_.tell(*neighbour, {MessageKind::serve, listener, number}, listeners_.descriptor(id)))
        return;
    loans_[id] = {number, neighbour->id};
    log::debug("{}: the queue of slot {} is lent to {}", id.key, id.slot, neighbour->name());
}

void Accepting::take_back(const SocketId& id) {
    const auto loan = loans_.find(id);
    if (loan == loans_.end()) return;
    if (Child* borrower = children_.find(loan->second.borrower)) {
        children_.tell(*borrower, {MessageKind::unserve, 0, loan->second.number});
    }
    loans_.erase(loan);
}

}  // namespace lb
