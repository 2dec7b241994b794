// master/config/parser.h -- from files and the command line to a checked Config. Reads files; opens nothing
// else, creates nothing, resolves no host name.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "master/config/error.h"
#include "shared/base/result.h"
#include "shared/config/model.h"

namespace lb::config {

inline constexpr std::string_view default_file = "/etc/lb/lb.ini";

// Where the settings come from. Exactly one of file and quick start.
struct Source {
    std::string file = std::string(default_file);
    std::string prefix{};     // -p: relative paths in the file and on the command line are below it
    std::string directory{};  // where lb was started: relative paths of the command line without -p
    std::vector<std::string> overrides{};  // -g "key = value": laid over [global], last one wins
    bool quick_start = false;
    std::string backends{};     // --backends=URL[,URL...]
    std::string port = "3030";  // --port=N
};

struct Loaded {
    Config config;
    std::vector<std::string> warnings;  // whole lines, with their place
};

// Every mistake of every file at once, in the order of the files' lines.
// Relative paths in a file are below `prefix`, or without one below the directory of the file they stand in.
Result<Loaded, Errors> load(const Source& source);
// The same from text, as if it stood in a file of that name in "/"; `include` is refused. For tests and
// fuzzing.
Result<Loaded, Errors> load_text(std::string_view text, const std::string& name = "lb.ini");
// Only the path of the control socket, whatever else may be wrong with the file; for commands to a running
// master. Without any file at the default place: the control socket of a quick start.
Result<std::string, Errors> load_control(const Source& source);
// The effective configuration as a file that loads again to the same Config (lb -T).
std::string dump(const Config& config);
// The KEYS part of lb.ini(5) in man macros, from the table of keys, and the VARIABLES part, from that of variables.
std::string manual_keys();
std::string manual_variables();

}  // namespace lb::config
