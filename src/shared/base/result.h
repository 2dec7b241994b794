// shared/base/result.h -- a value or an error. Failure is a value on every path that carries traffic.
// Never: throws. Reading value() of an error, or error() of a value, is a bug and ends the process.
#pragma once
#include <utility>
#include <variant>

namespace lb {

struct Nothing {};

template <class E>
struct Failed {
    E error;
};
template <class E>
Failed(E) -> Failed<E>;

template <class T, class E>
class [[nodiscard]] Result {
 public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Failed<E> failed) : state_(std::in_place_index<1>, std::move(failed.error)) {}

    [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }
    T& value() & noexcept { return *std::get_if<0>(&state_); }
    const T& value() const& noexcept { return *std::get_if<0>(&state_); }
    T&& value() && noexcept { return std::move(*std::get_if<0>(&state_)); }
    const E& error() const noexcept { return *std::get_if<1>(&state_); }

 private:
    std::variant<T, E> state_;
};

}  // namespace lb
