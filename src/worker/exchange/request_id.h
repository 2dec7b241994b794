// worker/exchange/request_id.h -- X-Request-Id: kept from trusted senders, made otherwise.
#pragma once
#include <array>
#include <string_view>

#include "shared/base/random.h"
#include "shared/http/message.h"

namespace lb {

// 1 to 128 bytes of A-Z a-z 0-9 . _ ~ + / = -
bool good_request_id(std::string_view id) noexcept;

using RequestIdRoom = std::array<char, 32>;
// The id of this request: the only one that came, if its sender is trusted and it is a good one; else 32 random hex digits
// in `room`. The result lives as long as `head` and `room`.
std::string_view request_id_of(const http::RequestHead& head, bool sender_trusted, Random& random,
                               RequestIdRoom& room) noexcept;

}  // namespace lb
