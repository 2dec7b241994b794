// shared/route/path.h -- the copy of a path that routes compare. Pure.
// Never: changes what is forwarded; decodes anything twice.
//
// Made in this order: cut at the first '?', percent-decode (%2F and %2E too), merge repeated slashes, remove dot
// segments (never above the root). So "/a%2f..//%2e/b" is compared as "/b": an encoded or dotted path reaches no route
// that its decoded form would not. A '\' is a byte like any other. An escape that is none (%zz, "%4" at the end) stays as it
// is written, here as in what is forwarded: nothing else reads it in two ways. %00 is a NUL byte, which no route can name.
#pragma once
#include <string>
#include <string_view>

namespace lb::route {

// The compared form of a request target ("/a/b?c"; of "?c" or "", whose path is empty, it is "/"). Begins with '/', holds
// no "//" and no segment "." or "..". A view of `target` when nothing had to be changed, else of `scratch`, which grows to
// the longest target it has seen.
std::string_view normalise(std::string_view target, std::string& scratch);

// What follows the first '?', without it; "" without one.
std::string_view query_of(std::string_view target) noexcept;

// `path = PREFIX` of a route, for a path in compared form. A prefix counts in whole segments: "/v1" holds for "/v1" and
// "/v1/x", not for "/v10"; "/v1/" for "/v1/" and what is below it, not for "/v1". (HAProxy calls this path_dir, Envoy
// path_separated_prefix; nginx compares bytes.)
bool has_prefix(std::string_view path, std::string_view prefix) noexcept;

// The text of a parameter's name or value: percent-decoded once, '+' is a blank. Replaces `out`.
void decode_parameter(std::string_view text, std::string& out);
// Whether decode_parameter(text) would give `wanted`; without a copy.
bool decodes_to(std::string_view text, std::string_view wanted) noexcept;

}  // namespace lb::route
