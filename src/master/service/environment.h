// master/service/environment.h -- the variables by which a service manager speaks to the process it starts.
// Never: leaves one behind that was read: it is meant for this process, and for nobody that this one starts.
#pragma once
#include <string>

namespace lb::service {

// The value of a variable, "" without it; from here on the environment has it no more.
std::string take_variable(const char* name);

}  // namespace lb::service
