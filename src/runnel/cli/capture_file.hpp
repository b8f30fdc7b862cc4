// A capture of everything a driver's host sends and receives, with the reasons, in a pcapng file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runnel/asio/driver.hpp"
#include "runnel/link/file_descriptor.hpp"
#include "runnel/report/pcapng_writer.hpp"

namespace runnel {

class CaptureFile {
public:
    /// Creates `path` (or empties it) and captures `driver`, whose links have been added, until it goes.
    /// `snap_length`: bytes kept of a packet, 0 for all. Throws CommandError.
    CaptureFile(const std::string& path, Driver& driver, std::uint32_t snap_length = 0);
    ~CaptureFile();
    CaptureFile(const CaptureFile&) = delete;
    CaptureFile& operator=(const CaptureFile&) = delete;

    /// Another driver's packets into the same file, on interfaces of its own.
    void add(Driver& driver);
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::uint64_t packets() const { return packets_; }
    [[nodiscard]] std::uint64_t file_bytes() const { return written_ + bytes_.size(); }
    void flush();

private:
    void write(const CapturedFrame& frame, std::uint32_t first_interface);

    std::string path_;
    FileDescriptor file_;
    std::vector<std::byte> bytes_;
    std::unique_ptr<report::PcapngWriter> writer_;
    std::vector<Driver*> drivers_;
    std::uint32_t interfaces_ = 0;
    std::uint64_t packets_ = 0;
    std::uint64_t written_ = 0;
    Instant flushed_;
    bool failed_ = false;
};

}  // namespace runnel
