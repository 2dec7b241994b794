// master/config/checks.cpp -- see checks.h.
#include "master/config/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "master/config/limit_checks.h"
#include "master/config/references.h"
#include "master/config/route_checks.h"

namespace lb::config {
namespace {

class Binds {
 public:
    explicit Binds(Draft& draft) : draft_(draft) {}
    // Two sockets on one address would share its connections by chance; hosts are told apart by what follows.
    void add(const Section& section, const std::vector<Bind>& binds) {
        const auto entries = good_entries(section, "bind");
        for (std::size_t i = 0; i < binds.size(); i++) {
            const Place place = place_of(section, entries, i);
            const std::string name = binds[i].inherited_fd >= 0 ? fmt::format("fd:{}", binds[i].inherited_fd)
                                                                : to_string(binds[i].address);
            const auto [earlier, fresh] = taken_.emplace(name, std::pair(place, section.label()));
            if (fresh) continue;
            const auto& [at, owner] = earlier->second;
            draft_.fail(place,
                        at.line == 0 ? fmt::format("is already bound by [{}]", owner)
                                     : fmt::format("is already bound by [{}] at {}", owner, where(at)),
                        {}, i < entries.size() ? entries[i]->value : name);
        }
    }

 private:
    Draft& draft_;
    std::map<std::string, std::pair<Place, std::string>> taken_;
};

void resolve_listener(Listener& listener, const References& written, const Section& section,
                      const AllNames& names, bool any_log, Draft& draft) {
    listener.limits = find_all(written.limits, names.limits, good_entries(section, "limit"), {}, draft);
    listener.acls = find_all(written.acls, names.acls, good_entries(section, "acl"), {}, draft);
    if (!written.pool.empty()) {
        listener.pool = names.pools.find(written.pool, *good_entries(section, "pool").back(), draft);
    }
    if (written.access_log.empty()) {
        listener.access_log = any_log ? 0 : no_index;
    } else if (written.access_log != "off") {
        listener.access_log =
            names.logs.find(written.access_log, *good_entries(section, "access_log").back(), draft);
    }
}

// A PROXY header of just anybody would let him be whoever he likes.
void check_proxy_protocol(const Listener& listener, const Section& section, Draft& draft) {
    if (!lacks(section, "trusted")) return;
    const auto entries = good_entries(section, "bind");
    for (std::size_t i = 0; i < listener.binds.size(); i++) {
        // Who may connect to a unix socket is for its permissions to say.
        const Bind& bind = listener.binds[i];
        if (!bind.proxy_protocol || (bind.address.length != 0 && bind.address.family() == AF_UNIX)) continue;
        draft.fail(entries[i]->place, "proxy_protocol needs to know whose PROXY header is believed",
                   "add trusted = ADDRESS/BITS", entries[i]->value);
    }
}

void check_pool(const Pool& pool, const Section& section, Draft& draft) {
    const auto entries = good_entries(section, "backend");
    std::map<std::string_view, std::size_t> names;
    for (std::size_t i = 0; i < pool.backends.size(); i++) {
        const auto [earlier, fresh] = names.emplace(pool.backends[i].name, i);
        if (fresh) continue;
        draft.fail(place_of(section, entries, i),
                   fmt::format("the pool has a backend '{}' already, at {}", pool.backends[i].name,
                               where(place_of(section, entries, earlier->second))),
                   "give one of them a name=", entries[i]->value);
    }
    const bool only_backups =
        std::all_of(pool.backends.begin(), pool.backends.end(), [](const Backend& b) { return b.backup; });
    // A backend whose line was wrong may have been the one that is missing.
    const bool all_good = std::none_of(section.entries.begin(), section.entries.end(),
                                       [](const Entry& e) { return e.key->name == "backend" && !e.good; });
    if (!pool.backends.empty() && only_backups && all_good && lacks(section, "discover")) {
        draft.fail(section.place, "all backends are backups", "at least one must be without 'backup'");
    }
    // Where services may register themselves, a pool may begin empty.
    if (lacks(section, "backend") && lacks(section, "discover") &&
        lacks(draft.single(Kind::admin), "token_file")) {
        draft.fail(section.place, "needs a 'backend' or a 'discover'");
    }
    const auto sources = good_entries(section, "discover");
    for (std::size_t i = 0; i < pool.discover.size(); i++) {
        const auto earlier = std::find(pool.discover.begin(), pool.discover.end(), pool.discover[i]);
        const auto first = static_cast<std::size_t>(earlier - pool.discover.begin());
        if (first == i) continue;
        draft.fail(sources[i]->place, fmt::format("stands at {} already", where(sources[first]->place)), {},
                   sources[i]->value);
    }
}

// "off" sets nothing, so beside an address it would be ignored in silence.
void check_admin(const Section& section, Draft& draft) {
    const auto entries = good_entries(section, "bind");
    for (const Entry* entry : entries) {
        const auto word = one_word(entry->value);
        if (word && word.value() == "off" && entries.size() > 1) {
            draft.fail(entry->place, "stands beside another bind", "remove one of them", entry->value);
        }
    }
}

// Each is made anew at its path: one would take the other's place.
void check_own_files(const Global& global, const Section& section, Draft& draft) {
    const std::pair<std::string_view, const std::string&> files[] = {
        {"control", global.control}, {"pid_file", global.pid_file}, {"state_file", global.state_file}};
    for (std::size_t i = 1; i < std::size(files); i++) {
        const auto& [key, path] = files[i];
        for (std::size_t j = 0; j < i && !path.empty(); j++) {
            if (files[j].second != path) continue;
            const Entry* entry = first_entry(section, key);
            if (entry == nullptr) entry = first_entry(section, files[j].first);
            const Place place = entry == nullptr ? section.place : entry->place;
            draft.fail(place, fmt::format("{} and {} are one file: {}", files[j].first, key, path));
            break;
        }
    }
}

void check_log_name(const Section& section, Draft& draft) {
    if (section.name == "off")
        draft.fail(section.place, "a log cannot be called off", "access_log = off means none");
}

void check_resolver_name(const Section& section, Draft& draft) {
    if (section.name.empty() || section.name == only_resolver) return;
    draft.fail(section.place, "there is one resolver", fmt::format("write [resolver {}]", only_resolver));
}

// The pools that some request can get to.
std::vector<bool> used_pools(const Config& config) {
    std::vector<bool> used(config.pools.size());
    const auto use = [&](std::uint32_t pool) {
        if (pool != no_index) used[pool] = true;
    };
    for (const Listener& listener : config.listeners) use(listener.pool);
    for (const Route& route : config.routes) {
        for (const Share& share : route.pools) use(share.pool);
        if (route.mirror) use(route.mirror->pool);
    }
    return used;
}

// Requests wait for a place only, and only max_inflight makes places few. Discovered backends may have it.
void find_idle_queue(const Pool& pool, const Section& section, std::vector<std::string>& warnings) {
    const bool limited = std::any_of(pool.backends.begin(), pool.backends.end(),
                                     [](const Backend& backend) { return backend.max_inflight != 0; });
    if (pool.queue.size == 0 || limited || !pool.discover.empty()) return;
    const Entry* entry = first_entry(section, "queue");
    warn(entry == nullptr ? section.place : entry->place,
         "no backend of the pool has a max_inflight, so nobody ever waits", warnings);
}

void find_warnings(const Built& built, const Section& global, const Section& zones,
                   std::vector<std::string>& warnings) {
    const Config& config = built.config;
    if (config.global.daemon) {
        Place place = global.place;
        if (const Entry* entry = first_entry(global, "daemon")) place = entry->place;
        if (config.global.error_log.kind == log::Kind::stderr_stream) {
            warn(place, "in the background nobody reads standard error; set error_log to a file or syslog",
                 warnings);
        }
        for (std::size_t i = 0; i < config.logs.size(); i++) {
            if (config.logs[i].sink != LogSink::standard_output) continue;
            warn(built.logs[i]->place, "in the background nobody reads standard output; set path to a file",
                 warnings);
        }
    }
    const std::vector<bool> used = used_pools(config);
    for (std::size_t i = 0; i < used.size(); i++) {
        if (!used[i]) warn(built.pools[i]->place, "no listener and no route names this pool", warnings);
    }
    for (std::size_t i = 0; i < config.pools.size(); i++)
        find_idle_queue(config.pools[i], *built.pools[i], warnings);
    find_unused_limits(built, warnings);
    find_idle_zones(built, zones, warnings);
    find_shadowed_routes(built, warnings);
}

}  // namespace

void check(Built& built, Draft& draft, const std::string& main_file, std::vector<std::string>& warnings) {
    Config& config = built.config;
    if (config.listeners.empty() && !draft.incomplete) {
        draft.fail({main_file, 0, {}, {}}, "there is no [listener NAME]", "without one nothing can connect");
    }
    Binds binds(draft);
    binds.add(draft.single(Kind::admin), config.admin.binds);  // first: by default it has no line to point at
    for (std::size_t i = 0; i < config.listeners.size(); i++) {
        binds.add(*built.listeners[i], config.listeners[i].binds);
    }
    check_admin(draft.single(Kind::admin), draft);
    check_own_files(config.global, draft.single(Kind::global), draft);
    for (const Section* section : built.logs) check_log_name(*section, draft);
    for (const Section* section : built.resolvers) check_resolver_name(*section, draft);
    const AllNames names{Names(Kind::listener, built.listeners), Names(Kind::pool, built.pools),
                         Names(Kind::log, built.logs), Names(Kind::acl, built.acls),
                         Names(Kind::limit, built.limits)};
    for (std::size_t i = 0; i < config.listeners.size(); i++) {
        const Section& section = *built.listeners[i];
        resolve_listener(config.listeners[i], built.references[i], section, names, !config.logs.empty(),
                         draft);
        check_proxy_protocol(config.listeners[i], section, draft);
    }
    for (std::size_t i = 0; i < config.pools.size(); i++) check_pool(config.pools[i], *built.pools[i], draft);
    check_routes(built, names, draft);
    check_limits(built, draft);
    if (!draft.failed())
        find_warnings(built, draft.single(Kind::global), draft.single(Kind::zones), warnings);
}

}  // namespace lb::config
