// worker/exchange/edits.h -- header fields that a route sets, adds and removes, and the rules for the fields of answers.
// Pure but for the strings they write to.
// Order: as given; what a later `set` or `remove` of the same name undoes is not written. `set` and `remove`
//        suppress received lines of that name in any case of letters, and those that lb itself adds.
// Never: touches framing and connection fields (the configuration refuses such names); writes a line that has no value.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/config/model.h"
#include "shared/http/message.h"
#include "worker/exchange/gzip.h"
#include "worker/stream/client_stream.h"
#include "worker/variables/evaluate.h"

namespace lb {

// Whether edits take out the lines of that name.
bool suppressed(std::span<const config::Edit> edits, std::string_view name) noexcept;

// Appends the lines "Name: value\r\n" that edits add.
void append_edits(std::string& out, std::span<const config::Edit> edits, const Facts& facts);

// A request's edits with their values. Views into the scratch string they were made in.
struct RequestEdits {
    std::span<const config::Edit> edits{};
    std::string_view lines{};  // whole lines, Host aside
    std::string_view
        host{};  // the value of Host; empty: as received. A value that is no good host is not taken.
};
// Overwrites `scratch`, which must stay untouched as long as the result is used.
RequestEdits make_request_edits(std::string& scratch, std::span<const config::Edit> edits,
                                const Facts& facts);

// Edits of the answer with the variables of the request filled in, since its head is gone when the answer comes; without
// any such variable the configuration's own serve.
bool needs_request(std::span<const config::Edit> edits) noexcept;
std::vector<config::Edit> with_request_values(std::span<const config::Edit> edits, const Facts& facts);

// Whether a trailer field may pass: not when edits set or remove fields of its name, since what a route takes out of a head
// must not come in behind the body; nor, when the body is compressed, when it tells of the bytes as they were.
bool trailer_passes(std::string_view name, std::span<const config::Edit> edits, bool compressing) noexcept;
// Those of whole trailer lines that pass: `lines` itself when all do, else a view of `scratch`, which is overwritten.
std::string_view keep_trailers(std::string& scratch, std::string_view lines,
                               std::span<const config::Edit> edits, bool compressing);

// Applies edits to whole lines of lb's own answers.
void edit_lines(std::string& lines, std::span<const config::Edit> edits, const Facts& facts);

// What happens to the fields of a backend's answer on its way to the client.
struct AnswerChanges {
    std::span<const config::Edit> edits{};
    bool via = false;
    Gzip gzip = Gzip::no;
    std::string_view extra{};  // whole lines of lb's own behind all others: Connection and Upgrade of a 101
};

// Hop-by-hop fields end here; Date is added where it is missing. Lives until the head is given to the client's stream.
class AnswerRules {
 public:
    // Overwrites `scratch` when there are changes; without any nothing is copied.
    AnswerRules(std::string& scratch, const http::ResponseHead& head, const AnswerChanges& changes,
                const Facts& facts, std::string_view date_line);
    // Of an interim answer (100, 103): fields that the edits set or remove do not pass, and nothing is added.
    static AnswerRules interim(std::span<const config::Edit> edits) noexcept { return AnswerRules(edits); }
    AnswerRules(const AnswerRules&) = delete;
    AnswerRules& operator=(const AnswerRules&) = delete;
    [[nodiscard]] stream::FieldRules rules() const noexcept;

 private:
    explicit AnswerRules(std::span<const config::Edit> edits) noexcept
        : edits_(edits), plain_(edits.empty()), compressed_(false) {}
    static bool keep(const http::Field& field, const void* context) noexcept;
    std::span<const config::Edit> edits_;
    bool plain_;
    bool compressed_;  // the fields are those of a compressed answer
    std::string_view added_;
};

}  // namespace lb
