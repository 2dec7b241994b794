// shared/config/model.h -- the settings as plain structs: what a file became after it was read and checked.
// Owns:  its values. Read-only once the master has given every listener, pool and backend its place in the table.
// Never: holds text that still needs parsing; what loads will run.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/log.h"
#include "shared/config/pattern.h"
#include "shared/config/policy.h"
#include "shared/config/template.h"
#include "shared/net/address.h"

namespace lb::geo {
class Countries;  // shared/geo/countries.h
}

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
    std::uint64_t min_rate = UINT64_MAX;   // listener: bytes per second of a body; UINT64_MAX: off
    Millis idle_timeout{};                 // listener: client keep-alive
    Millis connect_timeout{};              // pool
    Millis response_timeout{};             // pool: until the response head
    Millis tunnel_timeout{};               // listener: an upgraded connection without a byte
    Millis request_timeout{};              // listener: the whole exchange, tunnels aside; 0: off
    std::uint32_t max_header = 0;          // both: bytes of a head, request or response
    std::uint32_t max_headers = 0;         // both: fields of a head
    std::uint64_t max_body = 0;            // listener: bytes of a request body; UINT64_MAX: off
    std::uint32_t keepalive_requests = 0;  // listener: requests per client connection; UINT32_MAX: off
    Forwarded forwarded = Forwarded::x;    // listener: what backends are told about the client
    bool request_id = true;                // listener: X-Request-Id
    bool via = false;                      // listener: Via, in requests and in answers
    bool operator==(const Traffic&) const = default;
};

struct Global {
    std::string user;           // empty: not set, so default_user when started as root
    std::uint32_t workers = 0;  // 0: auto, one per CPU this process may use
    AcceptMode accept = AcceptMode::reuseport;
    std::uint32_t connections = 0;  // client connections per worker
    std::string control;            // path of the control socket
    std::string pid_file;           // empty: none
    std::string state_file;         // of what operators and services changed while lb runs; empty: none
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
    bool proxy_protocol = false;              // a PROXY header comes first, from `trusted` senders only
    bool operator==(const Bind&) const = default;
};

struct Admin {
    std::vector<Bind> binds;  // ADDR:PORT or fd:N; empty: off
    std::vector<Cidr> allow;
    std::string token_file;  // empty: no changes over TCP
    std::string token;       // its content, read with the configuration
    Switch backend_histograms = Switch::automatic;
    bool operator==(const Admin&) const = default;
};

// One access log. "combined" and "json" are templates like any other (master/config/log_formats.cpp has them).
struct AccessLog {
    std::string name;
    LogSink sink = LogSink::file;
    std::string path;         // for LogSink::file
    std::string format_name;  // "combined", "json", or empty: the operator's own
    Template format;
    LogEscape escape = LogEscape::text;  // json: of "json", and of an operator's own that begins with {
    std::uint32_t sample = 1'000'000;    // of a million exchanges
    bool operator==(const AccessLog&) const = default;
};

// What a request is told apart by. `name`: of a header in lower case, of a cookie or of a query parameter.
struct RequestKey {
    KeyKind kind = KeyKind::client_addr;
    std::string name;
    bool operator==(const RequestKey&) const = default;
};

// [acl]: who may. The longest prefix that holds the address decides, of two equal ones the denial.
struct Acl {
    std::string name;
    std::vector<Cidr> allow, deny;
    bool otherwise = false;  // `default`: whether an address that no prefix holds may
    bool operator==(const Acl&) const = default;
};

// [limit]: how much of it one key may have, over all workers. A bucket holds `burst` requests and is refilled with one
// every `interval`; `connections` are requests of the key that are being served at once.
struct Limit {
    std::string name;
    RequestKey key;                 // client_addr, header, cookie or route
    std::uint64_t interval = 0;     // nanoseconds; 0: no rate
    std::uint32_t burst = 0;        // at least 1 when there is a rate
    std::uint32_t connections = 0;  // 0: any number
    std::uint16_t status = 429;
    bool dry_run = false;           // count, refuse nobody
    std::uint32_t slot = no_index;  // place in the shared table; set by the master
    bool operator==(const Limit&) const = default;
};

struct Listener {
    std::string name;
    std::vector<Bind> binds;
    Traffic traffic;
    std::vector<Cidr> trusted;  // whose X-Forwarded-*, Forwarded, X-Request-Id and PROXY header is believed
    std::vector<std::uint32_t> limits,
        acls;                             // indexes into Config::limits and Config::acls; all of them hold
    std::uint32_t access_log = no_index;  // index into Config::logs; no_index: off
    std::uint32_t pool = no_index;        // index into Config::pools; no_index: 404
    std::uint32_t slot = no_index;        // place in the shared table; set by the master
    bool operator==(const Listener&) const = default;
};

struct Backend {
    std::string name;  // name=, else the address as written
    std::string host;  // "10.0.1.11:8080" as written: the Host of checks; of unix:PATH "localhost"
    std::vector<Address> addresses;  // tried in order; of a name: the last answer, empty until there was one
    std::string dns_name;            // a name to resolve; empty: `addresses` are as written
    std::uint16_t port = 0;          // of dns_name
    std::uint32_t weight = 1;        // 1-256 (0 would be drain; that is an operator's state)
    std::uint32_t max_inflight = 0;  // exchanges at once over all workers; 0: any number
    std::string zone;                // empty: none
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
    bool on_500 = false, on_502 = false, on_503 = false, on_504 = false;  // answers with that status
    Millis total{};  // no attempt starts later than this after the first
    // Of the pool, over all workers: retries of requests that a backend may have seen, at most this share of the
    // requests and `floor` a second more.
    std::uint32_t budget = 0;  // per cent
    std::uint32_t floor = 0;
    bool operator==(const Retries&) const = default;
};

// Where backends of a pool come from besides `backend =`. They join and leave while lb runs.
struct Discover {
    DiscoverKind kind = DiscoverKind::dns;
    std::string name;  // dns: a host name, each of whose addresses is a backend; srv: the name of SRV records
    std::uint16_t port = 0;  // dns
    std::string path;        // file: absolute; one "ADDR:PORT [options]" a line, as after `backend =`
    bool operator==(const Discover&) const = default;
};

struct Balance {
    Policy policy = Policy::round_robin;
    RequestKey key;           // of hash; ip_hash: client_addr
    std::uint32_t bound = 0;  // of hash: no backend has more than this per cent of the mean load; 0: off
    bool operator==(const Balance&) const = default;
};

// A backend that fails requests is left out for a while. A failure: no connection, no answer, or 5xx but 501 and 505.
struct Eject {
    std::uint32_t errors = 0;    // in a row over all workers; 0: eject = off
    Millis within{};             // the errors came in this time; also the window of `ratio`
    Millis duration{};           // of the first time; grows with each time in a row, at most tenfold
    std::uint32_t at_most = 0;   // per cent of the pool's members
    std::uint32_t ratio = 0;     // per cent of failures among the requests of `within`; 0: off
    std::uint32_t requests = 0;  // that `ratio` needs at least
    bool operator==(const Eject&) const = default;
};

// Requests that wait for a free place when every usable backend has its max_inflight; first in, first out.
struct Queue {
    std::uint32_t size = 0;  // over all workers; 0: off
    Millis timeout{};
    bool operator==(const Queue&) const = default;
};

struct Sticky {
    StickyKind kind = StickyKind::off;
    std::string name;    // of the cookie; of the header in lower case
    std::string secret;  // bytes; cookie only
    Millis ttl{};        // cookie: Max-Age; 0: until the browser ends
    bool secure = false, httponly = false;
    SameSite same_site = SameSite::unset;
    bool operator==(const Sticky&) const = default;
};

struct Pool {
    std::string name;
    Balance balance;
    std::vector<Backend> backends;
    std::vector<Discover> discover;
    SendProxy send_proxy = SendProxy::off;
    Check check;
    Traffic traffic;
    Retries retries;
    Eject eject;
    std::uint32_t panic = 0;  // per cent: with fewer usable backends than this all are used
    Queue queue;
    Millis slow_start{};  // from 0 to full weight after a backend came back; 0: at once
    Sticky sticky;
    std::uint32_t target_inflight = 0;  // of one backend, for the scaling signal; 0: not said
    std::uint32_t keepalive = 0;        // idle connections over all workers
    Millis keepalive_timeout{};
    std::uint32_t slot = no_index;  // place in the shared table; set by the master
    bool operator==(const Pool&) const = default;
};

struct HostMatch {
    bool wildcard = false;  // "*.example.com": any name that ends so, not example.com itself
    std::string name;       // as route::compared_host() leaves it, without "*."
    bool operator==(const HostMatch&) const = default;
};

struct PathMatch {
    Match kind = Match::present;  // present: any path
    std::string text;             // exact and prefix: compared with the normalised path
    Pattern pattern;
    bool operator==(const PathMatch&) const = default;
};

// One `header =`, `cookie =` or `query =`; never Match::prefix.
struct ValueMatch {
    std::string name;  // of a header in lower case
    Match kind = Match::present;
    std::string text;
    Pattern pattern;
    bool operator==(const ValueMatch&) const = default;
};

struct Share {
    std::uint32_t pool = no_index;
    std::uint32_t weight = 1;
    bool operator==(const Share&) const = default;
};

struct Mirror {
    std::uint32_t pool = no_index;
    std::uint32_t share = 1'000'000;  // of a million requests
    bool operator==(const Mirror&) const = default;
};

struct Rewrite {
    Pattern pattern;  // of the path as received, without the query
    Template to;      // the new path; $1 to $9 are the pattern's groups; with a ?, the new query too
    bool operator==(const Rewrite&) const = default;
};

enum class EditKind : std::uint8_t { remove, set, add };
// Of one header field. All removals of a route come first, then what it sets, then what it adds.
struct Edit {
    EditKind kind = EditKind::set;
    std::string name;  // as written
    Template value;    // none for remove; an empty result adds nothing
    bool operator==(const Edit&) const = default;
};

struct Redirect {
    std::uint16_t status = 302;
    Template location;
    bool operator==(const Redirect&) const = default;
};

struct Respond {
    std::uint16_t status = 200;
    std::string path;                            // absolute; empty: a page of lb's own
    std::shared_ptr<const std::string> content;  // of the file, read when the configuration was
    std::string content_type;                    // by the file's ending
    bool operator==(const Respond& other) const {
        return status == other.status && path == other.path && content_type == other.content_type &&
               (content == other.content || (content && other.content && *content == *other.content));
    }
};

// What a request must be, and what happens to it then. All conditions must hold; an empty one always does.
// Exactly one of pools, redirect and respond is set.
struct Route {
    std::string name;
    std::vector<std::uint32_t> listeners;  // indexes into Config::listeners; empty: all
    std::vector<HostMatch> hosts;          // any of them
    PathMatch path;
    std::vector<std::string> methods;                   // any of them
    std::vector<ValueMatch> headers, cookies, queries;  // all of them
    std::vector<Cidr> sources;                          // any of them
    std::vector<std::string> countries;                 // any of them: two capital letters each
    std::vector<std::uint32_t> limits, acls;            // as of a listener; its own hold too

    std::optional<std::uint64_t> max_body;
    std::optional<std::uint64_t> min_rate;  // UINT64_MAX: off
    std::optional<Millis> body_timeout, response_timeout, tunnel_timeout;
    std::optional<Millis> request_timeout;  // 0: off
    std::optional<Retries> retries;
    std::optional<std::uint32_t> access_log;  // no_index: off

    std::vector<Share> pools;
    std::optional<Redirect> redirect;
    std::optional<Respond> respond;
    std::optional<Mirror> mirror;
    std::optional<Rewrite> rewrite;
    std::vector<Edit> request_edits, response_edits;
    bool gzip = false;              // compress = gzip
    std::uint32_t slot = no_index;  // place in the shared table; set by the master
    bool operator==(const Route&) const = default;
};

// [resolver default]: how names become addresses.
struct Resolver {
    std::vector<Address> nameservers;  // empty: /etc/resolv.conf
    Millis ttl_min{}, ttl_max{};       // clamps
    Millis stale{};                    // how long an answer is kept when no new one comes
    bool operator==(const Resolver&) const = default;
};

// [zones]: where this lb stands, where clients come from.
struct Zones {
    std::string here;  // empty: no zone is preferred but the client's
    struct Place {
        std::string zone;
        std::vector<std::string> countries;
        bool operator==(const Place&) const = default;
    };
    std::vector<Place> places;
    std::string database;     // path; empty: none
    std::uint32_t spill = 0;  // per cent: a zone keeps its traffic until its healthy share falls below this
    std::shared_ptr<const geo::Countries> countries;  // the opened database; null: none
    bool operator==(const Zones& other) const {
        return here == other.here && places == other.places && database == other.database &&
               spill == other.spill;
    }
};

struct Config {
    Global global;
    Admin admin;
    Resolver resolver;
    Zones zones;
    std::vector<Acl> acls;
    std::vector<Limit> limits;
    std::vector<AccessLog> logs;
    std::vector<Listener> listeners;
    std::vector<Pool> pools;
    std::vector<Route> routes;  // in the order of the file
    bool operator==(const Config&) const = default;
};

}  // namespace lb::config
