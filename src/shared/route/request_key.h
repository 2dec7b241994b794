// shared/route/request_key.h -- the value that tells requests apart: for balance = hash, for sticky and for limits. Pure.
// Never: changes a request; allocates once `room` has grown to the longest value it had to hold.
//
// Of what may come several times the first counts: servers that read one value of a name read the first, so it is the one that
// says who asks; what a client writes behind it makes no new key out of the old one. Joining them would also need a copy.
// Fields count as received, those that end here too, as in the conditions of routes (conditions.h).
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "shared/config/model.h"
#include "shared/http/message.h"

namespace lb::route {

// The value, or nothing when the request has none. A value that is there may be empty.
//   uri          path and query as received; "*" of "OPTIONS *"
//   path         as path.h normalises it; nothing for "*"
//   client_addr  `client_text`: the host alone, as append_host() writes it
//   header NAME  the first line of that name, in any case
//   cookie NAME  the first pair of that name in all Cookie lines; quotes stay, a piece without '=' is no pair
//   query NAME   the first parameter of that name, percent-decoded; without '=' its value is empty
//   route        `route_name`; what no route takes has one value too, the empty one
// A view of the head, of `client_text`, `route_name` or `room`: it lives as long as these, and until `room` is used again.
std::optional<std::string_view> request_key(const config::RequestKey& key, const http::RequestHead& head,
                                            std::string_view client_text, std::string_view route_name,
                                            std::string& room);

}  // namespace lb::route
