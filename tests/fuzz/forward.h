// tests/fuzz/forward.h -- a whole message as it leaves lb: the head of forward_headers.h, the body through the reader and the
// writer that carry it.
// Never: frames anything by itself; what lb would do is done by lb's own code.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>

#include "head_checks.h"
#include "worker/exchange/forward_headers.h"
#include "worker/stream/body.h"

namespace lb::fuzz {

inline constexpr std::string_view sender = "192.0.2.7";
inline constexpr std::string_view fallback_host = "fallback.example:81";

// Every way in which an operator can have heads written.
template <class Use>
void each_forwarding(Use use) {
    for (const auto mode : {config::Forwarded::x, config::Forwarded::rfc7239, config::Forwarded::both,
                            config::Forwarded::off}) {
        for (const bool trusted : {false, true}) {
            Forwarding how;
            how.mode = mode;
            how.sender_trusted = trusted;
            how.via = trusted;
            how.expect_continue = !trusted;
            how.sender = mode == config::Forwarded::both ? "2001:db8::7" : sender;
            how.fallback_host = fallback_host;
            if (trusted) how.request_id = "0123456789abcdef0123456789abcdef";
            use(how);
        }
    }
}

inline std::string forward_head(const http::RequestHead& head, const Forwarding& how) {
    // Of the size that lb itself reserves, so that a bound too small is seen.
    std::string room(request_head_bound(head, how), '\0');
    http::Sink out(room.data(), room.size());
    write_request_head(out, head, how);
    require(!out.overflow(), "a head fits the room that is reserved for it");
    return std::string(out.view());
}

struct Relayed {
    bool error = false;
    bool done = false;
    std::size_t consumed = 0;
    std::string payload{};
    std::string trailers{};  // those that go on
    std::string bytes{};     // on the wire behind lb
};

// `piece`: how many bytes arrive at a time.
inline Relayed relay_body(std::string_view in, http::Framing framing, std::size_t piece) {
    Relayed out;
    stream::BodyReader reader;
    stream::BodyWriter writer;
    reader.begin(framing);
    writer.begin(framing.kind);
    const auto write = [&](std::string_view payload, bool fin) {
        iovec parts[stream::BodyWriter::most_parts];
        int count = 0;
        writer.frame(payload, fin, parts, count);
        for (int i = 0; i < count; i++)
            out.bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    };
    while (out.consumed < in.size() && !reader.done()) {
        std::string arrived(in.substr(out.consumed, piece));
        const auto taken = reader.take(arrived.data(), arrived.size());
        out.consumed += taken.consumed;
        out.error = taken.error;
        if (out.error) return out;
        out.payload += taken.payload;
        out.trailers += taken.trailers;
        if (!taken.payload.empty()) write(taken.payload, false);
    }
    out.done = reader.done();
    if (!out.done || framing.kind != http::BodyKind::chunked) return out;
    const std::string_view kept = http::keep_trailers(out.trailers.data(), out.trailers.size());
    out.trailers.resize(kept.size());
    writer.set_trailers(out.trailers);
    write({}, true);
    return out;
}

}  // namespace lb::fuzz
