// SPDX-License-Identifier: Apache-2.0
#include "daemon/path_tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/certificates.h"

namespace braidway::daemon {
namespace {

using testing::HasSubstr;

PathConfig path_to(const std::string& uri) {
    PathConfig path;
    path.device.kind = DeviceConfig::Kind::nbd;
    path.device.nbd.uri = *wire::NbdUri::parse(uri);
    return path;
}

TEST(PathTls, ComparesTheCertificateWithTheHostUnlessAnotherNameIsSaid) {
    const auto host_name = [](const std::string& uri) {
        return tls_files_of(*wire::NbdUri::parse(uri)).host_name;
    };
    EXPECT_EQ(host_name("nbds://server/x"), "server");
    EXPECT_EQ(host_name("nbds://[::1]/x"), "::1");
    EXPECT_EQ(host_name("nbds://server/x?tls-hostname=other"), "other");
    EXPECT_EQ(host_name("nbds+unix:///x?socket=/s"), "");
    EXPECT_TRUE(tls_files_of(*wire::NbdUri::parse("nbds://server/x")).verify_peer);
    EXPECT_FALSE(
        tls_files_of(*wire::NbdUri::parse("nbds://server/x?tls-verify-peer=0")).verify_peer);
    EXPECT_EQ(tls_files_of(*wire::NbdUri::parse("nbds://bob@h/?tls-psk-file=/k")).user, "bob");
}

TEST(PathTls, ReadsWhatThePathNamesAndSaysWhatIsWrongWithIt) {
    const TemporaryFolder folder;
    const std::string uri = "nbds://server/x?tls-certificates=" + folder.path();
    const auto missing = open_path_tls(path_to(uri));
    ASSERT_NE(missing, nullptr);
    EXPECT_EQ(missing->context, nullptr);
    EXPECT_THAT(missing->problem, HasSubstr("cannot read " + folder.file("ca-cert.pem")));
    CertificateAuthority().write_all(folder.path());
    const auto there = open_path_tls(path_to(uri));
    EXPECT_NE(there->context, nullptr) << there->problem;
    EXPECT_EQ(there->problem, "");
}

TEST(PathTls, IsNothingWhereNothingIsEncrypted) {
    EXPECT_EQ(open_path_tls(path_to("nbd://server/x")), nullptr);
    EXPECT_EQ(open_path_tls(PathConfig{}), nullptr);
}

}  // namespace
}  // namespace braidway::daemon
