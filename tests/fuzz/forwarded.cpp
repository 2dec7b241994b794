// tests/fuzz/forwarded.cpp -- any bytes as a request, what lb sends on for it, and that read again as a backend would.
// Holds: what goes out is one good request that means the same: method, target, host, framing, body. Nothing that concerned
//        one connection passes, nor what an untrusted sender says of where a request came from.
#include <cstdint>
#include <cstdlib>

#include "forward.h"

namespace lb::fuzz {
namespace {

using http::BodyKind;
using http::Field;
using http::FieldId;
using http::Method;
using http::RequestHead;
using State = http::HeadResult::State;

const Field* find(const RequestHead& head, FieldId id) {
    for (const Field& field : head.fields) {
        if (field.id == id) return &field;
    }
    return nullptr;
}

// A received list of addresses may stand in front of what lb adds: the end is what backends are told to trust.
void check_origin(const RequestHead& out, const Forwarding& how) {
    const bool x = how.mode == config::Forwarded::x || how.mode == config::Forwarded::both;
    const bool rfc = how.mode == config::Forwarded::rfc7239 || how.mode == config::Forwarded::both;
    const Field* list = find(out, FieldId::x_forwarded_for);
    if (x)
        require(list != nullptr && list->value.ends_with(how.sender),
                "the sender comes last in X-Forwarded-For");
    const Field* forwarded = find(out, FieldId::forwarded);
    if (rfc) {
        require(forwarded != nullptr && count(out.fields, FieldId::forwarded) == 1,
                "one Forwarded is written");
        require(forwarded->value.ends_with(";proto=http"), "and ends with this connection");
    }
    if (how.mode == config::Forwarded::off || how.sender_trusted) return;
    require(count(out.fields, FieldId::x_forwarded_for) == (x ? 1U : 0U), "X-Forwarded-For is lb's own");
    require((forwarded != nullptr) == rfc, "Forwarded is lb's own");
    const Field* proto = find(out, FieldId::x_forwarded_proto);
    require(x ? proto != nullptr && proto->value == how.scheme : proto == nullptr,
            "the scheme is that of the connection");
    require(count(out.fields, FieldId::x_forwarded_proto) <= 1, "and said once");
    require(count(out.fields, FieldId::x_forwarded_host) <= (x ? 1U : 0U), "the host asked for is said once");
}

void check_fields_pass(const RequestHead& in, const RequestHead& out, const Forwarding& how) {
    for (const Field& field : out.fields) {
        switch (field.id) {
            case FieldId::connection:
                require(field.value == "Upgrade" || field.value == "TE" || field.value == "Upgrade, TE",
                        "Connection is lb's own");
                break;
            case FieldId::te: require(field.value == "trailers" && in.te_trailers, "TE is lb's own"); break;
            case FieldId::upgrade: require(field.value == in.upgrade, "Upgrade is what was asked for"); break;
            case FieldId::keep_alive:
            case FieldId::proxy_connection:
            case FieldId::http2_settings: require(false, "fields of one connection end here"); break;
            case FieldId::expect:
                require(field.value == "100-continue" && how.expect_continue, "Expect is lb's own");
                break;
            default: break;
        }
        require(field.name.find('_') == std::string_view::npos, "a name with an underscore ends here");
    }
    // What concerns nobody but the two ends passes, in its order and untouched; what Connection names does not.
    auto at = out.fields.begin();
    for (const Field& field : in.fields) {
        if (field.id != FieldId::other) continue;
        const auto found =
            std::find_if(at, out.fields.end(), [&](const Field& f) { return f.line == field.line; });
        if (field.ends_here) continue;
        require(found != out.fields.end(), "other fields pass as they came");
        at = found + 1;
    }
    const auto passing = std::count_if(in.fields.begin(), in.fields.end(),
                                       [](const Field& f) { return f.id == FieldId::other && !f.ends_here; });
    require(static_cast<std::ptrdiff_t>(count(out.fields, FieldId::other)) == passing, "and no others");
}

void check_head(const RequestHead& in, const Forwarding& how) {
    const std::string bytes = forward_head(in, how);
    RequestHead out;
    const http::HeadResult result = parse_request(bytes, 0, {1U << 20U, 1U << 12U}, out);
    require(result.state == State::complete && result.consumed == bytes.size(),
            "what is sent on is one good head");
    check_fields(bytes, out.fields);
    require(out.minor == 1 && out.method_text == in.method_text, "the method stays");
    const std::string target = (in.target_needs_slash ? "/" : "") + std::string(in.target);
    require(out.target == target && out.form != http::TargetForm::absolute,
            "the target stays, in origin form");
    require(count(out.fields, FieldId::host) == 1, "exactly one Host");
    require(out.host == (in.host.empty() ? fallback_host : in.host), "the host stays");
    require(out.body.kind == in.body.kind && out.body.length == in.body.length, "the framing stays");
    require(count(out.fields, FieldId::content_length) + count(out.fields, FieldId::transfer_encoding) <= 1,
            "and is said once");
    require(out.keep_alive, "lb decides when its connection ends");
    require(out.upgrade == in.upgrade, "an upgrade is asked for exactly when it was taken");
    require(out.te_trailers == in.te_trailers, "and so are trailers");
    require(out.expect_continue == how.expect_continue, "100-continue as lb wants it");
    check_fields_pass(in, out, how);
    check_origin(out, how);
    // lb behind lb: nothing is lost on a second way through the same hop.
    Forwarding again;
    again.mode = config::Forwarded::off;
    again.expect_continue = out.expect_continue;
    RequestHead twice;
    const std::string second = forward_head(out, again);
    require(parse_request(second, 0, {1U << 20U, 1U << 12U}, twice).state == State::complete &&
                twice.target == out.target && twice.host == out.host &&
                count(twice.fields, FieldId::other) == count(out.fields, FieldId::other),
            "and a second hop reads the same");
}

void check_body(std::string_view in, http::Framing framing) {
    const Relayed whole = relay_body(in, framing, in.size() + 1);
    const Relayed bytes = relay_body(in, framing, 1);
    require(whole.error == bytes.error && whole.done == bytes.done, "pieces end as the whole does");
    if (whole.error || !whole.done) return;
    require(whole.payload == bytes.payload && whole.consumed == bytes.consumed &&
                whole.trailers == bytes.trailers,
            "pieces make no difference");
    if (framing.kind == BodyKind::length)
        require(whole.bytes == in.substr(0, framing.length), "a body of known length passes as it came");
    if (framing.kind == BodyKind::none)
        require(whole.bytes.empty() && whole.consumed == 0, "no body is none");
    for (const std::string& sent : {whole.bytes, bytes.bytes}) {
        const Relayed again = relay_body(sent, framing, 5);
        require(again.done && !again.error && again.consumed == sent.size(),
                "what is sent on is one whole body");
        require(again.payload == whole.payload && again.trailers == whole.trailers, "with the same payload");
    }
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const lb::fuzz::Exact input({reinterpret_cast<const char*>(data), size});
    lb::http::RequestHead head;
    const auto result = lb::http::parse_request(input.view(), 0, {}, head);
    if (result.state != lb::http::HeadResult::State::complete) return 0;
    lb::fuzz::each_forwarding([&](const lb::Forwarding& how) { lb::fuzz::check_head(head, how); });
    lb::fuzz::check_body(input.view().substr(result.consumed), head.body);
    return 0;
}
