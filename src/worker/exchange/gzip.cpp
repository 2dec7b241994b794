#include "worker/exchange/gzip.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "shared/base/text.h"
#include "shared/http/field_values.h"
#include "shared/http/http1_parser.h"

namespace lb {
namespace {

using http::FieldId;

constexpr int level = 5;              // nearly as small as 6 for text, a third faster
constexpr int window_bits = 15 + 16;  // 32 KiB, with gzip's frame
constexpr int memory_level = 8;       // zlib's own default
constexpr std::size_t smallest_area = 16384;

// Weights in thousandths (RFC 9110 12.4.2): "1", "0.5", "0.125", "1.000"; nothing for what is no weight.
std::optional<unsigned> read_weight(std::string_view text) noexcept {
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
    if (text.size() > 1 && text[1] != '.') return std::nullopt;
    unsigned weight = text[0] == '1' ? 1000 : 0;
    unsigned place = 100;
    for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
        if (!text::is_digit(c)) return std::nullopt;
        weight += static_cast<unsigned>(c - '0') * place;
        place /= 10;
    }
    if (weight > 1000) return std::nullopt;
    return weight;
}

// What the client says of each coding; nothing: it does not name it.
struct Weights {
    std::optional<unsigned> gzip, identity, any;
};

// One element of Accept-Encoding: "gzip", "gzip;q=0.5". One that is not understood counts as not wanted.
void read_coding(std::string_view element, Weights& weights) noexcept {
    const std::size_t semicolon = element.find(';');
    const std::string_view coding = text::trim(element.substr(0, semicolon));
    unsigned weight = 1000;
    if (semicolon != std::string_view::npos) {
        const std::string_view parameter = text::trim(element.substr(semicolon + 1));
        const bool named = parameter.size() > 2 && text::lower(parameter[0]) == 'q' && parameter[1] == '=';
        weight = named ? read_weight(parameter.substr(2)).value_or(0) : 0;
    }
    if (text::equals_lower(coding, "gzip") || text::equals_lower(coding, "x-gzip")) {
        weights.gzip = weight;
    } else if (text::equals_lower(coding, "identity")) {
        weights.identity = weight;
    } else if (coding == "*") {
        weights.any = weight;
    }
}

constexpr std::string_view compressible[] = {"application/javascript",
                                             "application/json",
                                             "application/xml",
                                             "application/x-javascript",
                                             "application/wasm",
                                             "application/x-ndjson",
                                             "application/rtf",
                                             "application/graphql",
                                             "application/sql",
                                             "application/x-sh",
                                             "application/x-yaml",
                                             "application/yaml",
                                             "application/toml",
                                             "application/x-protobuf",
                                             "font/ttf",
                                             "font/otf",
                                             "image/bmp",
                                             "image/x-icon",
                                             "image/vnd.microsoft.icon"};

bool starts_with_lower(std::string_view text, std::string_view wanted) noexcept {
    return text.size() >= wanted.size() && text::equals_lower(text.substr(0, wanted.size()), wanted);
}
bool ends_with_lower(std::string_view text, std::string_view wanted) noexcept {
    return text.size() >= wanted.size() &&
           text::equals_lower(text.substr(text.size() - wanted.size()), wanted);
}

bool is_compressible(std::string_view content_type) noexcept {
    const std::string_view type = text::trim(content_type.substr(0, content_type.find(';')));
    return starts_with_lower(type, "text/") || ends_with_lower(type, "+json") ||
           ends_with_lower(type, "+xml") ||
           std::any_of(std::begin(compressible), std::end(compressible),
                       [&](std::string_view each) { return text::equals_lower(type, each); });
}

bool may_be_compressed(std::uint16_t status) noexcept {
    // 206 is a range of the bytes as they are.
    return status >= 200 && status != 204 && status != 205 && status != 206;
}

}  // namespace

bool is_digest(std::string_view name) noexcept {
    return text::equals_lower(name, "content-digest") || text::equals_lower(name, "repr-digest") ||
           text::equals_lower(name, "digest") || text::equals_lower(name, "content-md5");
}

bool gzip_accepted(const http::RequestHead& head) noexcept {
    if (head.minor == 0) return false;
    Weights weights;
    for (const http::Field& field : head.fields) {
        if (field.id == FieldId::cache_control && http::list_has(field.value, "no-transform")) return false;
        if (field.id != FieldId::accept_encoding) continue;
        std::string_view list = field.value;
        while (!list.empty()) {
            const std::string_view element = list.substr(0, list.find(','));
            list.remove_prefix(std::min(element.size() + 1, list.size()));
            read_coding(element, weights);
        }
    }
    const unsigned gzip = weights.gzip.value_or(weights.any.value_or(0));
    return gzip > 0 && gzip >= weights.identity.value_or(0);
}

Gzip plan_gzip(const http::ResponseHead& head, http::Method method, bool accepted) noexcept {
    if (!may_be_compressed(head.status)) return Gzip::no;
    // A 304 stands for an answer whose type it need not say; then the validators must be right for a compressed one.
    const bool unchanged = head.status == 304;
    bool good_type = unchanged;
    std::optional<std::uint64_t> length;
    for (const http::Field& field : head.fields) {
        switch (field.id) {
            case FieldId::content_type: good_type = is_compressible(field.value); break;
            case FieldId::content_length: length = http::parse_content_length(field.value); break;
            case FieldId::content_encoding:
                if (!text::equals_lower(field.value, "identity")) return Gzip::no;
                break;
            case FieldId::cache_control:
                if (http::list_has(field.value, "no-transform")) return Gzip::no;
                break;
            default:
                if (is_digest(field.name)) return Gzip::no;
        }
    }
    // The answer to HEAD has no body, but the fields of one.
    const bool no_body = head.body.kind == http::BodyKind::none && method != http::Method::head && !unchanged;
    if (!good_type || no_body || length.value_or(gzip_min) < gzip_min) return Gzip::no;
    if (!accepted) return Gzip::vary;
    return unchanged ? Gzip::unchanged : Gzip::yes;
}

Compressor::~Compressor() {
    if (ready_) deflateEnd(&stream_);
}

bool Compressor::prepare() noexcept {
    if (ready_) return deflateReset(&stream_) == Z_OK;
    ready_ = deflateInit2(&stream_, level, Z_DEFLATED, window_bits, memory_level, Z_DEFAULT_STRATEGY) == Z_OK;
    return ready_;
}

std::string_view Compressor::feed(std::string_view payload, bool fin) {
    if (payload.empty() && !fin) return {};
    std::size_t used = 0;
    do {
        const std::size_t piece = std::min<std::size_t>(payload.size(), std::numeric_limits<uInt>::max());
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(payload.data()));
        stream_.avail_in = static_cast<uInt>(piece);
        payload.remove_prefix(piece);
        const int flush = !payload.empty() ? Z_NO_FLUSH : fin ? Z_FINISH : Z_SYNC_FLUSH;
        pool_.reserve(used + deflateBound(&stream_, static_cast<uLong>(piece)), used);
        while (true) {
            const std::size_t room =
                std::min<std::size_t>(pool_.area_size_ - used, std::numeric_limits<uInt>::max());
            stream_.next_out = reinterpret_cast<Bytef*>(pool_.area_.get() + used);
            stream_.avail_out = static_cast<uInt>(room);
            const int result = deflate(&stream_, flush);
            used += room - stream_.avail_out;
            // Room left over: everything is out. Z_BUF_ERROR: it was before this call.
            if (result != Z_OK || stream_.avail_out > 0) break;
            pool_.reserve(2 * pool_.area_size_, used);
        }
    } while (!payload.empty());
    stream_.next_in = nullptr;
    return {pool_.area_.get(), used};
}

void GiveBack::operator()(Compressor* compressor) const noexcept {
    compressor->pool_.give_back(std::unique_ptr<Compressor>(compressor));
}

CompressorLoan CompressorPool::take() {
    if (lent_ >= most_) return nullptr;
    std::unique_ptr<Compressor> compressor;
    if (free_.empty()) {
        compressor = std::make_unique<Compressor>(*this);
    } else {
        compressor = std::move(free_.back());
        free_.pop_back();
    }
    if (!compressor->prepare()) return nullptr;
    lent_++;
    return CompressorLoan(compressor.release());
}

void CompressorPool::give_back(std::unique_ptr<Compressor> compressor) noexcept {
    lent_--;
    if (free_.size() < idle_) free_.push_back(std::move(compressor));
}

// Room for `size` bytes, of which the first `used` are kept.
void CompressorPool::reserve(std::size_t size, std::size_t used) {
    if (size <= area_size_) return;
    size = std::max(size, smallest_area);
    auto larger = std::make_unique_for_overwrite<char[]>(size);
    std::copy_n(area_.get(), used, larger.get());
    area_ = std::move(larger);
    area_size_ = size;
}

}  // namespace lb
