// tests/fuzz/llhttp_request.cpp -- any bytes as requests, through lb's parser and through llhttp, which must agree but for what
// differences.h names; and what lb sends on for them through llhttp, which must take it as the same request.
#include <cstdint>

#include "compare.h"

namespace lb::fuzz {
namespace {

void check_forwarded(std::string_view bytes, const Message& message, const http::RequestHead& head) {
    const Relayed body = relay_body(bytes.substr(message.head_bytes), message.framing, 1U << 16U);
    require(body.done && !body.error, "a body that was read is relayed");
    each_forwarding([&](const Forwarding& how) {
        std::string sent = forward_head(head, how) + body.bytes;
        // A method of another name goes the same way; its spelling is the only thing llhttp does not take.
        std::string method = message.method;
        if (!differences::known_method(method)) sent.replace(0, std::exchange(method, "POST").size(), "POST");
        const std::size_t size = sent.size();
        sent += "GET /next HTTP/1.1\r\nHost: next\r\n\r\n";
        const Message seen = Peer::read(sent, HTTP_REQUEST, false, false);
        const bool good = seen.head == Outcome::accepted && seen.body == Outcome::accepted &&
                          seen.end == size && seen.method == method && seen.payload == message.payload &&
                          seen.keep_alive && seen.framing.kind == message.framing.kind &&
                          seen.framing.length == message.framing.length && seen.upgrade == message.upgrade;
        if (good) return;
        std::fprintf(stderr, "what lb sends on is not the same request to llhttp:\n%s\n", sent.c_str());
        print("lb", message);
        print("llhttp", seen);
        std::abort();
    });
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace lb::fuzz;
    const Exact input({reinterpret_cast<const char*>(data), size});
    compare_requests(input.view(), [](std::string_view rest, const Message& ours, const auto& head) {
        if (ours.head == Outcome::accepted && ours.body == Outcome::accepted)
            check_forwarded(rest, ours, head);
    });
    return 0;
}
