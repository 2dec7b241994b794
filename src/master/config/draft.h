// master/config/draft.h -- what the files say before any value is understood: sections of entries, with places.
// Owns:  the text of every setting, and the mistakes found so far.
// Never: holds a value; reads a file.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "master/config/error.h"
#include "master/config/keys.h"

namespace lb::config {

struct Entry {
    const KeySpec* key = nullptr;
    std::string value;
    Place place;
    std::string base;       // where relative paths in the value start
    bool override = false;  // -g: beats what a file says
    bool good = false;      // its value was understood; set by the builder
};

struct Section {
    Kind kind{};
    std::string name;
    Place place;
    std::vector<Entry> entries{};
    std::vector<const KeySpec*> misspelt{};  // what unknown keys resemble: reported once, not as missing too
    // What to call it: "pool app", "global".
    [[nodiscard]] std::string label() const;
};

class Draft {
 public:
    Draft();

    // Sections without a name exist from the start, at the places of their kinds; named ones follow in their
    // order.
    std::vector<Section> sections;

    Section& single(Kind kind) { return sections[static_cast<std::size_t>(kind)]; }
    // Place of a named section in `sections`; a second one of the same name is a mistake, but gets a place
    // too.
    std::size_t add_section(Kind kind, const std::string& name, const Place& place);
    // Adds a setting; a mistake when the section has that key already and it cannot be repeated.
    void add_entry(std::size_t section, Entry entry);

    // A part of the settings could not be read at all: what seems to be missing may stand there.
    bool incomplete = false;

    void fail(Place place, std::string what, std::string hint = {}, std::string value = {});
    [[nodiscard]] bool failed() const noexcept { return !errors_.empty(); }
    // A file's mistakes are shown in the order in which files were named here.
    void name_file(const std::string& file);
    // All mistakes, ordered by file and line. Beyond a thousand they are only counted.
    Errors take_errors();

 private:
    Errors errors_;
    std::size_t not_shown_ = 0;
    std::map<std::string, std::size_t> file_order_;
    std::map<std::pair<Kind, std::string>, Place> named_;
};

// "lb.ini:12", or the file alone when there is no line.
std::string where(const Place& place);

}  // namespace lb::config
