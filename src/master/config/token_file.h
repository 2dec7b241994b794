// master/config/token_file.h -- the secret that changes over the admin port must show.
// Never: puts it into a message.
#pragma once
#include <string>

#include "shared/config/words.h"

namespace lb::config {

// The content of the file without blanks around it: 16 to 256 printable characters. Refused when everybody can read or
// change the file.
Parsed<std::string> read_token(const std::string& path);

}  // namespace lb::config
