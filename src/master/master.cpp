// master/master.cpp -- see master.h.
#include "master/master.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "master/startup.h"
#include "master/supervisor.h"
#include "shared/base/log.h"

namespace lb {
namespace {

int say_and_fail(const std::string& error) {
    log::say_error("lb: " + error);
    return 1;
}

shm::Capacity capacity_for(const config::Config& config) {
    shm::Capacity capacity;
    // Room for the workers of several generations, the master and two admin processes, and for more workers than now:
    // a reload may raise their number. It costs address space only.
    const std::uint32_t workers = std::max(config.global.workers, startup::cpus());
    capacity.columns = std::max(capacity.columns, std::max(workers, config::most_workers) * 4 + 8);
    return capacity;
}

}  // namespace

int run_master(MasterOptions options) {
    auto loaded = config::load(options.source);
    if (!loaded) {
        for (const config::ConfigError& error : loaded.error()) log::say_error(config::show(error));
        return 1;
    }
    const config::Global global = loaded.value().config.global;
    startup::Daemon daemon;
    if (global.daemon) {
        if (const std::string error = daemon.detach(); !error.empty()) return say_and_fail(error);
    }
    service::Manager manager = service::Manager::from_environment();
    set_process_title("lb: master");
    log::set_role("master");
    const std::uint64_t descriptor_limit = startup::raise_descriptor_limit();
    const uid_t before = geteuid();
    if (!global.daemon) log::own_standard_streams();
    std::vector<std::string> notices;
    if (const std::string error = startup::settle_in(loaded.value().config, notices); !error.empty())
        return say_and_fail(error);
    if (const std::string error = log::open(global.error_log); !error.empty()) {
        return say_and_fail("error_log: " + error);
    }
    const bool log_on_stderr = global.error_log.kind == log::Kind::stderr_stream;
    for (const std::string& notice : notices) log::notice("{}", notice);
    if (global.daemon && log_on_stderr) {
        log::warn("daemon = on with error_log = stderr: once lb serves, nobody can read its log");
    }
    // Better known now than at the first reload.
    if (geteuid() != before) {
        if (const auto again = config::load(options.source); !again) {
            for (const config::ConfigError& error : again.error()) {
                log::warn("as the user that lb serves as, a reload will fail: {}", config::show(error));
            }
        }
    }
    log::notice("lb {} starting, pid {}", options.version, getpid());

    auto segment = shm::Segment::create(capacity_for(loaded.value().config));
    if (!segment) return say_and_fail("shared table: " + segment.error());
    const EventBasePtr base = make_event_base();
    if (!base) return say_and_fail("no event loop");
    int status = 0;
    std::string why;
    {
        Supervisor supervisor(options, base.get(), segment.value(), manager, descriptor_limit,
                              [&] { daemon.serving(false); });
        why = supervisor.begin(std::move(loaded).value(), std::move(options.stored));
        if (!why.empty()) {
            if (!log_on_stderr) log::error("{}", why);
            return say_and_fail(why);
        }
        status = supervisor.run(why);
    }
    // With the log on standard error it has been said there.
    if (!why.empty() && !log_on_stderr) return say_and_fail(why);
    return status;
}

}  // namespace lb
