// master/config/parser.cpp -- the way from a Source to a Config: collect what is written, build, check.
#include "master/config/parser.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "master/config/builder.h"
#include "master/config/checks.h"
#include "master/config/draft.h"
#include "master/config/include.h"
#include "master/config/quick_start.h"

namespace lb::config {
namespace {

// Where relative paths of the command line start.
std::string command_line_base(const Source& source) {
    const std::string& here = source.directory;
    return source.prefix.empty() ? here : resolve_path(here, source.prefix);
}

std::string prefix_of(const Source& source) { return source.prefix.empty() ? "" : command_line_base(source); }

std::string main_file(const Source& source) {
    return source.quick_start ? "--backends" : resolve_path(command_line_base(source), source.file);
}

// Everything that is written anywhere. False: there are no settings to judge, because the main file cannot be
// read.
bool collect(const Source& source, Draft& draft) {
    Files files(draft, prefix_of(source));
    const bool readable =
        source.quick_start ? draft_quick_start(source, draft) : files.read(main_file(source), {});
    for (const std::string& override : source.overrides) {
        files.follow(read_override({override, "-g", command_line_base(source)}, draft), 1);
    }
    return readable;
}

Result<Loaded, Errors> finish(Draft& draft, const std::string& file) {
    Loaded loaded;
    Built built = build(draft);
    check(built, draft, file, loaded.warnings);
    if (draft.failed()) return Failed{draft.take_errors()};
    loaded.config = std::move(built.config);
    return loaded;
}

}  // namespace

Result<Loaded, Errors> load(const Source& source) {
    Draft draft;
    if (!collect(source, draft)) return Failed{draft.take_errors()};
    return finish(draft, main_file(source));
}

Result<Loaded, Errors> load_text(std::string_view text, const std::string& name) {
    Draft draft;
    for (const Include& include : read_text({text, name, "/"}, draft)) {
        draft.fail(include.place, "is not possible here", {}, include.pattern);
    }
    return finish(draft, name);
}

Result<std::string, Errors> load_control(const Source& source) {
    const std::string file = main_file(source);
    const bool no_file =
        source.quick_start || (file == default_file && access(file.c_str(), F_OK) != 0 && errno == ENOENT);
    // Without a file at the usual place, whoever runs lb here started it without one.
    Draft draft;
    Files files(draft, prefix_of(source));
    const bool readable = no_file || files.read(file, {});
    for (const std::string& override : source.overrides) {
        files.follow(read_override({override, "-g", command_line_base(source)}, draft), 1);
    }

    const KeySpec* key = find_key(Kind::global, "control");
    const Entry* chosen = nullptr;
    for (const Entry& entry : draft.single(Kind::global).entries) {
        // The last -g wins; of a file that says it twice, the first is what a running lb was started with.
        if (entry.key == key && (chosen == nullptr || entry.override)) chosen = &entry;
    }
    if (chosen == nullptr && !readable) return Failed{draft.take_errors()};
    if (chosen == nullptr && no_file) return quick_start_control();

    Global global;
    Target into{.global = &global};
    if (chosen == nullptr) {
        key->codec.parse(key->fallback, into);
        return global.control;
    }
    into.base = chosen->base;
    if (const auto bad = key->codec.parse(chosen->value, into)) {
        return Failed{Errors{{chosen->place, bad->what, bad->hint, chosen->value}}};
    }
    return global.control;
}

}  // namespace lb::config
