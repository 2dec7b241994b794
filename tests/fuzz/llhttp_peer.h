// tests/fuzz/llhttp_peer.h -- the same bytes through llhttp, strict: one message at a time, with a parser of its own, so that
// what it remembers of an earlier one does not matter.
// Never: sets a flag of leniency.
#pragma once
#include <string>
#include <string_view>

#include "llhttp.h"
#include "message.h"

namespace lb::fuzz {

class Peer {
 public:
    // `no_body`: a response to HEAD. After the bytes the connection ends when `ends`.
    static Message read(std::string_view bytes, llhttp_type_t type, bool no_body, bool ends) {
        Peer peer(type, no_body);
        peer.run(bytes, ends);
        return std::move(peer.out_);
    }

 private:
    Peer(llhttp_type_t type, bool no_body) : no_body_(no_body) {
        llhttp_settings_init(&settings_);
        settings_.on_method = [](llhttp_t* p, const char* at, std::size_t n) {
            return self(p).text(self(p).out_.method, at, n);
        };
        settings_.on_url = [](llhttp_t* p, const char* at, std::size_t n) {
            return self(p).text(self(p).out_.target, at, n);
        };
        settings_.on_header_field = [](llhttp_t* p, const char* at, std::size_t n) {
            return self(p).text(self(p).name_, at, n);
        };
        settings_.on_header_value = [](llhttp_t* p, const char* at, std::size_t n) {
            return self(p).text(self(p).value_, at, n);
        };
        settings_.on_header_value_complete = [](llhttp_t* p) { return self(p).field_ends(); };
        settings_.on_headers_complete = [](llhttp_t* p) { return self(p).head_ends(); };
        settings_.on_body = [](llhttp_t* p, const char* at, std::size_t n) {
            return self(p).text(self(p).out_.payload, at, n);
        };
        settings_.on_message_complete = [](llhttp_t* p) { return self(p).message_ends(); };
        llhttp_init(&parser_, type, &settings_);
        parser_.data = this;
    }

    static Peer& self(llhttp_t* parser) { return *static_cast<Peer*>(parser->data); }

    int text(std::string& to, const char* at, std::size_t n) {
        to.append(at, n);
        return 0;
    }
    int field_ends() {
        auto& fields = head_done_ ? out_.trailers : out_.fields;
        fields.emplace_back(name_, trim_blanks(value_));
        name_.clear();
        value_.clear();
        return 0;
    }
    // An answer with a coding that llhttp does not know goes on until the end, whatever its status.
    static bool other_coding(const llhttp_t& parser) {
        return parser.type == HTTP_RESPONSE && (parser.flags & F_TRANSFER_ENCODING) != 0;
    }
    // What llhttp will do about the body, as it says it in its flags.
    int head_ends() {
        head_done_ = true;
        if (no_body_) parser_.flags |= F_SKIPBODY;  // as the 1 below does, too late for what is asked here
        out_.status = parser_.status_code;
        out_.keep_alive = llhttp_should_keep_alive(&parser_) != 0;
        const bool chunked = (parser_.flags & F_CHUNKED) != 0;
        out_.upgrade = parser_.upgrade != 0 && (no_body_ || !(chunked || parser_.content_length > 0));
        if (out_.upgrade || no_body_) {
            out_.framing = {};
        } else if (chunked) {
            out_.framing = {http::BodyKind::chunked, 0};
        } else if ((parser_.flags & F_CONTENT_LENGTH) != 0 && (parser_.flags & F_TRANSFER_ENCODING) == 0) {
            if (parser_.content_length > 0) out_.framing = {http::BodyKind::length, parser_.content_length};
        } else if (llhttp_message_needs_eof(&parser_) != 0 || other_coding(parser_)) {
            out_.framing = {http::BodyKind::until_close, 0};
        }
        return no_body_ ? 1 : 0;
    }
    int message_ends() {
        message_done_ = true;
        return HPE_PAUSED;
    }

    void run(std::string_view bytes, bool ends) {
        llhttp_errno_t error = llhttp_execute(&parser_, bytes.data(), bytes.size());
        const bool waits = error == HPE_OK;
        if (waits && ends && head_done_) error = llhttp_finish(&parser_);
        const bool done =
            message_done_ && (error == HPE_OK || error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE);
        if (!done && error != HPE_OK) {
            out_.why = llhttp_errno_name(error);
            out_.why += std::string(": ") + llhttp_get_error_reason(&parser_);
        }
        // A request whose framing llhttp refuses has had all of its fields read, and was no good head.
        const bool bad_framing =
            out_.why.find("Request has invalid `Transfer-Encoding`") != std::string::npos;
        const bool head = head_done_ && !bad_framing;
        const bool failed = !done && error != HPE_OK && error != HPE_INVALID_EOF_STATE;
        out_.head = head ? Outcome::accepted : failed ? Outcome::refused : Outcome::incomplete;
        out_.body = done ? Outcome::accepted : head && failed ? Outcome::refused : Outcome::incomplete;
        if (done)
            out_.end = waits ? bytes.size()
                             : static_cast<std::size_t>(llhttp_get_error_pos(&parser_) - bytes.data());
    }

    llhttp_t parser_{};
    llhttp_settings_t settings_{};
    Message out_{};
    std::string name_{}, value_{};
    bool no_body_;
    bool head_done_ = false;
    bool message_done_ = false;
};

}  // namespace lb::fuzz
