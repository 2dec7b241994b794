// worker/exchange/forward_headers.h -- which fields pass and which lines lb adds. Pure (RFC 9110 7.6, RFC 9112).
#pragma once
#include <string_view>

#include "shared/config/model.h"
#include "shared/http/http1_writer.h"
#include "shared/http/message.h"

namespace lb {

// Whether a field of a response goes on to the client: everything but what concerns this connection alone.
bool response_field_passes(const http::Field& field) noexcept;

struct Forwarding {
    config::Forwarded mode = config::Forwarded::x;
    std::string_view client_address;  // "192.0.2.1"
    std::string_view scheme = "http";
    std::string_view fallback_host;  // Host for a request of HTTP/1.0 that names none
};

// Writes the head of a request as it goes to backends, in the form of stream::RequestRecord: request line, Host, the
// fields that pass in their order, X-Forwarded-For (the received list with the client's address appended),
// X-Forwarded-Proto and X-Forwarded-Host, Transfer-Encoding when the length is not known, the empty line.
// Expect ends here: lb answers 100 itself.
void write_request_head(http::Sink& out, const http::RequestHead& head,
                        const Forwarding& forwarding) noexcept;

}  // namespace lb
