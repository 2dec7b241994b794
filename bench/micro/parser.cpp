// bench/micro/parser.cpp -- nanoseconds per head and per body byte. Build with -DLB_BENCH=ON, as Release.
// A head is parsed over and over into the same list of fields, as a connection does it.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "shared/http/chunked.h"
#include "shared/http/http1_parser.h"
#include "shared/http/http1_writer.h"

namespace {

using namespace lb::http;

constexpr std::string_view small_head =
    "GET /plain/128 HTTP/1.1\r\n"
    "Host: 127.0.0.1:8080\r\n"
    "User-Agent: wrk/4.1.0\r\n"
    "X-Request-Id: 1234567\r\n\r\n";

constexpr std::string_view browser_head =
    "GET /products/shoes?page=2&sort=price HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "Connection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Referer: https://www.example.com/products\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=4f6a8b2c9d1e\r\n\r\n";

constexpr std::string_view response_head =
    "HTTP/1.1 200 OK\r\n"
    "Server: nginx/1.22.1\r\n"
    "Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n"
    "Content-Type: application/octet-stream\r\n"
    "Content-Length: 128\r\n"
    "Last-Modified: Sat, 21 Nov 2026 09:00:00 GMT\r\n"
    "Connection: keep-alive\r\n"
    "ETag: \"65a1-80\"\r\n"
    "Accept-Ranges: bytes\r\n\r\n";

void request(benchmark::State& state, std::string_view bytes) {
    RequestHead head;
    for (auto _ : state) {
        benchmark::DoNotOptimize(bytes);
        const HeadResult result = parse_request(bytes, 0, {}, head);
        if (result.state != HeadResult::State::complete) state.SkipWithError(result.why);
        benchmark::DoNotOptimize(head);
    }
    state.counters["bytes"] = static_cast<double>(bytes.size());
}
BENCHMARK_CAPTURE(request, small, small_head);
BENCHMARK_CAPTURE(request, browser, browser_head);

void response(benchmark::State& state) {
    std::string_view bytes = response_head;
    ResponseHead head;
    for (auto _ : state) {
        benchmark::DoNotOptimize(bytes);
        const HeadResult result = parse_response(bytes, 0, {}, Method::get, head);
        if (result.state != HeadResult::State::complete) state.SkipWithError(result.why);
        benchmark::DoNotOptimize(head);
    }
    state.counters["bytes"] = static_cast<double>(bytes.size());
}
BENCHMARK(response);

// The fields of the browser's head but Host and Connection, as they go to a backend.
void forward_fields(benchmark::State& state) {
    RequestHead head;
    if (parse_request(browser_head, 0, {}, head).state != HeadResult::State::complete)
        state.SkipWithError("bad head");
    char room[1024];
    for (auto _ : state) {
        Sink out(room, sizeof room);
        put_fields(out, head.fields, [](const Field& field) {
            return field.id != FieldId::connection && field.id != FieldId::host && !field.ends_here;
        });
        benchmark::DoNotOptimize(out.position());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(forward_fields);

// The cost of a chunk's framing: `range` payload bytes in each chunk.
void chunked(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    std::string body;
    for (int i = 0; i < 16; i++) {
        char room[chunk_header_max];
        char* end = room + sizeof room;
        const char* begin = chunk_header_before(end, size);
        body.append(begin, static_cast<std::size_t>(end - begin)).append(size, 'x').append(chunk_tail);
    }
    body += last_chunk;
    for (auto _ : state) {
        ChunkedDecoder decoder;
        std::string_view rest = body;
        ChunkedDecoder::Step step;
        while (step.state != ChunkedDecoder::State::end) {
            step = decoder.next(rest);
            rest.remove_prefix(step.consumed);
            benchmark::DoNotOptimize(step.data);
        }
    }
    state.SetItemsProcessed(state.iterations() * 16);
}
BENCHMARK(chunked)->Arg(16)->Arg(4096);

}  // namespace

BENCHMARK_MAIN();
