// SPDX-License-Identifier: Apache-2.0
// A client that reads the first block of an export over TLS, for stories with other servers:
//     nbd_tls_client HOST PORT EXPORT (certificates FOLDER NAME | psk FILE USER)
// Prints the size, the cipher and the first bytes; or one line that says what is wrong, and ends
// with 1.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "tls/client_handshake.h"
#include "wire/nbd_client_handshake.h"

namespace braidway {
namespace {

using wire::NbdClientHandshake;

[[noreturn]] void give_up(std::string_view why) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(why.size()), why.data());
    std::exit(1);
}

/// Everything in its order, waiting for each step.
class Session {
  public:
    Session() : loop_(std::move(*loop::Loop::create())) {
        operation_.owner = this;
        operation_.done = [](loop::Operation& operation, int32_t result) {
            static_cast<Session*>(operation.owner)->result_ = result;
        };
    }
    void connect(const char* host, const char* port) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_port = htons(static_cast<uint16_t>(std::stoul(port)));
        ::inet_pton(AF_INET, host, &name.sin_addr);
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
            give_up("no server there");
        ::fcntl(fd, F_SETFL, O_NONBLOCK);
        stream_ = std::make_unique<loop::SocketStream>(*loop_, fd);
    }
    void enter(const std::string& name, std::shared_ptr<const tls::TlsContext> context) {
        NbdClientHandshake handshake({.export_name = name, .tls = true, .structured = false});
        std::vector<std::byte> out;
        while (!handshake.final()) {
            if (handshake.phase() == NbdClientHandshake::Phase::start_tls) {
                encrypt(context);
                handshake.tls_started(out);
            } else {
                const size_t taken = handshake.feed(receive(), out);
                input_.erase(input_.begin(), input_.begin() + static_cast<ptrdiff_t>(taken));
            }
            send(out);
            out.clear();
        }
        if (!handshake.problem().empty()) give_up(handshake.problem());
        std::printf("size %llu\n%s\n",
                    static_cast<unsigned long long>(handshake.offer().session.size_bytes),
                    secure_->description().c_str());
    }
    void read_first_block() {
        std::vector<std::byte> request(wire::nbd::request_bytes);
        store_big(request.data(), uint32_t{wire::nbd::request_magic});
        store_big(request.data() + 24, uint32_t{4096});
        send(request);
        while (input_.size() < wire::nbd::simple_reply_bytes + 4096) receive();
        for (size_t at = 0; at < 16; ++at)
            std::printf("%02x", static_cast<unsigned>(input_[wire::nbd::simple_reply_bytes + at]));
        std::printf("\n");
        stream_->shut_down();
    }

  private:
    void encrypt(std::shared_ptr<const tls::TlsContext> context) {
        bool ended = false;
        tls::ClientHandshake step(*loop_, std::move(context));
        step.begin(std::move(stream_), [&](Result<std::unique_ptr<tls::TlsStream>> made) {
            if (!made) give_up(made.error().message);
            secure_ = made->get();
            stream_ = std::move(*made);
            ended = true;
        });
        while (!ended) loop_->turn();
    }
    int32_t wait() {
        while (!operation_.idle()) loop_->turn();
        return result_;
    }
    void send(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            iovec from{const_cast<std::byte*>(bytes.data()), bytes.size()};
            stream_->send(operation_, &from, 1);
            if (wait() <= 0) failed();
            bytes = bytes.subspan(static_cast<size_t>(result_));
        }
    }
    std::span<const std::byte> receive() {
        std::byte buffer[65536];
        iovec to{buffer, sizeof buffer};
        stream_->receive(operation_, &to, 1);
        if (wait() <= 0) failed();
        input_.insert(input_.end(), buffer, buffer + result_);
        return input_;
    }
    [[noreturn]] void failed() const {
        if (secure_ != nullptr && !secure_->problem().empty()) give_up(secure_->problem());
        give_up(result_ == 0 ? "the server closed the connection" : errno_text(-result_));
    }

    std::unique_ptr<loop::Loop> loop_;
    std::unique_ptr<loop::Stream> stream_;
    tls::TlsStream* secure_ = nullptr;
    loop::Operation operation_;
    int32_t result_ = 0;
    std::vector<std::byte> input_;
};

int run(const std::vector<std::string>& words) {
    if (words.size() != 7) give_up("HOST PORT EXPORT (certificates FOLDER NAME | psk FILE USER)");
    tls::TlsClientConfig config;
    if (words[4] == "psk") {
        config.psk_file = words[5];
        config.user = words[6];
    } else {
        config.certificates = words[5];
        config.host_name = words[6];
    }
    auto context = tls::TlsContext::client(config);
    if (!context) give_up(context.error().message);
    Session session;
    session.connect(words[1].c_str(), words[2].c_str());
    session.enter(words[3], *context);
    session.read_first_block();
    return 0;
}

}  // namespace
}  // namespace braidway

int main(int count, char** words) {
    return braidway::run({words, words + count});
}
