// shared/config/template.h -- text with variables, parsed once: "https://$host$request_uri" to pieces.
// Never: evaluates; what loads will run.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.h"
#include "shared/config/variables.h"

namespace lb::config {

struct Piece {
    Variable variable = Variable::text;
    std::string text;  // the literal; or the argument: a field's name in lower case with -, a cookie's, ...
    std::uint8_t capture = 0;  // 1-9
    bool operator==(const Piece&) const = default;
};

struct Template {
    std::string source;  // as written
    std::vector<Piece> pieces;
    bool operator==(const Template& other) const { return source == other.source; }
};

// "$name", "${name}", "$1" to "$<captures>", "$$" for a dollar. The error is a fragment that names the variable and the
// near miss ("there is no variable $hots; did you mean $host?"), or says that it is not known yet at this place.
Result<Template, std::string> parse_template(std::string_view text, Known latest, unsigned captures = 0);

}  // namespace lb::config
