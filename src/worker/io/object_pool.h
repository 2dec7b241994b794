// worker/io/object_pool.h -- objects of one type that come and go with traffic, without an allocation for each.
// Owns:  their memory. The last one given back is the first one handed out, while it is still in the cache.
// Never: destroys an object while a function of it may still be on the stack: retire() waits for the end of the turn.
#pragma once
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace lb::io {

template <class T>
class ObjectPool {
 public:
    ObjectPool() = default;
    ObjectPool(const ObjectPool&) = delete;
    ObjectPool& operator=(const ObjectPool&) = delete;
    ~ObjectPool() { sweep(); }

    template <class... A>
    T& make(A&&... args) {
        if (free_.empty()) grow();
        void* place = free_.back();
        free_.pop_back();
        live_++;
        return *std::construct_at(static_cast<T*>(place), std::forward<A>(args)...);
    }
    // The object is over; it is destroyed by sweep().
    void retire(T& object) { retired_.push_back(&object); }
    // At the end of a loop turn, with no object's function on the stack.
    void sweep() noexcept {
        for (std::size_t i = 0; i < retired_.size(); i++) {
            T* object = retired_[i];
            std::destroy_at(object);
            free_.push_back(object);
            live_--;
        }
        retired_.clear();
    }
    [[nodiscard]] std::size_t live() const noexcept { return live_ - retired_.size(); }

 private:
    static constexpr std::size_t per_block = 64;
    struct alignas(T) Place {
        std::byte bytes[sizeof(T)];
    };
    void grow() {
        blocks_.push_back(std::make_unique_for_overwrite<Place[]>(per_block));
        free_.reserve(free_.size() + live_ + per_block);
        for (std::size_t i = per_block; i-- > 0;) free_.push_back(&blocks_.back()[i]);
    }
    std::vector<std::unique_ptr<Place[]>> blocks_;
    std::vector<void*> free_;
    std::vector<T*> retired_;
    std::size_t live_ = 0;
};

}  // namespace lb::io
