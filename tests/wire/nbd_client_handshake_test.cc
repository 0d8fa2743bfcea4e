// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_client_handshake.h"

#include <gtest/gtest.h>

#include "nbd_handshake_harness.h"

namespace braidway::wire {
namespace {

using Phase = NbdClientHandshake::Phase;

Bytes greeting(uint16_t flags = flag_fixed_newstyle | flag_no_zeroes) {
    return Bytes().u64(init_magic).u64(option_magic).u16(flags);
}
Bytes reply(uint32_t number, uint32_t type, const Bytes& data = {}) {
    return Bytes()
        .u64(option_reply_magic)
        .u32(number)
        .u32(type)
        .u32(static_cast<uint32_t>(data.size()))
        .add(data);
}
Bytes export_info(uint64_t size_bytes = 1 << 20, uint16_t flags = has_flags | send_flush) {
    return Bytes().u16(info_export).u64(size_bytes).u16(flags);
}
Bytes block_sizes(uint32_t minimum, uint32_t preferred, uint32_t maximum) {
    return Bytes().u16(info_block_size).u32(minimum).u32(preferred).u32(maximum);
}

/// A scripted server at the other end.
class NbdClientHandshakeTest : public testing::Test {
  protected:
    void wish(NbdClientWishes wishes) { machine = NbdClientHandshake(std::move(wishes)); }
    /// The server says `bytes`.
    void say(const Bytes& bytes) {
        out.clear();
        taken = machine.feed(bytes.get(), out);
    }
    /// Greets, and takes the client's flags off what it sent.
    void greet(uint16_t flags = flag_fixed_newstyle | flag_no_zeroes) {
        say(greeting(flags));
        ASSERT_GE(out.size(), client_flags_bytes);
        client_flags = load_big<uint32_t>(out.data());
        out.erase(out.begin(), out.begin() + client_flags_bytes);
    }
    /// The number of the one option that was sent last; its data is in `data`.
    uint32_t next() {
        Parse parse(out);
        EXPECT_EQ(parse.u64(), option_magic);
        const uint32_t number = parse.u32();
        data = parse.text(parse.u32());
        EXPECT_TRUE(parse.good());
        EXPECT_EQ(parse.left(), 0u);
        return number;
    }
    void expect_problem(std::string_view words) {
        EXPECT_EQ(machine.phase(), Phase::failed);
        EXPECT_NE(machine.problem().find(words), std::string::npos) << machine.problem();
        EXPECT_EQ(machine.problem().find('\n'), std::string::npos) << machine.problem();
    }
    /// As far as GO, with everything granted.
    void reach_go() {
        greet();
        say(reply(opt_structured_reply, rep_ack));
        say(reply(opt_set_meta_context, rep_meta_context, Bytes().u32(9).text("base:allocation")));
        say(reply(opt_set_meta_context, rep_ack));
        EXPECT_EQ(next(), opt_go);
    }

    NbdClientHandshake machine{NbdClientWishes{.export_name = "disk"}};
    std::vector<std::byte> out;
    std::string data;
    size_t taken = 0;
    uint32_t client_flags = 0;
};

TEST_F(NbdClientHandshakeTest, AsksForEverythingAndEnters) {
    greet();
    EXPECT_EQ(client_flags, uint32_t{flag_fixed_newstyle | flag_no_zeroes});
    EXPECT_EQ(next(), opt_structured_reply);
    EXPECT_EQ(data, "");
    say(reply(opt_structured_reply, rep_ack));
    EXPECT_EQ(next(), opt_set_meta_context);
    EXPECT_EQ(data, std::string("\0\0\0\4disk\0\0\0\1\0\0\0\xf"
                                "base:allocation",
                                31));
    say(reply(opt_set_meta_context, rep_meta_context, Bytes().u32(9).text("base:allocation")));
    EXPECT_TRUE(out.empty());
    say(reply(opt_set_meta_context, rep_ack));
    EXPECT_EQ(next(), opt_go);
    EXPECT_EQ(data, std::string("\0\0\0\4disk\0\1\0\3", 12));
    const uint16_t flags = has_flags | send_flush | send_fua | can_multi_conn;
    say(reply(opt_go, rep_info, export_info(123 << 20, flags)));
    say(reply(opt_go, rep_info, block_sizes(512, 65536, 1 << 20)));
    EXPECT_EQ(machine.phase(), Phase::options);
    const Bytes last = reply(opt_go, rep_ack);
    say(Bytes().add(last).text("behind"));
    EXPECT_EQ(taken, last.size());
    EXPECT_EQ(machine.phase(), Phase::transmission);
    const NbdServerOffer& offer = machine.offer();
    EXPECT_EQ(offer.session.size_bytes, 123u << 20);
    EXPECT_EQ(offer.session.flags, flags);
    EXPECT_EQ(offer.session.minimum_block, 512u);
    EXPECT_EQ(offer.session.maximum_payload, 1u << 20);
    EXPECT_EQ(offer.preferred_block, 65536u);
    EXPECT_TRUE(offer.session.structured);
    EXPECT_TRUE(offer.session.base_allocation);
    EXPECT_EQ(offer.allocation_id, 9u);
}

TEST_F(NbdClientHandshakeTest, EntersOurOwnServerHoweverTheBytesArrive) {
    for (size_t piece = 1; piece < 40; ++piece) {
        Directory directory;
        directory.exports = {export_named("disk")};
        NbdHandshake server(directory);
        NbdClientHandshake client(NbdClientWishes{.export_name = "disk"});
        std::vector<std::byte> to_client;
        std::vector<std::byte> to_server;
        server.greet(to_client);
        while (!client.final() && !to_client.empty()) {
            const size_t count = std::min(piece, to_client.size());
            EXPECT_EQ(client.feed(std::span(to_client).first(count), to_server), count);
            to_client.erase(to_client.begin(),
                            to_client.begin() + static_cast<std::ptrdiff_t>(count));
            EXPECT_EQ(server.feed(to_server, to_client), to_server.size());
            to_server.clear();
        }
        ASSERT_EQ(client.phase(), Phase::transmission) << client.problem();
        EXPECT_EQ(client.offer().session.size_bytes, server.session().size_bytes);
        EXPECT_EQ(client.offer().session.flags, server.session().flags);
        EXPECT_TRUE(server.session().structured);
        EXPECT_TRUE(server.session().base_allocation);
    }
}

TEST_F(NbdClientHandshakeTest, GoesOnWithoutWhatAServerDoesNotKnow) {
    greet();
    say(reply(opt_structured_reply, rep_err_unsup, Bytes().text("no")));
    EXPECT_EQ(next(), opt_go);  // No contexts without structured replies.
    say(reply(opt_go, rep_info, export_info()));
    say(reply(opt_go, rep_info, Bytes().u16(77).text("of a later protocol")));
    say(reply(opt_go, rep_ack));
    EXPECT_EQ(machine.phase(), Phase::transmission);
    EXPECT_FALSE(machine.offer().session.structured);
    EXPECT_FALSE(machine.offer().session.base_allocation);
    EXPECT_EQ(machine.offer().session.minimum_block, 1u);
    EXPECT_EQ(machine.offer().session.maximum_payload, limits::payload_bytes_max);

    wish({.export_name = "disk"});
    greet();
    say(reply(opt_structured_reply, rep_ack));
    say(reply(opt_set_meta_context, rep_err_policy));
    EXPECT_EQ(next(), opt_go);
    say(reply(opt_go, rep_info, export_info()).add(reply(opt_go, rep_ack)));
    EXPECT_EQ(machine.phase(), Phase::transmission);
    EXPECT_TRUE(machine.offer().session.structured);
    EXPECT_FALSE(machine.offer().session.base_allocation);
}

TEST_F(NbdClientHandshakeTest, FallsBackToExportNameForOldServers) {
    for (const bool fixed : {true, false})
        for (const bool no_zeroes : {true, false}) {
            wish({.export_name = "disk"});
            greet(static_cast<uint16_t>((fixed ? flag_fixed_newstyle : 0) |
                                        (no_zeroes ? flag_no_zeroes : 0)));
            if (fixed) {
                EXPECT_EQ(next(), opt_structured_reply);
                say(reply(opt_structured_reply, rep_err_unsup));
                say(reply(opt_go, rep_err_unsup));
            }
            EXPECT_EQ(next(), opt_export_name);
            EXPECT_EQ(data, "disk");
            const Bytes answer = Bytes().u64(4096).u16(has_flags | read_only);
            say(answer);
            if (!no_zeroes) {
                EXPECT_EQ(machine.phase(), Phase::options);
                say(Bytes().zeroes(export_name_padding_bytes));
            }
            EXPECT_EQ(machine.phase(), Phase::transmission);
            EXPECT_EQ(machine.offer().session.size_bytes, 4096u);
            EXPECT_TRUE(machine.offer().session.has(read_only));
        }
}

TEST_F(NbdClientHandshakeTest, FlagsCountOnlyWhenThereAreFlags) {
    greet(0);
    say(Bytes().u64(4096).u16(send_flush | send_trim).zeroes(export_name_padding_bytes));
    EXPECT_EQ(machine.offer().session.flags, 0);
}

TEST_F(NbdClientHandshakeTest, StartsTlsBeforeItSaysAnythingElse) {
    wish({.export_name = "disk", .tls = true});
    greet();
    EXPECT_EQ(next(), opt_starttls);
    EXPECT_EQ(data, "");
    say(reply(opt_starttls, rep_ack));
    EXPECT_EQ(machine.phase(), Phase::start_tls);
    EXPECT_TRUE(out.empty());
    machine.tls_started(out);
    EXPECT_EQ(machine.phase(), Phase::options);
    EXPECT_EQ(next(), opt_structured_reply);
    say(reply(opt_structured_reply, rep_ack));
    EXPECT_EQ(next(), opt_set_meta_context);
}

TEST_F(NbdClientHandshakeTest, NeverGoesOnInPlainWhenTlsIsWanted) {
    for (const uint32_t type : {rep_err_unsup, rep_err_policy, rep_err_invalid}) {
        wish({.export_name = "disk", .tls = true});
        greet();
        say(reply(opt_starttls, type));
        expect_problem("offers no TLS");
        EXPECT_FALSE(machine.may_pass());
    }
    wish({.export_name = "disk", .tls = true});
    greet(flag_no_zeroes);
    expect_problem("too old for TLS");

    // An answer in plain, slipped in behind the agreement.
    wish({.export_name = "disk", .tls = true});
    greet();
    say(reply(opt_starttls, rep_ack).add(reply(opt_structured_reply, rep_ack)));
    expect_problem("unencrypted bytes");
}

TEST_F(NbdClientHandshakeTest, SaysWhatToDoWhenTheServerRefuses) {
    struct Row {
        uint32_t type;
        std::string words;
        bool may_pass;
    };
    const std::vector<Row> rows = {
        {rep_err_unknown, "no export 'disk' (the server says: gone?)", false},
        {rep_err_policy, "does not let this client", false},
        {rep_err_tls_reqd, "requires TLS; write nbds://", false},
        {rep_err_shutdown, "shutting down", true},
        {rep_err_block_size_reqd, "needs more than this client can", false},
        {rep_err_too_big, "refuses export 'disk': error 9", true},
        {rep_err_platform, "error 4", true},
        {(1u << 31) + 4711, "error 4711", true},
    };
    for (const Row& row : rows) {
        wish({.export_name = "disk"});
        reach_go();
        say(reply(opt_go, row.type, Bytes().text("gone\n")));
        expect_problem(row.words);
        EXPECT_EQ(machine.may_pass(), row.may_pass) << row.words;
    }
    wish({.export_name = "disk"});
    greet();
    say(reply(opt_structured_reply, rep_err_tls_reqd));
    expect_problem("requires TLS");
}

TEST_F(NbdClientHandshakeTest, SaysWhereTheServerHungUp) {
    machine.closed();
    expect_problem("without a word");
    EXPECT_TRUE(machine.may_pass());
    wish({.export_name = "disk"});
    greet();
    machine.closed();
    expect_problem("at STRUCTURED_REPLY");
    wish({.export_name = "disk"});
    greet(0);
    machine.closed();
    expect_problem("no export 'disk'");
    // Behind the end it is nothing to the handshake.
    wish({.export_name = "disk"});
    greet(0);
    say(Bytes().u64(1).u16(1).zeroes(export_name_padding_bytes));
    machine.closed();
    EXPECT_EQ(machine.phase(), Phase::transmission);
}

TEST_F(NbdClientHandshakeTest, RefusesWhatNoServerSays) {
    struct Row {
        Bytes said;
        std::string words;
    };
    const std::vector<Row> rows = {
        {reply(opt_go, rep_ack), "without telling the export's size"},
        {reply(opt_list, rep_ack), "answers option 3 when GO was asked"},
        {Bytes().u64(1).u32(opt_go).u32(1).u32(0), "does not begin as one"},
        {reply(opt_go, rep_server), "with type 2"},
        {reply(opt_go, rep_meta_context), "with type 4"},
        {reply(opt_go, rep_info), "no type"},
        {reply(opt_go, rep_info, export_info().u16(0)), "in a wrong form"},
        {reply(opt_go, rep_info, export_info(UINT64_MAX)), "which cannot be"},
        {reply(opt_go, rep_info, block_sizes(0, 4096, 4096)), "cannot be: minimum 0"},
        {reply(opt_go, rep_info, block_sizes(3, 4096, 4096)), "cannot be: minimum 3"},
        {reply(opt_go, rep_info, block_sizes(131072, 131072, 1 << 25)), "minimum 131072"},
        {reply(opt_go, rep_info, block_sizes(4096, 4096, 512)), "maximum 512"},
        {reply(opt_go, rep_info, block_sizes(1, 1, 1).u16(0)), "in a wrong form"},
        {Bytes().u64(option_reply_magic).u32(opt_go).u32(rep_info).u32(65537), "too long"},
        {reply(opt_go, rep_ack, Bytes().u32(0)), "carries data"},
    };
    for (const Row& row : rows) {
        wish({.export_name = "disk"});
        reach_go();
        say(row.said);
        expect_problem(row.words);
        EXPECT_FALSE(machine.may_pass());
    }
    wish({.export_name = "disk"});
    greet();
    say(reply(opt_structured_reply, rep_ack));
    say(reply(opt_set_meta_context, rep_meta_context, Bytes().u32(9).text("qemu:x")));
    expect_problem("was not asked for");
    wish({.export_name = "disk"});
    reach_go();
    for (unsigned count = 0; count < NbdClientHandshake::replies_max; ++count)
        say(reply(opt_go, rep_info, export_info()));
    EXPECT_EQ(machine.phase(), Phase::options);
    say(reply(opt_go, rep_info, export_info()));
    expect_problem("does not come to an end with GO");
}

TEST_F(NbdClientHandshakeTest, TellsOtherServersByTheirGreeting) {
    say(Bytes().text("SSH-2.0-OpenSSH_9.2"));
    expect_problem("no NBD server");
    wish({.export_name = "disk"});
    say(Bytes().u64(init_magic).u64(0x00420281861253).u16(0));
    expect_problem("oldstyle");
    wish({.export_name = "disk"});
    say(Bytes().u64(init_magic).u64(1).u16(0));
    expect_problem("no NBD greeting");
    wish({.export_name = std::string(4097, 'x')});
    expect_problem("longer than NBD allows");
}

TEST_F(NbdClientHandshakeTest, KeepsPayloadsWithinBothSidesLimits) {
    reach_go();
    say(reply(opt_go, rep_info, block_sizes(65536, 65536, UINT32_MAX)));
    EXPECT_EQ(machine.offer().session.maximum_payload, limits::payload_bytes_max);
    say(reply(opt_go, rep_info, block_sizes(4096, 1, 10000)));
    EXPECT_EQ(machine.offer().session.maximum_payload, 8192u);
    EXPECT_EQ(machine.offer().preferred_block, 65536u);  // A wrong one changes nothing.
}

}  // namespace
}  // namespace braidway::wire
