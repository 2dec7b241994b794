// master/predecessors.cpp -- see predecessors.h.
#include "master/predecessors.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "shared/base/log.h"
#include "shared/base/text.h"

namespace lb {

int Predecessors::begin_own() {
    if (!manager_.present()) return -1;
    auto ends = Lifeline::make();
    if (!ends) {
        log::warn("workers could not be told of a later master: {}", ends.error());
        return -1;
    }
    own_read_ = std::move(ends.value().read);
    own_write_ = std::move(ends.value().write);
    own_number_ = lines_.empty() ? 1 : lines_.back().number + 1;
    return own_read_.get();
}

void Predecessors::keep_own() {
    if (own_write_) manager_.give(std::move(own_write_), fmt::format("{}{}", prefix, own_number_));
}

void Predecessors::adopt(service::Stored stored) {
    const auto number = text::number(std::string_view(stored.name).substr(std::string_view(prefix).size()));
    if (!number || *number > UINT32_MAX / 2 || !Lifeline::heard(stored.fd.get())) {
        return manager_.forget(stored.name);
    }
    lines_.push_back({static_cast<unsigned>(*number), std::move(stored.name), std::move(stored.fd)});
    std::sort(lines_.begin(), lines_.end(), [](const Line& a, const Line& b) { return a.number < b.number; });
}

// The manager has noticed by itself.
void Predecessors::forget_the_ended() {
    std::erase_if(lines_, [](const Line& line) { return !Lifeline::heard(line.write.get()); });
}

void Predecessors::drain(std::size_t most) {
    forget_the_ended();
    for (const Line& line : lines_) Lifeline::tell(line.write.get(), Told::drain);
    if (!lines_.empty()) log::notice("the workers of an earlier master drain");
    while (lines_.size() > most) {
        log::warn("workers of an earlier master are closed early: max_generations");
        manager_.forget(lines_.front().name);
        lines_.erase(lines_.begin());
    }
}

void Predecessors::quit() {
    for (const Line& line : lines_) Lifeline::tell(line.write.get(), Told::quit);
}

std::size_t Predecessors::left() {
    forget_the_ended();
    return lines_.size();
}

}  // namespace lb
