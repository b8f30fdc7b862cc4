// URLs, listening addresses and names from a hosts file; targets of requests that must lead nowhere.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "runnel/cli/common_options.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/names.hpp"
#include "runnel/cli/served_files.hpp"
#include "runnel/cli/session.hpp"
#include "runnel/cli/sha256.hpp"

namespace runnel {
namespace {

namespace fs = std::filesystem;

TEST(Url, IsTakenApart) {
    const auto url = parse_url("http://Example.org:8080/a/b?c=d#fragment");
    ASSERT_TRUE(url);
    EXPECT_EQ(url->scheme, "http");
    EXPECT_EQ(url->host, "Example.org");
    EXPECT_EQ(url->port, 8080);
    EXPECT_EQ(url->target, "/a/b?c=d");
    EXPECT_EQ(url->authority, "Example.org:8080");
}

TEST(Url, HasDefaults) {
    const auto bare = parse_url("10.9.0.1");
    ASSERT_TRUE(bare);
    EXPECT_EQ(bare->port, 80);
    EXPECT_EQ(bare->target, "/");
    const auto query = parse_url("HTTP://h?x");
    ASSERT_TRUE(query);
    EXPECT_EQ(query->scheme, "http");
    EXPECT_EQ(query->target, "/?x");
}

TEST(Url, KnowsIpv6Literals) {
    const auto url = parse_url("http://[fd09::1]:81/");
    ASSERT_TRUE(url);
    EXPECT_EQ(url->host, "fd09::1");
    EXPECT_EQ(url->port, 81);
    EXPECT_EQ(url->authority, "[fd09::1]:81");
}

TEST(Url, IsRefusedWhenItIsNone) {
    for (const char* text :
         {"http://", "http://h:0/", "http://h:99999/", "http://[fd09::1/", "http://u@h/",
          "http://h/a b", "http://h/\r\nX: y", "http://h:8o/", "http://h x/"}) {
        EXPECT_FALSE(parse_url(text)) << text;
    }
}

TEST(ListenAddress, TakesPortsAndEndpoints) {
    EXPECT_EQ(parse_listen_address("80")->port, 80);
    EXPECT_FALSE(parse_listen_address("80")->address);
    EXPECT_EQ(parse_listen_address("10.0.0.1:81")->address, parse_ip_address("10.0.0.1"));
    EXPECT_EQ(parse_listen_address("[fd09::2]:82")->address, parse_ip_address("fd09::2"));
    for (const char* text : {"", "0", "65536", "10.0.0.1", "10.0.0.1:", "name:80", "-1"}) {
        EXPECT_FALSE(parse_listen_address(text)) << text;
    }
}

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name = (fs::temp_directory_path() / "runnel-cli-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~TemporaryDirectory() { fs::remove_all(path_); }
    [[nodiscard]] fs::path operator/(const std::string& name) const { return path_ / name; }
    [[nodiscard]] std::string string() const { return path_.string(); }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ / name) << text;
    }

private:
    fs::path path_;
};

TEST(Names, ComeFromTheHostsFile) {
    const TemporaryDirectory directory;
    directory.write(
        "hosts", "# comment\n10.9.0.1 server other # trailing\nfd09::1\tserver\nnonsense server\n");
    const std::string file = (directory / "hosts").string();
    const auto server = resolve_name("SERVER", file);
    ASSERT_EQ(server.size(), 2u);
    EXPECT_EQ(to_string(server[0]), "10.9.0.1");
    EXPECT_EQ(to_string(server[1]), "fd09::1");
    EXPECT_EQ(resolve_name("other", file).size(), 1u);
    EXPECT_TRUE(resolve_name("trailing", file).empty());
    EXPECT_TRUE(resolve_name("unknown", file).empty());
    EXPECT_EQ(resolve_name("[fd09::7]", file).size(), 1u) << "a literal is its own address";
}

TEST(Names, ReferencesAreResolvedAsTheRfcSays) {
    // The examples of RFC 3986 §5.4 that an http URL without parameters can have.
    const Url base = *parse_url("http://a/b/c/d;p?q");
    const std::pair<const char*, const char*> cases[] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"http://other:8080/x", "http://other:8080/x"},
        {"/a?b=http://c/d", "http://a/a?b=http://c/d"},
    };
    for (const auto& [reference, wanted] : cases) {
        const auto url = resolve_reference(base, reference);
        ASSERT_TRUE(url) << reference;
        EXPECT_EQ(url->text(), wanted) << reference;
    }
    for (const char* reference :
         {"mailto:x", "javascript:alert(1)", "//", "http://", "a b", "/\r\n"}) {
        EXPECT_FALSE(resolve_reference(base, reference)) << reference;
    }
}

TEST(Names, ASchemeStandsInFrontOrNowhere) {
    // Found by fuzzing: "://" in a query made everything before it a scheme, line ends included.
    const auto url = parse_url("10.9.0.1/a?u=http://x/");
    ASSERT_TRUE(url);
    EXPECT_EQ(url->text(), "http://10.9.0.1/a?u=http://x/");
    EXPECT_FALSE(parse_url("[]:5/")) << "no host at all";
    for (const char* text :
         {"://host/", "1x://host/", "ht tp://host/", "a\rb://host/", "h_t://host/"}) {
        EXPECT_FALSE(parse_url(text)) << text;
    }
}

TEST(Names, AFileIsCalledAfterItsUrl) {
    const auto name = [](const char* text) { return file_name_of(*parse_url(text)); };
    EXPECT_EQ(name("http://a/b/c.txt?x/y"), "c.txt");
    EXPECT_EQ(name("http://a/b/"), "");
    EXPECT_EQ(name("http://a"), "");
    EXPECT_EQ(name("http://a/.."), "");
    EXPECT_EQ(name("http://a/.hidden"), ".hidden");
}

TEST(ServedFiles, PathsAreDecodedAndNeverLeadOut) {
    EXPECT_EQ(path_of_target("/"), "");
    EXPECT_EQ(path_of_target("/a/b%20c?query"), "a/b c");
    EXPECT_EQ(path_of_target("/d/"), "d/");
    for (const char* target : {"/../etc/passwd", "/a/../../b", "/%2e%2e/x", "/a//b", "/./a", "a",
                               "", "/%", "/%4", "/%zz", "/a%00b", "*"}) {
        EXPECT_FALSE(path_of_target(target)) << target;
    }
}

TEST(ServedFiles, OpensFilesAndDirectoriesBelowTheRootOnly) {
    const TemporaryDirectory root;
    root.write("page.html", "<p>");
    fs::create_directory(root / "with");
    fs::create_directory(root / "without");
    root.write("with/index.html", "index");
    fs::create_symlink("/etc/passwd", root / "out");
    fs::create_symlink("page.html", root / "in");
    ::mkfifo((root / "pipe").c_str(), 0600);
    using Kind = ServedFile::Kind;
    EXPECT_EQ(open_served(root.string(), "page.html").kind, Kind::file);
    EXPECT_EQ(open_served(root.string(), "page.html").size, 3u);
    EXPECT_EQ(open_served(root.string(), "in").kind, Kind::file);
    EXPECT_EQ(open_served(root.string(), "out").kind, Kind::forbidden);
    EXPECT_EQ(open_served(root.string(), "pipe").kind, Kind::forbidden);
    EXPECT_EQ(open_served(root.string(), "missing").kind, Kind::missing);
    EXPECT_EQ(open_served(root.string(), "with").name, "with/index.html");
    const ServedFile without = open_served(root.string(), "without");
    EXPECT_EQ(without.kind, Kind::directory);
    EXPECT_EQ(without.name, "without/");
    const std::string page = directory_page(root.string(), open_served(root.string(), ""));
    EXPECT_NE(page.find("href=\"/page.html\""), std::string::npos);
    EXPECT_NE(page.find("href=\"/with/\""), std::string::npos);
}

TEST(ServedFiles, NamesInAPageAreEscaped) {
    const TemporaryDirectory root;
    root.write("<b>&\"x", "");
    const std::string page = directory_page(root.string(), open_served(root.string(), ""));
    EXPECT_EQ(page.find("<b>"), std::string::npos);
    EXPECT_NE(page.find("%3Cb%3E%26%22x"), std::string::npos);
}

TEST(UploadFile, AppearsUnderItsNameOnlyWhenKept) {
    const TemporaryDirectory root;
    {
        UploadFile file(root.string(), "kept.bin");
        ASSERT_TRUE(file.valid());
        EXPECT_EQ(::write(file.fd(), "abc", 3), 3);
        EXPECT_FALSE(fs::exists(root / "kept.bin"));
        EXPECT_TRUE(file.keep());
    }
    EXPECT_EQ(fs::file_size(root / "kept.bin"), 3u);
    {
        UploadFile file(root.string(), "dropped.bin");
        ASSERT_TRUE(file.valid());
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(root.string()), fs::directory_iterator()), 1)
        << "nothing temporary is left";
    EXPECT_FALSE(UploadFile(root.string(), "no/such/directory").valid());
    EXPECT_FALSE(UploadFile(root.string(), "").valid());
}

TEST(Sha256, KnowsThePublishedVectors) {
    // FIPS 180-4's examples (NIST's "SHA256.pdf").
    Sha256 digest;
    digest.update(as_bytes("abc"));
    EXPECT_EQ(digest.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest.update(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"));
    EXPECT_EQ(digest.finish(), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Link, IsTakenApart) {
    EXPECT_EQ(parse_link("tun").kind, LinkKind::tun);
    EXPECT_EQ(parse_link("tap:x").name, "x");
    EXPECT_EQ(parse_link("packet:eth0").kind, LinkKind::packet);
    EXPECT_EQ(parse_link("wire").kind, LinkKind::wire);
    const LinkSpec fd = parse_link("fd:3,ethernet,vnet");
    EXPECT_EQ(fd.fd, 3);
    EXPECT_TRUE(fd.ethernet && fd.vnet_hdr);
    for (const char* text :
         {"", "tin", "packet", "packet:", "fd", "fd:", "fd:x", "fd:3,what", "wire:x"}) {
        EXPECT_THROW((void)parse_link(text), CommandError) << text;
    }
}

TEST(HostArguments, MistakesAreUsageErrors) {
    const auto code_of = [](const HostArguments& arguments) {
        try {
            (void)read_host_arguments(arguments);
        } catch (const CommandError& error) {
            return error.code();
        }
        return -1;
    };
    HostArguments good;
    good.link = "tun";
    good.settings = {"tcp_syn_retries=2"};
    EXPECT_EQ(code_of(good), -1);
    EXPECT_EQ(read_host_arguments(good).tcp.syn_retries, 2u);
    EXPECT_EQ(read_host_arguments(good).addresses.size(), 2u);
    HostArguments bad = good;
    bad.settings = {"tcp_syn_retries"};
    EXPECT_EQ(code_of(bad), kExitUsage);
    bad.settings = {"no_such_thing=1"};
    EXPECT_EQ(code_of(bad), kExitUsage);
    bad.settings = {"tcp_syn_retries=many"};
    EXPECT_EQ(code_of(bad), kExitUsage);
    bad = good;
    bad.addresses = {"10.9.0.300/24"};
    EXPECT_EQ(code_of(bad), kExitUsage);
    bad = good;
    bad.link = "packet:eth0";
    EXPECT_EQ(code_of(bad), kExitUsage) << "only the user knows the network behind an interface";
}

TEST(KernelEnds, AreOtherAddressesOfThePrefixes) {
    const auto ends = [](std::vector<const char*> own, std::vector<IpAddress> gateways = {}) {
        std::vector<Cidr> cidrs;
        for (const char* text : own) {
            cidrs.push_back(*parse_cidr(text));
        }
        std::string all;
        for (const Cidr& end : kernel_ends(cidrs, gateways)) {
            all += (all.empty() ? "" : " ") + to_string(end);
        }
        return all;
    };
    EXPECT_EQ(ends({"10.9.0.2/24"}), "10.9.0.1/24");
    EXPECT_EQ(ends({"10.9.0.1/24"}), "10.9.0.2/24");
    EXPECT_EQ(ends({"10.9.7.200/20"}), "10.9.0.1/20");
    EXPECT_EQ(ends({"10.9.0.5/31"}), "10.9.0.4/31");
    EXPECT_EQ(ends({"10.9.0.4/31"}), "10.9.0.5/31");
    EXPECT_EQ(ends({"fd09::2/64"}), "fd09::1/64");
    EXPECT_EQ(ends({"10.9.0.2/24"}, {*parse_ip_address("10.9.0.254")}), "10.9.0.254/24");
    EXPECT_EQ(ends({"10.9.0.2/24"}, {*parse_ip_address("192.0.2.1")}), "10.9.0.1/24");
    EXPECT_EQ(ends({"10.9.0.2/32"}), "") << "no room for another";
    EXPECT_EQ(ends({"10.9.0.1/30", "10.9.0.2/30"}), "") << "only the broadcast address is left";
    EXPECT_EQ(ends({"10.9.0.2/24", "10.9.0.1/24", "10.9.0.3/24"}), "10.9.0.4/24") << "once";
    EXPECT_EQ(ends({"10.9.0.2/24", "10.8.0.2/24", "fd09::2/64"}),
              "10.9.0.1/24 10.8.0.1/24 fd09::1/64");
}

}  // namespace
}  // namespace runnel
