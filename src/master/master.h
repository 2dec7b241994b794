// master/master.h -- the master process, from the parsed command line to its exit.
// Owns:  the order of the start: user, directories, privileges, and only then sockets, logs and files.
// Never: knows what a worker does; main.cpp hands it the function that a new worker runs.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "master/config/parser.h"
#include "master/service/handed.h"
#include "shared/process/child.h"

namespace lb {

struct MasterOptions {
    config::Source source;
    ChildMain worker = nullptr;
    ChildMain admin = nullptr;
    uid_t started_by = 0;  // the real user at the start
    std::vector<int>
        inherited;  // descriptors that were open when the process began, without those of `stored`
    std::vector<service::Stored> stored{};  // what the service manager kept for it
    std::string version;
};

// Serves until it is told to end. Returns the exit status; errors before it serves go to standard error.
int run_master(MasterOptions options);

// lb -t: is the configuration right, and could it be served here and now? Binds nothing that stays and leaves no file
// behind. Prints warnings and errors to standard error; returns the exit status.
int test_configuration(const MasterOptions& options, bool quiet);

}  // namespace lb
