// master/config/error.h -- a mistake in the configuration, and how it is shown.
#pragma once
#include <string>
#include <vector>

namespace lb::config {

struct Place {
    std::string file;  // "-g", "--backends" or "command line" for what is not in a file
    unsigned line = 0;
    std::string section;  // "pool app"; "" outside of any
    std::string key;
};
struct ConfigError {
    Place place;
    std::string what;   // "unknown key"
    std::string hint;   // "did you mean 'retries'?"; may be empty
    std::string value;  // as written, when it is the value that is wrong; shown after the key
};
using Errors = std::vector<ConfigError>;

// lb.ini:42: [pool app] retrys: unknown key; did you mean 'retries'?
// lb.ini:57: [pool app] connect_timeout = 2: needs a unit, such as 2s or 200ms
// One line without its end. Control bytes are written as \xNN, long values are cut.
std::string show(const ConfigError& error);

}  // namespace lb::config
