// stream/body.h -- a body's framing taken off on one side and put on again on the other (RFC 9112 6 and 7).
// Never: does I/O; keeps payload.
#pragma once
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "shared/http/chunked.h"
#include "shared/http/message.h"
#include "shared/http/trailers.h"
#include "worker/io/buffers.h"

namespace lb::stream {

// Payload out of received bytes.
class BodyReader {
 public:
    void begin(http::Framing framing) noexcept {
        kind_ = framing.kind;
        left_ = framing.kind == http::BodyKind::length ? framing.length : 0;
        done_ = kind_ == http::BodyKind::none || (kind_ == http::BodyKind::length && left_ == 0);
        chunks_.reset();
    }
    struct Taken {
        std::string_view payload;  // inside the given bytes; chunks are moved together
        std::size_t consumed = 0;  // of the given bytes, framing too
        bool error = false;
        std::string_view trailers{};  // inside the given bytes: a piece of the trailer section
    };
    // Takes what belongs to the body from the front of the n bytes at `at`, changing them in place.
    Taken take(char* at, std::size_t n) noexcept;
    [[nodiscard]] bool done() const noexcept { return done_; }
    [[nodiscard]] http::BodyKind kind() const noexcept { return kind_; }
    // The connection ended. True when that completes the body.
    bool ended() noexcept {
        if (kind_ == http::BodyKind::until_close) done_ = true;
        return done_;
    }
    // Payload that is still to come and lies on the socket as it is; 0 when framing has to be taken off.
    [[nodiscard]] std::uint64_t raw_left() const noexcept {
        return kind_ == http::BodyKind::length ? left_ : 0;
    }
    void raw_taken(std::uint64_t n) noexcept {
        left_ -= n;
        if (left_ == 0) done_ = true;
    }

 private:
    http::BodyKind kind_ = http::BodyKind::none;
    bool done_ = true;
    std::uint64_t left_ = 0;
    http::ChunkedDecoder chunks_;
};

inline BodyReader::Taken BodyReader::take(char* at, std::size_t n) noexcept {
    if (done_ || n == 0) return {};
    switch (kind_) {
        case http::BodyKind::none: return {};
        case http::BodyKind::until_close: return {{at, n}, n};
        case http::BodyKind::length: {
            const std::size_t size = left_ < n ? static_cast<std::size_t>(left_) : n;
            raw_taken(size);
            return {{at, size}, size};
        }
        case http::BodyKind::chunked: break;
    }
    std::size_t read = 0;
    std::size_t written = 0;
    std::string_view trailers;
    while (read < n) {
        const auto step = chunks_.next({at + read, n - read});
        if (step.state == http::ChunkedDecoder::State::error) return {{}, read, true};
        if (step.state == http::ChunkedDecoder::State::trailer) trailers = step.data;
        if (step.state == http::ChunkedDecoder::State::data) {
            if (at + written != step.data.data())
                std::memmove(at + written, step.data.data(), step.data.size());
            written += step.data.size();
        }
        read += step.consumed;
        if (step.state == http::ChunkedDecoder::State::end) {
            done_ = true;
            break;
        }
    }
    return {{at, written}, read, false, trailers};
}

// The trailer section of a body while it comes; without one this holds no memory. What it may grow to is bounded by the
// decoder.
class Trailers {
 public:
    // False: no memory.
    bool add(io::BufferPool& pool, std::string_view piece) { return held_.append(pool, piece); }
    // At the end of the body: the lines that may go on, valid until clear(); often none.
    std::string_view lines() noexcept {
        return held_.empty() ? std::string_view{} : http::keep_trailers(held_.data(), held_.size());
    }
    void clear() noexcept { held_.release(); }
    [[nodiscard]] bool empty() const noexcept { return held_.empty(); }

 private:
    io::Buffer held_;
};

// The pieces that one payload becomes on the wire.
class BodyWriter {
 public:
    void begin(http::BodyKind kind) noexcept {
        chunked_ = kind == http::BodyKind::chunked;
        trailers_ = {};
    }
    // Whole lines, to go behind the body; they must live until the frame(..., true) that takes them was sent.
    void set_trailers(std::string_view lines) noexcept { trailers_ = lines; }
    [[nodiscard]] bool chunked() const noexcept { return chunked_; }
    static constexpr int most_parts = 5;
    // Appends at most most_parts parts to `parts` from `count` on; they point into the payload and into this object.
    void frame(std::string_view payload, bool fin, iovec* parts, int& count) noexcept {
        if (!chunked_) {
            add(payload, parts, count);
            return;
        }
        if (!payload.empty()) {
            char* end = header_.data() + header_.size();
            char* begin = http::chunk_header_before(end, payload.size());
            add({begin, static_cast<std::size_t>(end - begin)}, parts, count);
            add(payload, parts, count);
            if (!fin) {
                add(http::chunk_tail, parts, count);
            } else if (trailers_.empty()) {
                add(both, parts, count);
            } else {
                add(tail_and_last_size, parts, count);
                add_trailers(parts, count);
            }
        } else if (fin && trailers_.empty()) {
            add(http::last_chunk, parts, count);
        } else if (fin) {
            add(http::last_size, parts, count);
            add_trailers(parts, count);
        }
    }

 private:
    static constexpr std::string_view both = "\r\n0\r\n\r\n";
    static constexpr std::string_view tail_and_last_size = "\r\n0\r\n";
    void add_trailers(iovec* parts, int& count) noexcept {
        add(std::exchange(trailers_, {}), parts, count);
        add(http::chunk_tail, parts, count);
    }
    static void add(std::string_view s, iovec* parts, int& count) noexcept {
        if (s.empty()) return;
        parts[count++] = {const_cast<char*>(s.data()), s.size()};
    }
    bool chunked_ = false;
    std::string_view trailers_;
    std::array<char, http::chunk_header_max> header_{};
};

}  // namespace lb::stream
