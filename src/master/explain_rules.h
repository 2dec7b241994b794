// master/explain_rules.h -- what explain says of the [acl] and [limit] sections that a request meets. Pure.
// Never: asks the table of limits: nothing is counted, so it says what would be counted and not whether there is room.
#pragma once
#include <optional>
#include <string_view>

#include "master/explain_lines.h"
#include "shared/config/model.h"
#include "shared/http/message.h"
#include "shared/net/address.h"

namespace lb {

// Who asks, as keys and lists see it.
struct Asking {
    const http::RequestHead& head;
    const Address& client;
    std::string_view client_text;  // append_host()
};

// A row for each acl up to the first that denies, the listener's first. The name of that one, or nothing: the client is let
// in. `route` may be null.
std::optional<std::string_view> explain_acls(const config::Config& config, const config::Listener& listener,
                                             const config::Route* route, const Asking& asking, Lines& lines);
// A row for each limit, the listener's first.
void explain_limits(const config::Config& config, const config::Listener& listener,
                    const config::Route* route, const Asking& asking, Lines& lines);

// "client_addr 192.0.2.7", "header x-api-key 'abc'"; a request without the key: nothing.
std::optional<std::string> key_words(const config::RequestKey& key, const Asking& asking,
                                     std::string_view route_name);
// "client_addr", "header x-api-key".
std::string key_name(const config::RequestKey& key);

}  // namespace lb
