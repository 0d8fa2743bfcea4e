// SPDX-License-Identifier: Apache-2.0
// Clients that ask the server for TLS.
#include <fcntl.h>

#include "nbd_harness.h"
#include "support/certificates.h"

namespace braidway::exports {
namespace {

using namespace std::chrono_literals;

/// The encrypted rest of a client's connection, whose plain beginning was a Client.
class EncryptedClient {
  public:
    EncryptedClient(World& world, const Client& plain, const std::string& folder) : world_(world) {
        const int fd = ::fcntl(plain.fd(), F_DUPFD_CLOEXEC, 0);
        ::fcntl(fd, F_SETFL, O_NONBLOCK);
        auto context = tls::TlsContext::client({.certificates = folder, .host_name = "localhost"});
        EXPECT_TRUE(context.has_value()) << context.error().message;
        stream_ = std::make_unique<tls::TlsStream>(
            *world.loop, std::make_unique<loop::SocketStream>(*world.loop, fd), *context);
        operation_.owner = this;
        operation_.done = [](loop::Operation& operation, int32_t result) {
            static_cast<EncryptedClient*>(operation.owner)->result_ = result;
        };
    }
    ~EncryptedClient() { stream_->shut_down(); }
    EncryptedClient(const EncryptedClient&) = delete;
    EncryptedClient& operator=(const EncryptedClient&) = delete;

    int32_t handshake() {
        stream_->handshake(operation_);
        return finish();
    }
    void send(const Bytes& bytes) {
        std::span<const std::byte> left(bytes.get());
        while (!left.empty()) {
            iovec from{const_cast<std::byte*>(left.data()), left.size()};
            stream_->send(operation_, &from, 1);
            const int32_t count = finish();
            ASSERT_GT(count, 0);
            left = left.subspan(static_cast<size_t>(count));
        }
    }
    /// Exactly so many bytes; fewer when the server closes.
    std::string receive(size_t count) {
        std::string got(count, '\0');
        size_t filled = 0;
        while (filled < count) {
            iovec to{got.data() + filled, count - filled};
            stream_->receive(operation_, &to, 1);
            const int32_t some = finish();
            if (some <= 0) break;
            filled += static_cast<size_t>(some);
        }
        got.resize(filled);
        return got;
    }
    /// The type of the last reply to an option.
    uint32_t option(uint32_t number, const Bytes& data = {}) {
        send(Bytes()
                 .u64(option_magic)
                 .u32(number)
                 .u32(static_cast<uint32_t>(data.size()))
                 .add(data));
        for (;;) {
            const std::string head = receive(option_reply_bytes);
            if (head.size() < option_reply_bytes) return 0;
            Parse parse(std::as_bytes(std::span(head)));
            parse.u64();
            parse.u32();
            const uint32_t type = parse.u32();
            receive(parse.u32());
            if (type == rep_ack || type >= 1u << 31) return type;
        }
    }
    void enter() {
        EXPECT_EQ(handshake(), 0) << stream_->problem();
        EXPECT_EQ(option(opt_go, Bytes().string("disk").u16(1).u16(info_block_size)), rep_ack);
    }
    Bytes request(uint16_t command, uint64_t offset, uint32_t length) const {
        return Bytes().u32(request_magic).u16(0).u16(command).u64(7).u64(offset).u32(length);
    }
    tls::TlsStream& stream() { return *stream_; }

  private:
    int32_t finish() {
        world_.run_until([&] { return operation_.idle(); });
        return result_;
    }

    World& world_;
    std::unique_ptr<tls::TlsStream> stream_;
    loop::Operation operation_;
    int32_t result_ = 0;
};

class NbdTlsExports : public OnBackend {
  protected:
    NbdTlsExports() { authority_.write_all(folder_.path()); }
    NbdExportOptions disk(World& world, wire::NbdTls mode) {
        NbdExportOptions options = world.disk();
        options.tls = mode;
        auto context = tls::TlsContext::server({.certificates = folder_.path()});
        EXPECT_TRUE(context.has_value()) << context.error().message;
        options.tls_context = *context;
        return options;
    }

    TemporaryFolder folder_;
    CertificateAuthority authority_;
};
ON_BOTH_BACKENDS(NbdTlsExports);

TEST_P(NbdTlsExports, ServeAnEncryptedClient) {
    World world(GetParam());
    world.serve(disk(world, wire::NbdTls::required));
    Client plain(world);
    plain.greet();
    EXPECT_EQ(plain.option(opt_list), rep_err_tls_reqd);
    ASSERT_EQ(plain.option(opt_starttls), rep_ack);
    {
        EncryptedClient client(world, plain, folder_.path());
        client.enter();
        EXPECT_EQ(world.recorder.entered, 1u);
        const std::string data(1 << 20, 'd');
        client.send(client.request(cmd_write, 4096, 1 << 20).text(data));
        EXPECT_EQ(client.receive(simple_reply_bytes).size(), simple_reply_bytes);
        client.send(client.request(cmd_read, 4096, 1 << 20));
        const std::string reply = client.receive(simple_reply_bytes + data.size());
        EXPECT_TRUE(reply.substr(simple_reply_bytes) == data);
        client.send(client.request(cmd_disc, 0, 0));
        EXPECT_EQ(client.receive(1), "");
    }
    world.run_until([&] { return !world.recorder.left.empty(); });
    EXPECT_EQ(world.recorder.left[0].reason, "the client disconnected");
    EXPECT_FALSE(world.recorder.left[0].fault);
}

TEST_P(NbdTlsExports, AnswerManyRequestsOfOneRecordTogether) {
    World world(GetParam());
    world.serve(disk(world, wire::NbdTls::allowed));
    Client plain(world);
    plain.greet();
    ASSERT_EQ(plain.option(opt_starttls), rep_ack);
    EncryptedClient client(world, plain, folder_.path());
    client.enter();
    Bytes many;
    for (uint64_t at = 0; at < 100; ++at) many.add(client.request(cmd_read, at * 512, 512));
    client.send(many);
    EXPECT_EQ(client.receive(100 * (simple_reply_bytes + 512)).size(),
              100 * (simple_reply_bytes + 512));
}

TEST_P(NbdTlsExports, EndAClientThatSendsUnencryptedBytesBehindStartTls) {
    World world(GetParam());
    world.serve(disk(world, wire::NbdTls::allowed));
    Client client(world);
    client.greet();
    // What somebody on the way may do: the second option would be taken for the client's.
    const Bytes list = Bytes().u64(option_magic).u32(opt_list).u32(0);
    client.send(Bytes().u64(option_magic).u32(opt_starttls).u32(0).add(list));
    EXPECT_EQ(client.receive(option_reply_bytes).size(), option_reply_bytes);
    EXPECT_TRUE(client.sees_close());
    ASSERT_EQ(world.recorder.left.size(), 1u);
    EXPECT_EQ(world.recorder.left[0].reason, "unencrypted bytes behind STARTTLS");
    EXPECT_TRUE(world.recorder.left[0].fault);
}

TEST_P(NbdTlsExports, EndAClientThatGoesOnInPlain) {
    World world(GetParam());
    world.serve(disk(world, wire::NbdTls::allowed));
    Client client(world);
    client.greet();
    ASSERT_EQ(client.option(opt_starttls), rep_ack);
    client.send(Bytes().u64(option_magic).u32(opt_list).u32(0));
    world.run_until([&] { return !world.recorder.left.empty(); });
    EXPECT_EQ(world.recorder.left[0].reason, "the client does not speak TLS here");
    EXPECT_TRUE(world.recorder.left[0].fault);
}

TEST_P(NbdTlsExports, EndAClientThatNeverBeginsTls) {
    World world(GetParam(), {.handshake_timeout = 50ms});
    world.serve(disk(world, wire::NbdTls::required));
    Client client(world);
    client.greet();
    ASSERT_EQ(client.option(opt_starttls), rep_ack);
    EXPECT_TRUE(client.sees_close());
    ASSERT_EQ(world.recorder.left.size(), 1u);
    EXPECT_EQ(world.recorder.left[0].reason, "the handshake took too long");
}

TEST_P(NbdTlsExports, SayWhyAClientIsRefused) {
    World world(GetParam());
    TemporaryFolder other;
    CertificateAuthority("another CA").write_all(other.path());
    world.serve(disk(world, wire::NbdTls::required));
    Client plain(world);
    plain.greet();
    ASSERT_EQ(plain.option(opt_starttls), rep_ack);
    EncryptedClient client(world, plain, other.path());
    EXPECT_LT(client.handshake(), 0);
    world.run_until([&] { return !world.recorder.left.empty(); });
    EXPECT_EQ(world.recorder.left[0].reason.find("the client refuses our certificate"), 0u)
        << world.recorder.left[0].reason;
}

TEST_P(NbdTlsExports, RenewedCertificatesAreForNewConnections) {
    World world(GetParam());
    world.serve(disk(world, wire::NbdTls::required));
    Client first(world);
    first.greet();
    ASSERT_EQ(first.option(opt_starttls), rep_ack);
    EncryptedClient old(world, first, folder_.path());
    old.enter();
    TemporaryFolder other;
    CertificateAuthority("another CA").write_all(other.path());
    world.server->renew_tls("disk", *tls::TlsContext::server({.certificates = other.path()}));
    Client second(world);
    second.greet();
    ASSERT_EQ(second.option(opt_starttls), rep_ack);
    EncryptedClient fresh(world, second, other.path());
    fresh.enter();
    old.send(old.request(cmd_read, 0, 512));
    EXPECT_EQ(old.receive(simple_reply_bytes + 512).size(), simple_reply_bytes + 512);
}

TEST_P(NbdTlsExports, AreDrainedWithEncryptedRequestsInFlight) {
    World world(GetParam());
    world.serve(disk(world, wire::NbdTls::required));
    Client plain(world);
    plain.greet();
    ASSERT_EQ(plain.option(opt_starttls), rep_ack);
    EncryptedClient client(world, plain, folder_.path());
    client.enter();
    world.device.hold = true;
    client.send(client.request(cmd_read, 0, 512));
    world.settle();
    bool gone = false;
    world.server->remove_export("disk", [&] { gone = true; });
    world.settle();
    EXPECT_FALSE(gone);
    world.device.hold = false;
    world.device.release_held();
    EXPECT_EQ(client.receive(simple_reply_bytes + 512).size(), simple_reply_bytes + 512);
    EXPECT_EQ(client.receive(1), "") << "and says goodbye";
    EXPECT_EQ(client.stream().problem(), "");
    world.run_until([&] { return gone; });
}

TEST_P(NbdTlsExports, AreNotMadeWithoutACertificate) {
    World world(GetParam());
    NbdExportOptions options = world.disk();
    options.tls = wire::NbdTls::allowed;
    const Result<void> added = world.add(options);
    ASSERT_FALSE(added.has_value());
    EXPECT_EQ(added.error().message, "tls needs tls_certificates or tls_psk");
}

}  // namespace
}  // namespace braidway::exports
