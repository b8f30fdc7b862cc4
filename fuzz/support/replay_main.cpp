// Runs every target over the inputs in fuzz/corpus/<target> and fuzz/regressions/<target>: what once crashed
// must not crash again, on any compiler. With arguments, only the files named: replay TARGET FILE...
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "fuzz/support/target.hpp"

namespace {

namespace fs = std::filesystem;
using runnel::fuzz::Target;

char current[512];  // the input being run, for the handler

extern "C" void say_which_input(int signal) {
    const char text[] = "fuzz_replay: the input was ";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    (void)!write(STDERR_FILENO, current, std::strlen(current));
    (void)!write(STDERR_FILENO, "\n", 1);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

void run(const Target& target, const fs::path& path) {
    std::snprintf(current, sizeof current, "%s", path.c_str());
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> read{std::istreambuf_iterator<char>(file), {}};
    // Of exact size, so that the address sanitizer sees every read past the end.
    const std::vector<char> bytes(read.begin(), read.end());
    target.function(std::as_bytes(std::span(bytes)));
}

std::vector<fs::path> inputs(const fs::path& folder) {
    std::vector<fs::path> files;
    if (fs::is_directory(folder)) {
        for (const auto& entry : fs::directory_iterator(folder)) {
            files.push_back(entry.path());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

int main(int argc, char** argv) {
    for (const int signal : {SIGABRT, SIGILL, SIGTRAP, SIGFPE}) {
        std::signal(signal, say_which_input);
    }
    const fs::path root = fs::path(RUNNEL_SOURCE_DIR) / "fuzz";
    std::size_t targets = 0;
    std::size_t total = 0;
    for (const Target* target = runnel::fuzz::first_target(); target; target = target->next) {
        std::vector<fs::path> files;
        if (argc > 1) {
            if (std::string_view(argv[1]) != target->name) {
                continue;
            }
            files.assign(argv + 2, argv + argc);
        } else {
            files = inputs(root / "corpus" / target->name);
            const auto more = inputs(root / "regressions" / target->name);
            files.insert(files.end(), more.begin(), more.end());
        }
        for (const fs::path& file : files) {
            run(*target, file);
        }
        std::printf("%s: %zu inputs\n", target->name, files.size());
        targets += 1;
        total += files.size();
    }
    if (targets == 0 || total == 0) {
        std::fprintf(stderr, "fuzz_replay: nothing was run\n");
        return 1;
    }
    return 0;
}
