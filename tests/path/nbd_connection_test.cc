// SPDX-License-Identifier: Apache-2.0
#include "path/nbd_connection.h"

#include "nbd_world.h"

namespace braidway::path {
namespace {

TEST(NamePieces, CutsWhatIsAskedForOutOfManyPieces) {
    std::byte memory[100];
    const iovec from[]{{memory, 10}, {memory + 20, 0}, {memory + 30, 20}, {memory + 60, 5}};
    iovec to[3];
    uint64_t named = 0;
    EXPECT_EQ(name_pieces(from, 0, 10, to, 3, named), 1u);
    EXPECT_EQ(to[0].iov_base, memory);
    EXPECT_EQ(named, 10u);
    ASSERT_EQ(name_pieces(from, 8, 20, to, 3, named), 2u);
    EXPECT_EQ(to[0].iov_base, memory + 8);
    EXPECT_EQ(to[0].iov_len, 2u);
    EXPECT_EQ(to[1].iov_base, memory + 30);
    EXPECT_EQ(to[1].iov_len, 18u);
    ASSERT_EQ(name_pieces(from, 12, 100, to, 1, named), 1u);
    EXPECT_EQ(to[0].iov_base, memory + 32);
    EXPECT_EQ(named, 18u);
}

/// Writes down what a connection tells its owner.
class NbdConnectionTest : public LaneTest, public NbdConnection::Owner {
  protected:
    ~NbdConnectionTest() override {
        connection_->cut("the test is over", IoStatus::transport);
        pump_until([&] { return connection_->quiet(); });
        connection_.reset();
    }
    void start() {
        options_.target.socket = path_;
        options_.wishes.export_name = "disk";
        connection_ = std::make_unique<NbdConnection>(*loop_, options_, *this);
        connection_->start();
    }
    template <typename Condition>
    void pump_until(Condition condition) {
        const Instant give_up = monotonic_now() + 20s;
        while (!condition() && monotonic_now() < give_up) {
            if (serves_) server_.work();
            loop_->turn(monotonic_now() + 1ms);
        }
        EXPECT_TRUE(condition()) << "this has not come about";
    }
    void entered(NbdConnection&) override { ++entered_; }
    void command_ended(NbdConnection&, NbdCommand&) override { ++ended_; }
    void extent_told(NbdCommand&, const wire::NbdExtent&) override {}
    bool hole_told(NbdCommand&, uint32_t, uint32_t) override { return false; }
    void closed(NbdConnection&) override { ++closed_; }

    std::string path_ = testing::TempDir() + "nbd_conn_" + std::to_string(::getpid()) + ".sock";
    ScriptedServer server_{path_};
    bool serves_ = true;
    NbdConnectionOptions options_;
    std::unique_ptr<NbdConnection> connection_;
    int entered_ = 0;
    int ended_ = 0;
    int closed_ = 0;
};

TEST_F(NbdConnectionTest, EntersAndKnowsWhatTheServerOffers) {
    start();
    pump_until([&] { return entered_ == 1; });
    EXPECT_TRUE(connection_->open());
    EXPECT_EQ(connection_->offer().session.size_bytes, 1u << 20);
    EXPECT_EQ(closed_, 0);
}

TEST_F(NbdConnectionTest, GivesItsMemoryBackBeforeItSaysThatACommandEnded) {
    start();
    pump_until([&] { return entered_ == 1; });
    server_.silent = true;
    std::vector<std::byte> memory(8u << 20);
    const iovec data{memory.data(), memory.size()};
    NbdCommand write;
    write.command = wire::nbd::cmd_write;
    write.length = static_cast<uint32_t>(memory.size());
    write.data = {&data, 1};
    write.started = loop_->now();
    connection_->submit(write);
    for (int turn = 0; turn < 5; ++turn) loop_->turn(Instant{0});
    EXPECT_EQ(write.stage, NbdCommand::Stage::sending);  // The socket has no room for all of it.
    connection_->cut("enough", IoStatus::transport);
    EXPECT_EQ(ended_, 0) << "the send may still read the memory";
    pump_until([&] { return closed_ == 1; });
    EXPECT_EQ(ended_, 1);
    EXPECT_TRUE(write.maybe_executed);
    EXPECT_EQ(connection_->reason(), "enough");
    EXPECT_FALSE(connection_->closed_by_peer());
}

TEST_F(NbdConnectionTest, AnEarlyAnswerWaitsForTheEndOfTheSending) {
    start();
    pump_until([&] { return entered_ == 1; });
    serves_ = false;
    std::vector<std::byte> memory(8u << 20);
    const iovec data{memory.data(), memory.size()};
    NbdCommand write;
    write.command = wire::nbd::cmd_write;
    write.length = static_cast<uint32_t>(memory.size());
    write.data = {&data, 1};
    write.started = loop_->now();
    connection_->submit(write);
    for (int turn = 0; turn < 5; ++turn) loop_->turn(Instant{0});
    server_.peers[0].answer({.cookie = write.cookie}, wire::nbd::error_enospc);
    for (int turn = 0; turn < 5; ++turn) loop_->turn(Instant{0});
    EXPECT_EQ(ended_, 0);
    serves_ = true;
    pump_until([&] { return ended_ == 1; });
    EXPECT_EQ(write.status, IoStatus::no_space);
    EXPECT_TRUE(connection_->open());
}

TEST_F(NbdConnectionTest, KnowsWhetherTheOtherSideClosed) {
    start();
    pump_until([&] { return entered_ == 1; });
    server_.stop();
    pump_until([&] { return closed_ == 1; });
    EXPECT_TRUE(connection_->closed_by_peer());
    EXPECT_EQ(connection_->reason(), "the server closed the connection");
}

/// A stream that knows why its peer has ended it.
class TalkativeStream final : public loop::Stream {
  public:
    explicit TalkativeStream(std::unique_ptr<loop::Stream> below) : below_(std::move(below)) {}
    void receive(loop::Operation& operation, const iovec* iov, uint32_t count) override {
        below_->receive(operation, iov, count);
    }
    void send(loop::Operation& operation, const iovec* iov, uint32_t count) override {
        below_->send(operation, iov, count);
    }
    void cancel(loop::Operation& operation) override { below_->cancel(operation); }
    void end_sending() override { below_->end_sending(); }
    void shut_down() override { below_->shut_down(); }
    int fd() const override { return below_->fd(); }
    std::string_view problem() const override { return "the server refuses our certificate"; }

  private:
    std::unique_ptr<loop::Stream> below_;
};

class TalkativeUpgrade final : public StreamUpgrade {
  public:
    explicit TalkativeUpgrade(loop::Loop& loop) : loop_(loop) {
        operation_.owner = this;
        operation_.done = [](loop::Operation& operation, int32_t) {
            auto& self = *static_cast<TalkativeUpgrade*>(operation.owner);
            self.done_(std::make_unique<TalkativeStream>(std::move(self.plain_)));
        };
    }
    void begin(std::unique_ptr<loop::Stream> plain, Done done) override {
        plain_ = std::move(plain);
        done_ = std::move(done);
        loop_.complete_soon(operation_, 0);
    }
    void cancel() override {}
    std::string description() const override { return "TLSv1.3"; }

  private:
    loop::Loop& loop_;
    std::unique_ptr<loop::Stream> plain_;
    Done done_;
    loop::Operation operation_;
};

TEST_F(NbdConnectionTest, WhatTheStreamKnowsOfItsEndIsTheReason) {
    options_.wishes.tls = true;
    options_.upgrade = [](loop::Loop& loop) { return std::make_unique<TalkativeUpgrade>(loop); };
    start();
    pump_until([&] { return entered_ == 1; });
    EXPECT_EQ(connection_->security(), "TLSv1.3");
    server_.stop();
    pump_until([&] { return closed_ == 1; });
    EXPECT_EQ(connection_->reason(), "TLS: the server refuses our certificate");
    EXPECT_TRUE(connection_->closed_by_peer());
}

TEST_F(NbdConnectionTest, WithoutAnythingToEncryptWithAServerOfNbdsIsRefusedInOneLine) {
    options_.wishes.tls = true;
    start();
    pump_until([&] { return closed_ == 1; });
    EXPECT_EQ(connection_->reason(), "no certificates or keys are given for TLS");
}

}  // namespace
}  // namespace braidway::path
