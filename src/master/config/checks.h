// master/config/checks.h -- rules across keys: names that must exist, binds and names that must differ.
// Owns:  nothing. Turns names into indexes; everything else it only reports.
#pragma once
#include <string>
#include <vector>

#include "master/config/builder.h"

namespace lb::config {

// `main_file` is named where a whole part is missing. Mistakes go into the draft, warnings into the list.
void check(Built& built, Draft& draft, const std::string& main_file, std::vector<std::string>& warnings);

}  // namespace lb::config
