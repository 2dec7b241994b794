// master/config/builder.cpp -- see builder.h.
#include "master/config/builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "master/config/references.h"

namespace lb::config {
namespace {

// The value as a message may show it: messages go to logs, which more people read than the settings.
std::string without_secret(const std::string& value) {
    constexpr std::string_view word = "secret=";
    const std::size_t found = value.find(word);
    if (found == std::string::npos) return value;
    const std::size_t from = found + word.size();
    const std::size_t end = std::min(value.find_first_of(" \t", from), value.size());
    return value.substr(0, from) + "***" + value.substr(end);
}

// Puts one value into the model. A default of the table is always good; a test parses each.
bool put(const Entry& entry, Target into, Draft* report) {
    into.base = entry.base;
    const auto bad = entry.key->codec.parse(entry.value, into);
    if (bad && report != nullptr)
        report->fail(entry.place, bad->what, bad->hint, without_secret(entry.value));
    return !bad;
}

bool put_own(Section& section, const KeySpec& key, const Target& into, Draft& draft) {
    bool any = false;
    for (Entry& entry : section.entries) {
        if (entry.key != &key) continue;
        any = true;
        entry.good = put(entry, into, &draft);
    }
    return any;
}

bool put_inherited(const Section& defaults, const KeySpec& key, const Target& into) {
    bool any = false;
    for (const Entry& entry : defaults.entries) {
        if (entry.key != &key) continue;
        any = true;
        put(entry, into, nullptr);  // a bad value was reported where it stands
    }
    return any;
}

bool misspelt(const Section& section, const KeySpec& key) {
    return std::find(section.misspelt.begin(), section.misspelt.end(), &key) != section.misspelt.end();
}

void fill(Section& section, const Target& into, Draft& draft) {
    for (const KeySpec& key : keys()) {
        if (!accepts(key.where, section.kind)) continue;
        if (put_own(section, key, into, draft)) continue;
        if (put_inherited(draft.single(Kind::defaults), key, into)) continue;
        if (!key.fallback.empty()) {
            key.codec.parse(key.fallback, into);
        } else if (key.required() && !misspelt(section, key)) {
            draft.fail(section.place, fmt::format("needs a '{}'", key.name));
        }
    }
}

// What two instances write must be two files, so it goes beside what cannot be shared in any case.
void settle_state_file(Global& global, const Section& section) {
    if (first_entry(section, "state_file") != nullptr) return;
    const bool usual = global.control == find_key(Kind::global, "control")->fallback;
    global.state_file = usual ? "/var/lib/lb/state.json" : global.control + ".state";
}

// Who writes down whom he lets in means that others stay out.
void settle_default(Acl& acl, const Section& section) {
    if (first_entry(section, "default") == nullptr) acl.otherwise = acl.allow.empty();
}

}  // namespace

Built build(Draft& draft) {
    Built built;
    Config& config = built.config;
    Traffic scratch;
    fill(draft.single(Kind::defaults), {.traffic = &scratch}, draft);

    for (Section& section : draft.sections) {
        switch (section.kind) {
            case Kind::global:
                fill(section, {.global = &config.global}, draft);
                settle_state_file(config.global, section);
                break;
            case Kind::defaults: break;
            case Kind::admin: fill(section, {.admin = &config.admin}, draft); break;
            case Kind::zones: fill(section, {.zones = &config.zones}, draft); break;
            case Kind::log: {
                AccessLog& log = config.logs.emplace_back();
                log.name = section.name;
                fill(section, {.log = &log}, draft);
                built.logs.push_back(&section);
                break;
            }
            case Kind::listener: {
                Listener& listener = config.listeners.emplace_back();
                listener.name = section.name;
                References& references = built.references.emplace_back();
                fill(section,
                     {.traffic = &listener.traffic, .listener = &listener, .references = &references}, draft);
                built.listeners.push_back(&section);
                break;
            }
            case Kind::pool: {
                Pool& pool = config.pools.emplace_back();
                pool.name = section.name;
                fill(section, {.traffic = &pool.traffic, .pool = &pool}, draft);
                built.pools.push_back(&section);
                break;
            }
            case Kind::route: {
                Route& route = config.routes.emplace_back();
                route.name = section.name;
                References& references = built.route_references.emplace_back();
                fill(section, {.route = &route, .references = &references}, draft);
                built.routes.push_back(&section);
                break;
            }
            case Kind::acl: {
                Acl& acl = config.acls.emplace_back();
                acl.name = section.name;
                fill(section, {.acl = &acl}, draft);
                settle_default(acl, section);
                built.acls.push_back(&section);
                break;
            }
            case Kind::limit: {
                Limit& limit = config.limits.emplace_back();
                limit.name = section.name;
                fill(section, {.limit = &limit}, draft);
                built.limits.push_back(&section);
                break;
            }
            case Kind::resolver:
                fill(section, {.resolver = &config.resolver}, draft);
                built.resolvers.push_back(&section);
                break;
        }
    }
    if (built.resolvers.empty()) {
        Section unsaid{Kind::resolver, std::string(only_resolver), {}};
        fill(unsaid, {.resolver = &config.resolver}, draft);
    }
    return built;
}

}  // namespace lb::config
