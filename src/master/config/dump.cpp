// master/config/dump.cpp -- a Config as a file that loads again to the same Config. [defaults] is not in it:
// every listener and pool shows what it ended up with.
#include <fmt/format.h>

#include <iterator>

#include "master/config/keys.h"
#include "master/config/parser.h"

namespace lb::config {
namespace {

void append(std::string& out, Kind kind, const std::string& name, const Origin& from) {
    const std::string_view word = kind_names[static_cast<std::size_t>(kind)];
    if (!out.empty()) out += '\n';
    out += name.empty() ? fmt::format("[{}]\n", word) : fmt::format("[{} {}]\n", word, name);
    for (const KeySpec& key : keys()) {
        if (!accepts(key.where, kind)) continue;
        for (const std::string& value : key.codec.print(from)) {
            fmt::format_to(std::back_inserter(out), "{} = {}\n", key.name, value);
        }
    }
}

}  // namespace

std::string dump(const Config& config) {
    std::string out;
    append(out, Kind::global, {}, {.global = &config.global});
    append(out, Kind::admin, {}, {.admin = &config.admin});
    append(out, Kind::zones, {}, {.zones = &config.zones});
    for (const AccessLog& log : config.logs) append(out, Kind::log, log.name, {.log = &log});
    for (const Listener& listener : config.listeners) {
        append(out, Kind::listener, listener.name,
               {.traffic = &listener.traffic, .listener = &listener, .config = &config});
    }
    for (const Pool& pool : config.pools)
        append(out, Kind::pool, pool.name, {.traffic = &pool.traffic, .pool = &pool});
    for (const Route& route : config.routes)
        append(out, Kind::route, route.name, {.route = &route, .config = &config});
    for (const Acl& acl : config.acls) append(out, Kind::acl, acl.name, {.acl = &acl});
    for (const Limit& limit : config.limits) append(out, Kind::limit, limit.name, {.limit = &limit});
    append(out, Kind::resolver, std::string(only_resolver), {.resolver = &config.resolver});
    return out;
}

}  // namespace lb::config
