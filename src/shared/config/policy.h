// shared/config/policy.h -- the names of what an operator can choose between.
#pragma once
#include <cstdint>
#include <string_view>

namespace lb::config {

enum class Policy : std::uint8_t { round_robin, least_conn, p2c, peak_ewma, random, ip_hash, hash };
inline constexpr std::string_view policy_names[] = {"round_robin", "least_conn", "p2c", "peak_ewma",
                                                    "random",      "ip_hash",    "hash"};

// What requests are told apart by: for balance = hash, for sticky and for limits. Not every place takes every kind.
enum class KeyKind : std::uint8_t { uri, path, client_addr, header, cookie, query, route };
inline constexpr std::string_view key_names[] = {"uri",    "path",  "client_addr", "header",
                                                 "cookie", "query", "route"};

enum class StickyKind : std::uint8_t { off, cookie, header, ip };
inline constexpr std::string_view sticky_names[] = {"off", "cookie", "header", "ip"};

enum class SameSite : std::uint8_t { unset, lax, strict, none };
inline constexpr std::string_view same_site_names[] = {"", "lax", "strict", "none"};

enum class AcceptMode : std::uint8_t { reuseport, shared };
inline constexpr std::string_view accept_names[] = {"reuseport", "shared"};

enum class Forwarded : std::uint8_t { x, rfc7239, both, off };
inline constexpr std::string_view forwarded_names[] = {"x", "rfc7239", "both", "off"};

enum class SendProxy : std::uint8_t { off, v1, v2 };
inline constexpr std::string_view send_proxy_names[] = {"off", "v1", "v2"};

enum class Switch : std::uint8_t { off, on, automatic };
inline constexpr std::string_view histogram_names[] = {"off", "on", "auto"};

// How a value from outside is written into a log line, so that it can neither end the line nor forge one.
// text: \xHH for what could break a line or a quoted text; a value that is not there, or is empty, is "-".
// json: as inside the quotes of a JSON string, which the template has; empty stays empty. A number variable (a status, a
// count, a time) stands in the template without quotes, and when it has no value (-1, status 000) the piece is "null".
// Number variables are client_port, connection_requests, pid, worker, status, backend_status, attempts, time_unix, and all
// whose names end in _bytes or _time, bytes_sent and bytes_received; worker/variables knows them as is_number().
enum class LogEscape : std::uint8_t { text, json };

enum class LogSink : std::uint8_t { file, standard_output, syslog };

enum class DiscoverKind : std::uint8_t { dns, srv, file };

// How a condition of a route compares. `present`: a header, cookie or parameter of that name, whatever its value.
enum class Match : std::uint8_t { present, exact, prefix, regex };

enum class CheckKind : std::uint8_t { off, tcp, http };
inline constexpr std::string_view check_names[] = {"off", "tcp", "http"};

}  // namespace lb::config
