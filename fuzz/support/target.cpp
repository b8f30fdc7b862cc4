#include "fuzz/support/target.hpp"

#include <cstdio>
#include <cstdlib>

namespace runnel::fuzz {

namespace {
const Target*& head() {
    static const Target* first = nullptr;
    return first;
}
}  // namespace

void fail(const char* file, int line, const char* what) {
    std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    std::abort();
}

Target::Target(const char* target_name, Function target_function)
    : name(target_name), function(target_function), next(head()) {
    head() = this;
}

const Target* first_target() {
    return head();
}

}  // namespace runnel::fuzz
