// SPDX-License-Identifier: Apache-2.0
#include "daemon/api_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/limits.h"

namespace braidway::daemon {
namespace {

/// A descriptor that is closed at the end of its scope.
struct Descriptor {
    int fd;
    explicit Descriptor(int from) : fd(from) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

std::unexpected<Error> socket_error(const std::string& path, std::string_view what, int code) {
    return fail(fmt::format("control socket {}: {}: {} (--api SOCKET chooses another one)", path,
                            what, errno_text(code)),
                code);
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

const sockaddr* generic(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

/// Removes a socket that nobody listens on any more.
Result<void> remove_stale(const std::string& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return {};
        return socket_error(path, "cannot be looked at", errno);
    }
    if (!S_ISSOCK(status.st_mode))
        return fail(fmt::format("control socket {}: this name is taken by something that is no "
                                "socket (--api SOCKET chooses another one)",
                                path),
                    EEXIST);
    const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (probe.fd < 0) return socket_error(path, "cannot be tried", errno);
    const sockaddr_un address = address_of(path);
    const bool connected = ::connect(probe.fd, generic(address), sizeof address) == 0;
    if (connected || errno == EAGAIN)
        return fail(fmt::format("control socket {}: another daemon is running there (--api SOCKET "
                                "chooses another one)",
                                path),
                    EADDRINUSE);
    if (errno != ECONNREFUSED) return socket_error(path, "cannot be tried", errno);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return socket_error(path, "is stale and cannot be removed", errno);
    return {};
}

/// Opens the folder of the socket, which is made when only itself is missing.
int open_folder(const std::string& path) {
    std::string folder = std::filesystem::path(path).parent_path();
    if (folder.empty()) folder = ".";
    constexpr mode_t folder_mode = 0755;
    ::mkdir(folder.c_str(), folder_mode);
    return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

}  // namespace

Result<ApiSocket> ApiSocket::open(const ApiConfig& config) {
    const std::string& path = config.socket;
    if (const Result<void> fits = exports::check_socket_path(path); !fits)
        return std::unexpected(fits.error());
    const Descriptor folder(open_folder(path));
    if (folder.fd < 0) return socket_error(path, "its folder cannot be opened", errno);
    // Two daemons that start at once must not both find the other's socket stale.
    if (::flock(folder.fd, LOCK_EX) != 0)
        return socket_error(path, "its folder cannot be locked", errno);
    if (const Result<void> removed = remove_stale(path); !removed)
        return std::unexpected(removed.error());
    Descriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (made.fd < 0) return socket_error(path, "cannot be made", errno);
    // The mode of an unbound socket is where bind() begins: never wider than what is asked for.
    if (::fchmod(made.fd, config.mode) != 0)
        return socket_error(path, "cannot get its mode", errno);
    const sockaddr_un address = address_of(path);
    if (::bind(made.fd, generic(address), sizeof address) != 0)
        return socket_error(path, "cannot be made", errno);
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return socket_error(path, "is gone already", errno);
    ApiSocket opened(std::exchange(made.fd, -1), path, status.st_dev, status.st_ino);
    // A umask may have narrowed it.
    if (::chmod(path.c_str(), config.mode) != 0 || ::listen(opened.fd_, limits::api_backlog) != 0)
        return socket_error(path, "cannot be listened on", errno);
    return opened;
}

ApiSocket::ApiSocket(ApiSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(other.inode_) {
}

ApiSocket& ApiSocket::operator=(ApiSocket&& other) noexcept {
    if (this == &other) return *this;
    close();
    fd_ = std::exchange(other.fd_, -1);
    path_ = std::exchange(other.path_, {});
    device_ = other.device_;
    inode_ = other.inode_;
    return *this;
}

ApiSocket::~ApiSocket() {
    close();
}

int ApiSocket::take_fd() {
    return std::exchange(fd_, -1);
}

void ApiSocket::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    if (path_.empty()) return;
    // Somebody may have put another socket there meanwhile.
    struct stat status{};
    if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_)
        ::unlink(path_.c_str());
    path_.clear();
}

}  // namespace braidway::daemon
