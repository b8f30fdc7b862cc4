// The digest behind uploads, `get --digest` and the demo (FIPS 180-4, by libcrypto's EVP interface).
#include "runnel/cli/sha256.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "runnel/cli/exit_code.hpp"

namespace runnel {

struct Sha256::State {
    State() : context(EVP_MD_CTX_new()) { start(); }
    ~State() { EVP_MD_CTX_free(context); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    void start() const { check(EVP_DigestInit_ex(context, EVP_sha256(), nullptr)); }
    static void check(int worked) {
        if (worked != 1) {
            throw CommandError(kExitFailed, "libcrypto can't compute SHA-256 here");
        }
    }
    EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(Bytes bytes) {
    State::check(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()));
}

std::string Sha256::finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    State::check(EVP_DigestFinal_ex(state_->context, digest.data(), &size));
    state_->start();
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text += fmt::format("{:02x}", digest[i]);
    }
    return text;
}

}  // namespace runnel
