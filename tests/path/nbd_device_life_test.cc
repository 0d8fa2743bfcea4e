// SPDX-License-Identifier: Apache-2.0
// How an NBD device connects, what it finds, and how it loses its connections.
#include <sys/wait.h>

#include <csignal>

#include "nbd_world.h"

namespace braidway::path {
namespace {

using namespace wire::nbd;

using NbdDeviceLifeTest = NbdDeviceWorld;

TEST_F(NbdDeviceLifeTest, FindsSizeIdentityAndWhatTheServerCan) {
    server_.shown.size_bytes = (1u << 20) + 100;
    connect_and_admit();
    EXPECT_EQ(finding_.geometry.size_bytes, 1u << 20);
    EXPECT_EQ(finding_.geometry.block_bytes, 512u);
    EXPECT_TRUE(finding_.geometry.can_fua);
    EXPECT_TRUE(finding_.geometry.can_discard);
    EXPECT_FALSE(finding_.geometry.can_block_status);
    EXPECT_TRUE(finding_.shared_cache);
    EXPECT_EQ(finding_.identity, "nbd:disk:1048576");
    EXPECT_EQ(finding_.description,
              "nbd " + path_ +
                  " export 'disk', 4 connections; the last 100 bytes are less than a block and "
                  "not used");
    EXPECT_EQ(device_->geometry(), finding_.geometry);
}

TEST_F(NbdDeviceLifeTest, WithoutMultiConnItTakesOneConnection) {
    server_.shown.flags = has_flags | send_flush;
    connect_and_admit();
    EXPECT_EQ(device_->connections(), 1u);
    EXPECT_FALSE(finding_.shared_cache);
    EXPECT_NE(finding_.description.find("one connection, as the server does not say MULTI_CONN"),
              std::string::npos)
        << finding_.description;
}

TEST_F(NbdDeviceLifeTest, ReadsItsFingerprint) {
    options_.connections = 1;
    server_.shown.minimum_block = 512;
    options_.fingerprint = {{0, 16}, {1000, 100}};
    std::optional<Result<FabricFinding>> answer;
    device_ = std::make_unique<NbdDevice>(*loop_, options_);
    device_->connect([&](Result<FabricFinding> found) { answer = std::move(found); });
    const Asked one = next_asked();
    EXPECT_EQ(one.offset, 0u);
    EXPECT_EQ(one.length, 512u);
    first().answer(one, 0, "0123456789abcdef" + std::string(496, 'x'));
    const Asked two = next_asked();
    EXPECT_EQ(two.offset, 512u);
    EXPECT_EQ(two.length, 1024u);
    EXPECT_FALSE(answer.has_value());
    first().answer(two, 0, std::string(1024, 'y'));
    pump_until([&] { return answer.has_value(); });
    ASSERT_TRUE(answer->has_value());
    const std::string text = "0123456789abcdef" + std::string(100, 'y');
    const uint64_t hash =
        fingerprint_of(std::as_bytes(std::span(text.data(), text.size())), fingerprint_seed);
    char wanted[64];
    std::snprintf(wanted, sizeof wanted, "nbd:disk:1048576:%016lx", hash);
    EXPECT_EQ((*answer)->identity, wanted);
}

TEST_F(NbdDeviceLifeTest, ComesBackAfterItsServerWasRestarted) {
    connect_and_admit();
    server_.stop();
    pump_until([&] { return lost_.size() == 1; });
    EXPECT_FALSE(device_->connected());
    const auto refused = connect();
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().message.find("cannot connect to " + path_), std::string::npos)
        << refused.error().message;
    server_.listen();
    connect_and_admit();
    EXPECT_EQ(device_->connections(), 4u);
    EXPECT_EQ(lost_.size(), 1u);
}

TEST_F(NbdDeviceLifeTest, AGrownExportIsFoundAndTakenUpOnlyWhenAdmitted) {
    connect_and_admit();
    server_.stop();
    pump_until([&] { return lost_.size() == 1; });
    server_.listen();
    server_.shown.size_bytes = 2u << 20;
    const auto found = connect();
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->identity, "nbd:disk:2097152");
    EXPECT_EQ(device_->geometry().size_bytes, 1u << 20);
    device_->admit();
    EXPECT_EQ(device_->geometry().size_bytes, 2u << 20);
}

TEST_F(NbdDeviceLifeTest, SaysInOneLineWhyItCannotConnect) {
    const auto refusal = [&](auto prepare) {
        server_.shown = {};
        prepare();
        const auto found = connect();
        return found ? "connected" : found.error().message;
    };
    EXPECT_EQ(refusal([&] { server_.shown.size_bytes = 100; }),
              "the export has 100 bytes, less than one block");
    EXPECT_EQ(refusal([&] {
                  server_.shown.minimum_block = 4096;
                  server_.shown.maximum_payload = 4096;
                  options_.block_bytes = 512;
                  device_->disconnect();
                  pump_until([&] { return device_->quiet(); });
                  device_.reset();
              }),
              "block_size 512 is smaller than the 4096 bytes the server needs");
}

TEST_F(NbdDeviceLifeTest, GivesUpASilentServerAfterTheConnectTimeout) {
    options_.connect_timeout = 50ms;
    server_.silent = true;
    const Instant begun = monotonic_now();
    const auto found = connect();
    ASSERT_FALSE(found.has_value());
    EXPECT_GE(monotonic_now() - begun, 50ms);
    EXPECT_EQ(found.error().message,
              "no answer from " + path_ + " in 50 ms; does the server work?");
}

TEST_F(NbdDeviceLifeTest, DisconnectingAwaitsWritesAndNothingElse) {
    options_.connections = 2;
    connect_and_admit();
    Client write(IoOp::write);
    Client read;
    write.submit(*device_);
    read.submit(*device_);
    const Asked asked = next_asked();
    device_->disconnect();
    Client late;
    late.submit(*device_);
    pump_until([&] { return late.ended == 1; });
    EXPECT_EQ(late.status, IoStatus::offline);
    pump_for(5ms);
    EXPECT_EQ(write.ended, 0);
    EXPECT_FALSE(device_->quiet());
    first().answer(asked);
    pump_until([&] { return write.ended == 1; });
    EXPECT_EQ(write.status, IoStatus::ok);
    first().answer(next_asked(), 0, std::string(4096, 'x'));
    pump_until([&] { return device_->quiet(); });
    EXPECT_EQ(read.status, IoStatus::ok);
    // Both were told good-bye.
    EXPECT_EQ(next_asked().command, cmd_disc);
    EXPECT_EQ(next_asked().command, cmd_disc);
    EXPECT_TRUE(lost_.empty());
}

TEST_F(NbdDeviceLifeTest, DisconnectingWhileConnectingEndsTheAttempt) {
    server_.silent = true;
    device_ = std::make_unique<NbdDevice>(*loop_, options_);
    int answers = 0;
    device_->connect([&](Result<FabricFinding> found) {
        EXPECT_FALSE(found.has_value());
        ++answers;
    });
    pump_for(5ms);
    device_->disconnect();
    EXPECT_EQ(answers, 1);
    pump_until([&] { return device_->quiet(); });
}

TEST_F(NbdDeviceLifeTest, OneLostConnectionEndsTheUseOfTheOthersButNotTheirWrites) {
    options_.connections = 2;
    connect_and_admit();
    std::deque<Client> clients;
    for (uint32_t at = 0; at <= limits::nbd_path_window; ++at) {
        clients.emplace_back(IoOp::write, at * 512, 512);
        clients.back().submit(*device_);
    }
    pump_for(5ms);
    ASSERT_EQ(server_.asked.size(), limits::nbd_path_window + 1);
    const Asked on_second = server_.asked.back();
    first().close();
    pump_until([&] { return clients[0].ended == 1; });
    EXPECT_TRUE(clients[0].request.outcome_unknown);
    pump_for(5ms);
    EXPECT_EQ(clients.back().ended, 0);
    EXPECT_FALSE(device_->connected());
    server_.peers[1].answer(on_second);
    pump_until([&] { return clients.back().ended == 1; });
    EXPECT_EQ(clients.back().status, IoStatus::ok);
    EXPECT_EQ(device_->doubts().unsettled, limits::nbd_path_window);
}

/// Passes a connection on as it is, as if it were encrypted.
class FakeUpgrade final : public StreamUpgrade {
  public:
    FakeUpgrade(loop::Loop& loop, bool works) : loop_(loop), works_(works) {
        operation_.owner = this;
        operation_.done = [](loop::Operation& operation, int32_t) {
            auto& self = *static_cast<FakeUpgrade*>(operation.owner);
            if (self.works_)
                self.done_(std::move(self.stream_));
            else
                self.done_(fail("the server's certificate has expired"));
        };
    }
    void begin(std::unique_ptr<loop::Stream> plain, Done done) override {
        stream_ = std::move(plain);
        done_ = std::move(done);
        loop_.complete_soon(operation_, 0);
    }
    void cancel() override { works_ = false; }
    std::string description() const override { return "TLSv1.3"; }

  private:
    loop::Loop& loop_;
    bool works_;
    std::unique_ptr<loop::Stream> stream_;
    Done done_;
    loop::Operation operation_;
};

TEST_F(NbdDeviceLifeTest, EncryptsAConnectionBeforeItSaysAnythingElse) {
    options_.uri.tls = true;
    options_.upgrade = [](loop::Loop& loop) { return std::make_unique<FakeUpgrade>(loop, true); };
    connect_and_admit();
    EXPECT_EQ(device_->connections(), 4u);
    Client read(IoOp::read, 0, 512);
    read.submit(*device_);
    const Asked asked = next_asked();
    first().answer(asked, 0, std::string(512, 'x'));
    pump_until([&] { return read.ended == 1; });
    EXPECT_TRUE(read.all('x'));
}

TEST_F(NbdDeviceLifeTest, SaysWhatTlsSaysWhenItFails) {
    options_.uri.tls = true;
    options_.upgrade = [](loop::Loop& loop) { return std::make_unique<FakeUpgrade>(loop, false); };
    const auto found = connect();
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error().message, "the server's certificate has expired");
}

/// A server in a process of its own: takes what it is sent and answers nothing, until it is killed.
class ServerProcess {
  public:
    enum class Serves { itself, by_a_child };
    explicit ServerProcess(const std::string& path, Serves serves = Serves::itself) {
        int ready[2];
        EXPECT_EQ(::pipe(ready), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ScriptedServer server(path);
            const pid_t child = serves == Serves::by_a_child ? ::fork() : ::getpid();
            if (child != 0) (void)!::write(ready[1], &child, sizeof child);
            if (serves == Serves::by_a_child && child != 0)
                for (;;) ::pause();
            for (;;) {
                server.work();
                ::usleep(500);
            }
        }
        EXPECT_EQ(::read(ready[0], &serving_, sizeof serving_),
                  static_cast<ssize_t>(sizeof serving_));
        ::close(ready[0]);
        ::close(ready[1]);
    }
    ~ServerProcess() {
        const pid_t listener = pid_;
        if (pid_ > 0) kill();
        if (serving_ != listener) ::kill(serving_, SIGKILL);
    }
    void signal(int number) const { ::kill(pid_, number); }
    void signal_child(int number) const { ::kill(serving_, number); }
    void kill() {
        signal(SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }

  private:
    pid_t pid_ = -1;
    pid_t serving_ = -1;
};

TEST_F(NbdDeviceLifeTest, AListenerThatDiesIsNoProofWhileAChildMayStillServe) {
    server_.stop();
    ServerProcess process(path_, ServerProcess::Serves::by_a_child);
    options_.io_timeout = 50ms;
    options_.resend_quiesce = 300ms;
    connect_and_admit();
    Client write(IoOp::write);
    process.signal_child(SIGSTOP);
    write.submit(*device_);
    pump_until([&] { return write.ended == 1; });
    process.kill();
    pump_for(100ms);
    EXPECT_TRUE(settled_.empty()) << "the child will still execute it";
    pump_until([&] { return !settled_.empty(); });
    EXPECT_EQ(settled_, std::vector<bool>{true});
    ::unlink(path_.c_str());
}

TEST_F(NbdDeviceLifeTest, AServerThatIsProvenDeadSettlesItsWritesAtOnce) {
    server_.stop();
    ServerProcess process(path_);
    options_.resend_quiesce = 1h;
    connect_and_admit();
    Client write(IoOp::write);
    write.submit(*device_);
    pump_for(20ms);
    process.kill();
    const Instant killed = monotonic_now();
    pump_until([&] { return !settled_.empty(); });
    EXPECT_LT(monotonic_now() - killed, 5s);
    EXPECT_EQ(settled_, std::vector<bool>{false});
    EXPECT_EQ(write.ended, 1);
    EXPECT_TRUE(write.request.outcome_unknown);
    ::unlink(path_.c_str());
}

TEST_F(NbdDeviceLifeTest, AServerThatIsMerelyStoppedIsNeverTakenForDead) {
    server_.stop();
    ServerProcess process(path_);
    options_.io_timeout = 30ms;
    options_.resend_quiesce = 200ms;
    connect_and_admit();
    process.signal(SIGSTOP);
    Client write(IoOp::write);
    write.submit(*device_);
    pump_until([&] { return write.ended == 1; });
    pump_for(100ms);
    EXPECT_TRUE(settled_.empty());
    pump_until([&] { return !settled_.empty(); });
    EXPECT_EQ(settled_, std::vector<bool>{true});
    process.signal(SIGCONT);
    ::unlink(path_.c_str());
}

}  // namespace
}  // namespace braidway::path
