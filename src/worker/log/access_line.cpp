#include "worker/log/access_line.h"

#include <charconv>

#include "shared/base/text.h"

namespace lb {
namespace {

void number(std::string& out, std::uint64_t n) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, n).ptr;
    out.append(digits, end);
}

// Seconds with six digits.
void seconds(std::string& out, Micros t) {
    if (t < 0) t = 0;
    number(out, static_cast<std::uint64_t>(t / 1'000'000));
    char digits[7] = {'.', '0', '0', '0', '0', '0', '0'};
    auto rest = static_cast<std::uint32_t>(t % 1'000'000);
    for (int i = 6; i > 0; i--, rest /= 10) digits[i] = static_cast<char>('0' + rest % 10);
    out.append(digits, sizeof digits);
}

// Inside quotes of the combined format: nginx's escaping, \xNN for what could break the line or its reader.
void quoted(std::string& out, std::string_view s) {
    static constexpr char hex[] = "0123456789ABCDEF";
    out += '"';
    if (s.empty()) out += '-';
    for (const char c : s) {
        const auto b = static_cast<unsigned char>(c);
        if (b < 0x20 || b >= 0x7f || c == '"' || c == '\\') {
            out += "\\x";
            out += hex[b >> 4];
            out += hex[b & 15];
        } else {
            out += c;
        }
    }
    out += '"';
}

void combined(std::string& out, const AccessEntry& e) {
    out += e.client;
    out += " - - [";
    out += e.local_time;
    out += "] ";
    quoted(out, e.request_line);
    out += ' ';
    number(out, e.status);
    out += ' ';
    number(out, e.body_bytes);
    out += ' ';
    quoted(out, e.referer);
    out += ' ';
    quoted(out, e.user_agent);
}

void begin(std::string& out, std::string_view key) {
    out += ",\"";
    out += key;
    out += "\":";
}
void text(std::string& out, std::string_view key, std::string_view value) {
    begin(out, key);
    text::append_json(out, value);
}
void count(std::string& out, std::string_view key, std::uint64_t value) {
    begin(out, key);
    number(out, value);
}
void time(std::string& out, std::string_view key, Micros value) {
    begin(out, key);
    if (value < 0) {
        out += "null";
    } else {
        seconds(out, value);
    }
}

void json(std::string& out, const AccessEntry& e) {
    out += "{\"time\":";
    text::append_json(out, e.iso_time);
    text(out, "client", e.client);
    text(out, "listener", e.listener);
    text(out, "pool", e.pool);
    text(out, "backend", e.backend);
    text(out, "request", e.request_line);
    count(out, "status", e.status);
    text(out, "end", word(e.end));
    count(out, "attempts", e.attempts);
    count(out, "body_bytes", e.body_bytes);
    count(out, "bytes_sent", e.bytes_sent);
    count(out, "bytes_received", e.bytes_received);
    time(out, "request_time", e.duration);
    time(out, "connect_time", e.connect);
    time(out, "response_time", e.response);
    text(out, "referer", e.referer);
    text(out, "user_agent", e.user_agent);
    out += '}';
}

}  // namespace

void append_access_line(std::string& out, config::LogFormat format, const AccessEntry& entry) {
    switch (format) {
        case config::LogFormat::combined: combined(out, entry); break;
        case config::LogFormat::json: json(out, entry); break;
    }
    out += '\n';
}

}  // namespace lb
