// master/config/compound.h -- values of more than one word: bind, backend, check, retries, error_log.
// Owns:  their grammar, both ways. Pure functions; what they print they read back to the same value.
// Never: resolves a name, looks at another key, touches a file.
#pragma once
#include <string>
#include <string_view>

#include "master/config/values.h"
#include "shared/config/model.h"

namespace lb::config {

// ADDR:PORT | fd:N, then backlog=N.
Parsed<Bind> parse_bind(std::string_view text);
std::string print_bind(const Bind& bind);

// ADDR:PORT, then weight=N name=NAME backup. "localhost" is 127.0.0.1; other names are refused.
Parsed<Backend> parse_backend(std::string_view text);
std::string print_backend(const Backend& backend);

// off | tcp OPTIONS | http METHOD PATH OPTIONS
Parsed<Check> parse_check(std::string_view text);
std::string print_check(const Check& check);

// COUNT, then on=LIST total=TIME.
Parsed<Retries> parse_retries(std::string_view text);
std::string print_retries(const Retries& retries);

// FILE | stderr | syslog, then a level. A relative file is below `base`.
Parsed<log::Target> parse_error_log(std::string_view text, std::string_view base);
std::string print_error_log(const log::Target& target);

}  // namespace lb::config
