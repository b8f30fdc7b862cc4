// What a stranger writes in HTTP and the command line reads with code of its own: targets, ranges, dates, tags,
// conditions, redirections, URLs. Nothing crashes, no path leads out, and what is read means the same when it is
// written again.
#include <algorithm>
#include <string_view>

#include "fuzz/support/target.hpp"
#include "runnel/cli/http_text.hpp"
#include "runnel/cli/names.hpp"
#include "runnel/cli/served_files.hpp"

namespace runnel::fuzz {
namespace {

constexpr std::int64_t kNow = 1'795'000'000;
constexpr std::int64_t kYear10000 = 253'402'300'800;

void check_path(std::string_view text) {
    (void)query_of_target(text);
    const auto path = path_of_target(text);
    if (!path) {
        return;
    }
    const std::string framed = "/" + *path + "/";
    FUZZ_CHECK(path->find('\0') == std::string::npos);
    FUZZ_CHECK(!path->starts_with('/'));
    FUZZ_CHECK(framed.find("/../") == std::string::npos && framed.find("/./") == std::string::npos);
    const std::string encoded = percent_encoded(*path);
    FUZZ_CHECK(path_of_target("/" + encoded) == path);
    for (const std::string& safe : {encoded, html_escaped(*path)}) {
        FUZZ_CHECK(safe.find_first_of("<>\"'") == std::string::npos);
    }
}

void check_range(std::string_view text, std::uint64_t size) {
    const RangeAnswer answer = parse_range(text, size);
    FUZZ_CHECK(answer.ranges.size() <= kMaxRanges);
    FUZZ_CHECK(answer.ranges.empty() == (answer.kind != RangeAnswer::Kind::partial));
    std::uint64_t left = size;  // they don't overlap, so together they are at most the whole
    for (const ByteRange& range : answer.ranges) {
        FUZZ_CHECK(range.first <= range.last && range.last < size);
        FUZZ_CHECK(range.size() <= left);
        left -= range.size();
    }
    if (const auto content = parse_content_range(text)) {
        FUZZ_CHECK(content->range || content->size);
        FUZZ_CHECK(!content->range || content->range->first <= content->range->last);
        FUZZ_CHECK(!content->range || !content->size || content->range->last < *content->size);
    }
}

void check_date(std::string_view text) {
    if (const auto date = parse_http_date(text, kNow); date && *date < kYear10000) {
        FUZZ_CHECK(parse_http_date(http_date(*date), kNow) == date);
    }
}

void check_conditions(std::string_view text) {
    const Validators current{"\"16f0-2a\"", kNow};
    // Four fields, a line each; what is missing is empty.
    Preconditions fields;
    for (std::string_view* field : {&fields.if_match, &fields.if_none_match,
                                    &fields.if_modified_since, &fields.if_unmodified_since}) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        *field = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    const unsigned read = evaluate(fields, current, true, kNow);
    const unsigned write = evaluate(fields, current, false, kNow);
    FUZZ_CHECK(read == 0 || read == 304 || read == 412);
    FUZZ_CHECK(write == 0 || write == 412);
    (void)range_holds(fields.if_match, current, kNow);
    (void)prefers_json(fields.if_none_match);
}

void check_url(std::string_view text) {
    static const Url kBase = *parse_url("http://a/b/c/d;p?q");
    for (const auto& url : {parse_url(text), resolve_reference(kBase, text)}) {
        if (!url) {
            continue;
        }
        FUZZ_CHECK(url->port != 0 && !url->host.empty() && url->target.starts_with('/'));
        FUZZ_CHECK(url->text().find_first_of("\r\n") == std::string::npos);
        FUZZ_CHECK(file_name_of(*url).find('/') == std::string::npos);
        const auto again = parse_url(url->text());
        FUZZ_CHECK(again && again->text() == url->text() && again->port == url->port);
    }
    if (const auto listen = parse_listen_address(text)) {
        FUZZ_CHECK(listen->port != 0);
    }
}

void run(Bytes bytes) {
    Input input(bytes);
    const unsigned kind = input.u8() % 5;
    const std::uint64_t size = kind == 1 ? input.u64() : 0;
    const Bytes rest = input.rest();
    const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
    switch (kind) {
        case 0: check_path(text); break;
        case 1: check_range(text, size); break;
        case 2: check_date(text); break;
        case 3: check_conditions(text); break;
        default: check_url(text); break;
    }
}

}  // namespace
}  // namespace runnel::fuzz

RUNNEL_FUZZ_TARGET(http, runnel::fuzz::run);
