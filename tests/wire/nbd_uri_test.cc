// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_uri.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace braidway::wire {
namespace {

using Kind = NbdUri::Kind;

NbdUri parsed(std::string_view text) {
    const Result<NbdUri> uri = NbdUri::parse(text);
    EXPECT_TRUE(uri.has_value()) << text << ": " << (uri ? "" : uri.error().message);
    return uri.value_or(NbdUri{});
}

std::string problem_of(std::string_view text) {
    const Result<NbdUri> uri = NbdUri::parse(text);
    return uri ? "none" : uri.error().message;
}

TEST(NbdUri, TakesTheTableOfTheStandardForExportNames) {
    const std::vector<std::pair<std::string, std::string>> rows = {
        {"nbd://example.com/disk", "disk"},
        {"nbd+unix:///disk?socket=sock", "disk"},
        {"nbd://example.com/", ""},
        {"nbd://example.com", ""},
        {"nbd://example.com//disk", "/disk"},
        {"nbd://example.com/hello%20world", "hello world"},
        {"nbd://example.com/a/b:c@d", "a/b:c@d"},
        {"nbd://example.com/100%25", "100%"},
        {"nbd://example.com/%C3%A4", "\xc3\xa4"},
        {"nbd://example.com?", ""},
    };
    for (const auto& [text, name] : rows) EXPECT_EQ(parsed(text).export_name, name) << text;
}

TEST(NbdUri, ReadsHostsAndPorts) {
    struct Row {
        std::string text, host;
        uint16_t port;
        std::string server;
    };
    const std::vector<Row> rows = {
        {"nbd://example.com/x", "example.com", 10809, "example.com:10809"},
        {"NBD://example.com:1/x", "example.com", 1, "example.com:1"},
        {"nbd://example.com:/x", "example.com", 10809, "example.com:10809"},
        {"nbd://127.0.0.1:65535", "127.0.0.1", 65535, "127.0.0.1:65535"},
        {"nbd://[::1]", "::1", 10809, "[::1]:10809"},
        {"nbd://[fe80::1%25eth0]:10810/x", "fe80::1%eth0", 10810, "[fe80::1%eth0]:10810"},
    };
    for (const Row& row : rows) {
        const NbdUri uri = parsed(row.text);
        EXPECT_EQ(uri.kind, Kind::tcp);
        EXPECT_EQ(uri.host, row.host) << row.text;
        EXPECT_EQ(uri.port, row.port) << row.text;
        EXPECT_EQ(uri.server(), row.server);
        EXPECT_FALSE(uri.tls);
    }
}

TEST(NbdUri, ReadsUnixSocketsAlsoAbstractOnes) {
    const NbdUri uri = parsed("nbd+unix:///a?socket=/run/nbd%20here.sock");
    EXPECT_EQ(uri.kind, Kind::unix_socket);
    EXPECT_EQ(uri.socket, "/run/nbd here.sock");
    EXPECT_EQ(uri.server(), "/run/nbd here.sock");
    EXPECT_EQ(parsed("nbd+unix://?socket=x").socket, "x");
    EXPECT_EQ(parsed("nbd+unix:///?socket=%00/abstract").socket, std::string("\0/abstract", 10));
    EXPECT_EQ(parsed("nbd+unix:///?socket=%00/abstract").server(), "@/abstract");
}

TEST(NbdUri, ReadsWhatTlsNeeds) {
    const NbdUri uri = parsed(
        "nbds://ann@example.com/d?tls-certificates=/etc/pki&tls-hostname=h&tls-verify-peer=0");
    EXPECT_TRUE(uri.tls);
    EXPECT_EQ(uri.user, "ann");
    EXPECT_EQ(uri.tls_certificates, "/etc/pki");
    EXPECT_EQ(uri.tls_hostname, "h");
    EXPECT_EQ(uri.tls_verify_peer, false);
    const NbdUri with_key =
        parsed("nbds+unix://ann@/d?tls-psk-file=/k&socket=/s&tls-type=psk&tls-verify-peer=true");
    EXPECT_TRUE(with_key.tls);
    EXPECT_EQ(with_key.user, "ann");
    EXPECT_EQ(with_key.tls_psk_file, "/k");
    EXPECT_EQ(with_key.tls_type, "psk");
    EXPECT_EQ(with_key.tls_verify_peer, true);
}

TEST(NbdUri, IsWrittenSoThatItReadsTheSame) {
    for (const std::string_view text :
         {"nbd://example.com/a%2fb%3fc", "nbd://[fe80::1%25eth0]:1//x", "nbd+unix:///?socket=%00a",
          "nbds://u%40v@h/?tls-type=anon&tls-verify-peer=1", "nbd+unix:///d?socket=/a%26b%3d",
          "nbds+unix:///%C3%A4?socket=s&tls-psk-file=/x%25y"}) {
        const NbdUri uri = parsed(text);
        EXPECT_EQ(parsed(uri.text()), uri) << uri.text();
    }
    EXPECT_EQ(parsed("NBD://a:10809").text(), "nbd://a/");
}

TEST(NbdUri, SaysInOneLineWhatIsWrong) {
    const std::vector<std::pair<std::string, std::string>> rows = {
        {"", "expected nbd://"},
        {"nbd:unix:/tmp/x", "expected nbd://"},
        {"nbd+unix:/x?socket=/s", "expected nbd://"},
        {"http://example.com/", "the scheme 'http'"},
        {"nbd+vsock://2/", "the scheme 'nbd+vsock'"},
        {"nbd:///disk", "no host"},
        {"nbd://:10809/", "no host"},
        {"nbd://a b/", "write it as %20"},
        {"nbd://h/\xc3\xa4", "write it as %C3"},
        {"nbd://h/a\nb", "write it as %0A"},
        {"nbd://h/x#y", "fragment"},
        {"nbd://h/%", "two hexadecimal digits"},
        {"nbd://h/%1", "two hexadecimal digits"},
        {"nbd://h/%g0", "two hexadecimal digits"},
        {"nbd://h/%00", "NUL"},
        {"nbd+unix:///?socket=/a%00b", "NUL"},
        {"nbd+unix:///?socket=%00", "needs a name"},
        {"nbd://h:0/", "not a port"},
        {"nbd://h:65536/", "not a port"},
        {"nbd://h:-1/", "not a port"},
        {"nbd://h:1x/", "not a port"},
        {"nbd://::1/", "in brackets"},
        {"nbd://[::1/", "']' is missing"},
        {"nbd://[::1]x/", "behind ']'"},
        {"nbd://[]/", "no host"},
        {"nbd://[example.com]/", "no IPv6 address"},
        {"nbd://[::1%25]/", "no IPv6 address"},
        {"nbd://h%2f/", "no host name"},
        {"nbd://h/?socket=/s", "belongs to nbd+unix"},
        {"nbd+unix:///x", "no socket"},
        {"nbd+unix:///x?socket=", "no value"},
        {"nbd+unix://h/x?socket=/s", "has no host"},
        {"nbd+unix:///x?socket=/s&socket=/t", "twice"},
        {"nbd+unix:///?socket=" + std::string(108, 's'), "108 bytes, at most 107"},
        {"nbd://h/?reconnect=5", "the parameter 'reconnect' is unknown"},
        {"nbd://h/?tls-certificates=/x", "belong to nbds://"},
        {"nbd+unix:///?socket=s&tls-verify-peer=1", "belong to nbds+unix://"},
        {"nbd://u@h/", "belong to nbds://"},
        {"nbds://u:secret@h/", "password"},
        {"nbds://h/?tls-verify-peer=maybe", "0 or 1"},
        {"nbds://h/?tls-verify-peer=0&tls-verify-peer=0", "twice"},
        {"nbds://h/?tls-type=rot13", "not 'rot13'"},
        {"nbds://h/?tls-psk-file=/a&tls-certificates=/b", "exclude"},
        {"nbds://h/?tls-psk-file=/a&tls-type=x509", "does not go with"},
        {"nbds://h/?tls-certificates=/a&tls-type=psk", "does not go with"},
        {"nbd://h/" + std::string(4097, 'x'), "4097 bytes"},
        {"nbd://h/" + std::string(20000, 'x'), "too long"},
        {"nbd://" + std::string(256, 'x') + "/", "255 bytes"},
    };
    for (const auto& [text, words] : rows) {
        const std::string problem = problem_of(text);
        EXPECT_NE(problem.find(words), std::string::npos) << text << ": " << problem;
        EXPECT_EQ(problem.find('\n'), std::string::npos) << problem;
    }
}

TEST(NbdUri, IsToldFromOtherDevicesByItsScheme) {
    for (const std::string_view text : {"nbd://h/", "nbds://h", "nbd+unix:", "nbds+unix:///x"})
        EXPECT_TRUE(looks_like_nbd_uri(text)) << text;
    for (const std::string_view text : {"nbd", "file:nbd://h", "/nbd://x", "zero:1G", ""})
        EXPECT_FALSE(looks_like_nbd_uri(text)) << text;
}

}  // namespace
}  // namespace braidway::wire
