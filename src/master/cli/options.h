// master/cli/options.h -- what the command line asks for. Its flags are one table: parsing, --help and the test of lb(8) walk it.
// Owns:  which flags and words go together, and what they come to.
// Never: reads a file or starts anything in parse(); main.cpp acts on what it returns.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "master/config/parser.h"
#include "shared/base/result.h"

namespace lb::cli {

enum class Action : std::uint8_t {
    run,
    test,          // -t
    dump,          // -T: test, then print the effective configuration
    signal,        // -s NAME
    explain,       // lb explain METHOD URL
    status,        // lb status [--json]
    backend,       // lb backend ACTION ...
    version,       // -v
    version_long,  // -V
    help,          // -h
    demo,          // lb demo: the example backends
    manual,        // --manual: the generated KEYS part of lb.ini(5), for the build
};

// The request that "lb explain" is about, checked as far as a line of the control socket needs it.
struct Explain {
    std::string method;
    std::string target;                // a URL; with a Host among the fields also "/path?query" or "*"
    std::vector<std::string> headers;  // "NAME: VALUE"
    std::string from;                  // the client's address; "": 127.0.0.1
    std::string listener;              // its name; "": the only one, or the one with the URL's port
};

struct Options {
    Action action = Action::run;
    config::Source source;
    std::string signal;  // one of signal_names
    Explain explain;
    bool json = false;                   // lb status --json
    std::string request;                 // of lb backend: the line for the control socket
    std::string topic;                   // of help: "explain", "status", "backend", or "" for the whole
    bool quiet = false;                  // -q: with -t, -s and backend, only errors
    std::vector<std::string> arguments;  // of "lb demo"
};

// What lb backend takes.
inline constexpr std::string_view backend_actions[] = {"drain", "ready",  "maint", "weight",
                                                       "add",   "remove", "export"};
// What lb -s takes.
inline constexpr std::string_view signal_names[] = {"stop", "quit", "reload", "reopen", "status", "handover"};

struct Flag {
    char letter;             // 0: none
    std::string_view name;   // without dashes
    std::string_view value;  // what follows, as the help calls it; "": nothing; "[...]": only behind "="
    std::string_view text;
    std::string_view of = {};  // the command that takes it and whose help names it; "": all others
};
std::span<const Flag> flags() noexcept;

// Long flags may be written with one dash too, and values after a blank or "=". The error is a message for
// standard error, ending in how to get help; the caller exits with status 2.
Result<Options, std::string> parse(int argc, char** argv);
// At most 24 lines of at most 79 columns. Of a command, or of lb itself.
std::string help(std::string_view topic = {});

// lb -s NAME: speaks to the running master, prints what it says as it comes (progress to standard output, errors
// to standard error), returns the exit status. Connecting takes 5 seconds at most, the outcome what it takes.
int send_signal(const Options& options);
// lb explain: asks the running master where a request would go, and prints what it says in the same way. 0 when the
// request gets a pool or an answer, 1 when not.
int explain(const Options& options);
// lb status: what runs, as a table (status_table.h), or with --json as JSON: the same as /status of the admin port, but
// from the master, so it needs no admin process. 0 when lb serves.
int show_status(const Options& options);
// lb backend: tells the running master what to do with a backend, shows its progress and returns the exit status.
int change_backends(const Options& options);
// lb demo [PORT PORT PORT]: three example backends on 127.0.0.1 (default 8081 8082 8083) until SIGINT or
// SIGTERM. Each answers any path with its name and port, /healthcheck with 200. Returns the exit status.
int demo(const Options& options);

}  // namespace lb::cli
