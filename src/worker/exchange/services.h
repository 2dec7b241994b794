// worker/exchange/services.h -- what every exchange of a worker needs. One worker, one of these; it outlives them all.
#pragma once
#include <cstdint>

#include "shared/config/model.h"
#include "shared/http/message.h"
#include "shared/route/access.h"
#include "shared/route/matcher.h"
#include "shared/route/zone_of.h"
#include "shared/shm/counters.h"
#include "worker/backend/backends.h"
#include "worker/exchange/gzip.h"
#include "worker/io/io.h"
#include "worker/io/object_pool.h"
#include "worker/limit/limits.h"
#include "worker/log/access_logs.h"

namespace lb {

class Exchange;
class Mirrors;

struct Services {
    io::Io& io;
    const shm::Segment& table;
    shm::Column& column;
    const config::Config& config;
    route::Matcher& matcher;
    const route::AccessLists& access;
    const route::ZoneOf& zones;
    worker::Limits& limits;
    Backends& backends;
    AccessLogs& logs;
    io::ObjectPool<Exchange>& exchanges;
    Mirrors& mirrors;
    CompressorPool& compressors;
    std::uint32_t worker = 0;  // number in its generation
    std::uint32_t pid = 0;
    bool backend_histograms = false;
    bool draining = false;  // answers carry Connection: close
    std::string edits{},
        target{};                 // where edited lines and rewritten targets are made; of one call at a time
    http::RequestHead request{};  // the head being parsed; valid during one Exchange::begin
};

}  // namespace lb
