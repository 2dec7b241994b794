// worker/exchange/states.h -- the life of an exchange as a diagram and one pure function.
//
//  picking --backend--> connecting --ready--> waiting --head--> relaying --whole--> flushing --drained--> over
//    |  ^ |                 |                    |                  |                  |
//    |  | +------ready------|------------------->+                  |cut               |gone
//    |  +------ retry ------+------ failed ------+                  v                  v
//    |none                                    no retry             over               over
//    +------------------> answering (lb's own answer) <---- failure without another try
//                             +--given--> flushing --drained--> over
//
//  1. No other try once a byte of the answer has gone to the client.
//  2. An exchange reaches `over` exactly once; the access log line is written there and nowhere else.
#pragma once
#include <cstdint>

namespace lb {

enum class State : std::uint8_t { picking, connecting, waiting, relaying, answering, flushing, over };
enum class Event : std::uint8_t {
    lent,     // a connection is being made
    ready,    // the request can be sent
    retry,    // the attempt failed and another one follows
    head,     // the response head came
    give_up,  // lb answers itself
    whole,    // the whole answer was given to the client's stream
    ended,    // the last byte is with the client's kernel, or nobody is left to take it
};

// The state after an event; `over` for one that makes no sense in that state, which ends the exchange.
constexpr State next(State now, Event what) noexcept {
    switch (what) {
        case Event::lent: return now == State::picking ? State::connecting : State::over;
        case Event::ready:
            return now == State::picking || now == State::connecting ? State::waiting : State::over;
        case Event::retry:
            return now == State::connecting || now == State::waiting || now == State::picking ? State::picking
                                                                                              : State::over;
        case Event::head: return now == State::waiting ? State::relaying : State::over;
        case Event::give_up:
            return now == State::picking || now == State::connecting || now == State::waiting
                       ? State::answering
                       : State::over;
        case Event::whole:
            return now == State::relaying || now == State::answering ? State::flushing : State::over;
        case Event::ended: return State::over;
    }
    return State::over;
}

}  // namespace lb
