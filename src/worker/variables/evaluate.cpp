#include "worker/variables/evaluate.h"

#include <algorithm>
#include <charconv>

#include "shared/base/text.h"

namespace lb {
namespace {

using config::Variable;

constexpr bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string_view number(ValueRoom& room, std::uint64_t n) noexcept {
    const auto end = std::to_chars(room.data(), room.data() + room.size(), n).ptr;
    return {room.data(), static_cast<std::size_t>(end - room.data())};
}

// As seconds with three decimals; nothing when it is below 0.
std::string_view milliseconds(ValueRoom& room, std::int64_t millis) noexcept {
    if (millis < 0) return {};
    char* at = std::to_chars(room.data(), room.data() + room.size(), millis / 1000).ptr;
    const auto rest = static_cast<unsigned>(millis % 1000);
    *at++ = '.';
    *at++ = static_cast<char>('0' + rest / 100);
    *at++ = static_cast<char>('0' + rest / 10 % 10);
    *at++ = static_cast<char>('0' + rest % 10);
    return {room.data(), static_cast<std::size_t>(at - room.data())};
}

constexpr std::int64_t to_millis(Micros t) noexcept { return t < 0 ? -1 : t / 1000; }

std::string_view status(ValueRoom& room, std::uint16_t code) noexcept {
    room[0] = static_cast<char>('0' + code / 100 % 10);
    room[1] = static_cast<char>('0' + code / 10 % 10);
    room[2] = static_cast<char>('0' + code % 10);
    return {room.data(), 3};
}

// Without the port, in lower case. What is longer than a name can be is cut.
std::string_view host_name(ValueRoom& room, std::string_view host) noexcept {
    if (host.starts_with('[')) {
        host = host.substr(0, std::min(host.size(), host.find(']')) + 1);
    } else {
        host = host.substr(0, host.find(':'));
    }
    if (std::none_of(host.begin(), host.end(), [](char c) { return text::lower(c) != c; })) return host;
    host = host.substr(0, room.size());
    std::transform(host.begin(), host.end(), room.begin(), text::lower);
    return {room.data(), host.size()};
}

std::string_view path_of(const http::RequestHead& head) noexcept {
    return head.target_needs_slash ? std::string_view("/") : head.target.substr(0, head.target.find('?'));
}

std::string_view query_of(const http::RequestHead& head) noexcept {
    const std::size_t mark = head.target.find('?');
    return mark == std::string_view::npos ? std::string_view{} : head.target.substr(mark + 1);
}

// `name` in lower case, as the parser of templates leaves it.
std::string_view field_value(const std::vector<http::Field>& fields, std::string_view name) noexcept {
    for (const http::Field& field : fields) {
        if (text::equals_lower(field.name, name)) return field.value;
    }
    return {};
}

// The value of the first "NAME=VALUE" of the query; a NAME alone has the value "".
std::string_view parameter(std::string_view query, std::string_view name) noexcept {
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(pair.size() + 1, query.size()));
        if (!pair.starts_with(name)) continue;
        if (pair.size() == name.size()) return {};
        if (pair[name.size()] == '=') return pair.substr(name.size() + 1);
    }
    return {};
}

// RFC 6265 4.2.1, taken as servers do: the first pair of that name, blanks around it left out.
std::string_view cookie(const std::vector<http::Field>& fields, std::string_view name) noexcept {
    for (const http::Field& field : fields) {
        if (field.id != http::FieldId::cookie) continue;
        std::string_view list = field.value;
        while (!list.empty()) {
            const std::string_view part = list.substr(0, list.find(';'));
            list.remove_prefix(std::min(part.size() + 1, list.size()));
            const std::string_view pair = text::trim(part);
            if (pair.size() > name.size() && pair[name.size()] == '=' && pair.starts_with(name))
                return pair.substr(name.size() + 1);
        }
    }
    return {};
}

// What each variable is, by its place in the enum.
struct Kind {
    config::Known known = config::Known::request;
    bool of_request_head = false;
    bool number = false;
};
constexpr std::size_t kinds_count = static_cast<std::size_t>(Variable::transfer_time) + 1;
constexpr std::array<Kind, kinds_count> make_kinds() noexcept {
    std::array<Kind, kinds_count> out{};
    const auto at = [&out](Variable v) -> Kind& { return out[static_cast<std::size_t>(v)]; };
    for (const config::VariableSpec& each : config::variables) at(each.id).known = each.known;
    for (const Variable v :
         {Variable::host, Variable::method, Variable::request, Variable::request_uri, Variable::path,
          Variable::query, Variable::protocol, Variable::http, Variable::cookie, Variable::arg}) {
        at(v).of_request_head = true;
    }
    for (const Variable v :
         {Variable::client_port, Variable::connection_requests, Variable::pid, Variable::worker,
          Variable::time_unix, Variable::status, Variable::backend_status, Variable::attempts,
          Variable::bytes_sent, Variable::bytes_received, Variable::body_bytes, Variable::request_body_bytes,
          Variable::request_time, Variable::head_time, Variable::pick_time, Variable::connect_time,
          Variable::response_time, Variable::transfer_time}) {
        at(v).number = true;
    }
    return out;
}
constexpr std::array<Kind, kinds_count> kinds = make_kinds();
constexpr const Kind& kind_of(Variable variable) noexcept {
    return kinds[static_cast<std::size_t>(variable)];
}

bool is_known(Variable variable, const Facts& facts) noexcept {
    const Kind& kind = kind_of(variable);
    if (kind.of_request_head) return facts.request.head != nullptr;
    if (variable == Variable::response_header)
        return facts.answer != nullptr && facts.answer->head != nullptr;
    if (kind.known == config::Known::response) return facts.answer != nullptr;
    return kind.known != config::Known::end || facts.end != nullptr;
}

// Without control bytes; of the operator's own text tabs stay. False: `out` would be longer than the limit.
bool append_clean(std::string& out, std::string_view text, std::size_t limit, bool keep_tabs) {
    while (!text.empty()) {
        const auto stop = std::find_if(text.begin(), text.end(),
                                       [&](char c) { return is_control(c) && !(keep_tabs && c == '\t'); });
        const auto run = static_cast<std::size_t>(stop - text.begin());
        if (run > limit - out.size()) return false;
        out.append(text.substr(0, run));
        text.remove_prefix(std::min(run + 1, text.size()));
    }
    return true;
}

// Of something known.
std::string_view text_of(const config::Piece& piece, const Facts& facts, ValueRoom& room) noexcept {
    const RequestFacts& request = facts.request;
    const http::RequestHead* head = request.head;
    const AnswerFacts* answer = facts.answer;
    const EndFacts* end = facts.end;
    switch (piece.variable) {
        case Variable::text: return piece.text;
        case Variable::capture:
            return piece.capture < facts.captures.size() ? facts.captures[piece.capture] : std::string_view{};
        case Variable::client_addr: return request.client;
        case Variable::client_port: return number(room, request.client_port);
        case Variable::peer_addr: return request.peer;
        case Variable::country: return request.country;
        case Variable::scheme: return request.scheme;
        case Variable::host: return host_name(room, head->host);
        case Variable::method: return head->method_text;
        case Variable::request: return head->line;
        case Variable::request_uri: return head->target;
        case Variable::path: return path_of(*head);
        case Variable::query: return query_of(*head);
        case Variable::protocol: return head->minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
        case Variable::request_id: return request.request_id;
        case Variable::http: return field_value(head->fields, piece.text);
        case Variable::cookie: return cookie(head->fields, piece.text);
        case Variable::arg: return parameter(query_of(*head), piece.text);
        case Variable::listener: return request.listener;
        case Variable::route: return request.route;
        case Variable::connection_requests: return number(room, request.connection_request);
        case Variable::pid: return number(room, request.pid);
        case Variable::worker: return number(room, request.worker);
        case Variable::time_local: return request.time_local;
        case Variable::time_iso: return request.time_iso;
        case Variable::time_unix: return milliseconds(room, request.unix_millis);
        case Variable::status: return status(room, answer->status);
        case Variable::backend_status: return status(room, answer->backend_status);
        case Variable::response_header: return field_value(answer->head->fields, piece.text);
        case Variable::pool: return answer->pool;
        case Variable::backend: return answer->backend;
        case Variable::backend_addr: return answer->backend_address;
        case Variable::backends: return end->backends;
        case Variable::attempts: return number(room, end->attempts);
        case Variable::end: return word(end->end);
        case Variable::end_side: return side(end->end);
        case Variable::end_phase: return end->phase;
        case Variable::bytes_sent: return number(room, end->bytes_sent);
        case Variable::bytes_received: return number(room, end->bytes_received);
        case Variable::body_bytes: return number(room, end->body_bytes);
        case Variable::request_body_bytes: return number(room, end->request_body_bytes);
        case Variable::request_time: return milliseconds(room, to_millis(end->total));
        case Variable::head_time: return milliseconds(room, to_millis(end->head));
        case Variable::pick_time: return milliseconds(room, to_millis(end->pick));
        case Variable::connect_time: return milliseconds(room, to_millis(end->connect));
        case Variable::response_time: return milliseconds(room, to_millis(end->response));
        case Variable::transfer_time: return milliseconds(room, to_millis(end->transfer));
    }
    return {};
}

}  // namespace

Value value_of(const config::Piece& piece, const Facts& facts, ValueRoom& room) noexcept {
    if (!is_known(piece.variable, facts)) return {};
    Value value{text_of(piece, facts, room)};
    if (piece.variable == Variable::request_uri && facts.request.head->target_needs_slash) value.before = "/";
    return value;
}

void append_value(std::string& out, const config::Piece& piece, const Facts& facts) {
    ValueRoom room;
    const Value value = value_of(piece, facts, room);
    out += value.before;
    out += value.text;
}

bool append_line(std::string& out, const config::Template& text, const Facts& facts, std::size_t most) {
    const std::size_t begin = out.size();
    const std::size_t limit = begin + most;
    ValueRoom room;
    for (const config::Piece& piece : text.pieces) {
        const Value value = value_of(piece, facts, room);
        if (!append_clean(out, value.before, limit, false) ||
            !append_clean(out, value.text, limit, piece.variable == Variable::text)) {
            out.resize(begin);
            return false;
        }
    }
    return true;
}

bool is_number(Variable variable) noexcept { return kind_of(variable).number; }
bool is_of_request_head(Variable variable) noexcept { return kind_of(variable).of_request_head; }

std::string_view side(End end) noexcept {
    switch (end) {
        case End::done: return "";
        case End::bad_request:
        case End::header_timeout:
        case End::header_too_large:
        case End::body_too_large:
        case End::body_timeout:
        case End::client_gone:
        case End::client_stalled: return "client";
        case End::no_route:
        case End::no_backend:
        case End::denied:
        case End::limited:
        case End::saturated:
        case End::queue_timeout:
        case End::overload:
        case End::stopped:
        case End::request_timeout:
        case End::tunnel_timeout: return "lb";
        case End::connect_failed:
        case End::connect_timeout:
        case End::backend_closed:
        case End::response_timeout:
        case End::bad_response:
        case End::backend_cut:
        case End::backend_stalled: return "backend";
    }
    return "";
}

}  // namespace lb
