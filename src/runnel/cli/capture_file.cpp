// Blocks are gathered and written out by quarter megabytes, or after a fifth of a second, so that a capture
// costs the host few system calls and still grows while one looks at it.
#include "runnel/cli/capture_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runnel/cli/exit_code.hpp"

namespace runnel {

namespace {

constexpr std::size_t kFlushBytes = 256 * 1024;
constexpr Duration kFlushInterval = milliseconds(200);

/// Unix time at the driver's Instant 0, nanoseconds.
std::int64_t unix_epoch(const Driver& driver) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec - driver.now().ns;
}

std::string system_name() {
    utsname name{};
    return ::uname(&name) == 0 ? fmt::format("{} {}", name.sysname, name.release) : std::string();
}

}  // namespace

CaptureFile::CaptureFile(const std::string& path, Driver& driver, std::uint32_t snap_length)
    : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    if (!file_.valid()) {
        throw CommandError(kExitFailed,
                           fmt::format("can't write {}: {}", path, std::strerror(errno)));
    }
    report::PcapngOptions options;
    options.os = system_name();
    options.application = "runnel " RUNNEL_VERSION;
    options.epoch_unix_ns = unix_epoch(driver);
    options.snap_length = snap_length;
    writer_ = std::make_unique<report::PcapngWriter>(bytes_, options);
    add(driver);
}

CaptureFile::~CaptureFile() {
    for (Driver* driver : drivers_) {
        driver->set_capture({});
    }
    flush();
}

void CaptureFile::add(Driver& driver) {
    const std::uint32_t first = interfaces_;
    for (const InterfaceStatus& interface : driver.host().ip().interfaces()) {
        if (interface.index == kLoopbackInterface) {
            continue;
        }
        writer_->add_interface(interface.config.name, interface.config.capabilities.layer);
        ++interfaces_;
    }
    drivers_.push_back(&driver);
    driver.set_capture([this, first](const CapturedFrame& frame) { write(frame, first); });
}

void CaptureFile::write(const CapturedFrame& frame, std::uint32_t first_interface) {
    if (failed_) {
        return;
    }
    ++packets_;
    if (drivers_.size() == 1) {
        writer_->write(frame);
    } else if (frame.interface != kLoopbackInterface) {
        writer_->write(frame, first_interface + frame.interface);
    }
    if (bytes_.size() >= kFlushBytes || frame.time - flushed_ >= kFlushInterval) {
        flushed_ = frame.time;
        flush();
    }
}

void CaptureFile::flush() {
    Bytes rest = bytes_;
    while (!rest.empty() && !failed_) {
        const ssize_t size = ::write(file_.get(), rest.data(), rest.size());
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            // The capture ends here; the transfer it watches goes on.
            fmt::print(stderr, "runnel: can't write {}: {}; the capture ends\n", path_,
                       std::strerror(errno));
            failed_ = true;
            break;
        }
        rest = rest.subspan(static_cast<std::size_t>(size));
        written_ += static_cast<std::uint64_t>(size);
    }
    bytes_.clear();
}

}  // namespace runnel
