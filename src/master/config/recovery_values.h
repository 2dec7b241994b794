// master/config/recovery_values.h -- values of a [pool] about backends that fail or are full: retries, eject, queue.
// Owns:  their grammar, both ways. Pure functions; what they print they read back to the same value.
// Never: looks at another key.
#pragma once
#include <string>
#include <string_view>

#include "master/config/values.h"
#include "shared/config/model.h"

namespace lb::config {

// COUNT, then on=LIST total=TIME budget=N% floor=N.
Parsed<Retries> parse_retries(std::string_view text);
std::string print_retries(const Retries& retries);

// off | any of errors=N within=TIME for=TIME at_most=N% ratio=N% requests=N, at least one
Parsed<Eject> parse_eject(std::string_view text);
std::string print_eject(const Eject& eject);

// off | SIZE [timeout=TIME]
Parsed<Queue> parse_queue(std::string_view text);
std::string print_queue(const Queue& queue);

}  // namespace lb::config
