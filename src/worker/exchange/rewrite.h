// worker/exchange/rewrite.h -- a route's `rewrite`: the path of a request, through a pattern and a template, to a new target.
// What the pattern sees and where the new path may lead is route/rewrite.h's; here values are filled in.
#pragma once
#include <cstdint>
#include <string>

#include "shared/config/model.h"
#include "worker/variables/evaluate.h"

namespace lb {

enum class Rewritten : std::uint8_t {
    no,        // the pattern does not match, or there is no path (OPTIONS *): what came is forwarded
    yes,       // `target` is the new one
    too_long,  // over route::target_max: 414
};
// Overwrites `target`. facts.request.head must be there.
Rewritten rewrite_target(std::string& target, const config::Rewrite& rewrite, const Facts& facts);

}  // namespace lb
