// master/config/reader.cpp -- see reader.h.
#include "master/config/reader.h"

#include <fmt/format.h>
#include <ini.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "shared/base/text.h"

namespace lb::config {
namespace {

// inih's buffer: our longest line, "\n" and the end of the string, with the room it asks for.
constexpr int buffer_size = 8192;
static_assert(longest_line + 3 < buffer_size);

// A section whose header was no use: its keys are skipped, because nobody can say what they would mean.
constexpr std::size_t nowhere = std::numeric_limits<std::size_t>::max();

constexpr bool blank(char c) noexcept { return c == ' ' || c == '\t'; }

// The line up to a # or ; at its start or after a blank, but not inside quotes. Quotes count only in a value,
// which is what follows the first = or :. A quote that is never closed hides no comment; split_words reports
// it.
std::string_view without_comment(std::string_view line) noexcept {
    bool in_value = false;
    bool in_quotes = false;
    for (std::size_t i = 0; i < line.size(); i++) {
        const char c = line[i];
        if (in_quotes) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_quotes = false;
            }
        } else if ((c == '#' || c == ';') && (i == 0 || blank(line[i - 1]))) {
            return text::trim(line.substr(0, i));
        } else if (c == '"') {
            in_quotes = in_value;
        } else if (c == '=' || c == ':') {
            in_value = true;
        }
    }
    return text::trim(line);
}

class Reader {
 public:
    // `overriding`: a value of -g. It belongs to [global] at once, beats what files say, and its line has no
    // number.
    Reader(const Text& text, Draft& draft, bool overriding)
        : text_(text),
          draft_(draft),
          left_(text.bytes),
          section_(overriding ? static_cast<std::size_t>(Kind::global) : nowhere),
          overriding_(overriding) {
        // Written by many editors of one system; means nothing in UTF-8.
        if (left_.starts_with("\xef\xbb\xbf")) left_.remove_prefix(3);
    }

    std::vector<Include> run() {
        // Debian's inih keeps its settings in variables of the process.
        ini_use_stack = false;
        ini_max_line = ini_initial_alloc = buffer_size;
        ini_allow_multiline = false;
        ini_allow_inline_comments = false;
        const int status = ini_parse_stream(&Reader::next_line, this, &Reader::setting, this);
        // Every line it gets is either empty or one it takes, so this is no mistake of the operator's.
        if (status != 0)
            draft_.fail({text_.file, 0, {}, {}},
                        fmt::format("could not be read to its end (inih: {})", status));
        return std::move(includes_);
    }

 private:
    // inih's fgets: one cleaned line at a time.
    static char* next_line(char* out, int size, void* self) {
        auto& reader = *static_cast<Reader*>(self);
        if (reader.left_.empty()) return nullptr;
        reader.line_++;
        const std::size_t end = std::min(reader.left_.find('\n'), reader.left_.size());
        std::string_view line = reader.left_.substr(0, end);
        reader.left_.remove_prefix(std::min(end + 1, reader.left_.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);

        std::string clean = reader.clean(line);
        // Fits by construction; were it not so, inih would take the rest for another line.
        if (clean.size() + 2 > static_cast<std::size_t>(size)) clean.clear();
        clean += '\n';
        std::memcpy(out, clean.c_str(), clean.size() + 1);
        return out;
    }

    // The line as inih may see it: "[n]", "key = value", or empty.
    std::string clean(std::string_view line) {
        const std::string_view trimmed = text::trim(line);
        const bool header = trimmed.starts_with('[');
        if (const auto bad = unreadable(line)) {
            draft_.fail(place({}), *bad);
            if (header) return enter(nowhere);
            return {};
        }
        if (header) return enter(read_header(trimmed));
        const std::string_view setting = without_comment(line);
        if (setting.empty()) return {};
        const std::size_t separator = setting.find_first_of("=:");
        if (separator == std::string_view::npos) {
            draft_.fail(place({}), "is no setting", "write key = value", std::string(setting));
            return {};
        }
        if (separator == 0) {
            draft_.fail(place({}), "has no key", "write key = value", std::string(setting));
            return {};
        }
        return std::string(setting);
    }

    static std::optional<std::string> unreadable(std::string_view line) {
        if (line.size() > longest_line) return fmt::format("the line is longer than {} bytes", longest_line);
        for (const char c : line) {
            const auto byte = static_cast<unsigned char>(c);
            if ((byte < 0x20 && c != '\t') || byte == 0x7f) {
                return fmt::format("the line holds a control byte (0x{:02x})", byte);
            }
        }
        return std::nullopt;
    }

    // From now on settings belong to this section.
    std::string enter(std::size_t section) {
        section_ = section;
        if (section == nowhere) draft_.incomplete = true;
        before_header_ = false;
        return section == nowhere ? "[-]" : fmt::format("[{}]", section);
    }

    std::size_t read_header(std::string_view line) {
        const std::size_t close = line.find(']');
        if (close == std::string_view::npos) {
            draft_.fail(place({}), "the header has no closing ]", {}, std::string(line));
            return nowhere;
        }
        const std::string_view rest = line.substr(close + 1);
        if (!rest.empty() && (!blank(rest[0]) || !without_comment(rest).empty())) {
            draft_.fail(place({}), "there is text after the header", {}, std::string(line));
            return nowhere;
        }
        const std::string_view inside = text::trim(line.substr(1, close - 1));
        const std::size_t gap = std::min(inside.find_first_of(" \t"), inside.size());
        const std::string_view word = inside.substr(0, gap);
        const std::string name(text::trim(inside.substr(gap)));
        const auto kind = find_kind(word, inside);
        return kind ? open(*kind, name, std::string(inside)) : nowhere;
    }

    // A misspelt kind is a mistake, but its keys are read as what it resembles: they may hold mistakes of
    // their own, and a reference to the section is none.
    std::optional<Kind> find_kind(std::string_view word, std::string_view inside) {
        std::string_view meant = word;
        auto found = std::find(std::begin(kind_names), std::end(kind_names), meant);
        if (found == std::end(kind_names)) {
            meant = text::nearest(word, kind_names);
            std::string hint =
                meant.empty() ? "sections are " + join_choices(kind_names) : near_miss(word, kind_names);
            draft_.fail(place(std::string(inside)), "unknown section", std::move(hint));
            found = std::find(std::begin(kind_names), std::end(kind_names), meant);
        }
        if (found == std::end(kind_names)) return std::nullopt;
        return static_cast<Kind>(found - std::begin(kind_names));
    }

    std::size_t open(Kind kind, const std::string& name, std::string label) {
        const Place at = place(std::move(label));
        if (is_named(kind)) {
            if (const auto bad = check_name(name)) {
                draft_.fail(
                    at, bad->what,
                    fmt::format("write [{} {}]", kind_names[static_cast<std::size_t>(kind)], name_of(kind)));
            }
            return draft_.add_section(kind, name, at);
        }
        const auto number = static_cast<std::size_t>(kind);
        if (!name.empty())
            draft_.fail(at, "this section takes no name", fmt::format("write [{}]", kind_names[number]));
        unsigned& first = opened_[number];
        if (first != 0) draft_.fail(at, fmt::format("is already defined at {}:{}", text_.file, first));
        first = line_;
        draft_.single(kind).place = at;
        return number;
    }

    // inih's handler: always 1, mistakes are ours to keep.
    static int setting(void* self, const char*, const char* key, const char* value) {
        static_cast<Reader*>(self)->take(key, value);
        return 1;
    }

    void take(const std::string& name, const std::string& value) {
        if (section_ == nowhere && !before_header_) return;
        Place at = place({});
        at.key = name;
        if (section_ == nowhere) {
            draft_.fail(at, "stands before any [section]");
            return;
        }
        Section& section = draft_.sections[section_];
        at.section = section.place.section;
        const KeySpec* key = find_key(section.kind, name);
        if (key == nullptr) {
            draft_.fail(at, "unknown key", unknown_key_hint(section.kind, name));
            if (const KeySpec* meant = nearest_key(section.kind, name)) section.misspelt.push_back(meant);
            return;
        }
        if (name == "include") includes_.push_back({value, at, text_.base});
        draft_.add_entry(section_, {key, value, at, text_.base, overriding_, false});
    }

    [[nodiscard]] Place place(std::string section) const {
        return {text_.file, overriding_ ? 0 : line_, std::move(section), {}};
    }

    const Text& text_;
    Draft& draft_;
    std::string_view left_;
    unsigned line_ = 0;
    std::size_t section_;
    bool overriding_;
    bool before_header_ = true;
    unsigned opened_[kind_count] = {};  // line of the header of a section without a name, in this file
    std::vector<Include> includes_;
};

}  // namespace

std::vector<Include> read_text(const Text& text, Draft& draft) {
    draft.name_file(text.file);
    return Reader(text, draft, false).run();
}

std::vector<Include> read_override(const Text& text, Draft& draft) {
    draft.name_file(text.file);
    if (text::trim(text.bytes).empty() || text.bytes.find('\n') != std::string_view::npos ||
        text::trim(text.bytes).starts_with('[')) {
        draft.fail({text.file, 0, {}, {}}, "takes one setting of [global]", "write \"key = value\"",
                   std::string(text.bytes));
        return {};
    }
    return Reader(text, draft, true).run();
}

}  // namespace lb::config
