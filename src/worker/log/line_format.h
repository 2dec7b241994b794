// worker/log/line_format.h -- the form of one access log's lines, prepared once when a worker starts.
// Owns:  the pieces of the [log]'s template, and where each value comes from. Pure: no I/O, no clock.
// Never: lets a byte from outside end or forge a line: see escape.h.
//
// An exchange outlives the head of its request and of its answer, and a line is written at its end. So the values that are
// views of a head are captured while it lasts, raw, each behind its length, in the order of the format:
//   begin of the exchange   capture_request()  $client_*, $scheme, $request_id and all that is made of the request's head
//   head of the answer      capture_answer()   $response_*; most formats have none
//   end                     append_line()      everything else: names, numbers, times
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/config/model.h"
#include "shared/http/http1_writer.h"
#include "worker/variables/evaluate.h"
#include "worker/variables/facts.h"

namespace lb {

class LineFormat {
 public:
    static constexpr std::size_t most_value = 4096;  // bytes of one value, before escaping; the rest is cut
    // From this length of a line on, values from outside are left out: a line is never much longer.
    static constexpr std::size_t most_line = 65536;

    explicit LineFormat(const config::AccessLog& log);

    // At least as many bytes as capture_request() writes for the same arguments. RequestHead::bytes must be no less than
    // all values of the head's fields together.
    [[nodiscard]] std::size_t capture_bound(const RequestFacts& request,
                                            std::string_view line = {}) const noexcept;
    // At the begin of an exchange, while the head's views live. Of `request` it reads head, client, client_port, scheme
    // and request_id. Without a head, $request is `line`: what could be read of a request that is refused.
    void capture_request(http::Sink& out, const RequestFacts& request,
                         std::string_view line = {}) const noexcept;
    // When the head of the answer that will be relayed is there. Replaces what `out` held.
    [[nodiscard]] bool captures_answer() const noexcept { return answer_parts_; }
    void capture_answer(std::string& out, const AnswerFacts& answer) const {
        if (answer_parts_) capture_answer_parts(out, answer);
    }
    // At the end: one line with its newline. What was captured comes from the captures and nowhere else; the heads of the
    // facts are not read. An empty capture stands for values that are not known.
    void append_line(std::string& out, std::string_view request_capture, std::string_view answer_capture,
                     const RequestFacts& request, const AnswerFacts& answer, const EndFacts& end) const;
    // Whether a line needs RequestFacts::unix_millis.
    [[nodiscard]] bool wants_unix_time() const noexcept { return unix_time_; }
    // Whether a line needs AnswerFacts::backend_address.
    [[nodiscard]] bool wants_address() const noexcept { return address_; }

 private:
    enum class From : std::uint8_t { literal, request_capture, answer_capture, facts };
    struct Part {
        config::Piece piece;
        From from = From::literal;
        bool number = false;
    };
    [[nodiscard]] std::string_view request_value(const Part& part, const RequestFacts& request,
                                                 std::string_view line, ValueRoom& room,
                                                 std::string_view& before) const noexcept;
    void capture_answer_parts(std::string& out, const AnswerFacts& answer) const;
    void append_value(std::string& out, const Part& part, std::string_view value) const;

    std::vector<Part> parts_;
    config::LogEscape escape_;
    bool answer_parts_ = false;
    bool unix_time_ = false;
    bool address_ = false;
    // How often the same field, the same cookie and the same parameter stand in it at most, added up.
    std::size_t copies_ = 0;
};

}  // namespace lb
