// shared/process/control.h -- the line protocol of the control socket, for both ends.
//   request:  one line of at most 4096 bytes: "reload" | "stop" | "quit" | "handover" | "reopen" | "status" |
//             "explain<TAB>METHOD<TAB>TARGET<TAB>FROM<TAB>LISTENER{<TAB>NAME: VALUE}" (FROM and LISTENER may be empty) |
//             "backend<TAB>drain|ready|maint<TAB>POOL/NAME<TAB>WAIT" (WAIT: empty: the answer comes at once; else
//               milliseconds until it comes although requests are in flight, 0: never. ready waits for nothing) |
//             "backend<TAB>weight<TAB>POOL/NAME<TAB>N" (1 to 256, or "default": as configured) |
//             "backend<TAB>add<TAB>POOL<TAB>TEXT" (as after `backend =`; a unix socket by its absolute path) |
//             "backend<TAB>remove<TAB>POOL/NAME" (what was added or registered) |
//             "backend<TAB>register<TAB>POOL<TAB>NAME<TAB>ADDRESS<TAB>WEIGHT<TAB>TTL" (milliseconds, a second to a day) |
//             "backend<TAB>deregister<TAB>POOL<TAB>NAME" |
//             "backend<TAB>set<TAB>POOL<TAB>NAME<TAB>STATE<TAB>WEIGHT" (ready, drain or maint; N or "default"; what is empty
//               stays as it is. Both or, when one is refused, neither) |
//             "backend<TAB>export" (info lines: what is different from the file, as configuration)
//             POOL ends at the first '/', NAME may hold more of them.
//   answer:   any number of lines "info TEXT", "error TEXT", then one last line "ok TEXT" or "failed TEXT", then the end.
// The answer comes when the outcome is known: for stop and quit when every child has ended.
// "status<TAB>json" is answered with /status of the admin port, each line of that JSON one "info".
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
