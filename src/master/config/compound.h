// master/config/compound.h -- values of more than one word: bind, discover, check, error_log.
// Owns:  their grammar, both ways; that of `backend` is in shared/config/backend_text.h, those of the rest in *_values.h.
//        Pure functions; what they print they read back to the same value.
// Never: resolves a name, looks at another key, touches a file.
#pragma once
#include <string>
#include <string_view>

#include "master/config/values.h"
#include "shared/config/model.h"

namespace lb::config {

// ADDR:PORT | unix:PATH | fd:N, then backlog=N proxy_protocol. A relative PATH is below `base`.
Parsed<Bind> parse_bind(std::string_view text, std::string_view base);
// ADDR:PORT | fd:N, then backlog=N.
Parsed<Bind> parse_admin_bind(std::string_view text);
std::string print_bind(const Bind& bind);

// dns NAME:PORT | dns srv=NAME | file PATH
Parsed<Discover> parse_discover(std::string_view text, std::string_view base);
std::string print_discover(const Discover& discover);

// off | tcp OPTIONS | http METHOD PATH OPTIONS
Parsed<Check> parse_check(std::string_view text);
std::string print_check(const Check& check);

// FILE | stderr | syslog, then a level. A relative file is below `base`.
Parsed<log::Target> parse_error_log(std::string_view text, std::string_view base);
std::string print_error_log(const log::Target& target);

}  // namespace lb::config
