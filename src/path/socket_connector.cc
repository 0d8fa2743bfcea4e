// SPDX-License-Identifier: Apache-2.0
#include "path/socket_connector.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/limits.h"

namespace braidway::path {
namespace {

/// Why a server was not reached, and what to look at.
Error connect_error(const SocketTarget& target, int code) {
    std::string_view hint;
    if (code == ECONNREFUSED)
        hint = "; does the server run?";
    else if (code == ENOENT)
        hint = "; is the server started, and the name of its socket right?";
    else if (code == EACCES || code == EPERM)
        hint = "; who may use the socket?";
    else if (code == EHOSTUNREACH || code == ENETUNREACH)
        hint = "; is the network up?";
    return {fmt::format("cannot connect to {}: {}{}", target.text(), errno_text(code), hint), code};
}

}  // namespace

std::string SocketTarget::text() const {
    if (!socket.empty()) return socket[0] == '\0' ? "@" + socket.substr(1) : socket;
    if (host.find(':') != host.npos) return fmt::format("[{}]:{}", host, port);
    return fmt::format("{}:{}", host, port);
}

SocketConnector::SocketConnector(loop::Loop& loop) : loop_(loop) {
    operation_.owner = pause_.owner = lookup_.owner = this;
    operation_.done = [](loop::Operation& operation, int32_t result) {
        static_cast<SocketConnector*>(operation.owner)->connected(result);
    };
    pause_.fire = [](loop::Timer& timer, Instant) {
        static_cast<SocketConnector*>(timer.owner)->try_next();
    };
    lookup_.work = [](loop::BlockingCall& call) { look_up(static_cast<Lookup&>(call), 0); };
    lookup_.done = [](loop::BlockingCall& call) {
        static_cast<SocketConnector*>(call.owner)->looked_up();
    };
}

SocketConnector::~SocketConnector() {
    CHECK(quiet(), "a connector goes when nothing is under way");
}

bool SocketConnector::quiet() const {
    return !looking_up_ && operation_.idle() && !pause_.armed();
}

void SocketConnector::connect(SocketTarget target, Done done) {
    CHECK(quiet() && done_ == nullptr, "one connection at a time");
    target_ = std::move(target);
    done_ = std::move(done);
    addresses_.clear();
    next_ = 0;
    last_ = {fmt::format("{} stands for no address", target_.text()), EADDRNOTAVAIL};
    if (!target_.socket.empty()) {
        add_unix_address();
    } else {
        // A number needs nobody's help.
        lookup_.target = target_;
        look_up(lookup_, AI_NUMERICHOST);
        if (lookup_.found.empty()) {
            looking_up_ = true;
            loop_.run_blocking(lookup_);
            return;
        }
        addresses_ = std::move(lookup_.found);
    }
    loop_.arm(pause_, loop_.now());
}

void SocketConnector::add_unix_address() {
    Address& address = addresses_.emplace_back();
    auto& name = reinterpret_cast<sockaddr_un&>(address.name);
    name.sun_family = AF_UNIX;
    const size_t bytes = std::min(target_.socket.size(), sizeof name.sun_path);
    std::memcpy(name.sun_path, target_.socket.data(), bytes);
    // An abstract name is as long as it is; a file's ends with a NUL.
    const size_t end = target_.socket[0] == '\0' || bytes == sizeof name.sun_path ? 0 : 1;
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes + end);
}

void SocketConnector::look_up(Lookup& lookup, int flags) {
    lookup.found.clear();
    lookup.problem.clear();
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | flags;
    addrinfo* found = nullptr;
    const std::string port = fmt::format("{}", lookup.target.port);
    const int error = ::getaddrinfo(lookup.target.host.c_str(), port.c_str(), &hints, &found);
    if (error != 0) {
        lookup.problem =
            fmt::format("cannot find the host '{}': {}", lookup.target.host, ::gai_strerror(error));
        return;
    }
    for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
        if (each->ai_addrlen > sizeof(sockaddr_storage)) continue;
        Address& address = lookup.found.emplace_back();
        std::memcpy(&address.name, each->ai_addr, each->ai_addrlen);
        address.length = each->ai_addrlen;
    }
    ::freeaddrinfo(found);
}

void SocketConnector::looked_up() {
    looking_up_ = false;
    if (done_ == nullptr) return;
    if (!lookup_.problem.empty()) return end(fail(lookup_.problem, EHOSTUNREACH));
    addresses_ = std::move(lookup_.found);
    try_next();
}

void SocketConnector::try_next() {
    while (next_ < addresses_.size())
        if (begin_connect(addresses_[next_])) return;
    end(std::unexpected(last_));
}

/// False when this address is of no use and the next one is to be tried.
bool SocketConnector::begin_connect(const Address& address) {
    const int family = address.name.ss_family;
    fd_ = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
        last_ = connect_error(target_, errno);
        ++next_;
        return false;
    }
    if (family != AF_UNIX) {
        const int on = 1;
        ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    const auto* name = reinterpret_cast<const sockaddr*>(&address.name);
    if (::connect(fd_, name, address.length) == 0) {
        end(std::exchange(fd_, -1));
        return true;
    }
    const int code = errno;
    if (code == EINPROGRESS) {
        file_ = loop_.add_file(fd_);
        loop_.poll(operation_, file_, POLLOUT);
        return true;
    }
    ::close(std::exchange(fd_, -1));
    last_ = connect_error(target_, code);
    if (code == EAGAIN) {
        // The server's queue is full: it may be busy for a moment, or stopped.
        loop_.arm_after(pause_, limits::unix_backlog_pause);
        return true;
    }
    ++next_;
    return false;
}

void SocketConnector::connected(int32_t result) {
    if (done_ == nullptr) return drop_socket();
    int code = result < 0 ? -result : 0;
    socklen_t length = sizeof code;
    if (code == 0) ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &code, &length);
    if (code != 0) {
        last_ = connect_error(target_, code);
        drop_socket();
        ++next_;
        return try_next();
    }
    loop_.remove_file(file_);
    end(std::exchange(fd_, -1));
}

void SocketConnector::drop_socket() {
    if (fd_ < 0) return;
    loop_.remove_file(file_);
    ::close(std::exchange(fd_, -1));
}

void SocketConnector::end(Result<int> result) {
    const Done done = std::exchange(done_, nullptr);
    done(std::move(result));
}

void SocketConnector::cancel() {
    done_ = nullptr;
    loop_.disarm(pause_);
    if (!operation_.idle()) loop_.cancel(operation_);
}

}  // namespace braidway::path
