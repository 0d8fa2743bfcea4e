// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_path_tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace braidway::daemon {
namespace {

using testing::ElementsAre;

std::string path_file(const std::string& device, const std::string& keys = "") {
    return "[path.a1]\ndevice = \"" + device + "\"\n" + keys +
           "\n[map.db]\ngroups = [{ paths = [\"a1\"] }]\n";
}

/// The URI with what the keys have added to it.
wire::NbdUri good(const std::string& device, const std::string& keys = "") {
    const auto config = parse_config(path_file(device, keys), "/etc/b.toml");
    if (config) return config->paths[0].device.nbd.uri;
    ADD_FAILURE() << problems_text(config.error());
    return {};
}

std::vector<std::string> problems_of(const std::string& device, const std::string& keys = "") {
    const auto config = parse_config(path_file(device, keys), "/etc/b.toml");
    std::vector<std::string> lines;
    if (!config)
        for (const ConfigProblem& each : config.error()) lines.push_back(each.text());
    return lines;
}

TEST(PathTlsKeys, SayWhatAUriCanSay) {
    const wire::NbdUri uri = good("nbds://server/x",
                                  "tls_certificates = \"/pki\"\ntls_hostname = \"other\"\n"
                                  "tls_verify_peer = false\n");
    EXPECT_EQ(uri.text(),
              "nbds://server/x?tls-certificates=/pki&tls-hostname=other&tls-verify-peer=0");
    EXPECT_EQ(good("nbds://alice@server/x", "tls_psk = \"/keys\"\n").text(),
              "nbds://alice@server/x?tls-psk-file=/keys");
}

TEST(PathTlsKeys, FilesStartFromTheFolderOfTheConfiguration) {
    EXPECT_EQ(good("nbds://server/x?tls-certificates=pki").tls_certificates, "/etc/pki");
    EXPECT_EQ(good("nbds://server/x?tls-psk-file=keys.psk").tls_psk_file, "/etc/keys.psk");
    EXPECT_EQ(good("nbds://server/x", "tls_certificates = \"pki\"\n").tls_certificates, "/etc/pki");
    EXPECT_EQ(good("nbds://server/x", "tls_psk = \"keys.psk\"\n").tls_psk_file, "/etc/keys.psk");
}

TEST(PathTlsKeys, MayRepeatTheUriButNotContradictIt) {
    EXPECT_EQ(good("nbds://server/x?tls-certificates=pki&tls-verify-peer=1",
                   "tls_certificates = \"/etc/pki\"\ntls_verify_peer = true\n")
                  .tls_certificates,
              "/etc/pki");
    EXPECT_THAT(problems_of("nbds://server/x?tls-certificates=pki&tls-verify-peer=1",
                            "tls_certificates = \"/other\"\ntls_verify_peer = false\n"),
                ElementsAre("/etc/b.toml:3: path.a1.tls_certificates: is '/other', but the URI of "
                            "the device says tls-certificates=/etc/pki; leave one of them out",
                            "/etc/b.toml:4: path.a1.tls_verify_peer: says something else than "
                            "tls-verify-peer in the URI of the device; leave one of them out"));
    EXPECT_THAT(problems_of("nbds://server/x?tls-certificates=pki", "tls_psk = \"/keys\"\n"),
                ElementsAre("/etc/b.toml:3: path.a1.tls_psk: excludes tls_certificates; leave one "
                            "of them out"));
}

TEST(PathTlsKeys, BelongToEncryptedDevices) {
    EXPECT_THAT(problems_of("nbd://server/x", "tls_psk = \"/keys\"\n"),
                ElementsAre("/etc/b.toml:3: path.a1.tls_psk: belongs to nbds:// and nbds+unix://, "
                            "which are encrypted"));
    EXPECT_THAT(problems_of("zero:1G", "tls_psk = \"/keys\"\n"),
                ElementsAre("/etc/b.toml:3: path.a1.tls_psk: belongs to nbd: devices only"));
}

TEST(PathTlsKeys, NobodyIsTrustedWithoutProof) {
    EXPECT_THAT(problems_of("nbds://server/x?tls-type=anon"),
                ElementsAre("/etc/b.toml:2: path.a1.device: tls-type=anon proves nothing of the "
                            "server, so anybody on the way could be it; use tls-certificates or "
                            "tls-psk-file"));
    const std::string socket = "nbds+unix:///x?socket=/s&tls-certificates=/pki";
    EXPECT_THAT(problems_of(socket),
                ElementsAre("/etc/b.toml:2: path.a1.device: a server on a unix socket has no host "
                            "name to compare its certificate with; add tls_hostname = \"NAME\" "
                            "with a name that is in it, or tls_verify_peer = false"));
    EXPECT_EQ(good(socket, "tls_hostname = \"db\"\n").tls_hostname, "db");
    EXPECT_EQ(good(socket, "tls_verify_peer = false\n").tls_verify_peer, false);
    EXPECT_EQ(good("nbds+unix://alice@/x?socket=/s&tls-psk-file=/keys").user, "alice");
}

TEST(PathTlsKeys, GoWithTheSortOfTlsThatIsMeant) {
    EXPECT_THAT(problems_of("nbds://server/x?tls-type=psk"),
                ElementsAre("/etc/b.toml:2: path.a1.device: tls-type=psk needs a file of keys: add "
                            "tls_psk = \"FILE\""));
    EXPECT_THAT(problems_of("nbds://alice@server/x"),
                ElementsAre("/etc/b.toml:2: path.a1.device: a user has a key: add tls_psk = "
                            "\"FILE\", which holds it"));
    EXPECT_THAT(problems_of("nbds://server/x?tls-type=x509", "tls_psk = \"/keys\"\n"),
                ElementsAre("/etc/b.toml:3: path.a1.tls_psk: does not go with tls-type=x509"));
    EXPECT_THAT(problems_of("nbds://server/x?tls-type=psk", "tls_certificates = \"/pki\"\n"),
                ElementsAre("/etc/b.toml:3: path.a1.tls_certificates: does not go with "
                            "tls-type=psk"));
    EXPECT_THAT(
        problems_of("nbds://server/x", "tls_psk = \"/keys\"\ntls_verify_peer = true\n"),
        ElementsAre("/etc/b.toml:4: path.a1.tls_verify_peer: is for certificates; with tls_psk "
                    "both sides prove that they have the key"));
    EXPECT_THAT(problems_of("nbds://server/x", "tls_psk = \"\"\n"),
                ElementsAre("/etc/b.toml:3: path.a1.tls_psk: is empty; leave it out"));
    EXPECT_EQ(good("nbds://server/x").text(), "nbds://server/x") << "the CAs of the system";
}

}  // namespace
}  // namespace braidway::daemon
