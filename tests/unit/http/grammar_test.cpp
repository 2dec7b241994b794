// The parsers against the grammar itself: messages made from the ABNF and then damaged, judged by a naive matcher that
// is written from the RFCs' rules and shares nothing with the parsers. Deterministic: one seed a test.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "shared/http/chunked.h"
#include "shared/http/field_values.h"
#include "shared/http/http1_parser.h"

namespace lb::http {
namespace {

using State = HeadResult::State;

// ---- a matcher: all places at which a rule that begins at a place can end
using Ends = std::set<std::size_t>;
using Rule = std::function<Ends(std::string_view, std::size_t)>;

Rule one(const std::function<bool(unsigned)>& holds) {
    return [holds](std::string_view in, std::size_t at) {
        return at < in.size() && holds(static_cast<unsigned char>(in[at])) ? Ends{at + 1} : Ends{};
    };
}
Rule any_of(const std::string& bytes) {
    return one([bytes](unsigned c) { return bytes.find(static_cast<char>(c)) != std::string::npos; });
}
Rule lit(const std::string& text) {  // exactly
    return [text](std::string_view in, std::size_t at) {
        return in.substr(at).substr(0, text.size()) == text ? Ends{at + text.size()} : Ends{};
    };
}
Rule word(const std::string& lower) {  // in any case, as ABNF strings are
    return [lower](std::string_view in, std::size_t at) {
        for (std::size_t i = 0; i < lower.size(); i++) {
            if (at + i >= in.size()) return Ends{};
            const char c = in[at + i];
            if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != lower[i]) return Ends{};
        }
        return Ends{at + lower.size()};
    };
}
Rule seq(std::vector<Rule> parts) {
    return [parts = std::move(parts)](std::string_view in, std::size_t at) {
        Ends ends{at};
        for (const Rule& part : parts) {
            Ends next;
            for (const std::size_t end : ends) next.merge(part(in, end));
            ends = std::move(next);
        }
        return ends;
    };
}
Rule alt(std::vector<Rule> ways) {
    return [ways = std::move(ways)](std::string_view in, std::size_t at) {
        Ends ends;
        for (const Rule& way : ways) ends.merge(way(in, at));
        return ends;
    };
}
Rule rep(std::size_t least, std::size_t most, const Rule& part) {
    return [least, most, part](std::string_view in, std::size_t at) {
        Ends ends;
        Ends now{at};
        for (std::size_t n = 0; n <= most && !now.empty(); n++) {
            if (n >= least) ends.insert(now.begin(), now.end());
            Ends next;
            for (const std::size_t end : now) next.merge(part(in, end));
            now = std::move(next);
        }
        return ends;
    };
}
Rule any(const Rule& part) { return rep(0, 1000, part); }
Rule opt(const Rule& part) { return rep(0, 1, part); }
bool matches(const Rule& rule, std::string_view in) { return rule(in, 0).count(in.size()) > 0; }

// ---- RFC 5234, 9110, 9112, 3986
struct Grammar {
    Rule digit = any_of("0123456789");
    Rule hexdig = any_of("0123456789abcdefABCDEF");
    Rule alpha = one([](unsigned c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
    Rule tchar = alt({alpha, digit, any_of("!#$%&'*+-.^_`|~")});
    Rule token = rep(1, 1000, tchar);
    Rule bws = any(any_of(" \t"));
    Rule obs_text = one([](unsigned c) { return c >= 0x80; });
    Rule qdtext =
        alt({any_of("\t !"), one([](unsigned c) { return c >= 0x23 && c <= 0x7e && c != 0x5c; }), obs_text});
    Rule quoted_pair = seq(
        {lit("\\"), alt({any_of("\t "), one([](unsigned c) { return c > 0x20 && c < 0x7f; }), obs_text})});
    Rule quoted_string = seq({lit("\""), any(alt({qdtext, quoted_pair})), lit("\"")});
    Rule chunk_ext =
        any(seq({bws, lit(";"), bws, token, opt(seq({bws, lit("="), bws, alt({token, quoted_string})}))}));
    Rule chunk_line = seq({rep(1, 16, hexdig), chunk_ext});

    Rule field_line = seq(
        {token, lit(":"), any(alt({any_of("\t "), one([](unsigned c) { return c > 0x20 && c != 0x7f; })}))});

    Rule h16 = rep(1, 4, hexdig);
    Rule dec_octet = alt({digit, seq({any_of("123456789"), digit}), seq({lit("1"), digit, digit}),
                          seq({lit("2"), any_of("01234"), digit}), seq({lit("25"), any_of("012345")})});
    Rule ipv4 = seq({dec_octet, lit("."), dec_octet, lit("."), dec_octet, lit("."), dec_octet});
    Rule group = seq({h16, lit(":")});
    Rule ls32 = alt({seq({group, h16}), ipv4});
    Rule before(std::size_t most) const { return opt(seq({rep(0, most, group), h16})); }
    Rule ipv6 = alt({seq({rep(6, 6, group), ls32}), seq({lit("::"), rep(5, 5, group), ls32}),
                     seq({before(0), lit("::"), rep(4, 4, group), ls32}),
                     seq({before(1), lit("::"), rep(3, 3, group), ls32}),
                     seq({before(2), lit("::"), rep(2, 2, group), ls32}),
                     seq({before(3), lit("::"), group, ls32}), seq({before(4), lit("::"), ls32}),
                     seq({before(5), lit("::"), h16}), seq({before(6), lit("::")})});
    // Where lb is narrower than RFC 3986: see valid_authority. The value of the port is judged apart.
    Rule name = rep(1, 255, alt({alpha, digit, any_of("-._~")}));
    Rule host = alt({name, seq({lit("["), ipv6, lit("]")})});
    Rule authority = seq({host, opt(seq({lit(":"), rep(0, 5, digit)}))});

    // Where lb is wider: any visible byte but '#' passes in a path.
    Rule target_byte = one([](unsigned c) { return c > 0x20 && c < 0x7f && c != '#'; });
    Rule origin = seq({lit("/"), any(target_byte)});
    Rule absolute = seq({alt({word("http"), word("https")}), lit("://"), authority,
                         opt(seq({any_of("/?"), any(target_byte)}))});
    Rule request_line =
        seq({rep(1, 32, tchar), lit(" "), alt({origin, absolute, lit("*")}), lit(" HTTP/1."), digit});
};
const Grammar& grammar() {
    static const Grammar all;
    return all;
}
bool good_authority(const std::string& text) {
    if (!matches(grammar().authority, text)) return false;
    const std::size_t colon = text.rfind(':');
    const bool port =
        colon != std::string::npos && colon + 1 < text.size() && text.find(']', colon) == std::string::npos;
    return !port || std::stoul(text.substr(colon + 1)) <= 65535;
}
bool good_request_line(const std::string& line) {
    if (!matches(grammar().request_line, line)) return false;
    const std::size_t blank = line.find(' ');
    const std::string method = line.substr(0, blank);
    const std::string target = line.substr(blank + 1, line.find(' ', blank + 1) - blank - 1);
    if (method == "CONNECT" || (target == "*" && method != "OPTIONS")) return false;
    if (target[0] == '/' || target == "*") return true;
    const std::size_t from = target.find("//") + 2;
    return good_authority(target.substr(from, target.find_first_of("/?", from) - from));
}

// ---- makers of messages
class Maker {
 public:
    explicit Maker(unsigned seed) : random_(seed) {}
    std::size_t below(std::size_t n) { return random_() % n; }
    bool chance(std::size_t of) { return below(of) == 0; }
    std::string pick(const std::vector<std::string>& of) { return of[below(of.size())]; }
    std::string some(const std::string& bytes, std::size_t least, std::size_t most) {
        std::string out;
        for (std::size_t n = least + below(most - least + 1); n > 0; n--) out += bytes[below(bytes.size())];
        return out;
    }
    std::string token(std::size_t most) { return some("aZ09!#$%&'*+-.^_`|~", 1, most); }
    std::string blanks() { return chance(2) ? "" : some(" \t", 1, 3); }
    std::string quoted() {
        std::string out = "\"";
        for (std::size_t n = below(5); n > 0; n--)
            out += pick(
                {"a", " ", "\t", ";", "=", "\\\"", "\\\\", "\\a", "\\\t", "\xe9", "\\\xff", "!", "~", "["});
        return out + "\"";
    }
    std::string chunk_line() {
        std::string out = chance(4) ? some("0", 1, 15) : "";
        out += some("0123456789abcdefABCDEF", 1, 1);
        for (std::size_t n = below(4); n > 0; n--) {
            out += blanks() + ";" + blanks() + token(3);
            if (chance(2)) out += blanks() + "=" + blanks() + (chance(2) ? token(3) : quoted());
        }
        return out;
    }
    std::string field_line() {
        // No known name: what those mean is not a matter of syntax.
        return "zq" + token(6) + ":" + blanks() + some("ab:,;\"= \t\xe9\xff\x80!~", 0, 20) + blanks();
    }
    std::string ipv6() {
        std::string out;
        for (std::size_t n = 1 + below(8); n > 0; n--) out += some("019aF", 1, 4) + (n > 1 ? ":" : "");
        if (chance(2)) out.insert(below(out.size() + 1), "::");
        if (chance(3))
            out += (chance(2) ? ":" : "") +
                   pick({"127.0.0.1", "1.2.3.256", "01.2.3.4", "255.249.19.9", "1.2.3"});
        return out;
    }
    std::string authority() {
        std::string out = chance(2) ? some("aZ0-._~", 1, 12) : "[" + ipv6() + "]";
        if (chance(2))
            out += ":" + pick({"", "0", "80", "00080", "65535", "65536", "99999", "000080",
                               some("0123456789", 1, 6)});
        return out;
    }
    std::string target() {
        const std::string path = some("/a.%2F?&=;:@!$'()*+,-_~\"<>\\^`{|}[]", 0, 20);
        switch (below(6)) {
            case 0: return "*";
            case 1: return pick({"http", "https", "HTTP", "hTTps"}) + "://" + authority();
            case 2:
                return pick({"http", "HTTPS", "ftp", "https"}) + "://" + authority() + pick({"/", "?"}) +
                       path;
            default: return "/" + path;
        }
    }
    std::string request_line() {
        return pick({"GET", "OPTIONS", "POST", "CONNECT", "get", token(8), token(32)}) + " " + target() +
               " HTTP/1." + some("0123456789", 1, 1);
    }
    // Up to two bytes taken out, put in, replaced or doubled. Half of the messages stay as they are.
    std::string damage(std::string text) {
        static const std::string bytes(
            "\0\1\t\n\v\f\r\x1f !\"#%()*,-./:;<=>?@[\\]^_{|}~\x7f\x80\xff"
            "09azAFGHTP",
            49);
        for (std::size_t n = below(4); n > 1; n--) {
            const std::size_t at = below(text.size() + 1);
            const char byte = bytes[below(bytes.size())];
            switch (below(4)) {
                case 0: text.insert(at, 1, byte); break;
                case 1:
                    if (at < text.size()) text[at] = byte;
                    break;
                case 2:
                    if (at < text.size()) text.erase(at, 1);
                    break;
                default:
                    if (at < text.size()) text.insert(at, 1, text[at]);
            }
        }
        return text;
    }
    std::string head() {
        std::string out = damage(request_line()) + "\r\nHost: lb.test\r\n";
        for (std::size_t n = below(5); n > 0; n--) {
            const std::string known =
                pick({"Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close, x", "Host: b",
                      "Expect: 100-continue", "Expect: x", "Range: bytes=0-1", "Upgrade: a",
                      "Content-Length: 5,5"});
            const std::string line = chance(4) ? known : field_line();
            out += (chance(4) ? damage(line) : line) + "\r\n";
        }
        return out + "\r\n";
    }

 private:
    std::mt19937 random_;
};

// That both outcomes were met often enough for the comparison to mean something.
struct Tally {
    int good = 0;
    int bad = 0;
    void count(bool is_good) { (is_good ? good : bad)++; }
    ~Tally() {
        EXPECT_GT(good, 300);
        EXPECT_GT(bad, 300);
    }
};
constexpr int rounds = 4000;

// Visible text for a message of a failed comparison.
std::string shown(const std::string& text) {
    std::string out;
    for (const char c : text) {
        constexpr char digits[] = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(c);
        if (byte > 0x20 && byte < 0x7f) {
            out += c;
        } else {
            out += {'<', digits[byte >> 4], digits[byte & 15], '>'};
        }
    }
    return out;
}

TEST(GrammarOf, RequestLines) {
    Maker make(1);
    Tally tally;
    RequestHead head;
    for (int i = 0; i < rounds; i++) {
        const std::string line = make.damage(make.request_line());
        if (line.empty() || line.find("\r\n") != std::string::npos) continue;  // that is no longer one line
        const std::string bytes = line + "\r\nHost: lb.test\r\n\r\n";
        const bool good = good_request_line(line);
        tally.count(good);
        ASSERT_EQ(parse_request(bytes, 0, {}, head).state, good ? State::complete : State::error)
            << shown(line);
    }
}

TEST(GrammarOf, FieldLines) {
    Maker make(2);
    Tally tally;
    RequestHead head;
    for (int i = 0; i < rounds; i++) {
        const std::string line = make.damage(make.field_line());
        if (line.empty() || line.find("\r\n") != std::string::npos) continue;
        const std::string bytes = "GET / HTTP/1.1\r\nHost: lb.test\r\n" + line + "\r\n\r\n";
        const bool good = matches(grammar().field_line, line);
        tally.count(good);
        ASSERT_EQ(parse_request(bytes, 0, {}, head).state, good ? State::complete : State::error)
            << shown(line);
        if (!good) continue;
        const std::size_t colon = line.find(':');
        std::string value = line.substr(colon + 1);
        while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.erase(0, 1);
        while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.pop_back();
        ASSERT_EQ(head.fields.size(), 2U) << shown(line);
        ASSERT_EQ(head.fields[1].name, line.substr(0, colon)) << shown(line);
        ASSERT_EQ(head.fields[1].value, value) << shown(line);
    }
}

TEST(GrammarOf, Authorities) {
    Maker make(3);
    Tally tally;
    for (int i = 0; i < rounds; i++) {
        const std::string text = make.damage(make.authority());
        const bool good = good_authority(text);
        tally.count(good);
        ASSERT_EQ(valid_authority(text), good) << shown(text);
    }
}

TEST(GrammarOf, ChunkLines) {
    Maker make(4);
    Tally tally;
    for (int i = 0; i < rounds; i++) {
        const std::string line = make.damage(make.chunk_line());
        if (line.find("\r\n") != std::string::npos) continue;
        const bool good = matches(grammar().chunk_line, line);
        tally.count(good);
        const std::size_t size = good ? std::stoul(line, nullptr, 16) : 1;
        if (size > 4096) continue;  // a damaged size: nothing to be sent behind it
        const std::string payload(size, 'x');
        std::string body = line;
        body.append("\r\n").append(payload).append(size > 0 ? "\r\n0\r\n\r\n" : "\r\n");
        ChunkedDecoder decoder;
        std::string got;
        std::size_t used = 0;
        ChunkedDecoder::Step step;
        while (used < body.size()) {
            step = decoder.next(std::string_view(body).substr(used, 1 + make.below(9)));
            used += step.consumed;
            if (step.state == ChunkedDecoder::State::data) got += step.data;
            if (step.state == ChunkedDecoder::State::end || step.state == ChunkedDecoder::State::error) break;
        }
        if (good) {
            ASSERT_EQ(step.state, ChunkedDecoder::State::end) << shown(line);
            ASSERT_EQ(got, payload) << shown(line);
            ASSERT_EQ(used, body.size()) << shown(line);
        } else {
            ASSERT_EQ(step.state, ChunkedDecoder::State::error) << shown(line);
        }
    }
}

// However a head is cut, it ends as it does whole: with the same verdict for the same reason, and no later than with
// the end of the line that is wrong.
TEST(GrammarOf, HeadsInAnyPieces) {
    Maker make(5);
    Tally tally;
    RequestHead head;
    for (int i = 0; i < rounds; i++) {
        const std::string bytes = make.head();
        const HeadResult whole = parse_request(bytes, 0, {}, head);
        const std::size_t fields = head.fields.size();
        tally.count(whole.state == State::complete);
        const std::size_t most = 1 + make.below(40);
        HeadResult pieces;
        std::size_t seen = 0;
        while (pieces.state == State::incomplete && seen < bytes.size()) {
            const std::size_t size = std::min(bytes.size(), seen + 1 + make.below(most));
            const std::string_view prefix = std::string_view(bytes).substr(0, size);
            pieces = parse_request(prefix, seen, {}, head);
            if (pieces.state == State::incomplete && prefix.substr(prefix.size() - 1) == "\n") {
                RequestHead fresh;
                ASSERT_EQ(parse_request(prefix, 0, {}, fresh).state, State::incomplete) << shown(bytes);
            }
            seen = size;
        }
        ASSERT_EQ(pieces.state, whole.state) << shown(bytes);
        ASSERT_EQ(pieces.error, whole.error) << shown(bytes);
        ASSERT_STREQ(pieces.why, whole.why) << shown(bytes);
        ASSERT_EQ(pieces.consumed, whole.consumed) << shown(bytes);
        if (whole.state == State::complete) {
            ASSERT_EQ(head.fields.size(), fields) << shown(bytes);
        }
    }
}

}  // namespace
}  // namespace lb::http
