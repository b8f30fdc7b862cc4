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

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default: out += c;
        }
    }
    return out;
}

std::string percent_encoded(std::string_view name) {
    constexpr std::string_view kPlain = "-._~/";
    std::string out;
    for (const char c : name) {
        const bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (alphanumeric || kPlain.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

}  // namespace

std::optional<std::string> path_of_target(std::string_view target) {
    target = target.substr(0, target.find_first_of("?#"));
    if (!target.starts_with('/')) {
        return std::nullopt;
    }
    std::string path;
    for (std::size_t i = 0; i < target.size(); ++i) {
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
    path.erase(0, 1);
    std::string_view rest = path;
    while (!rest.empty()) {
        const std::size_t slash = rest.find('/');
        const std::string_view name = rest.substr(0, slash);
        if (name.empty() || name == "." || name == "..") {
            return std::nullopt;
        }
        rest = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
    }
    return path;
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
    std::vector<std::string> names;
    std::size_t more = 0;
    const FileDescriptor base = open_root(root);
    FileDescriptor fd = open_beneath(base.get(), directory.name, O_RDONLY | O_DIRECTORY);
    if (DIR* list = ::fdopendir(fd.get())) {
        (void)fd.release();
        while (const dirent* entry = ::readdir(list)) {
            std::string name = static_cast<const char*>(entry->d_name);
            if (name.starts_with('.')) {
                continue;
            }
            if (names.size() >= kMaxEntries) {
                ++more;
                continue;
            }
            names.push_back(name + (entry->d_type == DT_DIR ? "/" : ""));
        }
        ::closedir(list);
    }
    std::sort(names.begin(), names.end());
    const std::string title = escaped("/" + directory.name);
    std::string page = fmt::format(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{}</title>\n<h1>{}</h1>\n<ul>\n", title,
        title);
    if (!directory.name.empty()) {
        page += "<li><a href=\"../\">../</a></li>\n";
    }
    for (const std::string& name : names) {
        page += fmt::format("<li><a href=\"/{}\">{}</a></li>\n",
                            percent_encoded(directory.name + name), escaped(name));
    }
    if (more != 0) {
        page += fmt::format("<li>and {} more</li>\n", more);
    }
    return page + "</ul>\n";
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
