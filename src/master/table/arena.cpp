// master/table/arena.cpp -- best fit with merging; memory by chunks.
#include "master/table/arena.h"

#include <algorithm>
#include <iterator>

namespace lb::table {

Arena::Arena(const shm::Segment& segment)
    : segment_(&segment),
      begin_(segment.header().arena),
      end_(segment.header().arena + segment.header().arena_size),
      chunks_((segment.header().arena_size + chunk - 1) / chunk, Chunk::hole) {
    insert_free(begin_, end_ - begin_);
}

void Arena::insert_free(std::uint64_t offset, std::uint64_t size) {
    free_.emplace(offset, size);
    free_by_size_.emplace(size, offset);
}

void Arena::erase_free(std::map<std::uint64_t, std::uint64_t>::iterator place) {
    free_by_size_.erase({place->second, place->first});
    free_.erase(place);
}

// Gives every chunk that a block touches memory. Chunks that already got it keep it when a later one fails: they are
// wholly free, and counted so.
bool Arena::back(std::uint64_t offset, std::uint64_t size) {
    const auto first = (offset - begin_) / chunk;
    const auto last = (offset - begin_ + size - 1) / chunk;
    bool ok = true;
    auto i = first;
    for (; i <= last; i++) {
        if (chunks_[i] == Chunk::hole) {
            const auto at = begin_ + i * chunk;
            if (!segment_->commit(at, std::min(chunk, end_ - at)).empty()) {
                ok = false;
                break;
            }
            chunks_[i] = Chunk::idle;
            idle_++;
        }
    }
    if (!ok) return false;
    for (i = first; i <= last; i++) {
        if (chunks_[i] == Chunk::idle) {
            chunks_[i] = Chunk::busy;
            idle_--;
        }
    }
    return true;
}

std::optional<std::uint64_t> Arena::allocate(std::uint64_t bytes) {
    if (bytes == 0 || bytes > end_ - begin_) return std::nullopt;
    const auto size = (bytes + grain - 1) / grain * grain;
    const auto best = free_by_size_.lower_bound({size, 0});
    if (best == free_by_size_.end()) return std::nullopt;
    const auto [have, offset] = *best;
    if (!back(offset, size)) return std::nullopt;
    erase_free(free_.find(offset));
    if (have > size) insert_free(offset + size, have - size);
    used_.emplace(offset, size);
    bytes_used_ += size;
    return offset;
}

void Arena::release(std::uint64_t offset) {
    const auto found = used_.find(offset);
    if (found == used_.end()) return;
    const auto size = found->second;
    used_.erase(found);
    bytes_used_ -= size;

    auto begin = offset;
    auto end = offset + size;
    const auto after = free_.lower_bound(offset);
    if (after != free_.begin()) {
        const auto before = std::prev(after);
        if (before->first + before->second == offset) {
            begin = before->first;
            erase_free(before);
        }
    }
    if (after != free_.end() && after->first == end) {
        end += after->second;
        erase_free(after);
    }
    insert_free(begin, end - begin);
    note_idle(offset, offset + size, begin, end);
}

// Of the chunks that the freed block touched, those now wholly inside free space hold memory for nothing.
void Arena::note_idle(std::uint64_t freed, std::uint64_t freed_end, std::uint64_t free,
                      std::uint64_t free_end) {
    for (auto i = (freed - begin_) / chunk; i <= (freed_end - begin_ - 1) / chunk; i++) {
        const auto at = begin_ + i * chunk;
        if (chunks_[i] == Chunk::busy && at >= free && std::min(at + chunk, end_) <= free_end) {
            chunks_[i] = Chunk::idle;
            idle_++;
        }
    }
    if (idle_ > idle_chunks) punch_idle();
}

void Arena::punch_idle() {
    for (std::size_t i = 0; i < chunks_.size(); i++) {
        if (chunks_[i] != Chunk::idle) continue;
        auto last = i;
        while (last < chunks_.size() && chunks_[last] == Chunk::idle) chunks_[last++] = Chunk::hole;
        const auto at = begin_ + i * chunk;
        segment_->punch(at, std::min(begin_ + last * chunk, end_) - at);
        i = last - 1;
    }
    idle_ = 0;
}

void Arena::retire(std::uint64_t offset) {
    if (offset != 0) retired_.push_back(offset);
}

void Arena::seal(std::uint64_t epoch) {
    for (const auto offset : retired_) sealed_.emplace_back(epoch, offset);
    retired_.clear();
}

void Arena::reclaim(std::uint64_t reached) {
    while (!sealed_.empty() && sealed_.front().first <= reached) {
        release(sealed_.front().second);
        sealed_.pop_front();
    }
}

}  // namespace lb::table
