// master/operator/export.h -- what is different from the file, as lines of a configuration. Pure.
#pragma once
#include <string>
#include <vector>

#include "master/operator/store.h"

namespace lb::operators {

// Sections with the backends that operators added, ready to be pasted; all else stands in comments: states, weights with
// the line that would have them, registrations with the time they have left. Nothing: an empty list.
std::vector<std::string> export_lines(const Store& store, const config::Config& config, Micros now);

}  // namespace lb::operators
