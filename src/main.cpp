// main.cpp -- reads the command line and starts the right thing. The only file that knows both master and worker.
#include <event2/event.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "master/admin/server.h"
#include "master/cli/options.h"
#include "master/config/parser.h"
#include "master/listeners.h"
#include "master/master.h"
#include "shared/base/log.h"
#include "shared/process/child.h"
#include "worker/worker.h"

namespace {

constexpr int usage_error = 2;

// Standard output may be a closed pipe or a full disk: then the command has failed.
int say(const std::string& text) {
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    return std::fflush(stdout) == 0 && written ? 0 : 1;
}

std::string build_information() {
#if defined(__clang__)
    const char* compiler = "clang " __clang_version__;
#else
    const char* compiler = "g++ " __VERSION__;
#endif
    return fmt::format("lb {}\ncompiler: {}\nlibevent: {} (built with {})\nfmt: {}.{}.{}\n", LB_VERSION,
                       compiler, event_get_version(), LIBEVENT_VERSION, FMT_VERSION / 10000,
                       FMT_VERSION / 100 % 100, FMT_VERSION % 100);
}

int dump(const lb::config::Source& source) {
    const auto loaded = lb::config::load(source);
    if (!loaded) {
        for (const auto& error : loaded.error()) lb::log::say_error(lb::config::show(error));
        return 1;
    }
    return say(lb::config::dump(loaded.value().config));
}

}  // namespace

int main(int argc, char** argv) {
    // Before a variable is taken out: what stays of the environment must still be in one piece.
    lb::init_process_title(argc, argv);
    // Before anything is opened: only what was open now can be named by bind = fd:N.
    std::vector<lb::service::Stored> stored = lb::service::take_stored();
    std::vector<int> inherited = lb::open_descriptors();
    for (const auto& each : stored) std::erase(inherited, each.fd.get());
    const auto parsed = lb::cli::parse(argc, argv);
    if (!parsed) {
        lb::log::say_error(parsed.error());
        return usage_error;
    }
    const lb::cli::Options& options = parsed.value();
    lb::MasterOptions master;
    master.source = options.source;
    master.worker = lb::run_worker;
    master.admin = lb::admin::run;
    master.inherited = std::move(inherited);
    master.stored = std::move(stored);
    master.started_by = getuid();
    master.version = LB_VERSION;
    switch (options.action) {
        case lb::cli::Action::run: return lb::run_master(std::move(master));
        case lb::cli::Action::test: return lb::test_configuration(master, options.quiet);
        case lb::cli::Action::dump: return dump(options.source);
        case lb::cli::Action::signal: return lb::cli::send_signal(options);
        case lb::cli::Action::explain: return lb::cli::explain(options);
        case lb::cli::Action::status: return lb::cli::show_status(options);
        case lb::cli::Action::backend: return lb::cli::change_backends(options);
        case lb::cli::Action::version: return say(fmt::format("lb {}\n", LB_VERSION));
        case lb::cli::Action::version_long: return say(build_information());
        case lb::cli::Action::help: return say(lb::cli::help(options.topic));
        case lb::cli::Action::demo: return lb::cli::demo(options);
        case lb::cli::Action::manual: return say(lb::config::manual_keys() + lb::config::manual_variables());
    }
    return usage_error;
}
