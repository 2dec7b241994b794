// master/admin/changes.h -- requests that change backends, from HTTP to a line of the control socket: paths, bodies, the
// token. Pure.
// Never: lets a byte through that would end a line or a field; looks at the table.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.h"

namespace lb::admin {

inline constexpr std::size_t most_body = 4096;
inline constexpr std::size_t most_depth = 4;  // of a body: objects and lists in each other

// Why not: an HTTP status and a sentence.
struct Refusal {
    std::uint16_t status = 400;
    std::string error;
    const char* allow = nullptr;  // of 405: the methods there are
};

// With %XX taken for the bytes they stand for; nothing when a % has no two hex digits behind it.
std::optional<std::string> percent_decoded(std::string_view text);

// The parts of a path behind "/api/v1/", each with %XX taken for the bytes they stand for. Nothing when a part is not
// written well, is no name (1 to 128 bytes of UTF-8 without control bytes), or there are more than 8.
std::optional<std::vector<std::string>> path_parts(std::string_view path);

// What a request to change one backend comes to: one line for the control socket, so all of it is done or nothing.
struct Change {
    std::string pool, backend;
    std::string line;
    bool registers = false;  // PUT: the backend need not be there before
};
// `method`: PUT, PATCH or DELETE. 400, 404, 405 and 413.
Result<Change, Refusal> read_change(std::string_view method, std::string_view path, std::string_view body);

// Whether who sends `authorization` (the field's value, "" for none) may change something. `file`: the configured
// token_file; `token`: its content. Compares in a time that tells nothing about how much was right.
std::optional<Refusal> not_authorized(std::string_view authorization, std::string_view file,
                                      std::string_view token);

// {NAME: TEXT}
std::string field_json(std::string_view name, std::string_view text);

}  // namespace lb::admin
