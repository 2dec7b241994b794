// shared/process/control.h -- the line protocol of the control socket, for both ends.
//   request:  one line of at most 4096 bytes: "reload" | "stop" | "quit" | "reopen" | "status" |
//             "explain<TAB>METHOD<TAB>TARGET<TAB>FROM<TAB>LISTENER{<TAB>NAME: VALUE}" (FROM and LISTENER may be empty)
//   answer:   any number of lines "info TEXT", "error TEXT", then one last line "ok TEXT" or "failed TEXT", then the end.
// The answer comes when the outcome is known: for stop and quit when every child has ended.
#pragma once
#include <cstddef>
#include <string_view>

namespace lb::control {

inline constexpr std::size_t max_request = 4096;
inline constexpr std::size_t max_line = 65536;
inline constexpr std::string_view info = "info ";
inline constexpr std::string_view error = "error ";
inline constexpr std::string_view ok = "ok ";
inline constexpr std::string_view failed = "failed ";

}  // namespace lb::control
