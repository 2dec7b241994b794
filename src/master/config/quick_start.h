// master/config/quick_start.h -- lb --backends=URL,URL --port=N: the settings of the command line as a Draft.
// Owns:  the choices a file would have made: names, checks, logs, where the control socket is.
// Never: creates the directory of the control socket (the master does).
#pragma once
#include <string>

#include "master/config/draft.h"
#include "master/config/parser.h"

namespace lb::config {

// False when there was no usable backend or port; why is in the draft's mistakes.
bool draft_quick_start(const Source& source, Draft& draft);
// As root the usual place; else $XDG_RUNTIME_DIR/lb/control.sock, or a directory of this user's below /tmp.
std::string quick_start_control();
// "http://HOST:PORT" or "HOST:PORT" to "HOST:PORT"; without a port 80.
Parsed<std::string> parse_backend_url(std::string_view url);

}  // namespace lb::config
