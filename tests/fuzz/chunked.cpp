// tests/fuzz/chunked.cpp -- any bytes as a chunked body, and any bytes as a payload that goes out and comes back.
// Holds: the outcome, the payload and the place where it ends do not depend on how the input was cut.
#include "shared/http/chunked.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "head_checks.h"
#include "shared/http/trailers.h"

namespace lb::fuzz {
namespace {

using http::ChunkedDecoder;
using State = ChunkedDecoder::State;

struct Decoded {
    State state = State::more;
    std::string payload;
    std::size_t consumed = 0;
    std::string trailers{};
    bool operator==(const Decoded&) const = default;
};

// `cut(n)` says how many bytes the n-th piece has.
template <class Cut>
Decoded decode(std::string_view in, Cut cut) {
    ChunkedDecoder decoder;
    Decoded out;
    for (std::size_t begin = 0, n = 0; begin < in.size(); n++) {
        const Exact piece(in.substr(begin, cut(n)));
        std::string_view rest = piece.view();
        begin += rest.size();
        while (!rest.empty()) {
            const std::uint64_t left = decoder.left();
            const ChunkedDecoder::Step step = decoder.next(rest);
            require(step.consumed <= rest.size(), "no more is used up than was given");
            require((step.state == State::data || step.state == State::trailer) == !step.data.empty(),
                    "data is there exactly when it is said");
            if (step.state == State::data) {
                require(inside(step.data, rest), "payload lies inside the input");
                require(step.data.data() + step.data.size() == rest.data() + step.consumed,
                        "payload comes last");
                require(left == 0 || left == step.data.size() + decoder.left(), "left() counts down");
            }
            out.state = step.state;
            (step.state == State::trailer ? out.trailers : out.payload) += step.data;
            out.consumed += step.consumed;
            if (step.state == State::error) out.trailers.clear();  // how much came before it does not matter
            if (step.state == State::end || step.state == State::error) {
                const ChunkedDecoder::Step after = decoder.next("0\r\n\r\n");
                require(after.state == step.state && after.consumed == 0, "it stays at its end");
                return out;
            }
            require(step.state != State::more || step.consumed == rest.size(), "more means all was used up");
            rest.remove_prefix(step.consumed);
        }
    }
    out.state = State::more;
    return out;
}

// Whole lines with a token and a colon in front; what is kept of them is some of these lines.
void check_trailers(const std::string& lines) {
    std::string copy = lines;
    const std::string_view kept = http::keep_trailers(copy.data(), copy.size());
    std::size_t in_kept = 0;
    for (std::size_t at = 0; at < lines.size();) {
        const std::size_t end = lines.find("\r\n", at);
        require(end != std::string::npos, "trailer lines have their CRLF");
        const std::string_view line(lines.data() + at, end + 2 - at);
        const std::size_t colon = line.find(':');
        require(colon != std::string_view::npos && colon > 0, "a trailer has a name");
        require(std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(colon), token_byte),
                "which is a token");
        if (http::may_trail(line.substr(0, colon))) {
            require(kept.substr(in_kept, line.size()) == line, "what may pass is kept in order");
            in_kept += line.size();
        }
        at = end + 2;
    }
    require(in_kept == kept.size(), "nothing else is kept");
}

void check_any(std::string_view in) {
    const Decoded whole = decode(in, [&](std::size_t) { return in.size(); });
    require(decode(in, [](std::size_t) { return std::size_t{1}; }) == whole, "byte by byte is the same");
    require(decode(in, [](std::size_t) { return std::size_t{3}; }) == whole, "in threes is the same");
    require(
        decode(in, [&](std::size_t n) { return 1 + static_cast<unsigned char>(in[n % in.size()]) % 17U; }) ==
            whole,
        "any cut is the same");
    require(whole.payload.size() <= whole.consumed, "payload is part of what was used up");
    if (whole.state == State::end) {
        check_trailers(whole.trailers);
        require(in.substr(0, whole.consumed).ends_with("\r\n"), "a body ends with CRLF");
        const std::string_view cut = in.substr(0, whole.consumed - 1);
        require(decode(cut, [&](std::size_t) { return cut.size(); }).state == State::more,
                "no body ends early");
    }
}

void check_round_trip(std::string_view payload) {
    std::string coded;
    for (std::size_t at = 0; at < payload.size();) {
        const std::size_t size =
            std::min(payload.size() - at, 1 + static_cast<unsigned char>(payload[at]) * std::size_t{3});
        char room[http::chunk_header_max];
        char* end = room + sizeof room;
        const char* begin = http::chunk_header_before(end, size);
        coded.append(begin, static_cast<std::size_t>(end - begin));
        coded += payload.substr(at, size);
        coded += http::chunk_tail;
        at += size;
    }
    coded += http::last_chunk;
    const Decoded back = decode(coded, [&](std::size_t n) { return n + 1; });
    require(back == Decoded{State::end, std::string(payload), coded.size()}, "what goes out comes back");
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    lb::fuzz::check_any(input);
    lb::fuzz::check_round_trip(input);
    return 0;
}
