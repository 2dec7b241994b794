// master/config/log_formats.cpp -- see log_formats.h.
#include "master/config/log_formats.h"

#include <fmt/format.h>

namespace lb::config {
namespace {

constexpr std::string_view format_names[] = {"combined", "json"};

// As Apache and nginx write it.
constexpr std::string_view combined =
    R"($client_addr - - [$time_local] "$request" $status $body_bytes "$http_referer" "$http_user_agent")";

// Numbers stand without quotes: LogEscape::json writes null where one is not known.
constexpr std::string_view json =
    R"({"time":"$time_iso","client":"$client_addr","client_port":$client_port,"peer":"$peer_addr",)"
    R"("listener":"$listener","route":"$route","pool":"$pool","backend":"$backend",)"
    R"("backend_addr":"$backend_addr","backends":"$backends","scheme":"$scheme","host":"$host",)"
    R"("request":"$request","method":"$method","uri":"$request_uri","protocol":"$protocol",)"
    R"("request_id":"$request_id","status":$status,"backend_status":$backend_status,)"
    R"("end":"$end","end_side":"$end_side","end_phase":"$end_phase","attempts":$attempts,)"
    R"("body_bytes":$body_bytes,"request_body_bytes":$request_body_bytes,)"
    R"("bytes_sent":$bytes_sent,"bytes_received":$bytes_received,)"
    R"("request_time":$request_time,"head_time":$head_time,"pick_time":$pick_time,)"
    R"("connect_time":$connect_time,"response_time":$response_time,"transfer_time":$transfer_time,)"
    R"("referer":"$http_referer","user_agent":"$http_user_agent",)"
    R"("connection_requests":$connection_requests,"worker":$worker,"pid":$pid})";

}  // namespace

std::optional<Problem> parse_log_format(std::string_view word, AccessLog& log) {
    std::string_view source = word;
    const auto named = parse_choice(word, format_names);
    if (named) {
        source = named.value() == 0 ? combined : json;
    } else if (word.find('$') == std::string_view::npos) {
        // A line in which nothing varies is a misspelt name.
        return Problem{
            "must be combined, json or a text with variables",
            named.error().hint.empty() ? "as in \"$client_addr $request $status\"" : named.error().hint};
    }
    auto parsed = parse_template(source, Known::end);
    if (!parsed) return Problem{parsed.error(), {}};
    log.format_name = named ? word : "";
    log.format = std::move(parsed).value();
    // An object of the operator's own would not stay one if values could end its strings.
    log.escape = source.starts_with('{') ? LogEscape::json : LogEscape::text;
    return std::nullopt;
}

std::string print_log_format(const AccessLog& log) {
    return log.format_name.empty() ? quote(log.format.source) : log.format_name;
}

}  // namespace lb::config
