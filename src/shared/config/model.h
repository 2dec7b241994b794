// shared/config/model.h -- the settings as plain structs: what a file became after it was read and checked.
// Owns:  its values. Read-only once the master has given every listener, pool and backend its place in the table.
// Never: holds text that still needs parsing; what loads will run.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/log.h"
#include "shared/config/policy.h"
#include "shared/net/address.h"

namespace lb::config {

using Millis = std::chrono::milliseconds;
// "None", for indexes into vectors and places in the table.
inline constexpr std::uint32_t most_workers = 256;
inline constexpr std::uint32_t no_index = UINT32_MAX;

// The keys of [defaults]: every listener and pool has its own copy, with its own keys laid over.
// A listener holds the client's side of it, a pool the backend's; the other side's fields stay as they are here.
struct Traffic {
    Millis header_timeout{};               // listener: a whole request head
    Millis body_timeout{};                 // both: between two reads of a body, and between two writes
    Millis idle_timeout{};                 // listener: client keep-alive
    Millis connect_timeout{};              // pool
    Millis response_timeout{};             // pool: until the response head
    Millis request_timeout{};              // listener: the whole exchange; 0: off
    std::uint32_t max_header = 0;          // both: bytes of a head, request or response
    std::uint32_t max_headers = 0;         // both: fields of a head
    std::uint64_t max_body = 0;            // listener: bytes of a request body; UINT64_MAX: off
    std::uint32_t keepalive_requests = 0;  // listener: requests per client connection; UINT32_MAX: off
    Forwarded forwarded = Forwarded::x;    // listener: what backends are told about the client
    bool operator==(const Traffic&) const = default;
};

struct Global {
    std::string user;           // empty: not set, so default_user when started as root
    std::uint32_t workers = 0;  // 0: auto, one per CPU this process may use
    AcceptMode accept = AcceptMode::reuseport;
    std::uint32_t connections = 0;  // client connections per worker
    std::string control;            // path of the control socket
    std::string pid_file;           // empty: none
    bool daemon = false;
    log::Target error_log;
    Millis drain_timeout{};
    Millis quit_timeout{};
    std::uint32_t max_generations = 0;
    Millis shutdown_grace{};
    bool operator==(const Global&) const = default;
};

inline constexpr std::uint32_t default_backlog = 4096;  // the kernel lowers it to net.core.somaxconn

struct Bind {
    Address address;                          // length 0 when inherited
    int inherited_fd = -1;                    // bind = fd:N; -1: not inherited
    std::uint32_t backlog = default_backlog;  // for listen(2)
    bool operator==(const Bind&) const = default;
};

struct Admin {
    std::vector<Bind> binds;  // ADDR:PORT or fd:N; empty: off
    std::vector<Cidr> allow;
    Switch backend_histograms = Switch::automatic;
    bool operator==(const Admin&) const = default;
};

struct AccessLog {
    std::string name;
    std::string path;  // a file; empty: standard output
    LogFormat format = LogFormat::combined;
    bool operator==(const AccessLog&) const = default;
};

struct Listener {
    std::string name;
    std::vector<Bind> binds;
    Traffic traffic;
    std::uint32_t access_log = no_index;  // index into Config::logs; no_index: off
    std::uint32_t pool = no_index;        // index into Config::pools; no_index: 404
    std::uint32_t slot = no_index;        // place in the shared table; set by the master
    bool operator==(const Listener&) const = default;
};

struct Backend {
    std::string name;                // name=, else the address as written
    std::string host;                // "10.0.1.11:8080" as written: the Host of checks
    std::vector<Address> addresses;  // at least one; tried in order
    std::uint32_t weight = 1;        // 1-256 (0 would be drain; that is an operator's state)
    bool backup = false;
    std::uint32_t slot = no_index;  // place in the shared table; set by the master
    bool operator==(const Backend&) const = default;
};

struct Check {
    CheckKind kind = CheckKind::tcp;
    std::string method = "GET";                                     // http
    std::string path{};                                             // http
    std::vector<std::pair<std::uint16_t, std::uint16_t>> expect{};  // http: ranges of good status codes
    Millis interval{};
    Millis timeout{};
    std::uint32_t rise = 0;
    std::uint32_t fall = 0;
    bool start_up = false;  // start=up: used before its first check
    bool operator==(const Check&) const = default;
};

struct Retries {
    std::uint32_t count = 0;  // other backends to try
    bool on_connect = false;  // the connection was refused or timed out
    bool on_reset = false;    // the connection ended before an answer byte
    bool on_timeout = false;  // no response head within response_timeout
    Millis total{};           // no attempt starts later than this after the first
    bool operator==(const Retries&) const = default;
};

struct Pool {
    std::string name;
    Policy policy = Policy::round_robin;
    std::vector<Backend> backends;
    Check check;
    Traffic traffic;
    Retries retries;
    std::uint32_t keepalive = 0;  // idle connections over all workers
    Millis keepalive_timeout{};
    std::uint32_t slot = no_index;  // place in the shared table; set by the master
    bool operator==(const Pool&) const = default;
};

struct Config {
    Global global;
    Admin admin;
    std::vector<AccessLog> logs;
    std::vector<Listener> listeners;
    std::vector<Pool> pools;
    bool operator==(const Config&) const = default;
};

}  // namespace lb::config
