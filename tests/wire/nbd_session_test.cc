// SPDX-License-Identifier: Apache-2.0
// What a handshake leaves behind: contexts, header styles, flags.
#include "wire/nbd_session.h"

#include <gtest/gtest.h>

#include "nbd_handshake_harness.h"

namespace braidway::wire {
namespace {

using Phase = NbdHandshake::Phase;

TEST_F(NbdHandshakeTest, MetaContextsAreFoundByNameAndNamespace) {
    struct Row {
        uint32_t option;
        std::vector<std::string_view> queries;
        bool found;
    };
    const std::vector<Row> rows = {
        {opt_list_meta_context, {}, true},
        {opt_list_meta_context, {"base:"}, true},
        {opt_list_meta_context, {"base:allocation"}, true},
        {opt_list_meta_context, {"qemu:", "x-no:thing"}, false},
        {opt_list_meta_context, {"base:alloc"}, false},
        {opt_set_meta_context, {}, false},
        {opt_set_meta_context, {"base:"}, false},
        {opt_set_meta_context, {"base:allocation"}, true},
        {opt_set_meta_context, {"qemu:x", "base:allocation", "base:allocation"}, true},
        {opt_set_meta_context, {""}, false},
    };
    start();
    EXPECT_EQ(ask(opt_structured_reply), rep_ack);
    for (const Row& row : rows) {
        EXPECT_EQ(ask(row.option, meta_data("disk", row.queries)), rep_ack);
        ASSERT_EQ(replies().size(), row.found ? 2u : 1u);
        if (!row.found) continue;
        const std::string data = replies()[0].data;
        EXPECT_EQ(replies()[0].type, rep_meta_context);
        EXPECT_EQ(data.substr(4), "base:allocation");
        EXPECT_EQ(data[3], row.option == opt_set_meta_context ? 1 : 0);
    }
    EXPECT_EQ(ask(opt_list_meta_context, meta_data("nothing", {})), rep_err_unknown);
    EXPECT_EQ(ask(opt_set_meta_context, Bytes().string("disk")), rep_err_invalid);
    EXPECT_EQ(ask(opt_set_meta_context, Bytes().string("disk").u32(2).string("base:")),
              rep_err_invalid);
    EXPECT_EQ(ask(opt_set_meta_context, meta_data("disk", {}).text("x")), rep_err_invalid);
}

TEST_F(NbdHandshakeTest, ASelectionHoldsForItsExportOnlyUntilTheNextSelection) {
    directory.exports.push_back(export_named("other"));
    const Bytes select = meta_data("disk", {"base:allocation"});
    struct Row {
        std::vector<Bytes> options;
        bool selected;
    };
    const std::vector<Row> rows = {
        {{option(opt_set_meta_context, select), option(opt_go, go_data("disk"))}, true},
        {{option(opt_set_meta_context, select), option(opt_go, go_data("other"))}, false},
        {{option(opt_set_meta_context, select), option(opt_export_name, Bytes().text("disk"))},
         true},
        {{option(opt_set_meta_context, select), option(opt_set_meta_context, meta_data("disk", {})),
          option(opt_go, go_data("disk"))},
         false},
        {{option(opt_set_meta_context, select), option(opt_set_meta_context, Bytes().u32(9)),
          option(opt_go, go_data("disk"))},
         false},
        {{option(opt_set_meta_context, select), option(opt_list_meta_context, select),
          option(opt_go, go_data("disk"))},
         true},
    };
    for (const Row& row : rows) {
        NbdHandshake fresh(directory);
        out.clear();
        fresh.feed(Bytes().u32(3).add(option(opt_structured_reply)).get(), out);
        for (const Bytes& each : row.options) fresh.feed(each.get(), out);
        ASSERT_EQ(fresh.phase(), Phase::transmission);
        EXPECT_EQ(fresh.session().base_allocation, row.selected) << &row - rows.data();
    }
}

TEST_F(NbdHandshakeTest, ExtendedHeadersImplyStructuredReplies) {
    start();
    EXPECT_EQ(ask(opt_extended_headers), rep_ack);
    EXPECT_EQ(ask(opt_extended_headers), rep_err_invalid);
    EXPECT_EQ(ask(opt_structured_reply), rep_err_ext_header_reqd);
    EXPECT_EQ(ask(opt_set_meta_context, meta_data("disk", {"base:allocation"})), rep_ack);
    EXPECT_EQ(ask(opt_go, go_data("disk")), rep_ack);
    EXPECT_TRUE(handshake.session().extended);
    EXPECT_TRUE(handshake.session().structured);
    EXPECT_TRUE(handshake.session().has(send_df));
    EXPECT_TRUE(handshake.session().has(block_status_payload));
}

TEST_F(NbdHandshakeTest, ExtendedHeadersCanBeSwitchedOff) {
    directory.extended = false;
    start();
    EXPECT_EQ(ask(opt_extended_headers), rep_err_unsup);
    EXPECT_EQ(ask(opt_go, go_data("disk")), rep_ack);
    EXPECT_FALSE(handshake.session().extended);
    EXPECT_FALSE(handshake.session().structured);
}

TEST_F(NbdHandshakeTest, ExportNameAfterExtendedHeadersCloses) {
    start();
    EXPECT_EQ(ask(opt_extended_headers), rep_ack);
    send(option(opt_export_name, Bytes().text("disk")));
    EXPECT_EQ(phase(), Phase::closed);
}

TEST_F(NbdHandshakeTest, FlagsFollowTheExport) {
    struct Row {
        void (*change)(NbdExportInfo&);
        unsigned flags;
    };
    constexpr unsigned all = has_flags | send_flush | send_fua | send_trim | send_write_zeroes |
                             can_multi_conn | send_cache | send_fast_zero;
    const std::vector<Row> rows = {
        {[](NbdExportInfo&) {}, all},
        {[](NbdExportInfo& info) { info.can_flush = false; }, all & ~send_flush},
        {[](NbdExportInfo& info) { info.can_fua = false; }, all & ~send_fua},
        {[](NbdExportInfo& info) { info.can_trim = false; }, all & ~send_trim},
        {[](NbdExportInfo& info) { info.can_cache = false; }, all & ~send_cache},
        {[](NbdExportInfo& info) { info.can_multi_conn = false; }, all & ~can_multi_conn},
        {[](NbdExportInfo& info) { info.can_fast_zero = false; }, all & ~send_fast_zero},
        {[](NbdExportInfo& info) { info.can_write_zeroes = false; },
         all & ~(send_write_zeroes | send_fast_zero)},
        {[](NbdExportInfo& info) { info.rotational = true; }, all | rotational},
        {[](NbdExportInfo& info) { info.read_only = true; },
         (all | read_only) & ~(send_trim | send_write_zeroes | send_fast_zero)},
    };
    for (const Row& row : rows) {
        directory.exports = {export_named("disk")};
        row.change(directory.exports[0]);
        NbdHandshake fresh(directory);
        out.clear();
        fresh.feed(Bytes().u32(3).add(option(opt_go, go_data("disk"))).get(), out);
        EXPECT_EQ(fresh.session().flags, row.flags) << &row - rows.data();
    }
}

TEST_F(NbdHandshakeTest, ASizeThatIsNoMultipleIsRoundedDown) {
    directory.exports[0].size_bytes = 1000;
    start();
    EXPECT_EQ(ask(opt_go, go_data("disk")), rep_ack);
    EXPECT_EQ(handshake.session().size_bytes, 512u);
}

}  // namespace
}  // namespace braidway::wire
