// master/config/checks.cpp -- see checks.h.
#include "master/config/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace lb::config {
namespace {

// The entries of a key that made it into the model, in the order of the model's list.
std::vector<const Entry*> good_entries(const Section& section, std::string_view key) {
    std::vector<const Entry*> out;
    for (const Entry& entry : section.entries) {
        if (entry.good && entry.key->name == key) out.push_back(&entry);
    }
    return out;
}

const Entry* first_entry(const Section& section, std::string_view key) {
    for (const Entry& entry : section.entries) {
        if (entry.key->name == key) return &entry;
    }
    return nullptr;
}

// Whose values stand nowhere in a file: the table's default.
Place place_of(const Section& section, const std::vector<const Entry*>& entries, std::size_t i) {
    return i < entries.size() ? entries[i]->place : section.place;
}

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

// The index of `name` among `sections`; a mistake when there is none.
std::uint32_t find_reference(const std::string& name, const std::vector<const Section*>& sections,
                             const Section& from, std::string_view key, Draft& draft) {
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < sections.size(); i++) {
        if (sections[i]->name == name) return static_cast<std::uint32_t>(i);
        names.push_back(sections[i]->name);
    }
    if (draft.incomplete) return no_index;
    const Entry* entry = first_entry(from, key);
    std::string hint = near_miss(name, names);
    const std::string_view kind = key == "pool" ? "pool" : "log";
    if (hint.empty()) {
        hint =
            names.empty() ? fmt::format("there is no [{} NAME]", kind) : "there are " + join_choices(names);
        if (names.size() == 1) hint = fmt::format("there is '{}'", names[0]);
        if (names.size() > 8) hint.clear();
    }
    draft.fail(entry->place, fmt::format("no such {}", kind), hint, entry->value);
    return no_index;
}

void resolve_listener(std::size_t i, Built& built, Draft& draft) {
    Listener& listener = built.config.listeners[i];
    const References& names = built.references[i];
    const Section& section = *built.listeners[i];
    if (!names.pool.empty()) listener.pool = find_reference(names.pool, built.pools, section, "pool", draft);
    if (names.access_log.empty()) {
        listener.access_log = built.logs.empty() ? no_index : 0;
    } else if (names.access_log != "off") {
        listener.access_log = find_reference(names.access_log, built.logs, section, "access_log", draft);
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
    if (!pool.backends.empty() && only_backups && all_good) {
        draft.fail(section.place, "all backends are backups", "at least one must be without 'backup'");
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

void check_log_name(const Section& section, Draft& draft) {
    if (section.name == "off")
        draft.fail(section.place, "a log cannot be called off", "access_log = off means none");
}

void warn(const Place& place, std::string what, std::vector<std::string>& warnings) {
    warnings.push_back(show({place, std::move(what), {}, {}}));
}

void find_warnings(const Built& built, const Section& global, std::vector<std::string>& warnings) {
    const Config& config = built.config;
    if (config.global.daemon) {
        Place place = global.place;
        if (const Entry* entry = first_entry(global, "daemon")) place = entry->place;
        if (config.global.error_log.kind == log::Kind::stderr_stream) {
            warn(place, "in the background nobody reads standard error; set error_log to a file or syslog",
                 warnings);
        }
        for (std::size_t i = 0; i < config.logs.size(); i++) {
            if (!config.logs[i].path.empty()) continue;
            warn(built.logs[i]->place, "in the background nobody reads standard output; set path to a file",
                 warnings);
        }
    }
    for (std::size_t i = 0; i < config.pools.size(); i++) {
        const bool used = std::any_of(config.listeners.begin(), config.listeners.end(),
                                      [&](const Listener& listener) { return listener.pool == i; });
        if (!used) warn(built.pools[i]->place, "no listener names this pool", warnings);
    }
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
    for (const Section* section : built.logs) check_log_name(*section, draft);
    for (std::size_t i = 0; i < config.listeners.size(); i++) resolve_listener(i, built, draft);
    for (std::size_t i = 0; i < config.pools.size(); i++) check_pool(config.pools[i], *built.pools[i], draft);
    find_warnings(built, draft.single(Kind::global), warnings);
}

}  // namespace lb::config
