// master/config/route_values.h -- the values of a [route]: what a request must be, and what happens to it.
// Owns:  their grammar, both ways. Pure but for `respond`, which reads the file it names; what they print they read back
//        to the same value.
// Never: looks at another key; knows which pools there are.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "master/config/values.h"
#include "shared/config/model.h"

namespace lb::config {

// "api.example.com" | "*.example.com" | "[::1]" | "192.0.2.1"
Parsed<HostMatch> parse_host_match(std::string_view word);
std::string print_host_match(const HostMatch& host);

// "/v1" | "= /v1/users" | "~ REGEX"
Parsed<PathMatch> parse_path_match(std::string_view text);
std::string print_path_match(const PathMatch& path);

// "NAME" | "NAME = TEXT" | "NAME ~ REGEX"
enum class ValueOf : std::uint8_t { header, cookie, query };
Parsed<ValueMatch> parse_value_match(std::string_view text, ValueOf what);
std::string print_value_match(const ValueMatch& value);

// Methods, as they stand in a request line.
Parsed<std::vector<std::string>> parse_methods(std::string_view text);
std::string print_methods(const std::vector<std::string>& methods);

// "NAME [weight=1..256]" and "NAME SHARE": the name of a pool, whose index is not known yet, and the rest.
struct NamedShare {
    std::string pool;
    std::uint32_t weight = 1;
};
Parsed<NamedShare> parse_share_of_pool(std::string_view text);
std::string print_share_of_pool(const std::string& pool, std::uint32_t weight);
struct NamedMirror {
    std::string pool;
    std::uint32_t share = 0;
};
Parsed<NamedMirror> parse_mirror(std::string_view text);
std::string print_mirror(const std::string& pool, std::uint32_t share);

// "REGEX TEMPLATE"
Parsed<Rewrite> parse_rewrite(std::string_view text);
std::string print_rewrite(const Rewrite& rewrite);

// "NAME VALUE", or "NAME" to remove a field. `latest`: Known::request for fields of requests, Known::response for those of
// answers. Framing and what belongs to one connection cannot be edited.
Parsed<Edit> parse_edit(std::string_view text, EditKind kind, Known latest);
std::string print_edit(const Edit& edit);

// "STATUS TEMPLATE"
Parsed<Redirect> parse_redirect(std::string_view text);
std::string print_redirect(const Redirect& redirect);

// "STATUS [file=PATH]"; reads the file.
Parsed<Respond> parse_respond(std::string_view text, std::string_view base);
std::string print_respond(const Respond& respond);

}  // namespace lb::config
