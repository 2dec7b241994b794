// shared/http/chunked.h -- the chunked coding, both directions (RFC 9112 7.1). Incremental, strict, no I/O.
// Chunk extensions are read, bounded and dropped; the trailer section is handed out (see trailers.h).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lb::http {

class ChunkedDecoder {
 public:
    enum class State : std::uint8_t { more, data, trailer, end, error };
    struct Step {
        State state = State::more;
        std::size_t consumed = 0;  // bytes of input used up, the data with it
        std::string_view data;     // payload or a piece of the trailer section, inside the input
    };
    // Reads from the front of `in` until a piece of payload or of trailer lines (with their CRLF, without the empty
    // line), the end of the body (after the trailer section), an error, or the input is used up (State::more). Call
    // again with the rest. All trailer lines of one input come in one piece. After State::end and State::error it
    // stays there and uses up nothing more.
    // Bounds: chunk sizes up to 2^63-1 and 16 hex digits, 4 KiB of extensions a chunk line and 64 KiB in all,
    // trailers of 8 KiB. CRLF only. Extensions are what RFC 9112 7.1.1 says and nothing else: a name, perhaps with a
    // token or a quoted string; blanks where BWS may stand, so never at the end of the line; nothing empty. A trailer
    // line must be what a field line must be.
    Step next(std::string_view in) noexcept;
    void reset() noexcept { *this = ChunkedDecoder(); }
    // Payload bytes of the current chunk still to come; 0 while its size is not known for certain.
    [[nodiscard]] std::uint64_t left() const noexcept { return where_ == Where::data ? left_ : 0; }

 private:
    // The byte expected next.
    enum class Where : std::uint8_t {
        size,         // hex digit; after the first one also blank, ';' or CR
        blank,        // behind a size or a value: blank or ';'
        name_first,   // behind ';': blank, or the first byte of a name
        name,         // also blank, '=', ';' or CR
        name_end,     // behind a name and a blank: blank, '=' or ';'
        value_first,  // behind '=': blank, '"', or the first byte of a token
        value,        // a token: also blank, ';' or CR
        quoted,       // inside a quoted string: text, '\\' or '"'
        quoted_pair,  // behind '\\': what it stands for
        quoted_end,   // behind the closing '"': blank, ';' or CR
        size_lf,
        data,  // payload
        data_cr,
        data_lf,
        trailer,        // the first byte of a trailer's name, or CR of the empty line
        trailer_name,   // up to ':'
        trailer_value,  // up to CR
        trailer_lf,
        last_lf,  // of the empty line
        done,
        failed,
    };
    bool take(char c) noexcept;
    bool take_digit(char c) noexcept;
    bool take_extension(char c) noexcept;
    bool end_of_size_or_value(char c) noexcept;
    bool count_extension() noexcept;
    bool count_trailer() noexcept;
    Step failed(std::size_t at) noexcept {
        where_ = Where::failed;
        return {State::error, at, {}};
    }
    [[nodiscard]] bool in_trailers() const noexcept {
        return where_ >= Where::trailer && where_ <= Where::trailer_lf;
    }

    std::uint64_t left_ = 0;
    std::uint32_t line_ = 0;   // bytes of extensions in this chunk line, or of the trailer section
    std::uint32_t total_ = 0;  // bytes of extensions in this body
    std::uint8_t digits_ = 0;
    Where where_ = Where::size;
};

// Room that chunk_header needs in front of a payload: 16 hex digits and CRLF.
inline constexpr std::size_t chunk_header_max = 18;
// Writes "SIZE\r\n" so that it ends at `end`; returns its first byte. A payload at `end` makes one contiguous
// block.
char* chunk_header_before(char* end, std::uint64_t size) noexcept;
inline constexpr std::string_view chunk_tail = "\r\n";       // after each payload
inline constexpr std::string_view last_chunk = "0\r\n\r\n";  // after the body
inline constexpr std::string_view last_size =
    "0\r\n";  // the same with trailer lines and chunk_tail behind it

}  // namespace lb::http
