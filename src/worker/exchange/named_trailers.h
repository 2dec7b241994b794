// worker/exchange/named_trailers.h -- trailers that Connection names: they end here as fields do (RFC 9110 7.6.1). Pure but
// for the strings it writes to.
// Never: costs a message without trailers to come more than a look at the ids of its fields.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "shared/http/message.h"

namespace lb {

// Appends ",NAME" for each option of Connection that a trailer could have for a name; nothing for close, keep-alive, TE
// and the like, so that `out` stays empty for what nearly all senders write.
void note_named(std::string& out, const std::vector<http::Field>& fields);

// Those of whole lines whose names were not noted: `lines` itself when nothing was, else a view of `named`, which holds
// them from now on.
std::string_view without_named(std::string& named, std::string_view lines);

}  // namespace lb
