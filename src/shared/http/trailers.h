// shared/http/trailers.h -- the fields behind a chunked body: which of them may go on (RFC 9110 6.5).
// Never: allocates; lets a field pass that a recipient could mistake for one that it has acted upon already.
#pragma once
#include <cstddef>
#include <string_view>

namespace lb::http {

// Whether a field of that name may stand in a trailer section. Not those that frame or route a message, modify a request,
// authenticate, say where a request came from or how an answer is used, or concern one connection only; of the content
// fields only Content-Digest (RFC 9530). No name with an underscore, which some servers read as another one.
bool may_trail(std::string_view name) noexcept;

// Moves the lines that may go on together at `at` and returns them. `size` bytes of whole lines as the ChunkedDecoder hands
// them out.
std::string_view keep_trailers(char* at, std::size_t size) noexcept;

}  // namespace lb::http
