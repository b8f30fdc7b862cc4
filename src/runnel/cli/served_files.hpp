// From a request's target to a file of the served directory, and never to one outside it; and from a file's
// name to its media type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runnel/link/file_descriptor.hpp"

namespace runnel {

/// The path of a request target, percent-decoded and without query; none when it is malformed, or has a
/// "..", an empty name or a NUL in it (RFC 3986 §2.1, §5.2.4).
[[nodiscard]] std::optional<std::string> path_of_target(std::string_view target);

struct ServedFile {
    enum class Kind : std::uint8_t { file, directory, missing, forbidden };
    Kind kind = Kind::missing;
    FileDescriptor fd;  ///< of a file
    std::uint64_t size = 0;
    std::string name;  ///< below the root; for a directory with a slash at its end
};

/// Opens what `path` (from `path_of_target`) names below `root`; an "index.html" instead of a directory
/// that has one. Links that lead out of `root` are forbidden, and so is anything but files and directories.
[[nodiscard]] ServedFile open_served(const std::string& root, const std::string& path);

/// A directory as a page of links.
[[nodiscard]] std::string directory_page(const std::string& root, const ServedFile& directory);

/// By the name's extension; application/octet-stream when it is unknown.
[[nodiscard]] std::string_view media_type(std::string_view name);

/// Creates `path` below `root` for an upload under a temporary name; `keep` gives it its own.
class UploadFile {
public:
    /// `path` from `path_of_target`. `valid()` is false when it can't be created there.
    UploadFile(const std::string& root, const std::string& path);
    ~UploadFile();
    UploadFile(const UploadFile&) = delete;
    UploadFile& operator=(const UploadFile&) = delete;

    [[nodiscard]] bool valid() const { return fd_.valid(); }
    [[nodiscard]] int fd() const { return fd_.get(); }
    /// False when the file can't be given its name.
    bool keep();

private:
    FileDescriptor directory_;
    FileDescriptor fd_;
    std::string name_;
    std::string temporary_;
};

}  // namespace runnel
