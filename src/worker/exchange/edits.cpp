#include "worker/exchange/edits.h"

#include <algorithm>

#include "shared/base/text.h"
#include "shared/http/field_values.h"
#include "shared/http/http1_parser.h"
#include "worker/exchange/forward_headers.h"

namespace lb {
namespace {

using config::Edit;
using config::EditKind;
using http::FieldId;

bool same_name(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return text::lower(x) == text::lower(y);
           });
}

bool is_host(const Edit& edit) noexcept { return text::equals_lower(edit.name, "host"); }

void append_edit(std::string& out, std::span<const Edit> edits, std::size_t index, const Facts& facts) {
    const Edit& edit = edits[index];
    if (edit.kind == EditKind::remove || suppressed(edits.subspan(index + 1), edit.name)) return;
    const std::size_t begin = out.size();
    out += edit.name;
    out += ": ";
    const std::size_t value = out.size();
    if (!append_line(out, edit.value, facts) || out.size() == value) {
        out.resize(begin);
    } else {
        out += "\r\n";
    }
}

bool of_request(const config::Piece& piece) noexcept {
    if (piece.variable == config::Variable::text) return false;
    return std::any_of(std::begin(config::variables), std::end(config::variables),
                       [&](const config::VariableSpec& each) {
                           return each.id == piece.variable && each.known == config::Known::request;
                       });
}

bool varies_by_encoding(const http::ResponseHead& head) noexcept {
    return std::any_of(head.fields.begin(), head.fields.end(), [](const http::Field& field) {
        return field.id == FieldId::vary &&
               (http::list_has(field.value, "accept-encoding") || http::list_has(field.value, "*"));
    });
}

// A strong tag names exact bytes, which are others now (RFC 9110 8.8.3).
bool strong_tag(const http::Field& field) noexcept {
    return field.id == FieldId::etag && !field.value.starts_with("W/");
}

// Whether the fields are those of a compressed answer.
bool of_compressed(Gzip gzip) noexcept { return gzip == Gzip::yes || gzip == Gzip::unchanged; }

void append_gzip_lines(std::string& out, const http::ResponseHead& head, const AnswerChanges& changes) {
    if (!varies_by_encoding(head) && !suppressed(changes.edits, "Vary")) out += "Vary: Accept-Encoding\r\n";
    if (!of_compressed(changes.gzip)) return;
    if (changes.gzip == Gzip::yes) out += "Content-Encoding: gzip\r\n";
    for (const http::Field& field : head.fields) {
        if (!strong_tag(field) || suppressed(changes.edits, "ETag")) continue;
        out += "ETag: W/";
        out += field.value;
        out += "\r\n";
    }
}

// With its CRLF.
std::string_view first_line(std::string_view lines) noexcept {
    const std::size_t end = lines.find("\r\n");
    return end == std::string_view::npos ? lines : lines.substr(0, end + 2);
}

}  // namespace

bool suppressed(std::span<const Edit> edits, std::string_view name) noexcept {
    return std::any_of(edits.begin(), edits.end(), [&](const Edit& edit) {
        return edit.kind != EditKind::add && same_name(edit.name, name);
    });
}

void append_edits(std::string& out, std::span<const Edit> edits, const Facts& facts) {
    for (std::size_t i = 0; i < edits.size(); i++) append_edit(out, edits, i, facts);
}

RequestEdits make_request_edits(std::string& scratch, std::span<const Edit> edits, const Facts& facts) {
    scratch.clear();
    for (const Edit& edit : edits) {
        if (!is_host(edit) || edit.kind == EditKind::remove) continue;
        scratch.clear();
        if (!append_line(scratch, edit.value, facts) || !http::valid_authority(scratch)) scratch.clear();
    }
    const std::size_t host = scratch.size();
    for (std::size_t i = 0; i < edits.size(); i++) {
        if (!is_host(edits[i])) append_edit(scratch, edits, i, facts);
    }
    const std::string_view all = scratch;
    return {edits, all.substr(host), all.substr(0, host)};
}

bool needs_request(std::span<const Edit> edits) noexcept {
    return std::any_of(edits.begin(), edits.end(), [](const Edit& edit) {
        return std::any_of(edit.value.pieces.begin(), edit.value.pieces.end(), of_request);
    });
}

std::vector<Edit> with_request_values(std::span<const Edit> edits, const Facts& facts) {
    std::vector<Edit> filled(edits.begin(), edits.end());
    for (Edit& edit : filled) {
        bool fits = true;
        for (config::Piece& piece : edit.value.pieces) {
            if (!of_request(piece)) continue;
            std::string value;
            fits = append_line(value, {{}, {std::move(piece)}}, facts) && fits;
            piece = {config::Variable::text, std::move(value), 0};
        }
        if (!fits) edit.value.pieces.clear();  // which writes no line
    }
    return filled;
}

bool trailer_passes(std::string_view name, std::span<const Edit> edits, bool compressing) noexcept {
    if (suppressed(edits, name)) return false;
    return !compressing || (!is_digest(name) && http::field_id(name) != FieldId::etag);
}

std::string_view keep_trailers(std::string& scratch, std::string_view lines, std::span<const Edit> edits,
                               bool compressing) {
    std::string_view rest = lines;
    const auto next_passes = [&](std::string_view line) {
        return trailer_passes(line.substr(0, line.find(':')), edits, compressing);
    };
    while (!rest.empty() && next_passes(first_line(rest))) rest.remove_prefix(first_line(rest).size());
    if (rest.empty()) return lines;
    scratch = lines.substr(0, lines.size() - rest.size());
    while (!rest.empty()) {
        const std::string_view line = first_line(rest);
        if (next_passes(line)) scratch += line;
        rest.remove_prefix(line.size());
    }
    return scratch;
}

void edit_lines(std::string& lines, std::span<const Edit> edits, const Facts& facts) {
    if (edits.empty()) return;
    std::size_t at = 0;
    while (at < lines.size()) {
        const std::string_view line = first_line(std::string_view(lines).substr(at));
        const std::size_t size = line.size();
        if (suppressed(edits, line.substr(0, line.find(':')))) {
            lines.erase(at, size);
        } else {
            at += size;
        }
    }
    append_edits(lines, edits, facts);
}

AnswerRules::AnswerRules(std::string& scratch, const http::ResponseHead& head, const AnswerChanges& changes,
                         const Facts& facts, std::string_view date_line)
    : edits_(changes.edits),
      plain_(changes.edits.empty() && !of_compressed(changes.gzip)),
      compressed_(of_compressed(changes.gzip)) {
    const bool dated = std::any_of(head.fields.begin(), head.fields.end(), [](const http::Field& field) {
        return field.id == FieldId::date && !field.ends_here;
    });
    const std::string_view date = dated || suppressed(edits_, "Date") ? std::string_view{} : date_line;
    if (plain_ && !changes.via && changes.gzip == Gzip::no && changes.extra.empty()) {
        added_ = date;
        return;
    }
    scratch = date;
    if (changes.via && !suppressed(edits_, "Via")) scratch += via_line(head.minor);
    if (changes.gzip != Gzip::no) append_gzip_lines(scratch, head, changes);
    append_edits(scratch, edits_, facts);
    scratch += changes.extra;
    added_ = scratch;
}

stream::FieldRules AnswerRules::rules() const noexcept {
    if (plain_) return {response_field_passes, nullptr, added_};
    return {keep, this, added_};
}

bool AnswerRules::keep(const http::Field& field, const void* context) noexcept {
    const AnswerRules& self = *static_cast<const AnswerRules*>(context);
    if (!response_field_passes(field)) return false;
    if (self.compressed_) {
        if (field.id == FieldId::content_length || field.id == FieldId::content_encoding ||
            strong_tag(field) || text::equals_lower(field.name, "accept-ranges")) {
            return false;
        }
    }
    return !suppressed(self.edits_, field.name);
}

}  // namespace lb
