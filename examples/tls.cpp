// TLS over Runnel: asio::ssl::stream on a runnel::tcp::socket, server and client in one process with a wire
// between them and a certificate made on the spot. Needs no privilege:   example_tls
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "runnel/asio/tcp_socket.hpp"
#include "runnel/asio/wire.hpp"

namespace net = boost::asio;
namespace ssl = boost::asio::ssl;
using TlsStream = ssl::stream<runnel::tcp::socket>;

namespace {

/// A key and a certificate that it signs itself, good for an hour.
void make_certificate(ssl::context& context) {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"),
                                                                  EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME* name = X509_get_subject_name(certificate.get());
    const auto* text = reinterpret_cast<const unsigned char*>("runnel example");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0);
    X509_set_issuer_name(certificate.get(), name);
    X509_sign(certificate.get(), key.get(), EVP_sha256());
    SSL_CTX_use_certificate(context.native_handle(), certificate.get());
    SSL_CTX_use_PrivateKey(context.native_handle(), key.get());
}

net::awaitable<void> serve(runnel::Driver& host, ssl::context& context) {
    runnel::tcp::acceptor listening(host, runnel::tcp::endpoint(runnel::Family::ipv4, 443));
    runnel::tcp::socket accepted = co_await listening.async_accept(net::use_awaitable);
    TlsStream stream(std::move(accepted), context);
    co_await stream.async_handshake(ssl::stream_base::server, net::use_awaitable);
    const std::string text = "hello over TLS";
    co_await net::async_write(stream, net::buffer(text), net::use_awaitable);
    co_await stream.async_shutdown(net::use_awaitable);
}

net::awaitable<void> call(runnel::Driver& host, ssl::context& context) {
    TlsStream stream(runnel::tcp::socket(host), context);
    const runnel::tcp::endpoint server(*runnel::parse_ip_address("10.0.0.2"), 443);
    co_await stream.lowest_layer().async_connect(server, net::use_awaitable);
    co_await stream.async_handshake(ssl::stream_base::client, net::use_awaitable);
    std::string text;
    boost::system::error_code error;
    co_await net::async_read(stream, net::dynamic_buffer(text),
                             net::redirect_error(net::use_awaitable, error));
    std::printf("%s (%s, %s)\n", text.c_str(), SSL_get_version(stream.native_handle()),
                SSL_get_cipher_name(stream.native_handle()));
    co_await stream.async_shutdown(net::redirect_error(net::use_awaitable, error));
}

}  // namespace

int main() {
    net::io_context io(1);
    runnel::Driver left(io, runnel::DriverOptions{});
    runnel::Driver right(io, runnel::DriverOptions{});
    runnel::connect_wire(left, right, runnel::wire_capabilities());
    if (!left.host().add_address(0, *runnel::parse_cidr("10.0.0.1/24"), left.now()) ||
        !right.host().add_address(0, *runnel::parse_cidr("10.0.0.2/24"), right.now())) {
        return 1;
    }
    ssl::context server_context(ssl::context::tls_server);
    make_certificate(server_context);
    ssl::context client_context(ssl::context::tls_client);
    client_context.set_verify_mode(ssl::verify_none);  // the certificate is nobody's
    int running = 2;
    bool failed = false;
    const auto ended = [&](std::exception_ptr thrown) {
        if (thrown) {
            failed = true;
        }
        if (--running == 0 || failed) {
            io.stop();
        }
    };
    net::co_spawn(io, serve(right, server_context), ended);
    net::co_spawn(io, call(left, client_context), ended);
    io.run();
    return failed ? 1 : 0;
}
