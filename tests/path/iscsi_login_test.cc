// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_login.h"

#include <gmock/gmock.h>

namespace braidway::path {
namespace {

using testing::HasSubstr;

TEST(IscsiLogin, SaysWhatToDoAboutARefusal) {
    IscsiLogin plain;
    plain.target = "iqn.a:b";
    plain.initiator = "iqn.a:us";
    IscsiLogin chap = plain;
    chap.user = "joe";
    const auto refused = [](int status) {
        return "Failed to log in to target. Status: Whatever(" + std::to_string(status) + ")";
    };
    EXPECT_THAT(iscsi_login_problem(plain, refused(0x0201)), HasSubstr("wants CHAP"));
    EXPECT_THAT(iscsi_login_problem(chap, refused(0x0201)), HasSubstr("refuses user 'joe'"));
    EXPECT_THAT(iscsi_login_problem(plain, refused(0x0202)), HasSubstr("initiator 'iqn.a:us'"));
    EXPECT_THAT(iscsi_login_problem(plain, refused(0x0203)), HasSubstr("no target 'iqn.a:b'"));
    EXPECT_THAT(iscsi_login_problem(plain, refused(0x0302)), HasSubstr("no resources"));
    EXPECT_EQ(iscsi_login_problem(plain, refused(0x0300)), "the login failed: " + refused(0x0300));
    EXPECT_EQ(iscsi_login_problem(plain, "odd (513)"), "the login failed: odd (513)");
    EXPECT_THAT(iscsi_login_problem(chap, "Authentication failed. Invalid CHAP_R response"),
                HasSubstr("did not prove itself"));
}

TEST(IscsiLogin, SaysWhatToLookAtWhereNobodyAnswers) {
    EXPECT_EQ(iscsi_connect_problem("h:1", "iscsi_service: socket error Connection refused(111)."),
              "cannot connect to h:1: Connection refused; does the target run, and listen on this "
              "port?");
    EXPECT_THAT(iscsi_connect_problem("h:1", "Connect failed with errno : No route to host(113)"),
                HasSubstr("is the network up?"));
    EXPECT_EQ(iscsi_connect_problem("h:1", "odd"), "cannot connect to h:1: odd");
}

}  // namespace
}  // namespace braidway::path
