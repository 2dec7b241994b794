#include "worker/io/buffers.h"

#include <malloc.h>

#include <bit>

namespace lb::io {
namespace {

std::size_t class_of(std::size_t size) noexcept {
    if (size <= BufferPool::smallest) return 0;
    return static_cast<std::size_t>(std::bit_width(size - 1)) -
           static_cast<std::size_t>(std::bit_width(BufferPool::smallest - 1));
}

}  // namespace

bool Buffer::reserve(BufferPool& pool, std::size_t more) {
    if (room() >= more) return true;
    const std::size_t held = size();
    if (capacity_ - held >= more && begin_ >= capacity_ / 2) {
        std::memmove(memory_.get(), memory_.get() + begin_, held);
        begin_ = 0;
        end_ = held;
        return true;
    }
    Buffer larger = pool.take(held + more);
    if (larger.capacity_ == 0) return false;
    if (held > 0) std::memcpy(larger.memory_.get(), memory_.get() + begin_, held);
    larger.end_ = held;
    swap(larger);
    return true;
}

void Buffer::release() noexcept {
    if (memory_) pool_->give_back(std::move(memory_), capacity_);
    capacity_ = begin_ = end_ = 0;
}

Buffer BufferPool::take(std::size_t size) {
    Buffer out;
    if (size > largest) return out;
    const std::size_t c = class_of(size);
    out.pool_ = this;
    out.capacity_ = smallest << c;
    if (free_[c].empty()) {
        out.memory_ = std::make_unique_for_overwrite<char[]>(out.capacity_);
    } else {
        out.memory_ = std::move(free_[c].back());
        free_[c].pop_back();
        idle_ -= out.capacity_;
    }
    return out;
}

void BufferPool::give_back(std::unique_ptr<char[]> memory, std::size_t capacity) noexcept {
    if (idle_ + capacity > idle_limit_) {
        freed_ += capacity;
        return;
    }
    idle_ += capacity;
    free_[class_of(capacity)].push_back(std::move(memory));
}

void BufferPool::trim() noexcept {
    const bool calm = freed_ == judged_;
    judged_ = freed_;
    if (!calm || freed_ < worth_a_trim) return;
    freed_ = judged_ = 0;
    (void)malloc_trim(0);
}

}  // namespace lb::io
