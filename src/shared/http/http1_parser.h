// shared/http/http1_parser.h -- bytes to heads: incremental, strict, without I/O and without copies.
// Sources: RFC 9110, RFC 9112. Where they leave room the parser is strict, because a backend may differ.
// Never:   allocates but for growing the field list once; reads past the given bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/http/message.h"

namespace lb::http {

struct HeadLimits {
    std::uint32_t bytes = 32 * 1024;  // of the head, request line and empty line too
    std::uint32_t fields = 128;
};

enum class HeadError : std::uint8_t {
    none,
    bad_request,      // 400
    uri_too_long,     // 414: no end of the request line within the limit
    too_large,        // 431: head over its limits
    not_implemented,  // 501: unknown transfer coding; CONNECT. TRACE is no error here: the exchange says 405
    expectation,      // 417: Expect names anything but 100-continue
    bad_version,      // 505
    bad_response,     // response heads: anything
};

struct HeadResult {
    enum class State : std::uint8_t { complete, incomplete, error };
    State state = State::incomplete;
    HeadError error = HeadError::none;
    std::size_t consumed = 0;  // complete: bytes of the head with leading empty lines and the final CRLFCRLF
    const char* why = "";      // error: a short sentence for the log; static
};

// Parses one request head at the start of `bytes`. `seen` is how many of these bytes an earlier incomplete
// call already looked at (0 on the first), so that a head arriving byte by byte costs little: beyond the first few
// bytes an incomplete head is parsed again only when a line ended, a byte came that may stand in no line, or the
// limit is reached. Other errors in a line are found when it ends. Which error it is does not depend on the pieces.
// `head` is good only when the result is complete. Its views point into `bytes` (`target` may be a literal).
// After an error it holds what was read before it.
// Up to 2 empty lines (CRLF) before the request line are skipped (RFC 9112 2.2); they count for the limit.
//
// Refused:
// - bare CR or LF, NUL and other control bytes, obs-fold, blanks before a colon or around the request line;
// - names that are no token; methods over 32 bytes; HTTP versions other than 1.x with one digit;
// - targets with a control byte, blank, '#' or byte above 0x7e (what else RFC 3986 forbids, "<>\^`{|}, passes,
//   as with the widely used proxies);
// - targets that are neither a path, nor an http or https URL with a good host and without userinfo, nor the
//   "*" of OPTIONS;
// - in 1.1 no Host; in any version two Hosts, or one that is empty or bad (see valid_authority);
// - Content-Length with Transfer-Encoding; two, malformed or list-form lengths ("5, 5"); any transfer coding
//   but a single "chunked"; Transfer-Encoding in HTTP/1.0;
// - a second line of any field that has one value and on which a backend acts (Content-Type, Authorization, Range and
//   the like; RFC 9110 5.3): which of the two it takes is not ours to know. Not User-Agent, Referer and unknown ones;
// - more than 16 options in Connection; in Expect, in all of its lines, anything but 100-continue or nothing at all.
// A field whose name holds an underscore is kept and marked ends_here. An Upgrade that is malformed, out of place or
// given in two lines (see RequestHead) is no error: it is not taken.
HeadResult parse_request(std::string_view bytes, std::size_t seen, const HeadLimits& limits,
                         RequestHead& head);

// Parses one response head. `request` decides whether a body can follow (HEAD, 1xx, 204, 304); a 101 has none
// either: what follows is the tunnel. Every error is HeadError::bad_response.
// - No empty lines before the status line; status 100-599; the blank before an empty reason may be missing.
// - Transfer-Encoding beats Content-Length only by refusal: both together are an error. Identical repeated
//   lengths are accepted; all but the first are marked ends_here.
// - keep_alive is false when the head gives any reason not to use the connection again.
HeadResult parse_response(std::string_view bytes, std::size_t seen, const HeadLimits& limits, Method request,
                          ResponseHead& head);

// True when the comma-separated list `value` names `token` (lower case), e.g. Connection: close.
bool list_has(std::string_view value, std::string_view token) noexcept;

}  // namespace lb::http
