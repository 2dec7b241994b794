// worker/stream/raw_end.h -- how long bodies get past a stream inside the kernel: its socket is lent to a Pump, and the
// stream is told what was moved.
// Never: for payload that needs work on its way (chunks, TLS, HTTP/2): such a stream always answers -1.
//
// In a tunnel the length is not known: raw_source says `endless`. When its end turns up (the pump is empty then), the
// raw call is to be answered with Raw::refused: the stream reads the end itself and gives it as an empty fin.
#pragma once
#include <cstdint>

namespace lb::stream {

class RawEnd {
 public:
    static constexpr std::uint64_t endless = UINT64_MAX;
    // The descriptor that takes payload as it is, or -1.
    virtual int raw_sink() = 0;
    virtual void raw_sent(std::uint64_t bytes, bool fin) = 0;  // `fin`: that was the last of the body
    virtual void raw_sink_full() = 0;                          // EAGAIN: the drained call will come
    // The descriptor on which `left` bytes of payload are still to come as they are, or -1: none, or none now.
    virtual int raw_source(std::uint64_t& left) = 0;
    virtual void raw_taken(std::uint64_t bytes) = 0;
    virtual void raw_source_empty() = 0;  // EAGAIN: the raw call of its user will come again

 protected:
    ~RawEnd() = default;
};

}  // namespace lb::stream
