// SHA-256 (FIPS 180-4) of a stream, by OpenSSL's libcrypto: it uses the processor's instructions for it, so
// that a digest does not become the slowest part of a transfer (docs/decisions/libcrypto.md).
#pragma once

#include <memory>
#include <string>

#include "runnel/base/bytes.hpp"

namespace runnel {

class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void update(Bytes bytes);
    /// 64 hexadecimal digits, as sha256sum prints them; starts anew.
    [[nodiscard]] std::string finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace runnel
