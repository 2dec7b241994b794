// master/core.h -- the parts of the master that reload, shutdown and the control socket work on together.
// Owns:  nothing: the master owns each part and outlives whoever holds this.
#pragma once
#include <cstdint>
#include <functional>

#include "master/accepting.h"
#include "master/backend_names.h"
#include "master/children.h"
#include "master/config/parser.h"
#include "master/control_server.h"
#include "master/generations.h"
#include "master/health/board.h"
#include "master/listeners.h"
#include "master/membership.h"
#include "master/pidfile.h"
#include "master/predecessors.h"
#include "master/retirement.h"
#include "master/service/manager.h"
#include "master/table/writer.h"

namespace lb {

struct Core {
    event_base* base = nullptr;
    const shm::Segment& segment;
    TableWriter& writer;
    health::Board& board;
    Listeners& listeners;
    Children& children;
    Generations& generations;
    Accepting& accepting;
    Retirement& retirement;
    BackendNames& names;
    Membership& membership;
    ControlServer& control;
    PidFile& pid_file;
    service::Manager& manager;
    Predecessors& predecessors;
    const config::Source& source;
    ChildMain worker = nullptr;
    ChildMain admin = nullptr;
    std::uint64_t descriptor_limit = 0;
    std::function<void()> watch_retirement;  // something retires from now on: poll it soon
};

}  // namespace lb
