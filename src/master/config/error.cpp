// master/config/error.cpp -- one mistake as one line. Never decides what is a mistake.
#include "master/config/error.h"

#include <string_view>

namespace lb::config {
namespace {

// Long enough for any address or path one would recognise; a pasted certificate must not fill the terminal.
constexpr std::size_t shown_value = 120;

// Nothing from a file may move a terminal's cursor. Backslashes stay: they are common in values.
void append_visible(std::string& out, std::string_view text) {
    constexpr std::string_view hex = "0123456789abcdef";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f) {
            out += c;
        } else {
            out += "\\x";
            out += hex[byte >> 4];
            out += hex[byte & 15];
        }
    }
}

}  // namespace

std::string show(const ConfigError& error) {
    const Place& place = error.place;
    std::string out;
    append_visible(out, place.file);
    if (place.line != 0) out += ":" + std::to_string(place.line);
    out += ": ";

    std::string subject;
    if (!place.section.empty()) subject = "[" + place.section + "]";
    if (!place.key.empty()) subject += (subject.empty() ? "" : " ") + place.key;
    if (!error.value.empty()) {
        if (!subject.empty()) subject += place.key.empty() ? " " : " = ";
        subject += error.value.substr(0, shown_value);
        if (error.value.size() > shown_value) subject += "...";
    }
    if (!subject.empty()) subject += ": ";

    append_visible(out, subject);
    append_visible(out, error.what);
    if (!error.hint.empty()) append_visible(out, "; " + error.hint);
    return out;
}

}  // namespace lb::config
