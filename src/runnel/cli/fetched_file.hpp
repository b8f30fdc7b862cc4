// Where `runnel get` puts a body: stdout or a file, from its beginning or behind what is there already, with
// a progress bar on a terminal.
#pragma once

#include <optional>
#include <string>

#include "runnel/cli/byte_sink.hpp"
#include "runnel/cli/http_client.hpp"

namespace runnel {

/// How a transfer stands, in one line without its end, at most `columns` wide: name, bar, bytes, rate (bytes a
/// second) and the time that is left. `total` 0: unknown.
[[nodiscard]] std::string progress_line(const std::string& name, std::uint64_t done,
                                        std::uint64_t total, double rate, std::size_t columns);

class FetchedFile final : public ByteSink {
public:
    struct Options {
        std::string file = "-";  ///< "-": stdout
        bool resume = false;     ///< go on behind what the file has
        bool progress = false;   ///< on stderr
    };

    FetchedFile(Driver& driver, Options options);
    ~FetchedFile() override;

    /// Bytes that are there already and need not be fetched.
    [[nodiscard]] std::uint64_t offset() const { return offset_; }
    /// Makes ready for the body that this header announces. False when nothing is to be fetched any more: the
    /// server says (416) that what is there is the whole. Throws CommandError when the file can't be written,
    /// or the server sends another part than the one asked for.
    bool begin(const HttpAnswer& answer);
    boost::asio::awaitable<void> write(std::span<const Bytes> pieces) override;
    /// Takes the progress bar away.
    void end_progress();

private:
    Driver& driver_;
    Options options_;
    std::uint64_t offset_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t total_ = 0;
    FileDescriptor file_;
    std::optional<DescriptorSink> sink_;
    Instant begin_;
    Instant shown_;
    bool bar_ = false;  ///< there is one on the terminal now
};

}  // namespace runnel
