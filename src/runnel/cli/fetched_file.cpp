// The file is opened when the header has come: an answer that is an error leaves it as it was. What came
// before a break stays, so that `--continue` can go on there (RFC 9110 §14.2, §15.3.7).
#include "runnel/cli/fetched_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/http_text.hpp"
#include "runnel/report/text.hpp"

namespace runnel {

namespace {

constexpr Duration kRefresh = milliseconds(100);
constexpr std::size_t kColumns = 80;

std::size_t terminal_columns() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                             : kColumns;
}

std::uint64_t size_of(const std::string& file) {
    struct stat info{};
    const bool regular = ::stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode);
    return regular ? static_cast<std::uint64_t>(info.st_size) : 0;
}

}  // namespace

std::string progress_line(const std::string& name, std::uint64_t done, std::uint64_t total,
                          double rate, std::size_t columns) {
    constexpr std::size_t kMostName = 24;
    constexpr std::size_t kLeastBar = 5;
    constexpr std::size_t kMostBar = 40;
    std::string text = fmt::format("  {}", report::bytes_text(done));
    std::string head = report::printable(name.substr(0, kMostName));
    if (total == 0) {
        text += fmt::format("  {}/s", report::bytes_text(static_cast<std::uint64_t>(rate)));
        return (head + text).substr(0, columns);
    }
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    text += fmt::format(" of {}  {}/s", report::bytes_text(total),
                        report::bytes_text(static_cast<std::uint64_t>(rate)));
    if (rate > 0 && done < total) {
        const double left = static_cast<double>(total - done) / rate;
        text += fmt::format("  {:.0f} s left", std::min(left, 359'999.0));
    }
    head += fmt::format(" {:3.0f}% ", part * 100);
    const std::size_t room = columns > head.size() + text.size() + 2
                                 ? std::min(kMostBar, columns - head.size() - text.size() - 2)
                                 : 0;
    if (room >= kLeastBar) {
        const auto filled = static_cast<std::size_t>(part * static_cast<double>(room));
        head += "[" + std::string(filled, '=') + std::string(room - filled, ' ') + "]";
    }
    return (head + text).substr(0, columns);
}

FetchedFile::FetchedFile(Driver& driver, Options options)
    : driver_(driver), options_(std::move(options)), begin_(driver.now()), shown_(begin_) {
    if (options_.resume && options_.file != "-") {
        offset_ = size_of(options_.file);
    }
}

FetchedFile::~FetchedFile() {
    end_progress();
}

bool FetchedFile::begin(const HttpAnswer& answer) {
    const auto range = parse_content_range(answer.content_range);
    if (answer.status == 416 && offset_ != 0) {
        if (range && range->size == offset_) {
            return false;
        }
        throw CommandError(kExitFailed,
                           fmt::format("{} has {} bytes, and the server's file ends before",
                                       options_.file, offset_));
    }
    if (answer.status == 206 && offset_ != 0) {
        if (!range || !range->range || range->range->first != offset_) {
            throw CommandError(
                kExitFailed, fmt::format("bytes from {} on were asked for, the server sends \"{}\"",
                                         offset_, report::printable(answer.content_range)));
        }
    } else if (offset_ != 0) {
        fmt::print(stderr, "the server sends the whole file: beginning anew\n");
        offset_ = 0;
    }
    total_ = answer.announced_bytes == 0 ? 0 : offset_ + answer.announced_bytes;
    if (options_.file == "-") {
        sink_.emplace(driver_.context(), STDOUT_FILENO);
        return true;
    }
    const int how = O_WRONLY | O_CREAT | O_CLOEXEC | (offset_ == 0 ? O_TRUNC : O_APPEND);
    file_ = FileDescriptor(::open(options_.file.c_str(), how, 0666));
    if (!file_.valid()) {
        throw CommandError(kExitFailed,
                           fmt::format("can't write {}: {}", options_.file, std::strerror(errno)));
    }
    sink_.emplace(driver_.context(), file_.get());
    return true;
}

boost::asio::awaitable<void> FetchedFile::write(std::span<const Bytes> pieces) {
    co_await sink_->write(pieces);
    for (const Bytes piece : pieces) {
        received_ += piece.size();
    }
    if (options_.progress && driver_.now() - shown_ >= kRefresh) {
        shown_ = driver_.now();
        const double rate =
            static_cast<double>(received_) * 1e9 / static_cast<double>((shown_ - begin_).ns);
        const std::string name = options_.file.substr(options_.file.rfind('/') + 1);
        const std::string line =
            progress_line(name, offset_ + received_, total_, rate, terminal_columns() - 1);
        fmt::print(stderr, "\r{}\x1b[K", line);
        bar_ = true;
    }
}

void FetchedFile::end_progress() {
    if (bar_) {
        fmt::print(stderr, "\r\x1b[K");
        bar_ = false;
    }
}

}  // namespace runnel
