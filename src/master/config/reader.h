// master/config/reader.h -- one file's text into a Draft, through inih.
// Owns:  the lines: their count, what is a comment, which section a line belongs to.
// Never: opens a file (include.cpp does); understands a value.
//
// inih sees a cleaned text. It cuts section names at 49 bytes, ends them at the first ], forgets empty and
// repeated sections, and lets keys after a bad header join the section before it. So each [header] reaches it
// as [n], a place in our own list, and a line it could not take reaches it empty. inih's part is to split
// lines at = or : and to trim.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "master/config/draft.h"

namespace lb::config {

inline constexpr std::size_t longest_line = 8000;  // bytes without the line's end

// An `include` met on the way, for the caller to follow.
struct Include {
    std::string pattern;
    Place place;
    std::string base;
};

struct Text {
    std::string_view bytes;
    std::string file;  // as shown in mistakes
    std::string base;  // where relative paths in it start
};

// Reads a file's text.
std::vector<Include> read_text(const Text& text, Draft& draft);
// Reads one setting of [global] from the command line (-g), without a section header.
std::vector<Include> read_override(const Text& text, Draft& draft);

}  // namespace lb::config
