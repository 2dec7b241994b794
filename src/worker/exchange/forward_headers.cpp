#include "worker/exchange/forward_headers.h"

namespace lb {
namespace {

using http::FieldId;

// Fields of one connection, whatever the message (RFC 9110 7.6.1; RFC 9112 9, C.2.2). Trailer goes with the trailers,
// which are not forwarded.
bool hop_by_hop(const http::Field& field) noexcept {
    switch (field.id) {
        case FieldId::connection:
        case FieldId::keep_alive:
        case FieldId::proxy_connection:
        case FieldId::te:
        case FieldId::trailer:
        case FieldId::transfer_encoding:
        case FieldId::upgrade:
        case FieldId::http2_settings: return true;
        default: return field.ends_here;
    }
}

bool plain_request_field(const http::Field& field) noexcept {
    return !hop_by_hop(field) && field.id != FieldId::expect;
}

bool request_field(const http::Field& field) noexcept {
    switch (field.id) {
        case FieldId::x_forwarded_for:
        case FieldId::x_forwarded_host:
        case FieldId::x_forwarded_proto: return false;
        default: return plain_request_field(field);
    }
}

}  // namespace

bool response_field_passes(const http::Field& field) noexcept { return !hop_by_hop(field); }

void write_request_head(http::Sink& out, const http::RequestHead& head,
                        const Forwarding& forwarding) noexcept {
    out.put(head.method_text);
    out.put(head.target_needs_slash ? " /" : " ");
    out.put(head.target);
    out.put(" HTTP/1.1\r\n");
    const bool x = forwarding.mode == config::Forwarded::x;
    const auto passes = x ? request_field : plain_request_field;
    // The Host line passes as it came, unless the target names the authority (which wins) or there is none.
    bool host_passes = head.form != http::TargetForm::absolute && !head.host.empty();
    if (!host_passes) {
        out.put("Host: ");
        out.put(head.host.empty() ? forwarding.fallback_host : head.host);
        out.put("\r\n");
    }
    http::put_fields(out, head.fields, [&](const http::Field& field) noexcept {
        return field.id == FieldId::host ? host_passes : passes(field);
    });
    if (x) {
        out.put("X-Forwarded-For: ");
        for (const http::Field& field : head.fields) {
            if (field.id != FieldId::x_forwarded_for || field.value.empty()) continue;
            out.put(field.value);
            out.put(", ");
        }
        out.put(forwarding.client_address);
        out.put("\r\nX-Forwarded-Proto: ");
        out.put(forwarding.scheme);
        if (!head.host.empty()) {
            out.put("\r\nX-Forwarded-Host: ");
            out.put(head.host);
        }
        out.put("\r\n");
    }
    if (head.body.kind == http::BodyKind::chunked) out.put("Transfer-Encoding: chunked\r\n");
    out.put("\r\n");
}

}  // namespace lb
