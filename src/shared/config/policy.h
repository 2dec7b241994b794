// shared/config/policy.h -- the names of what an operator can choose between.
#pragma once
#include <cstdint>
#include <string_view>

namespace lb::config {

enum class Policy : std::uint8_t { round_robin, least_conn };
inline constexpr std::string_view policy_names[] = {"round_robin", "least_conn"};

enum class AcceptMode : std::uint8_t { reuseport, shared };
inline constexpr std::string_view accept_names[] = {"reuseport", "shared"};

enum class Forwarded : std::uint8_t { x, off };
inline constexpr std::string_view forwarded_names[] = {"x", "off"};

enum class Switch : std::uint8_t { off, on, automatic };
inline constexpr std::string_view histogram_names[] = {"off", "on", "auto"};

enum class LogFormat : std::uint8_t { combined, json };
inline constexpr std::string_view log_format_names[] = {"combined", "json"};

enum class CheckKind : std::uint8_t { off, tcp, http };
inline constexpr std::string_view check_names[] = {"off", "tcp", "http"};

}  // namespace lb::config
