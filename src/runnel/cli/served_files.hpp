// From a request's target to a file of the served directory, and never to one outside it; and from a file's
// name to its media type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runnel/link/file_descriptor.hpp"

namespace runnel {

/// The path of a request target in origin or absolute form (RFC 9112 §3.2), percent-decoded, without its first
/// slash and its query; none when it is malformed or has a NUL in it.
[[nodiscard]] std::optional<std::string> decoded_path(std::string_view target);
/// Whether each of the path's names is one: none empty, "." or "..".
[[nodiscard]] bool is_plain_path(std::string_view path);
/// Both: a path that `open_served` may be given, or none.
[[nodiscard]] std::optional<std::string> path_of_target(std::string_view target);
/// What stands behind the "?"; empty without one.
[[nodiscard]] std::string_view query_of_target(std::string_view target);

struct ServedFile {
    enum class Kind : std::uint8_t { file, directory, missing, forbidden };
    Kind kind = Kind::missing;
    FileDescriptor fd;  ///< of a file
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0;  ///< since 1970
    std::string name;              ///< below the root; for a directory with a slash at its end
};

/// Size and time of change of an open file, for its validators. Zeros when it can't be asked.
struct FileFacts {
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0;
};
[[nodiscard]] FileFacts facts_of(int fd);

/// Opens what `path` (from `path_of_target`) names below `root`; an "index.html" instead of a directory
/// that has one. Links that lead out of `root` are forbidden, and so is anything but files and directories.
[[nodiscard]] ServedFile open_served(const std::string& root, const std::string& path);

/// A directory as a page of links, and as JSON: {"path": …, "entries": [{"name", "type", "size", "modified"}]}.
/// Names that begin with a dot are left out.
[[nodiscard]] std::string directory_page(const std::string& root, const ServedFile& directory);
[[nodiscard]] std::string directory_json(const std::string& root, const ServedFile& directory);

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
