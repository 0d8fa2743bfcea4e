// SPDX-License-Identifier: Apache-2.0
// What the server's handshake does about encryption.
#include <memory>

#include "nbd_handshake_harness.h"

namespace braidway::wire {
namespace {

class NbdStartTls : public NbdHandshakeTest {
  protected:
    /// A directory whose answer the test may change.
    class TlsDirectory final : public NbdExportDirectory {
      public:
        NbdTls mode = NbdTls::required;
        size_t count() const override { return 1; }
        NbdExportInfo describe(size_t) const override { return export_named("disk"); }
        bool extended_headers() const override { return true; }
        NbdTls tls() const override { return mode; }
    };
    void encrypt() {
        ASSERT_EQ(ask(opt_starttls), rep_ack);
        ASSERT_EQ(phase(), NbdHandshake::Phase::start_tls);
        handshake.tls_started();
        EXPECT_EQ(phase(), NbdHandshake::Phase::options);
    }

    // Stands for the base's, which offers no TLS.
    TlsDirectory tls_directory;
    NbdStartTls() {
        std::destroy_at(&handshake);
        std::construct_at(&handshake, tls_directory);
        start();
    }
};

TEST_F(NbdStartTls, EveryOtherOptionIsRefusedFirstWhereItIsRequired) {
    for (const uint32_t number :
         {uint32_t{opt_list}, uint32_t{opt_peek_export}, uint32_t{opt_info}, uint32_t{opt_go},
          uint32_t{opt_structured_reply}, uint32_t{opt_list_meta_context},
          uint32_t{opt_set_meta_context}, uint32_t{opt_extended_headers}, 99u})
        EXPECT_EQ(ask(number, go_data("disk")), rep_err_tls_reqd) << number;
    EXPECT_EQ(ask(opt_starttls, Bytes().text("x")), rep_err_invalid);
    EXPECT_EQ(phase(), NbdHandshake::Phase::options);
    EXPECT_EQ(ask(opt_abort), rep_ack) << "whoever does not like that may go in peace";
}

TEST_F(NbdStartTls, ExportNameEndsTheConnectionWhereItIsRequired) {
    send(option(opt_export_name, Bytes().text("disk")));
    EXPECT_EQ(phase(), NbdHandshake::Phase::closed);
    EXPECT_TRUE(out.empty()) << "nothing is told of the export";
    EXPECT_EQ(handshake.close_reason(), "EXPORT_NAME without TLS, which is required here");
}

TEST_F(NbdStartTls, AnEncryptedClientIsServed) {
    encrypt();
    EXPECT_TRUE(handshake.encrypted());
    EXPECT_EQ(ask(opt_list), rep_ack);
    EXPECT_EQ(ask(opt_starttls), rep_err_invalid) << "once";
    EXPECT_EQ(ask(opt_go, go_data("disk")), rep_ack);
    EXPECT_EQ(phase(), NbdHandshake::Phase::transmission);
}

TEST_F(NbdStartTls, ItIsTheClientsChoiceWhereItIsAllowed) {
    tls_directory.mode = NbdTls::allowed;
    EXPECT_EQ(ask(opt_list), rep_ack);
    EXPECT_EQ(ask(opt_go, go_data("disk")), rep_ack);
    EXPECT_FALSE(handshake.encrypted());
}

TEST_F(NbdStartTls, ItIsRefusedWhereItIsOff) {
    tls_directory.mode = NbdTls::off;
    EXPECT_EQ(ask(opt_starttls), rep_err_policy);
    EXPECT_EQ(phase(), NbdHandshake::Phase::options);
}

TEST_F(NbdStartTls, WhatWasAgreedOnBeforeIsForgotten) {
    tls_directory.mode = NbdTls::allowed;
    ASSERT_EQ(ask(opt_structured_reply), rep_ack);
    ASSERT_EQ(ask(opt_extended_headers), rep_ack);
    ASSERT_EQ(ask(opt_set_meta_context, meta_data("disk", {"base:allocation"})), rep_ack);
    encrypt();
    ASSERT_EQ(ask(opt_go, go_data("disk")), rep_ack);
    EXPECT_FALSE(handshake.session().structured);
    EXPECT_FALSE(handshake.session().extended);
    EXPECT_FALSE(handshake.session().base_allocation);
}

TEST_F(NbdStartTls, BytesBehindItAreNotTaken) {
    const Bytes both = Bytes().add(option(opt_starttls)).add(option(opt_list));
    send(both);
    EXPECT_EQ(taken, both.size() - option(opt_list).size());
    ASSERT_EQ(replies().size(), 1u);
    send(option(opt_list));
    EXPECT_EQ(taken, 0u);
    EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace braidway::wire
