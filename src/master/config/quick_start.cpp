// master/config/quick_start.cpp -- see quick_start.h. The values pass the table of keys, like a file's.
#include "master/config/quick_start.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "shared/base/text.h"

namespace lb::config {
namespace {

constexpr std::string_view from_backends = "--backends";
constexpr std::string_view from_port = "--port";

void set(Draft& draft, std::size_t section, std::string_view name, std::string value, std::string_view file) {
    const Section& s = draft.sections[section];
    Entry entry;
    entry.key = find_key(s.kind, name);
    entry.value = std::move(value);
    entry.place = {std::string(file), 0, s.label(), std::string(name)};
    draft.add_entry(section, std::move(entry));
}

// The host and port, without what a URL may hold around them.
bool starts_with_scheme(std::string_view url, std::string_view scheme) {
    return url.size() >= scheme.size() && text::equals_lower(url.substr(0, scheme.size()), scheme);
}

}  // namespace

Parsed<std::string> parse_backend_url(std::string_view url) {
    constexpr std::string_view http = "http://";
    if (starts_with_scheme(url, "https://"))
        return problem("TLS to backends is not supported", "write http://HOST:PORT");
    if (starts_with_scheme(url, http)) {
        url.remove_prefix(http.size());
    } else if (url.find("://") != std::string_view::npos) {
        return problem("unknown scheme", "write http://HOST:PORT");
    }
    if (url.ends_with('/')) url.remove_suffix(1);
    if (url.empty()) return problem("has no host", "write http://HOST:PORT");
    if (url.find_first_of("/?#") != std::string_view::npos) {
        return problem("a backend has no path",
                       "write http://HOST:PORT; the path of each request is passed on");
    }
    if (url.find('@') != std::string_view::npos)
        return problem("a backend has no user", "write http://HOST:PORT");
    const std::size_t bracket = url.rfind(']');
    const std::size_t colon = url.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
    return has_port ? std::string(url) : fmt::format("{}:80", url);
}

std::string quick_start_control() {
    if (geteuid() == 0) return std::string(find_key(Kind::global, "control")->fallback);
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    if (runtime != nullptr && runtime[0] == '/') return resolve_path(runtime, "lb/control.sock");
    return fmt::format("/tmp/lb-{}/control.sock", geteuid());
}

bool draft_quick_start(const Source& source, Draft& draft) {
    draft.name_file(std::string(from_backends));
    draft.name_file(std::string(from_port));
    const auto global = static_cast<std::size_t>(Kind::global);
    set(draft, global, "control", quote(quick_start_control()), from_backends);
    set(draft, global, "pid_file", "off", from_backends);
    set(draft, global, "state_file", "off", from_backends);
    set(draft, global, "error_log", "stderr info", from_backends);

    const auto pool =
        draft.add_section(Kind::pool, "backends", {std::string(from_backends), 0, "pool backends", {}});
    set(draft, pool, "check", "http GET /healthcheck expect=200-299", from_backends);
    bool usable = false;
    for (std::string_view left = source.backends;;) {
        const std::size_t comma = std::min(left.find(','), left.size());
        const std::string_view url = text::trim(left.substr(0, comma));
        const auto backend = parse_backend_url(url);
        if (backend) {
            usable = true;
            set(draft, pool, "backend", quote(backend.value()), from_backends);
        } else {
            draft.fail({std::string(from_backends), 0, {}, {}}, backend.error().what, backend.error().hint,
                       std::string(url));
        }
        if (comma == left.size()) break;
        left.remove_prefix(comma + 1);
    }

    const auto listener =
        draft.add_section(Kind::listener, "web", {std::string(from_port), 0, "listener web", {}});
    set(draft, listener, "pool", "backends", from_backends);
    const auto port = parse_number(source.port, 1, 65535);
    if (port) {
        set(draft, listener, "bind", fmt::format("0.0.0.0:{}", port.value()), from_port);
    } else {
        draft.fail({std::string(from_port), 0, {}, {}}, port.error().what, {}, source.port);
    }
    return usable && port.ok();
}

}  // namespace lb::config
