// SPDX-License-Identifier: Apache-2.0
#include "export/nbd_socket.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>

#include "base/limits.h"

namespace braidway::exports {
namespace {

Error system_error(std::string_view what, std::string_view address, int code) {
    return {fmt::format("{} {}: {}", what, address, errno_text(code)), code};
}

/// Whether the process that listens at the other end of `fd` has ended. The kernel takes the ring
/// of a killed process down some milliseconds after the process, and an accept that was posted
/// there keeps its socket alive until then.
bool listener_has_ended(int fd) {
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return false;
    if (credentials.pid <= 0) return false;  // Of another name space: not to be seen from here.
    if (::kill(credentials.pid, 0) != 0) return errno == ESRCH;
    std::ifstream stat(fmt::format("/proc/{}/stat", credentials.pid));
    std::string line;
    std::getline(stat, line);
    const size_t name_end = line.rfind(')');
    return name_end != line.npos && line.substr(name_end).starts_with(") Z");
}

/// Whether somebody accepts connections at `name`; anything unclear counts as live.
bool somebody_listens(const sockaddr_un& name) {
    const OwnedFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const auto* generic = reinterpret_cast<const sockaddr*>(&name);
    if (::connect(probe.get(), generic, sizeof name) != 0) return errno != ECONNREFUSED;
    return !listener_has_ended(probe.get());
}

/// Binds; where a socket file without a server is in the way, removes it and binds again.
Result<void> bind_unix(int fd, const sockaddr_un& name, const std::string& text) {
    const auto* generic = reinterpret_cast<const sockaddr*>(&name);
    if (::bind(fd, generic, sizeof name) == 0) return {};
    if (errno != EADDRINUSE) return std::unexpected(system_error("cannot listen on", text, errno));
    struct stat there{};
    if (::lstat(name.sun_path, &there) == 0 && !S_ISSOCK(there.st_mode))
        return fail(fmt::format("cannot listen on {}: a file that is no socket is there", text),
                    EADDRINUSE);
    if (somebody_listens(name))
        return fail(fmt::format("cannot listen on {}: another server is listening there", text),
                    EADDRINUSE);
    ::unlink(name.sun_path);
    if (::bind(fd, generic, sizeof name) == 0) return {};
    return std::unexpected(system_error("cannot listen on", text, errno));
}

Result<OwnedFd> open_tcp(const addrinfo& info, const std::string& text) {
    OwnedFd fd(::socket(info.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return std::unexpected(system_error("cannot open a socket for", text, errno));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const int v6_only = (info.ai_flags & AI_PASSIVE) != 0 ? 0 : 1;
    if (info.ai_family == AF_INET6)
        ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
    if (::bind(fd.get(), info.ai_addr, info.ai_addrlen) != 0 ||
        ::listen(fd.get(), limits::nbd_backlog) != 0)
        return std::unexpected(system_error("cannot listen on", text, errno));
    return fd;
}

std::string address_text(const sockaddr* name, socklen_t length) {
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (::getnameinfo(name, length, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "?";
    if (name->sa_family == AF_INET6) return fmt::format("[{}]:{}", host, port);
    return fmt::format("{}:{}", host, port);
}

std::string local_text(int fd) {
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    auto* generic = reinterpret_cast<sockaddr*>(&name);
    if (::getsockname(fd, generic, &length) != 0) return "tcp:?";
    return "tcp:" + address_text(generic, length);
}

/// "every address" is one IPv6 socket that takes IPv4, too; where there is no IPv6, an IPv4 one.
Result<std::vector<NbdListeningSocket>> open_tcp_sockets(const NbdAddress& address) {
    const bool any = address.host.empty();
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (any ? AI_PASSIVE : 0);
    addrinfo* found = nullptr;
    const std::string port = fmt::format("{}", address.port);
    const int error =
        ::getaddrinfo(any ? nullptr : address.host.c_str(), port.c_str(), &hints, &found);
    if (error != 0)
        return fail(fmt::format("cannot find {}: {}", address.text(), ::gai_strerror(error)));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, &::freeaddrinfo);

    std::vector<NbdListeningSocket> sockets;
    Error last{fmt::format("{} stands for no address", address.text()), 0};
    for (const int family : {AF_INET6, AF_INET}) {
        if (any && !sockets.empty()) break;
        for (addrinfo* each = found; each != nullptr; each = each->ai_next) {
            if (each->ai_family != family || (address.port == 0 && !sockets.empty())) continue;
            each->ai_flags = hints.ai_flags;
            Result<OwnedFd> fd = open_tcp(*each, address.text());
            if (fd) {
                std::string text = local_text(fd->get());
                sockets.emplace_back(std::move(*fd), std::move(text));
            } else if (fd.error().code == EADDRINUSE) {
                return std::unexpected(fd.error());
            } else {
                last = fd.error();
            }
        }
    }
    if (sockets.empty()) return std::unexpected(last);
    return sockets;
}

}  // namespace

NbdListeningSocket::~NbdListeningSocket() {
    if (!fd_.valid() || path_.empty()) return;
    struct stat there{};
    if (::lstat(path_.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_)
        ::unlink(path_.c_str());
}

Result<std::vector<NbdListeningSocket>> open_nbd_sockets(const NbdAddress& address,
                                                         Duration patience) {
    if (address.kind == NbdAddress::Kind::tcp) {
        // Who listens on a port cannot be told; it may be a server that was killed just now.
        constexpr Duration pause = std::chrono::milliseconds(20);
        for (Duration waited{};; waited += pause) {
            auto sockets = open_tcp_sockets(address);
            if (sockets || sockets.error().code != EADDRINUSE || waited >= patience) return sockets;
            const timespec length{0, pause.count()};
            ::nanosleep(&length, nullptr);
        }
    }
    const std::string text = address.text();
    OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return std::unexpected(system_error("cannot open a socket for", text, errno));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.path.c_str(), address.path.size() + 1);
    ::fchmod(fd.get(), address.mode);  // So that the file is never more open than asked for.
    if (Result<void> bound = bind_unix(fd.get(), name, text); !bound)
        return std::unexpected(bound.error());
    struct stat made{};
    if (::chmod(name.sun_path, address.mode) != 0 || ::lstat(name.sun_path, &made) != 0 ||
        ::listen(fd.get(), limits::nbd_backlog) != 0)
        return std::unexpected(system_error("cannot listen on", text, errno));
    std::vector<NbdListeningSocket> sockets;
    NbdListeningSocket& socket = sockets.emplace_back(std::move(fd), text);
    socket.path_ = address.path;
    socket.device_ = made.st_dev;
    socket.inode_ = made.st_ino;
    return sockets;
}

std::string nbd_peer_text(int fd) {
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    auto* generic = reinterpret_cast<sockaddr*>(&name);
    if (::getpeername(fd, generic, &length) != 0) return "gone";
    if (name.ss_family != AF_UNIX) return address_text(generic, length);
    ucred credentials{};
    length = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return "unix";
    return fmt::format("unix pid {}", credentials.pid);
}

}  // namespace braidway::exports
