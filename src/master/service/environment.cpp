// master/service/environment.cpp -- see environment.h.
#include "master/service/environment.h"

#include <cstdlib>

namespace lb::service {

std::string take_variable(const char* name) {
    const char* value = std::getenv(name);
    std::string copy = value == nullptr ? "" : value;
    unsetenv(name);
    return copy;
}

}  // namespace lb::service
