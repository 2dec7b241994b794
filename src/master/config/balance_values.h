// master/config/balance_values.h -- values of a [pool] about which backend gets a request: balance, sticky; and the keys
// that requests are told apart by, which [limit] has too.
// Owns:  their grammar, both ways. Pure functions; what they print they read back to the same value.
// Never: looks at another key; picks a backend.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "master/config/values.h"
#include "shared/config/model.h"

namespace lb::config {

// "uri", "header NAME": the key that `words` begin with, one of `kinds`. Takes its words off the front.
Parsed<RequestKey> take_request_key(std::span<const std::string>& words, std::span<const KeyKind> kinds);
std::string print_request_key(const RequestKey& key);

// POLICY | hash KEY [bound=N%|off]
Parsed<Balance> parse_balance(std::string_view text);
std::string print_balance(const Balance& balance);

// off | cookie NAME secret=HEX [ttl=TIME] [secure] [httponly] [samesite=WORD] | header NAME | ip
Parsed<Sticky> parse_sticky(std::string_view text);
std::string print_sticky(const Sticky& sticky);

}  // namespace lb::config
