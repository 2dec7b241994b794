#include "worker/exchange/forward_headers.h"

#include <algorithm>
#include <limits>

#include "shared/base/text.h"
#include "worker/exchange/trusted_hops.h"

namespace lb {
namespace {

using http::FieldId;

constexpr std::uint64_t bit(FieldId id) noexcept { return std::uint64_t{1} << static_cast<unsigned>(id); }
static_assert(http::field_ids <= 64, "the ids are bits of one word");

// Fields of one connection, whatever the message (RFC 9110 7.6.1; RFC 9112 9, C.2.2).
constexpr std::uint64_t hop_by_hop =
    bit(FieldId::connection) | bit(FieldId::keep_alive) | bit(FieldId::proxy_connection) | bit(FieldId::te) |
    bit(FieldId::transfer_encoding) | bit(FieldId::upgrade) | bit(FieldId::http2_settings);
// What says where a request goes and where it ends: the backend gets it as lb read it. Tabs around a value, say, are no part
// of it, but not every server knows, nor that 0010 is ten.
constexpr std::uint64_t written_anew = bit(FieldId::host) | bit(FieldId::content_length);
// What backends take for the word of the proxy in front of them: from a stranger none of it passes as it came.
constexpr std::uint64_t word_of_a_proxy = bit(FieldId::x_forwarded_for) | bit(FieldId::x_forwarded_host) |
                                          bit(FieldId::x_forwarded_proto) | bit(FieldId::x_forwarded) |
                                          bit(FieldId::x_real_ip) | bit(FieldId::forwarded);

bool passes(const http::Field& field, std::uint64_t dropped) noexcept {
    return !field.ends_here && (dropped & bit(field.id)) == 0;
}

bool counts_hops(const http::RequestHead& head) noexcept {
    return head.method == http::Method::options || head.method == http::Method::trace;
}

// A sender on a unix socket has no address that a backend could use.
bool has_address(const Forwarding& forwarding) noexcept {
    return !forwarding.sender.empty() && !forwarding.sender.starts_with("unix:");
}

// The lines that lb adds behind the fields that pass.
class Lines {
 public:
    Lines(http::Sink& out, const http::RequestHead& head, const Forwarding& forwarding,
          std::uint64_t present) noexcept
        : out_(out), head_(head), forwarding_(forwarding), present_(present) {}

    void x_forwarded();
    void forwarded();
    void others(std::optional<std::uint32_t> hops_left);

 private:
    [[nodiscard]] bool edited(std::string_view name) const noexcept {
        return !forwarding_.edits.edits.empty() && suppressed(forwarding_.edits.edits, name);
    }
    [[nodiscard]] bool came(FieldId id) const noexcept { return (present_ & bit(id)) != 0; }
    // Whether what came of a field is kept, since a trusted sender said it.
    [[nodiscard]] bool kept(FieldId id) const noexcept { return forwarding_.sender_trusted && came(id); }
    void line(std::string_view name, std::string_view value) {
        out_.put(name);
        out_.put(": ");
        out_.put(value);
        out_.put("\r\n");
    }
    // The values of all lines of a field, with a comma behind each.
    void received(FieldId id) {
        if (!came(id)) return;
        for (const http::Field& field : head_.fields) {
            if (field.id != id || field.value.empty()) continue;
            if (pending_comma_) out_.put(", ");
            out_.put(field.value);
            pending_comma_ = true;
        }
    }

    http::Sink& out_;
    const http::RequestHead& head_;
    const Forwarding& forwarding_;
    std::uint64_t present_;
    bool pending_comma_ = false;
};

void Lines::x_forwarded() {
    const bool address = has_address(forwarding_);
    if ((address || came(FieldId::x_forwarded_for)) && !edited("X-Forwarded-For")) {
        out_.put("X-Forwarded-For: ");
        pending_comma_ = false;
        received(FieldId::x_forwarded_for);
        if (address) {
            if (pending_comma_) out_.put(", ");
            out_.put(forwarding_.sender);
        }
        out_.put("\r\n");
    }
    if (!kept(FieldId::x_forwarded_proto) && !edited("X-Forwarded-Proto"))
        line("X-Forwarded-Proto", forwarding_.scheme);
    if (!head_.host.empty() && !kept(FieldId::x_forwarded_host) && !edited("X-Forwarded-Host"))
        line("X-Forwarded-Host", head_.host);
}

// RFC 7239 4 and 6. A host that passed the parser needs no escapes inside quotes.
void Lines::forwarded() {
    if (edited("Forwarded")) return;
    const bool good = !came(FieldId::forwarded) ||
                      std::all_of(head_.fields.begin(), head_.fields.end(), [](const http::Field& field) {
                          return field.id != FieldId::forwarded || valid_forwarded(field.value);
                      });
    out_.put("Forwarded: ");
    pending_comma_ = false;
    if (good) received(FieldId::forwarded);
    if (pending_comma_) out_.put(", ");
    out_.put("for=");
    if (!has_address(forwarding_)) {
        out_.put("unknown");
    } else if (forwarding_.sender.find(':') == std::string_view::npos) {
        out_.put(forwarding_.sender);
    } else {
        out_.put("\"[");
        out_.put(forwarding_.sender);
        out_.put("]\"");
    }
    if (!head_.host.empty()) {
        const std::string_view quote = head_.host.find_first_of("[:") == std::string_view::npos ? "" : "\"";
        out_.put(";host=");
        out_.put(quote);
        out_.put(head_.host);
        out_.put(quote);
    }
    out_.put(";proto=");
    out_.put(forwarding_.scheme);
    out_.put("\r\n");
}

void Lines::others(std::optional<std::uint32_t> hops_left) {
    if (!forwarding_.request_id.empty() && !edited("X-Request-Id"))
        line("X-Request-Id", forwarding_.request_id);
    if (forwarding_.via && !edited("Via")) out_.put(via_line(head_.minor));
    if (hops_left && !edited("Max-Forwards")) {
        out_.put("Max-Forwards: ");
        out_.put(std::uint64_t{*hops_left});
        out_.put("\r\n");
    }
    if (came(FieldId::content_length)) {
        out_.put("Content-Length: ");
        out_.put(head_.body.length);
        out_.put("\r\n");
    }
    if (forwarding_.expect_continue) out_.put("Expect: 100-continue\r\n");
    const bool upgrade = !head_.upgrade.empty();
    if (upgrade || head_.te_trailers) {
        out_.put("Connection: ");
        out_.put(upgrade ? head_.te_trailers ? "Upgrade, TE\r\n" : "Upgrade\r\n" : "TE\r\n");
    }
    if (upgrade) line("Upgrade", head_.upgrade);
    if (head_.te_trailers) out_.put("TE: trailers\r\n");
    out_.put(forwarding_.edits.lines);
    if (head_.body.kind == http::BodyKind::chunked) out_.put("Transfer-Encoding: chunked\r\n");
    out_.put("\r\n");
}

// The fields that do not pass as they came. Proxy-Authorization passes, as do Proxy-Authenticate and 407 in answers: lb asks
// nobody for it, so it is for a hop further on (RFC 9110 11.7.2).
std::uint64_t dropped_fields(const Forwarding& forwarding) noexcept {
    std::uint64_t dropped = hop_by_hop | written_anew | bit(FieldId::expect) | bit(FieldId::proxy);
    if (!forwarding.request_id.empty()) dropped |= bit(FieldId::x_request_id);
    const config::Forwarded mode = forwarding.mode;
    if (mode == config::Forwarded::off) return dropped;
    if (!forwarding.sender_trusted) return dropped | word_of_a_proxy;
    if (mode != config::Forwarded::rfc7239) dropped |= bit(FieldId::x_forwarded_for);
    if (mode != config::Forwarded::x) dropped |= bit(FieldId::forwarded);
    return dropped;
}

}  // namespace

bool response_field_passes(const http::Field& field, const void*) noexcept {
    return passes(field, hop_by_hop);
}

std::optional<std::uint32_t> max_forwards(const http::RequestHead& head) noexcept {
    if (!counts_hops(head)) return std::nullopt;
    std::optional<std::uint32_t> found;
    for (const http::Field& field : head.fields) {
        if (field.id != FieldId::max_forwards) continue;
        const bool digits =
            !field.value.empty() && std::all_of(field.value.begin(), field.value.end(), text::is_digit);
        if (found || !digits) return std::nullopt;
        constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
        found = static_cast<std::uint32_t>(std::min(text::number(field.value).value_or(most), most));
    }
    return found;
}

std::size_t request_head_bound(const http::RequestHead& head, const Forwarding& forwarding) noexcept {
    constexpr std::size_t names = 512;  // of all lines that lb may add, with their fixed parts
    // A field that never was a line gets ": " and CRLF.
    return head.bytes + 4 * head.fields.size() + forwarding.target.size() + 3 * head.host.size() +
           forwarding.fallback_host.size() + 2 * forwarding.sender.size() + 2 * forwarding.scheme.size() +
           forwarding.request_id.size() + forwarding.edits.lines.size() + forwarding.edits.host.size() +
           names;
}

void write_request_head(http::Sink& out, const http::RequestHead& head,
                        const Forwarding& forwarding) noexcept {
    out.put(head.method_text);
    if (forwarding.target.empty()) {
        out.put(head.target_needs_slash ? " /" : " ");
        out.put(head.target);
    } else {
        out.put(" ");
        out.put(forwarding.target);
    }
    out.put(" HTTP/1.1\r\n");
    const RequestEdits& edits = forwarding.edits;
    // Host is what the route sets, or what the request names by its target or else by its field.
    out.put("Host: ");
    out.put(!edits.host.empty() ? edits.host : head.host.empty() ? forwarding.fallback_host : head.host);
    out.put("\r\n");
    std::uint64_t dropped = dropped_fields(forwarding);
    std::optional<std::uint32_t> hops_left = max_forwards(head);
    if (hops_left) {
        dropped |= bit(FieldId::max_forwards);
        hops_left = *hops_left - (*hops_left > 0 ? 1 : 0);
    }
    std::uint64_t present = 0;
    if (edits.edits.empty()) {
        http::put_fields(out, head.fields, [&](const http::Field& field) noexcept {
            present |= bit(field.id);
            return passes(field, dropped);
        });
    } else {
        http::put_fields(out, head.fields, [&](const http::Field& field) noexcept {
            present |= bit(field.id);
            return passes(field, dropped) && !suppressed(edits.edits, field.name);
        });
    }
    Lines lines(out, head, forwarding, present);
    if (forwarding.mode == config::Forwarded::x || forwarding.mode == config::Forwarded::both)
        lines.x_forwarded();
    if (forwarding.mode == config::Forwarded::rfc7239 || forwarding.mode == config::Forwarded::both)
        lines.forwarded();
    lines.others(hops_left);
}

}  // namespace lb
