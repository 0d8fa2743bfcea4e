// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_device.h"

#include <gmock/gmock.h>

#include "base/random.h"
#include "path/iscsi_fixture.h"

namespace braidway::path {
namespace {

using testing::HasSubstr;

using IscsiDeviceTest = IscsiTest;

TEST_F(IscsiDeviceTest, FindsTheUnitAndItsShape) {
    IscsiDevice& device = make(options(uri()));
    EXPECT_FALSE(device.connected());
    const auto found = connect(device);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_TRUE(device.connected());
    EXPECT_EQ(found->geometry.size_bytes, disk_bytes);
    EXPECT_EQ(found->geometry.block_bytes, 512u);
    EXPECT_FALSE(found->geometry.read_only);
    EXPECT_THAT(found->identity, testing::StartsWith("3"));
    EXPECT_THAT(found->description, HasSubstr("IET VIRTUAL-DISK"));
    EXPECT_THAT(found->description, HasSubstr("LUN 1"));
}

TEST_F(IscsiDeviceTest, TwoPortalsLeadToOneUnitAndTwoUnitsAreTwo) {
    target_->add_unit(1, 2, target_->disk("other", disk_bytes));
    const auto first = connect(make(options(uri(1))));
    const auto second = connect(make(options(uri(1, "", 1))));
    const auto other = connect(make(options(uri(2))));
    ASSERT_TRUE(first && second && other);
    EXPECT_EQ(first->identity, second->identity);
    EXPECT_NE(first->identity, other->identity);
}

TEST_F(IscsiDeviceTest, TakesNoDataUntilItIsAdmitted) {
    IscsiDevice& device = make(options(uri()));
    Client client;
    EXPECT_EQ(run(device, client), IoStatus::offline);
    ASSERT_TRUE(connect(device));
    EXPECT_EQ(run(device, client), IoStatus::offline);
    device.admit();
    EXPECT_EQ(run(device, client), IoStatus::ok);
}

TEST_F(IscsiDeviceTest, WritesAndReadsOfEverySize) {
    IscsiDevice& device = connected(options(uri()));
    Random random(7);
    for (const uint64_t length : {512u, 4096u, 65536u, 300u << 10, 1u << 20, 5u << 20}) {
        Client write(IoOp::write, 3 * 4096, length);
        auto* bytes = static_cast<char*>(write.data.iov_base);
        for (uint64_t at = 0; at < length; ++at) bytes[at] = static_cast<char>(random.next());
        ASSERT_EQ(run(device, write), IoStatus::ok) << length;
        EXPECT_EQ(stored(3 * 4096, length), std::string(bytes, length)) << length;
        Client read(IoOp::read, 3 * 4096, length, 0);
        ASSERT_EQ(run(device, read), IoStatus::ok) << length;
        EXPECT_EQ(std::string(static_cast<char*>(read.data.iov_base), length),
                  std::string(bytes, length));
    }
}

TEST_F(IscsiDeviceTest, ScattersAndGathersManyPieces) {
    IscsiDevice& device = connected(options(uri()));
    constexpr size_t pieces = 700;  // of 1.5 KiB: more than one command takes, and no multiple
    Client write(IoOp::write, 4096, pieces * 1536);
    for (uint64_t at = 0; at < write.data.iov_len; ++at)
        static_cast<char*>(write.data.iov_base)[at] = static_cast<char>(at / 7);
    Client read(IoOp::read, 4096, pieces * 1536, 0);
    std::vector<iovec> to;
    for (Client* client : {&write, &read}) {
        std::vector<iovec> list;
        for (size_t piece = 0; piece < pieces; ++piece)
            list.push_back({static_cast<char*>(client->data.iov_base) + piece * 1536, 1536});
        if (client == &read) std::ranges::reverse(list);
        client->request.data = list;
        ASSERT_EQ(run(device, *client), IoStatus::ok);
        EXPECT_EQ(list[1].iov_len, 1536u) << "the request's own vectors stay as they are";
    }
    for (size_t piece = 0; piece < pieces; ++piece)
        ASSERT_EQ(memcmp(static_cast<char*>(read.data.iov_base) + (pieces - 1 - piece) * 1536,
                         static_cast<char*>(write.data.iov_base) + piece * 1536, 1536),
                  0)
            << piece;
}

TEST_F(IscsiDeviceTest, KeepsManyRequestsUnderWay) {
    IscsiDevice& device = connected(options(uri()));
    std::vector<std::unique_ptr<Client>> clients;
    int ended = 0;
    for (int index = 0; index < 400; ++index) {
        clients.push_back(std::make_unique<Client>(index % 2 == 0 ? IoOp::write : IoOp::read,
                                                   uint64_t{4096} * (index / 2), 4096, index));
        clients.back()->on_end = [&](Client&) { ++ended; };
    }
    for (const auto& client : clients) client->submit(device);
    turn_until([&] { return ended == 400; });
    for (const auto& client : clients) EXPECT_EQ(client->status, IoStatus::ok);
    EXPECT_EQ(device.counters().io.commands, 400u);
}

TEST_F(IscsiDeviceTest, FlushesZeroesAndFrees) {
    target_->add_unit(1, 3, disk_, "thin_provisioning=1");
    IscsiDevice& device = connected(options(uri(3)));
    EXPECT_TRUE(device.geometry().can_discard);
    EXPECT_TRUE(device.geometry().can_write_zeroes);
    Client write(IoOp::write, 0, 1u << 20, 'x');
    write.request.fua = true;
    EXPECT_EQ(run(device, write), IoStatus::ok);
    Client flush(IoOp::flush);
    EXPECT_EQ(run(device, flush), IoStatus::ok);
    Client zeroes(IoOp::write_zeroes, 4096, 8192);
    zeroes.request.fua = true;
    EXPECT_EQ(run(device, zeroes), IoStatus::ok);
    EXPECT_EQ(stored(0, 16384),
              std::string(4096, 'x') + std::string(8192, '\0') + std::string(4096, 'x'));
    Client discard(IoOp::discard, 65536, 65536);
    EXPECT_EQ(run(device, discard), IoStatus::ok);
    EXPECT_EQ(stored(65536, 65536), std::string(65536, '\0'));
    Client cache(IoOp::cache, 0, 4096);
    EXPECT_EQ(run(device, cache), IoStatus::ok);
    Client status(IoOp::block_status, 0, 4096);
    EXPECT_EQ(run(device, status), IoStatus::not_supported);
}

TEST_F(IscsiDeviceTest, ShowsAReadOnlyUnit) {
    target_->add_unit(1, 3, disk_, "readonly=1");
    const auto found = connect(make(options(uri(3))));
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->geometry.read_only);
    EXPECT_THAT(found->description, HasSubstr("read-only"));
}

TEST_F(IscsiDeviceTest, ChecksHeadersByCrc32c) {
    IscsiOptions with = options(uri() + "?header_digest=crc32c");
    IscsiDevice& device = connected(with);
    Client write(IoOp::write, 0, 1u << 20, 'd');
    EXPECT_EQ(run(device, write), IoStatus::ok);
    EXPECT_EQ(stored(0, 1u << 20), std::string(1u << 20, 'd'));
}

TEST_F(IscsiDeviceTest, ProvesItselfByChapAndAsksTheTargetToo) {
    target_->add_user("joe", "secret-of-joe");
    target_->add_user("array", "secret-of-array");
    target_->bind_user(1, "joe");
    target_->bind_user(1, "array", true);
    IscsiOptions one_way = options(uri(1, "joe@"));
    one_way.secret = "secret-of-joe";
    EXPECT_EQ(refusal(one_way), "none");
    EXPECT_EQ(refusal(options(uri(1, "joe%secret-of-joe@"))), "none");
    IscsiOptions both = options(uri(1, "joe@") + "?target_user=array");
    both.secret = "secret-of-joe";
    both.target_secret = "secret-of-array";
    EXPECT_EQ(refusal(both), "none");

    one_way.secret = "wrong-secret";
    EXPECT_EQ(refusal(one_way), "the target refuses user 'joe' or its CHAP secret; check both");
    EXPECT_THAT(refusal(options(uri())), HasSubstr("wants CHAP; name a user"));
    both.target_secret = "not-the-array";
    EXPECT_THAT(refusal(both), HasSubstr("did not prove itself (mutual CHAP)"));
    both.target_secret = "secret-of-array";
    both.uri.target_user = "another";
    EXPECT_THAT(refusal(both), HasSubstr("did not prove itself (mutual CHAP)"));
}

TEST_F(IscsiDeviceTest, ReadsItsSecretAnewWhenItWasRefused) {
    target_->add_user("joe", "secret-of-joe");
    target_->bind_user(1, "joe");
    IscsiOptions with_file = options(uri(1, "joe@"));
    with_file.secret_file = target_->folder() + "/joe";
    std::ofstream(with_file.secret_file) << "secret-of-jim";
    ASSERT_EQ(chmod(with_file.secret_file.c_str(), 0600), 0);
    IscsiDevice& device = make(with_file);
    const auto wrong = connect(device);
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().message, HasSubstr("refuses user 'joe'"));
    std::ofstream(with_file.secret_file) << "secret-of-joe";
    EXPECT_TRUE(connect(device)) << "without being told";
    device.disconnect();
    ASSERT_EQ(chmod(with_file.secret_file.c_str(), 0644), 0);
    EXPECT_TRUE(connect(device)) << "the one it knows is good: the file is not needed";
    device.disconnect();
    const auto open = connect(make(with_file));
    ASSERT_FALSE(open);
    EXPECT_THAT(open.error().message, HasSubstr("is open to every user"));
}

TEST_F(IscsiDeviceTest, OffersTheBlocksThatItIsTold) {
    IscsiOptions larger = options(uri());
    larger.block_bytes = 4096;
    IscsiDevice& device = connected(larger);
    EXPECT_EQ(device.geometry().block_bytes, 4096u);
    Client write(IoOp::write, 4096, 4096, 'b');
    EXPECT_EQ(run(device, write), IoStatus::ok);
    EXPECT_EQ(stored(4096, 4096), std::string(4096, 'b'));
    larger.block_bytes = 256;
    EXPECT_THAT(refusal(larger), HasSubstr("block_size 256 is smaller than the 512 bytes"));
}

TEST_F(IscsiDeviceTest, ACommandAndItsAnswerAreOneWait) {
    IscsiDevice& device = connected(options(uri()));
    if (loop_->backend() != loop::Backend::io_uring) GTEST_SKIP() << "no io_uring here";
    constexpr int rounds = 200;
    const loop::LoopCounters before = loop_->counters();
    Client read(IoOp::read, 4096, 4096);
    read.on_end = [&](Client& client) {
        if (client.ended == rounds || client.status != IoStatus::ok) return;
        client.prepare(IoOp::read, 4096, 4096);
        client.submit(device);
    };
    read.submit(device);
    turn_until([&] { return read.ended == rounds; });
    const loop::LoopCounters after = loop_->counters();
    // A turn waits for an answer and ends with the library's sending the next command: one call,
    // and another one where it looked before it slept; the library makes three.
    EXPECT_LE(after.turns - before.turns, uint64_t{rounds} * 11 / 10);
    const uint64_t looks = after.looks - before.looks;
    EXPECT_LE(after.system_calls - before.system_calls, uint64_t{rounds} * 11 / 10 + looks);
    EXPECT_LE(looks, uint64_t{rounds});
}

TEST_F(IscsiDeviceTest, SaysInOneLineWhatToDo) {
    const auto with_target = [&](const std::string& name) {
        IscsiOptions wrong = options(uri());
        wrong.uri.target = name;
        return wrong;
    };
    EXPECT_THAT(refusal(with_target("iqn.2026-11.org.example:none")),
                HasSubstr("this portal has no target 'iqn.2026-11.org.example:none'"));
    EXPECT_EQ(refusal(options(uri(9))), "LUN 9: the target has no such LUN; it has 0, 1");
    EXPECT_THAT(refusal(options(uri(0))), HasSubstr("no disk but a device of type 0x0c"));
    IscsiOptions refused = options(uri());
    refused.uri.port = Tgtd::free_port();
    EXPECT_THAT(refusal(refused), HasSubstr("Connection refused"));
    IscsiOptions unknown = options(uri());
    unknown.uri.host = "no-such-host.invalid";
    EXPECT_THAT(refusal(unknown), HasSubstr("cannot find host 'no-such-host.invalid'"));
    IscsiOptions silent = options(uri());
    silent.connect_timeout = 100ms;
    target_->pause();
    EXPECT_THAT(refusal(silent),
                testing::AllOf(HasSubstr("no answer from 127.0.0.1:"), HasSubstr("within 100 ms")));
}

}  // namespace
}  // namespace braidway::path
