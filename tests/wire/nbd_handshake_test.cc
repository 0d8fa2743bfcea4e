// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_handshake.h"

#include <gtest/gtest.h>

#include "nbd_handshake_harness.h"

namespace braidway::wire {
namespace {

using Phase = NbdHandshake::Phase;

TEST_F(NbdHandshakeTest, GreetsWithFixedNewstyleAndNoZeroes) {
    handshake.greet(out);
    Parse parse(out);
    EXPECT_EQ(parse.u64(), init_magic);
    EXPECT_EQ(parse.u64(), option_magic);
    EXPECT_EQ(parse.u16(), flag_fixed_newstyle | flag_no_zeroes);
    EXPECT_EQ(parse.left(), 0u);
}

TEST_F(NbdHandshakeTest, ClosesOnUnknownClientFlags) {
    for (unsigned bit = 0; bit < 32; ++bit) {
        NbdHandshake fresh(directory);
        out.clear();
        fresh.feed(Bytes().u32(1u << bit).get(), out);
        EXPECT_EQ(fresh.phase(), bit < 2 ? Phase::options : Phase::closed) << bit;
        EXPECT_TRUE(out.empty());
    }
}

TEST_F(NbdHandshakeTest, GoEntersTransmissionWithWhatWasNegotiated) {
    start();
    EXPECT_EQ(ask(opt_structured_reply), rep_ack);
    EXPECT_EQ(ask(opt_set_meta_context, meta_data("disk", {"base:allocation"})), rep_ack);
    EXPECT_EQ(ask(opt_go, go_data("disk")), rep_ack);
    EXPECT_EQ(phase(), Phase::transmission);
    EXPECT_EQ(handshake.session().export_id, 7u);
    EXPECT_TRUE(handshake.session().structured);
    EXPECT_FALSE(handshake.session().extended);
    EXPECT_TRUE(handshake.session().base_allocation);
}

TEST_F(NbdHandshakeTest, LeavesTheFirstRequestToTheNextMachine) {
    start();
    const Bytes go = option(opt_go, go_data("disk"));
    send(Bytes().add(go).text("request"));
    EXPECT_EQ(taken, go.size());
    EXPECT_EQ(phase(), Phase::transmission);
}

TEST_F(NbdHandshakeTest, InfoAnswersLikeGoAndStaysInOptions) {
    start();
    EXPECT_EQ(ask(opt_info, go_data("disk")), rep_ack);
    EXPECT_EQ(phase(), Phase::options);
    ASSERT_EQ(replies().size(), 2u);
    EXPECT_EQ(replies()[0].type, rep_info);
    const std::string data = replies()[0].data;
    Parse info(std::as_bytes(std::span(data)));
    EXPECT_EQ(info.u16(), info_export);
    EXPECT_EQ(info.u64(), 1u << 20);
    EXPECT_EQ(info.u16(), has_flags | send_flush | send_fua | send_trim | send_write_zeroes |
                              can_multi_conn | send_cache | send_fast_zero);
}

TEST_F(NbdHandshakeTest, AnswersEveryInfoThatWasAskedForOnce) {
    directory.exports[0].description = "the test disk";
    start();
    send(option(opt_info, go_data("disk", {3, 1, 2, 3, 99})));
    const std::vector<Reply> got = replies();
    ASSERT_EQ(got.size(), 5u);
    EXPECT_EQ(got[1].data, std::string("\0\1disk", 6));
    EXPECT_EQ(got[2].data, std::string("\0\2the test disk", 15));
    Parse sizes = got[3].parse();
    EXPECT_EQ(sizes.u16(), info_block_size);
    EXPECT_EQ(sizes.u32(), 512u);
    EXPECT_EQ(sizes.u32(), 4096u);
    EXPECT_EQ(sizes.u32(), limits::payload_bytes_max);
    EXPECT_EQ(got[4].type, rep_ack);
}

TEST_F(NbdHandshakeTest, TheEmptyNameIsTheOnlyExport) {
    start();
    EXPECT_EQ(ask(opt_info, go_data("")), rep_ack);
    directory.exports.push_back(export_named("other"));
    EXPECT_EQ(ask(opt_info, go_data("")), rep_err_unknown);
    EXPECT_EQ(ask(opt_info, go_data("other")), rep_ack);
    EXPECT_EQ(ask(opt_info, go_data("dis")), rep_err_unknown);
    EXPECT_EQ(ask(opt_go, go_data("disk2")), rep_err_unknown);
    EXPECT_EQ(phase(), Phase::options);
}

TEST_F(NbdHandshakeTest, LargeBlocksNeedAClientThatAsksForThem) {
    directory.exports[0].minimum_block = 4096;
    start();
    for (uint32_t number : {uint32_t{opt_info}, uint32_t{opt_go}}) {
        EXPECT_EQ(ask(number, go_data("disk")), rep_err_block_size_reqd);
        EXPECT_EQ(replies()[0].type, rep_info);  // The sizes, to save a round trip.
        EXPECT_EQ(phase(), Phase::options);
    }
    EXPECT_EQ(ask(opt_go, go_data("disk", {info_block_size})), rep_ack);
    EXPECT_EQ(phase(), Phase::transmission);
    EXPECT_EQ(handshake.session().minimum_block, 4096u);
}

TEST_F(NbdHandshakeTest, ExportNameIsClosedWhereBlocksAreLarge) {
    directory.exports[0].minimum_block = 4096;
    start();
    send(option(opt_export_name, Bytes().text("disk")));
    EXPECT_EQ(phase(), Phase::closed);
    EXPECT_TRUE(out.empty());
}

TEST_F(NbdHandshakeTest, ExportNameAnswersSizeFlagsAndZeroesUnlessUnwanted) {
    for (const bool no_zeroes : {false, true}) {
        NbdHandshake fresh(directory);
        out.clear();
        fresh.feed(Bytes().u32(no_zeroes ? flag_no_zeroes : 0).get(), out);
        fresh.feed(option(opt_export_name, Bytes().text("disk")).get(), out);
        EXPECT_EQ(fresh.phase(), Phase::transmission);
        EXPECT_EQ(out.size(), no_zeroes ? 10u : 134u);
        EXPECT_EQ(Parse(out).u64(), 1u << 20);
    }
}

TEST_F(NbdHandshakeTest, ExportNameOfAnUnknownExportCloses) {
    start();
    send(option(opt_export_name, Bytes().text("nothing")));
    EXPECT_EQ(phase(), Phase::closed);
    EXPECT_EQ(handshake.close_reason(), "no such export");
}

TEST_F(NbdHandshakeTest, AbortIsAcknowledged) {
    start();
    EXPECT_EQ(ask(opt_abort), rep_ack);
    EXPECT_EQ(phase(), Phase::closed);
    EXPECT_EQ(handshake.close_reason(), "");
}

TEST_F(NbdHandshakeTest, ListNamesEveryExportAsOftenAsAsked) {
    directory.exports.push_back(export_named("other"));
    start();
    for (int times = 0; times < 3; ++times) {
        EXPECT_EQ(ask(opt_list), rep_ack);
        ASSERT_EQ(replies().size(), 3u);
        EXPECT_EQ(replies()[0].data, std::string("\0\0\0\4disk", 8));
        EXPECT_EQ(replies()[1].data, std::string("\0\0\0\5other", 9));
    }
}

TEST_F(NbdHandshakeTest, AnswersAHundredUnknownOptionsInARow) {
    start();
    Bytes many;
    for (uint32_t number = 100; number < 200; ++number) many.add(option(number));
    send(many);
    const std::vector<Reply> got = replies();
    ASSERT_EQ(got.size(), 100u);
    for (uint32_t at = 0; at < 100; ++at) {
        EXPECT_EQ(got[at].option, 100 + at);
        EXPECT_EQ(got[at].type, rep_err_unsup);
    }
    EXPECT_EQ(ask(opt_go, go_data("disk")), rep_ack);
}

TEST_F(NbdHandshakeTest, EveryOptionHasItsAnswer) {
    struct Row {
        uint32_t option;
        Bytes data;
        uint32_t answer;
    };
    const std::vector<Row> rows = {
        {0, {}, rep_err_unsup},
        {opt_list, Bytes().text("x"), rep_err_invalid},
        {opt_peek_export, {}, rep_err_unsup},
        {opt_starttls, {}, rep_err_policy},
        {opt_starttls, Bytes().text("x"), rep_err_invalid},
        {opt_structured_reply, Bytes().text("x"), rep_err_invalid},
        {opt_extended_headers, Bytes().text("x"), rep_err_invalid},
        {opt_go, {}, rep_err_invalid},
        {opt_go, Bytes().u32(5).text("disk"), rep_err_invalid},
        {opt_go, Bytes().string("disk"), rep_err_invalid},
        {opt_go, Bytes().string("disk").u16(1), rep_err_invalid},
        {opt_go, Bytes().string("disk").u16(0).u16(0), rep_err_invalid},
        {opt_go, Bytes().u32(UINT32_MAX).text("disk"), rep_err_invalid},
        {opt_go, go_data(std::string(5000, 'n')), rep_err_invalid},
        {opt_info, {}, rep_err_invalid},
        {opt_list_meta_context, meta_data("disk", {}), rep_err_invalid},  // Not structured.
        {opt_set_meta_context, meta_data("disk", {}), rep_err_invalid},
        {12, {}, rep_err_unsup},
        {UINT32_MAX, Bytes().zeroes(65536), rep_err_unsup},
    };
    start();
    for (const Row& row : rows) {
        EXPECT_EQ(ask(row.option, row.data), row.answer) << row.option;
        EXPECT_EQ(phase(), Phase::options);
    }
}

TEST_F(NbdHandshakeTest, RefusesAHugeOptionAtOnce) {
    for (const uint32_t number : {uint32_t{opt_go}, uint32_t{4711}}) {
        NbdHandshake fresh(directory);
        out.clear();
        fresh.feed(Bytes().u32(1).u64(option_magic).u32(number).u32(UINT32_MAX).get(), out);
        EXPECT_EQ(fresh.phase(), Phase::closed);
        ASSERT_EQ(replies().size(), 1u);
        EXPECT_EQ(replies()[0].type, rep_err_too_big);
    }
}

TEST_F(NbdHandshakeTest, ClosesOnAWrongOptionMagic) {
    start();
    send(Bytes().u64(option_magic + 1).u32(opt_list).u32(0));
    EXPECT_EQ(phase(), Phase::closed);
    EXPECT_TRUE(out.empty());
}

TEST_F(NbdHandshakeTest, StopsTakingOptionsWhileItsOutputWaits) {
    start();
    Bytes many;
    for (int at = 0; at < 5000; ++at) many.add(option(opt_list));
    send(many);
    EXPECT_LT(taken, many.size());
    EXPECT_LT(out.size(), NbdHandshake::output_bytes_soft_max + 100);
    size_t all = taken;
    for (int rounds = 0; rounds < 100 && all < many.size(); ++rounds) {
        out.clear();
        all += handshake.feed(std::span(many.get()).subspan(all), out);
    }
    EXPECT_EQ(all, many.size());
    EXPECT_EQ(handshake.options_answered(), 5000u);
}

TEST_F(NbdHandshakeTest, ByteByByteIsTheSameAsAllAtOnce) {
    Bytes stream;
    stream.u32(3).add(option(99, Bytes().text("abc"))).add(option(opt_structured_reply));
    stream.add(option(opt_list)).add(option(opt_starttls));
    stream.add(option(opt_set_meta_context, meta_data("disk", {"base:allocation"})));
    stream.add(option(opt_info, go_data("disk", {1, 2, 3}))).add(option(opt_go, go_data("")));
    std::vector<std::byte> whole;
    NbdHandshake at_once(directory);
    EXPECT_EQ(at_once.feed(stream.get(), whole), stream.size());
    for (const std::byte& byte : stream.get())
        EXPECT_EQ(handshake.feed(std::span(&byte, 1), out), 1u);
    EXPECT_EQ(out, whole);
    EXPECT_EQ(phase(), Phase::transmission);
}

}  // namespace
}  // namespace braidway::wire
