// worker/exchange/gzip.h -- answers compressed on their way (compress = gzip): whether, what becomes of the head, the bytes.
// Sources: RFC 9110 8.4, 8.8.3, 12.5; RFC 1952; nginx's gzip for what is worth compressing.
// Owns:    deflate states, a bounded number for each worker, used again (setting one up costs more than a small answer);
//          one output area for all of them: what feed() returns is given to the client's stream before the next feed().
// Never:   holds back what a backend has sent: each feed() ends with a flush.
//
// The caller: gzip_accepted() with the request's head; plan_gzip() with the answer's; on Gzip::yes a loan of the worker's
// pool (null: Gzip::vary instead), AnswerRules with the plan, the head's body as BodyKind::chunked (its length is not known
// any more), and every payload through feed(), an empty one with fin too. Raw moves are refused meanwhile.
// A HEAD answer gets the head of Gzip::yes and needs no loan.
#pragma once
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "shared/http/message.h"

namespace lb {

// The client takes gzip (RFC 9110 12.5.3, by weight) and speaks HTTP/1.1, and no-transform is not asked for.
bool gzip_accepted(const http::RequestHead& head) noexcept;

enum class Gzip : std::uint8_t {
    no,    // not worth it, or not allowed
    vary,  // it would be, but this client does not take it: caches must know (Vary)
    unchanged,  // a 304 for what it got compressed: the fields of that answer (RFC 9110 15.4.5), but there is no content
    yes,
};
Gzip plan_gzip(const http::ResponseHead& head, http::Method method, bool accepted) noexcept;

// Whether a field tells of the bytes as they are (digests, RFC 9530), which are others when they are compressed.
bool is_digest(std::string_view name) noexcept;

inline constexpr std::uint64_t gzip_min = 256;  // shorter bodies hardly shrink

class CompressorPool;

class Compressor {
 public:
    explicit Compressor(CompressorPool& pool) noexcept : pool_(pool) {}
    ~Compressor();
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;

    // The compressed form of a payload, whole and flushed, in the pool's area: valid until the next feed() of any. Empty for
    // an empty payload without fin. Nothing may come after fin.
    std::string_view feed(std::string_view payload, bool fin);

 private:
    friend class CompressorPool;
    friend struct GiveBack;
    bool prepare() noexcept;
    CompressorPool& pool_;
    z_stream stream_{};
    bool ready_ = false;
};

struct GiveBack {
    void operator()(Compressor* compressor) const noexcept;
};
using CompressorLoan = std::unique_ptr<Compressor, GiveBack>;

class CompressorPool {
 public:
    // A deflate state is about 256 KiB. `most`: loans at a time; `idle`: states that are kept.
    explicit CompressorPool(std::size_t most = 512, std::size_t idle = 64) : most_(most), idle_(idle) {
        free_.reserve(idle);
    }
    CompressorPool(const CompressorPool&) = delete;
    CompressorPool& operator=(const CompressorPool&) = delete;

    // Null: too many are lent, or no memory. The pool must outlive its loans.
    CompressorLoan take();
    [[nodiscard]] std::size_t lent() const noexcept { return lent_; }
    [[nodiscard]] std::size_t idle() const noexcept { return free_.size(); }

 private:
    friend class Compressor;
    friend struct GiveBack;
    void give_back(std::unique_ptr<Compressor> compressor) noexcept;
    void reserve(std::size_t size, std::size_t used);
    std::size_t most_, idle_;
    std::size_t lent_ = 0;
    std::vector<std::unique_ptr<Compressor>> free_;
    std::unique_ptr<char[]> area_;
    std::size_t area_size_ = 0;
};

}  // namespace lb
