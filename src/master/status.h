// master/status.h -- what "lb -s status" prints.
#pragma once
#include <string>
#include <vector>

#include "master/core.h"
#include "master/reload.h"

namespace lb {

// One fact a line: the master, its generations, workers, listeners ("listener web 0.0.0.0:80"), pools, reloads.
std::vector<std::string> status_lines(const Core& core, const Reload& reload);

}  // namespace lb
