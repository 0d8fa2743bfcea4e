// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_client_replies.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "nbd_bytes.h"
#include "wire/nbd_request.h"

namespace braidway::wire {
namespace {

using namespace nbd;
using Step = NbdReplyReader::Step;

Bytes simple(uint64_t cookie, uint32_t error = error_none) {
    return Bytes().u32(simple_reply_magic).u32(error).u64(cookie);
}
Bytes chunk(uint64_t cookie, uint16_t type, const Bytes& payload = {},
            uint16_t flags = reply_flag_done) {
    return Bytes()
        .u32(structured_reply_magic)
        .u16(flags)
        .u16(type)
        .u64(cookie)
        .u32(static_cast<uint32_t>(payload.size()))
        .add(payload);
}
Bytes data_chunk(uint64_t cookie, uint64_t offset, std::string_view data,
                 uint16_t flags = reply_flag_done) {
    return chunk(cookie, reply_offset_data, Bytes().u64(offset).text(data), flags);
}
Bytes hole_chunk(uint64_t cookie, uint64_t offset, uint32_t length,
                 uint16_t flags = reply_flag_done) {
    return chunk(cookie, reply_offset_hole, Bytes().u64(offset).u32(length), flags);
}
Bytes error_chunk(uint64_t cookie, uint32_t error, std::string_view text = "",
                  uint16_t flags = reply_flag_done) {
    const Bytes payload = Bytes().u32(error).u16(static_cast<uint16_t>(text.size())).text(text);
    return chunk(cookie, reply_error, payload, flags);
}

/// Requests, what was told of them, and a log of everything in order.
class NbdClientRepliesTest : public testing::Test, public NbdAwaitedRequests {
  protected:
    struct Asked : NbdAwaited {
        std::string data;
        bool answered = false;
    };

    NbdClientRepliesTest() { agree(true, true); }

    void agree(bool structured, bool statuses) {
        NbdSession session;
        session.structured = structured;
        session.base_allocation = statuses;
        reader = std::make_unique<NbdReplyReader>(session, 7, *this);
        asked.clear();
        by_cookie.clear();
        log.clear();
    }
    Asked& ask(uint16_t command, uint64_t cookie, uint64_t offset, uint32_t length) {
        Asked& request = asked.emplace_back();
        request.command = command;
        request.cookie = cookie;
        request.offset = offset;
        request.length = length;
        std::byte head[request_bytes];
        request.write(head, 0);
        request.data.assign(command == cmd_read ? length : 0, '?');
        by_cookie[cookie] = &request;
        return request;
    }
    NbdAwaited* find(uint64_t cookie) override {
        const auto found = by_cookie.find(cookie);
        if (found == by_cookie.end() || found->second->answered) return nullptr;
        return found->second;
    }

    /// The server says `bytes`, which arrive `piece` at a time; true when it makes sense.
    bool say(const Bytes& bytes, size_t piece = SIZE_MAX) {
        std::span<const std::byte> left(bytes.get());
        std::vector<std::byte> staged;
        while (!left.empty()) {
            const size_t count = std::min(piece, left.size());
            staged.insert(staged.end(), left.begin(),
                          left.begin() + static_cast<std::ptrdiff_t>(count));
            left = left.subspan(count);
            if (!drain(staged)) return false;
            EXPECT_LT(staged.size(), NbdReplyReader::head_bytes_max);
        }
        return true;
    }
    bool drain(std::vector<std::byte>& staged) {
        for (;;) {
            NbdReplyEvent event;
            size_t taken = 0;
            const Step step = reader->next(staged, event, taken);
            note(step, event);
            staged.erase(staged.begin(), staged.begin() + static_cast<std::ptrdiff_t>(taken));
            if (step == Step::more) return true;
            if (step == Step::broken) return false;
        }
    }
    void note(Step step, const NbdReplyEvent& event) {
        if (step == Step::more || step == Step::broken) return;
        Asked& request = static_cast<Asked&>(*event.request);
        if (step == Step::data)
            for (size_t at = 0; at < event.data.size(); ++at)
                request.data.at(event.at + at) = static_cast<char>(event.data[at]);
        if (step == Step::hole) request.data.replace(event.at, event.length, event.length, '0');
        if (step == Step::extent)
            log += fmt::format("{}: extent {} {}; ", request.cookie, event.extent.length_bytes,
                               event.extent.state);
        if (step == Step::done) {
            EXPECT_FALSE(request.answered);
            request.answered = true;
            log += fmt::format("{}: {} '{}'; ", request.cookie, nbd_error_name(request.error),
                               event.text);
        }
    }
    void expect_broken(const Bytes& bytes, std::string_view words) {
        EXPECT_FALSE(say(bytes));
        EXPECT_NE(reader->problem().find(words), std::string::npos) << reader->problem();
        EXPECT_EQ(reader->problem().find('\n'), std::string::npos);
        std::vector<std::byte> none;
        EXPECT_FALSE(drain(none)) << "broken is for good";
    }

    std::unique_ptr<NbdReplyReader> reader;
    std::deque<Asked> asked;
    std::map<uint64_t, Asked*> by_cookie;
    std::string log;
};

TEST_F(NbdClientRepliesTest, WritesRequestsAsTheServerReadsThem) {
    NbdAwaited awaited;
    awaited.command = cmd_write_zeroes;
    awaited.cookie = 0x1122334455667788;
    awaited.offset = 4096;
    awaited.length = 8192;
    awaited.error = error_eio;
    std::byte head[request_bytes];
    awaited.write(head, cmd_flag_fua | cmd_flag_no_hole);
    EXPECT_EQ(awaited.error, error_none);
    NbdSession session;
    session.size_bytes = 1 << 20;
    session.flags = has_flags | send_fua | send_write_zeroes;
    NbdRequestReader server(session);
    NbdRequest request;
    size_t taken = 0;
    ASSERT_EQ(server.next(head, request, taken), NbdRequestReader::Step::request);
    EXPECT_EQ(request.error, error_none) << request.error_text;
    EXPECT_EQ(request.command, cmd_write_zeroes);
    EXPECT_EQ(request.flags, cmd_flag_fua | cmd_flag_no_hole);
    EXPECT_EQ(request.cookie, 0x1122334455667788u);
    EXPECT_EQ(request.offset, 4096u);
    EXPECT_EQ(request.length, 8192u);
}

TEST_F(NbdClientRepliesTest, TakesSimpleRepliesInAnyOrderAndAnyPieces) {
    for (size_t piece = 1; piece < 50; ++piece) {
        agree(false, false);
        Asked& first = ask(cmd_read, 1, 100, 5);
        ask(cmd_write, 2, 0, 512);
        Asked& third = ask(cmd_read, 3, 0, 3);
        ask(cmd_flush, 4, 0, 0);
        const Bytes said = Bytes()
                               .add(simple(3))
                               .text("abc")
                               .add(simple(2, error_enospc))
                               .add(simple(4))
                               .add(simple(1))
                               .text("hello");
        EXPECT_TRUE(say(said, piece));
        EXPECT_EQ(log, "3: ok ''; 2: ENOSPC ''; 4: ok ''; 1: ok ''; ");
        EXPECT_EQ(first.data, "hello");
        EXPECT_EQ(third.data, "abc");
    }
}

TEST_F(NbdClientRepliesTest, PutsChunksOfSeveralReadsWhereTheyBelong) {
    for (size_t piece = 1; piece < 60; ++piece) {
        agree(true, true);
        Asked& first = ask(cmd_read, 1, 1000, 10);
        Asked& second = ask(cmd_read, 2, 0, 4);
        const Bytes said = Bytes()
                               .add(data_chunk(1, 1006, "ghij", 0))
                               .add(data_chunk(2, 0, "wxyz", 0))
                               .add(hole_chunk(1, 1000, 2, 0))
                               .add(chunk(2, reply_none))
                               .add(data_chunk(1, 1002, "cdef"));
        EXPECT_TRUE(say(said, piece));
        EXPECT_EQ(log, "2: ok ''; 1: ok ''; ");
        EXPECT_EQ(first.data, "00cdefghij");
        EXPECT_EQ(second.data, "wxyz");
    }
}

TEST_F(NbdClientRepliesTest, SaysHowMuchDataMayBeReceivedInPlace) {
    Asked& read = ask(cmd_read, 1, 0, 10);
    std::vector<std::byte> head = data_chunk(1, 0, "0123456789").get();
    head.resize(head.size() - 7);
    EXPECT_EQ(reader->data_left(), 0u);
    EXPECT_TRUE(drain(head));
    EXPECT_EQ(read.data, "012???????");
    EXPECT_EQ(reader->data_left(), 7u);
    EXPECT_EQ(reader->data_at(), 3u);
    EXPECT_EQ(reader->data_request(), &read);
    reader->data_arrived(4);
    EXPECT_EQ(reader->data_left(), 3u);
    EXPECT_EQ(reader->data_at(), 7u);
    reader->data_arrived(3);
    EXPECT_EQ(reader->data_left(), 0u);
    EXPECT_EQ(log, "");
    std::vector<std::byte> none;
    EXPECT_TRUE(drain(none));
    EXPECT_EQ(log, "1: ok ''; ");
}

TEST_F(NbdClientRepliesTest, TellsErrorsWithTheServersWords) {
    for (size_t piece = 1; piece < 50; ++piece) {
        agree(true, true);
        ask(cmd_read, 1, 0, 8);
        ask(cmd_write, 2, 0, 8);
        ask(cmd_flush, 3, 0, 0);
        ask(cmd_trim, 4, 0, 8);
        ask(cmd_read, 5, 0, 8);
        const Bytes at_offset = Bytes().u32(error_eio).u16(10).text("bad sector").u64(4);
        const Bytes said =
            Bytes()
                .add(data_chunk(1, 0, "abcd", 0))
                .add(chunk(1, reply_error_offset, at_offset, 0))
                .add(error_chunk(1, error_enomem, "and more"))
                .add(error_chunk(2, error_eperm, "no", 0))
                .add(chunk(2, reply_none))
                .add(chunk(3, (1 << 15) + 99, Bytes().u32(error_eio).u16(0).text("later")))
                .add(simple(4, error_einval))
                .add(error_chunk(5, 12345, std::string(4096, 'x')));
        EXPECT_TRUE(say(said, piece));
        EXPECT_EQ(log, "1: EIO 'and more'; 2: EPERM ''; 3: EIO ''; 4: EINVAL ''; 5: unknown '" +
                           std::string(NbdReplyWriter::text_bytes_max, 'x') + "'; ");
    }
}

TEST_F(NbdClientRepliesTest, TellsExtentsOneByOne) {
    for (size_t piece = 1; piece < 50; ++piece) {
        agree(true, true);
        ask(cmd_block_status, 1, 0, 8192);
        const Bytes status =
            Bytes().u32(7).u32(4096).u32(state_hole | state_zero).u32(1 << 20).u32(0);
        EXPECT_TRUE(say(chunk(1, reply_block_status, status), piece));
        EXPECT_EQ(log, "1: extent 4096 3; 1: extent 1048576 0; 1: ok ''; ");
    }
}

TEST_F(NbdClientRepliesTest, ReadsWhatOurOwnServerWrites) {
    NbdSession session;
    session.structured = true;
    const NbdReplyWriter writer(session);
    Asked& read = ask(cmd_read, 1, 4096, 4);
    Asked& hole = ask(cmd_read, 2, 0, 4);
    ask(cmd_write, 3, 0, 4);
    ask(cmd_read, 4, 512, 4);
    std::byte head[NbdReplyWriter::head_bytes_max];
    const auto written = [&](size_t count) {
        return Bytes().text({reinterpret_cast<const char*>(head), count});
    };
    EXPECT_TRUE(say(written(writer.data(head, 1, 4096, 4)).text("data")));
    EXPECT_TRUE(say(written(writer.hole(head, 2, 0, 4))));
    EXPECT_TRUE(say(written(writer.done(head, 3, 0))));
    EXPECT_TRUE(say(written(writer.error(head, 4, 512, error_eio, "lost", true))));
    EXPECT_EQ(log, "1: ok ''; 2: ok ''; 3: ok ''; 4: EIO 'lost'; ");
    EXPECT_EQ(read.data, "data");
    EXPECT_EQ(hole.data, "0000");
}

TEST_F(NbdClientRepliesTest, RefusesWhatNoServerMaySay) {
    struct Row {
        Bytes said;
        std::string words;
    };
    const Bytes status = Bytes().u32(7).u32(4096).u32(0);
    const std::vector<Row> rows = {
        {Bytes().u32(0x12345678), "no reply begins with 12345678"},
        {simple(99), "cookie 63, which nothing waits for"},
        {chunk(99, reply_none), "cookie 63, which nothing waits for"},
        {simple(1), "read of 8 bytes at 100 with a simple reply although"},
        {simple(3), "a simple reply, which cannot carry it"},
        {chunk(1, reply_none), "an end before all of the data"},
        {data_chunk(1, 100, "1234"), "an end before all of the data"},
        {chunk(2, reply_none, {}, 0), "a chunk of type 0 with 0 bytes"},
        {chunk(2, reply_none, Bytes().u16(1)), "a chunk of type 0 with 2 bytes"},
        {data_chunk(2, 0, "1234"), "write of 4 bytes at 0 with read data that was not asked"},
        {data_chunk(1, 99, "1234"), "data outside of it: 4 bytes at 99"},
        {data_chunk(1, 105, "1234"), "data outside of it: 4 bytes at 105"},
        {data_chunk(1, UINT64_MAX, "1234"), "data outside of it"},
        {data_chunk(1, 100, ""), "a chunk of type 1 with 8 bytes"},
        {hole_chunk(1, 100, 0), "data outside of it: 0 bytes"},
        {hole_chunk(1, 100, UINT32_MAX), "data outside of it"},
        {chunk(1, reply_offset_hole, Bytes().u64(100)), "a chunk of type 2 with 8 bytes"},
        {data_chunk(1, 100, "1234", 0).add(hole_chunk(1, 103, 5)), "data twice"},
        {data_chunk(1, 100, "12345678", 0).add(data_chunk(1, 100, "1")), "data twice"},
        {chunk(1, reply_block_status, status), "a block status that was not asked for"},
        {chunk(3, reply_block_status, status, 0).add(chunk(3, reply_block_status, status)),
         "a block status twice"},
        {chunk(3, reply_block_status, Bytes().u32(8).u32(1).u32(0)), "of context 8"},
        {chunk(3, reply_block_status, Bytes().u32(7)), "a chunk of type 5 with 4 bytes"},
        {chunk(3, reply_block_status, Bytes().u32(7).u32(0).u32(0)), "an extent of no length"},
        {chunk(3, reply_none), "an end without a block status"},
        {chunk(2, 3), "a chunk of type 3, which is unknown"},
        {chunk(2, reply_error, Bytes().u32(5)), "a chunk of type 32769 with 4 bytes"},
        {chunk(2, reply_error_offset, Bytes().u32(5).u16(0)), "type 32770 with 6 bytes"},
        {error_chunk(2, 0, "fine"), "an error chunk that is none"},
        {chunk(2, reply_error, Bytes().u32(5).u16(1)), "an error chunk that is none"},
        {error_chunk(2, 5, std::string(4200, 'x')), "type 32769 with 4206 bytes"},
    };
    for (const Row& row : rows) {
        agree(true, true);
        ask(cmd_read, 1, 100, 8);
        ask(cmd_write, 2, 0, 4);
        ask(cmd_block_status, 3, 0, 4096);
        expect_broken(row.said, row.words);
    }
    agree(false, false);
    ask(cmd_write, 1, 0, 4);
    expect_broken(chunk(1, reply_none), "no reply begins with 668e33ef");
    agree(false, false);
    ask(cmd_write, 1, 0, 4);
    expect_broken(simple(1).add(simple(1)), "cookie 1, which nothing waits for");
}

TEST_F(NbdClientRepliesTest, CoversAReadInAnyOrderOfStretches) {
    NbdAwaited read;
    read.length = 100;
    std::byte head[request_bytes];
    read.write(head, 0);
    EXPECT_TRUE(read.cover(40, 60));
    EXPECT_TRUE(read.cover(80, 100));
    EXPECT_TRUE(read.cover(0, 20));
    EXPECT_FALSE(read.covered());
    EXPECT_FALSE(read.cover(19, 21));
    EXPECT_FALSE(read.cover(59, 61));
    EXPECT_FALSE(read.cover(0, 100));
    EXPECT_FALSE(read.cover(45, 50));
    EXPECT_TRUE(read.cover(60, 80));
    EXPECT_TRUE(read.cover(30, 40));
    EXPECT_FALSE(read.covered());
    EXPECT_TRUE(read.cover(20, 30));
    EXPECT_TRUE(read.covered());
    read.write(head, 0);
    EXPECT_FALSE(read.covered());
    // A server that answers in every second byte is given up.
    uint32_t at = 0;
    while (read.cover(at, at + 1)) at += 2;
    EXPECT_EQ(at, 32u);
}

TEST(NbdClientErrors, SayWhoIsToBlame) {
    EXPECT_EQ(io_status_from_nbd(error_none), IoStatus::ok);
    for (const uint32_t of_the_path : {error_eio, error_enomem, error_eshutdown})
        EXPECT_TRUE(is_path_error(io_status_from_nbd(of_the_path))) << of_the_path;
    EXPECT_TRUE(is_path_error(io_status_from_nbd(4711)));
    for (const uint32_t of_the_storage :
         {error_eperm, error_einval, error_enospc, error_eoverflow, error_enotsup})
        EXPECT_FALSE(is_path_error(io_status_from_nbd(of_the_storage))) << of_the_storage;
    EXPECT_EQ(io_status_from_nbd(error_enospc), IoStatus::no_space);
}

}  // namespace
}  // namespace braidway::wire
