// master/config/manual.cpp -- the KEYS and VARIABLES parts of lb.ini(5), from their tables, in man(7) macros.
#include <fmt/format.h>

#include "master/config/keys.h"
#include "master/config/parser.h"
#include "shared/config/variables.h"

namespace lb::config {
namespace {

// Text as roff takes it: `bold`, a dash that stays a dash, nothing that starts a request. One sentence
// a line.
std::string roff(std::string_view text) {
    std::string out;
    bool bold = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        if (c == '`') {
            bold = !bold;
            out += bold ? "\\fB" : "\\fP";
        } else if (c == '-') {
            out += "\\-";
        } else if (c == '\\') {
            out += "\\e";
        } else if (c == ' ' && i > 0 && text[i - 1] == '.') {
            out += '\n';
        } else {
            if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
            out += c;
        }
    }
    return out;
}

void append_key(std::string& out, const KeySpec& key) {
    out += fmt::format(".TP\n.B {}\n", roff(key.name));
    out += fmt::format("{}.\n", roff(key.codec.form()));
    if (!key.fallback.empty()) {
        out += fmt::format("Default: \\fB{}\\fP.\n", roff(key.fallback));
    } else if (key.required()) {
        out += "Required.\n";
    } else {
        out += fmt::format("Without it: {}.\n", roff(key.absent));
    }
    if (key.repeat == Repeat::many) out += "May be repeated.\n";
    out += ".br\n";
    out += roff(key.text) + "\n";
}

// Keys that [defaults] explains need only their names where they are laid over.
void append_inherited(std::string& out, Kind kind) {
    std::string names;
    for (const KeySpec& key : keys()) {
        if (!accepts(key.where, kind) || !accepts(key.where, Kind::defaults)) continue;
        names += (names.empty() ? "`" : ", `") + std::string(key.name) + "`";
    }
    if (!names.empty()) out += fmt::format(".PP\nAlso, instead of what [defaults] says: {}.\n", roff(names));
}

}  // namespace

std::string manual_keys() {
    std::string out = ".SH KEYS\n";
    for (std::size_t i = 0; i < kind_count; i++) {
        const auto kind = static_cast<Kind>(i);
        out += fmt::format(".SS [{}{}{}]\n{}\n", kind_names[i], is_named(kind) ? " " : "",
                           is_named(kind) ? name_of(kind) : "", roff(kind_text(kind)));
        for (const KeySpec& key : keys()) {
            if (!accepts(key.where, kind)) continue;
            if (kind != Kind::defaults && accepts(key.where, Kind::defaults)) continue;
            append_key(out, key);
        }
        if (kind != Kind::defaults) append_inherited(out, kind);
    }
    return out;
}

std::string manual_variables() {
    constexpr std::pair<Known, std::string_view> stages[] = {
        {Known::request, "Known with the request: everywhere."},
        {Known::response, "Known with the answer: in fields of answers and in logs."},
        {Known::end, "Known at the end: in logs."},
    };
    std::string out = ".SH VARIABLES\n";
    for (const auto& [known, text] : stages) {
        out += fmt::format(".SS {}\n", roff(text));
        for (const VariableSpec& each : variables) {
            if (each.known != known) continue;
            out += fmt::format(".TP\n.B ${}{}\n{}\n", each.name, each.name.back() == '_' ? "NAME" : "",
                               roff(each.help));
        }
    }
    return out;
}

}  // namespace lb::config
