// worker/io/buffers.h -- pooled byte buffers: taken while a connection holds an incomplete message, given back after.
// Owns:  idle buffers, a bounded number of each size. Sizes are powers of two from 2 KiB to 2 MiB.
// Never: clears memory; keeps more than `idle_bytes` of idle buffers. What it frees goes back to the system with trim():
//        the allocator alone keeps what lies below a piece that is still in use, for ever.
#pragma once
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace lb::io {

class BufferPool;

// A byte queue in one piece of memory: append at the end, consume from the front. Empty buffers hold no memory.
class Buffer {
 public:
    Buffer() noexcept = default;
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        Buffer taken(std::move(other));
        swap(taken);
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { release(); }

    [[nodiscard]] std::string_view view() const noexcept { return {memory_.get() + begin_, end_ - begin_}; }
    [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
    [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
    [[nodiscard]] char* data() noexcept { return memory_.get() + begin_; }
    // Free room behind the bytes.
    [[nodiscard]] char* tail() noexcept { return memory_.get() + end_; }
    [[nodiscard]] std::size_t room() const noexcept { return capacity_ - end_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    // Makes room for `more` bytes behind the ones held, moving them when needed. Views into the buffer end.
    // False: more than the largest size.
    bool reserve(BufferPool& pool, std::size_t more);
    void produced(std::size_t n) noexcept { end_ += n; }
    // `bytes` must not lie inside this buffer.
    bool append(BufferPool& pool, std::string_view bytes) {
        if (bytes.empty()) return true;
        if (!reserve(pool, bytes.size())) return false;
        std::memcpy(tail(), bytes.data(), bytes.size());
        end_ += bytes.size();
        return true;
    }
    // Forgets n bytes at the front; the memory goes back to the pool with the last one.
    void consume(std::size_t n) noexcept {
        begin_ += n;
        if (begin_ == end_) release();
    }
    void release() noexcept;

 private:
    friend class BufferPool;
    void swap(Buffer& other) noexcept {
        std::swap(pool_, other.pool_);
        std::swap(memory_, other.memory_);
        std::swap(capacity_, other.capacity_);
        std::swap(begin_, other.begin_);
        std::swap(end_, other.end_);
    }
    BufferPool* pool_ = nullptr;
    std::unique_ptr<char[]> memory_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

class BufferPool {
 public:
    static constexpr std::size_t smallest = 2048;
    static constexpr std::size_t classes = 11;  // 2 KiB ... 2 MiB
    static constexpr std::size_t largest = smallest << (classes - 1);

    explicit BufferPool(std::size_t idle_bytes = std::size_t{8} << 20) : idle_limit_(idle_bytes) {}
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;

    // An empty buffer with at least `size` bytes of room; an empty one without memory when size > largest.
    Buffer take(std::size_t size);
    [[nodiscard]] std::size_t idle() const noexcept { return idle_; }
    // From the tick. Costs a walk over what is free, so only after much was freed and while no more is: a wave is over.
    void trim() noexcept;

 private:
    friend class Buffer;
    static constexpr std::size_t worth_a_trim = std::size_t{4} << 20;
    void give_back(std::unique_ptr<char[]> memory, std::size_t capacity) noexcept;
    std::array<std::vector<std::unique_ptr<char[]>>, classes> free_;
    std::size_t idle_ = 0;
    std::size_t idle_limit_;
    std::size_t freed_ = 0;   // since the last trim
    std::size_t judged_ = 0;  // of that, when trim() looked last
};

}  // namespace lb::io
