// worker/exchange/services.h -- what every exchange of a worker needs. One worker, one of these; it outlives them all.
#pragma once
#include <cstdint>

#include "shared/config/model.h"
#include "shared/http/message.h"
#include "shared/shm/counters.h"
#include "worker/backend/backends.h"
#include "worker/io/io.h"
#include "worker/io/object_pool.h"
#include "worker/log/access_file.h"

namespace lb {

class Exchange;

struct Services {
    io::Io& io;
    const shm::Segment& table;
    shm::Column& column;
    const config::Config& config;
    Backends& backends;
    AccessLogs& logs;
    io::ObjectPool<Exchange>& exchanges;
    bool backend_histograms = false;
    bool draining = false;      // answers carry Connection: close
    http::RequestHead request;  // the head being parsed; valid during one Exchange::begin
};

}  // namespace lb
