// The kernel itself keeps a path beneath the served directory (openat2(2), RESOLVE_BENEATH), symbolic links
// included; what it can't know, the decoding of the target, is checked before.
#include "runnel/cli/served_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "runnel/cli/http_text.hpp"
#include "runnel/report/json_writer.hpp"
#include "runnel/report/text.hpp"

namespace runnel {

namespace {

/// Entries of a directory's page; more are counted only.
constexpr std::size_t kMaxEntries = 10'000;

int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

FileDescriptor open_beneath(int directory, const std::string& path, int flags, unsigned mode = 0) {
    open_how how{};
    how.flags = static_cast<__u64>(flags | O_CLOEXEC);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const char* name = path.empty() ? "." : path.c_str();
    return FileDescriptor(
        static_cast<int>(::syscall(SYS_openat2, directory, name, &how, sizeof(how))));
}

FileDescriptor open_root(const std::string& root) {
    return FileDescriptor(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

struct Entry {
    std::string name;  ///< of a directory with a slash at its end
    bool directory = false;
    std::uint64_t size = 0;
    std::int64_t modified = 0;  ///< seconds since 1970
};

struct Listing {
    std::vector<Entry> entries;  ///< directories first, each kind by name
    std::size_t left_out = 0;
};

/// Of a link what it leads to; nothing is said of what leads nowhere or isn't served.
std::optional<Entry> entry_of(int directory, const char* name) {
    struct stat info{};
    const FileDescriptor fd = open_beneath(directory, name, O_PATH);
    if (!fd.valid() || ::fstat(fd.get(), &info) != 0 ||
        (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))) {
        return std::nullopt;
    }
    Entry entry;
    entry.directory = S_ISDIR(info.st_mode);
    entry.name = std::string(name) + (entry.directory ? "/" : "");
    entry.size = entry.directory ? 0 : static_cast<std::uint64_t>(info.st_size);
    entry.modified = info.st_mtim.tv_sec;
    return entry;
}

Listing list_directory(const std::string& root, const ServedFile& directory) {
    Listing listing;
    const FileDescriptor base = open_root(root);
    FileDescriptor fd = open_beneath(base.get(), directory.name, O_RDONLY | O_DIRECTORY);
    if (DIR* list = ::fdopendir(fd.get())) {
        const int inside = fd.release();
        while (const dirent* found = ::readdir(list)) {
            const char* name = static_cast<const char*>(found->d_name);
            if (name[0] == '.') {
                continue;
            }
            if (listing.entries.size() >= kMaxEntries) {
                ++listing.left_out;
            } else if (auto entry = entry_of(inside, name)) {
                listing.entries.push_back(std::move(*entry));
            }
        }
        ::closedir(list);
    }
    std::sort(listing.entries.begin(), listing.entries.end(), [](const Entry& a, const Entry& b) {
        return a.directory != b.directory ? a.directory : a.name < b.name;
    });
    return listing;
}

}  // namespace

std::optional<std::string> decoded_path(std::string_view target) {
    if (const std::size_t mark = target.find("://");
        mark != std::string_view::npos && target.find_first_of("/?#") > mark) {
        // RFC 9112 §3.2.2: the absolute form, whose authority is ours whatever it says.
        const std::size_t slash = target.find_first_of("/?#", mark + 3);
        target = slash == std::string_view::npos ? "/" : target.substr(slash);
    }
    target = target.substr(0, target.find_first_of("?#"));
    if (!target.starts_with('/')) {
        return std::nullopt;
    }
    std::string path;
    for (std::size_t i = 1; i < target.size(); ++i) {
        char c = target[i];
        if (c == '%') {
            const int high = i + 1 < target.size() ? hex_digit(target[i + 1]) : -1;
            const int low = i + 2 < target.size() ? hex_digit(target[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return std::nullopt;
            }
            c = static_cast<char>(high * 16 + low);
            i += 2;
        }
        if (c == '\0') {
            return std::nullopt;
        }
        path += c;
    }
    return path;
}

bool is_plain_path(std::string_view path) {
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        if (name.empty() || name == "." || name == "..") {
            return false;
        }
        path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
    }
    return true;
}

std::optional<std::string> path_of_target(std::string_view target) {
    std::optional<std::string> path = decoded_path(target);
    return path && is_plain_path(*path) ? path : std::nullopt;
}

std::string_view query_of_target(std::string_view target) {
    target = target.substr(0, target.find('#'));
    const std::size_t mark = target.find('?');
    return mark == std::string_view::npos ? "" : target.substr(mark + 1);
}

FileFacts facts_of(int fd) {
    struct stat info{};
    if (::fstat(fd, &info) != 0) {
        return {};
    }
    return {static_cast<std::uint64_t>(info.st_size),
            std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

ServedFile open_served(const std::string& root, const std::string& path) {
    ServedFile served;
    const FileDescriptor directory = open_root(root);
    std::string name = path;
    for (int attempt = 0; attempt < 2; ++attempt) {
        FileDescriptor fd = open_beneath(directory.get(), name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (!fd.valid()) {
            if (served.kind == ServedFile::Kind::directory) {
                return served;  // without an index.html
            }
            const bool outside =
                errno == EXDEV || errno == EACCES || errno == EPERM || errno == ELOOP;
            served.kind = outside ? ServedFile::Kind::forbidden : ServedFile::Kind::missing;
            return served;
        }
        struct stat info{};
        if (::fstat(fd.get(), &info) != 0 || (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))) {
            served.kind = ServedFile::Kind::forbidden;
            return served;
        }
        if (S_ISREG(info.st_mode)) {
            served.kind = ServedFile::Kind::file;
            served.size = static_cast<std::uint64_t>(info.st_size);
            served.modified_ns =
                std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
            served.name = name;
            served.fd = std::move(fd);
            return served;
        }
        served.kind = ServedFile::Kind::directory;
        served.name = path.empty() || path.ends_with('/') ? path : path + "/";
        name = served.name + "index.html";
    }
    return served;
}

std::string directory_page(const std::string& root, const ServedFile& directory) {
    const Listing listing = list_directory(root, directory);
    const std::string title = html_escaped("/" + directory.name);
    std::string page = fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{0}</title>\n"
        "<style>td {{ padding-right: 2em }} td:nth-child(2) {{ text-align: right }}</style>\n"
        "<h1>{0}</h1>\n<table>\n",
        title);
    if (!directory.name.empty()) {
        page += "<tr><td><a href=\"../\">../</a></td></tr>\n";
    }
    for (const Entry& entry : listing.entries) {
        page += fmt::format("<tr><td><a href=\"/{}\">{}</a></td><td>{}</td><td>{}</td></tr>\n",
                            percent_encoded(directory.name + entry.name), html_escaped(entry.name),
                            entry.directory ? "" : report::bytes_text(entry.size),
                            http_date(entry.modified));
    }
    if (listing.left_out != 0) {
        page += fmt::format("<tr><td>and {} more</td></tr>\n", listing.left_out);
    }
    return page + "</table>\n</html>\n";
}

std::string directory_json(const std::string& root, const ServedFile& directory) {
    const Listing listing = list_directory(root, directory);
    std::string text;
    report::JsonWriter writer(text);
    writer.begin_object();
    writer.text("path", "/" + directory.name);
    writer.begin_array("entries");
    for (const Entry& entry : listing.entries) {
        writer.begin_object();
        std::string_view name = entry.name;
        name.remove_suffix(entry.directory ? 1 : 0);
        writer.text("name", name);
        writer.text("type", entry.directory ? "directory" : "file");
        if (!entry.directory) {
            writer.number("size", entry.size);
        }
        writer.text("modified", http_date(entry.modified));
        writer.end_object();
    }
    writer.end_array();
    if (listing.left_out != 0) {
        writer.number("left_out", listing.left_out);
    }
    writer.end_object();
    return text + "\n";
}

std::string_view media_type(std::string_view name) {
    struct Known {
        std::string_view extension;
        std::string_view type;
    };
    static constexpr std::array kKnown = {
        Known{".html", "text/html; charset=utf-8"},
        Known{".htm", "text/html; charset=utf-8"},
        Known{".txt", "text/plain; charset=utf-8"},
        Known{".md", "text/markdown; charset=utf-8"},
        Known{".css", "text/css; charset=utf-8"},
        Known{".js", "text/javascript; charset=utf-8"},
        Known{".json", "application/json"},
        Known{".xml", "application/xml"},
        Known{".pdf", "application/pdf"},
        Known{".png", "image/png"},
        Known{".jpg", "image/jpeg"},
        Known{".jpeg", "image/jpeg"},
        Known{".gif", "image/gif"},
        Known{".svg", "image/svg+xml"},
        Known{".webp", "image/webp"},
        Known{".wasm", "application/wasm"},
        Known{".gz", "application/gzip"},
        Known{".zip", "application/zip"},
        Known{".mp4", "video/mp4"},
    };
    const std::size_t dot = name.rfind('.');
    const std::string_view extension = dot == std::string_view::npos ? "" : name.substr(dot);
    for (const Known& known : kKnown) {
        if (known.extension == extension) {
            return known.type;
        }
    }
    return "application/octet-stream";
}

UploadFile::UploadFile(const std::string& root, const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
    name_ = slash == std::string::npos ? path : path.substr(slash + 1);
    const FileDescriptor base = open_root(root);
    if (name_.empty() || !base.valid()) {
        return;
    }
    directory_ = open_beneath(base.get(), parent, O_PATH | O_DIRECTORY);
    if (!directory_.valid()) {
        return;
    }
    temporary_ = fmt::format(".{}.{}.part", name_.substr(0, 200), ::getpid());
    constexpr int kAttempts = 16;  // uploads of the same name at once
    for (int i = 0; i < kAttempts && !fd_.valid(); ++i) {
        const std::string attempt = i == 0 ? temporary_ : fmt::format("{}{}", temporary_, i);
        fd_ = open_beneath(directory_.get(), attempt, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (fd_.valid()) {
            temporary_ = attempt;
        }
    }
}

UploadFile::~UploadFile() {
    if (fd_.valid() && !temporary_.empty()) {
        (void)::unlinkat(directory_.get(), temporary_.c_str(), 0);
    }
}

bool UploadFile::keep() {
    const bool renamed =
        ::renameat(directory_.get(), temporary_.c_str(), directory_.get(), name_.c_str()) == 0;
    if (renamed) {
        temporary_.clear();
    }
    return renamed;
}

}  // namespace runnel
