// master/config/log_formats.h -- what `format` of a [log] may be: a name, or the operator's own template.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "shared/config/model.h"
#include "shared/config/words.h"

namespace lb::config {

// combined | json | a text with variables. Sets format_name, format and escape.
std::optional<Problem> parse_log_format(std::string_view word, AccessLog& log);
std::string print_log_format(const AccessLog& log);

}  // namespace lb::config
