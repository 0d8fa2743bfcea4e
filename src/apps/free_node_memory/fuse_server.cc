// SPDX-License-Identifier: Apache-2.0
#define FUSE_USE_VERSION 312
#include "apps/free_node_memory/fuse_server.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fuse3/fuse_lowlevel.h>
#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <ostream>

#include "apps/free_node_memory/fuse_files.h"
#include "memory/reclaim/free_nodes.h"

namespace braidway::apps {
namespace {

using memory::Outcome;

/// What libfuse said last; it knows no other way to say why something failed. It is asked for on
/// the thread that mounts, before there are others.
std::string& last_complaint() {
    static std::string text;
    return text;
}

void hear_complaint(fuse_log_level, const char* format, va_list arguments) {
    std::array<char, 512> room{};
    std::vsnprintf(room.data(), room.size(), format, arguments);
    std::string_view text(room.data());
    if (text.starts_with("fuse: ")) text.remove_prefix(6);
    while (text.ends_with('\n')) text.remove_suffix(1);
    last_complaint() = text;
}

void ignore_complaint(fuse_log_level, const char*, va_list) {
}

/// The directory to mount on as an absolute path. Errors: why it will not do.
Result<std::string> find_directory(const std::string& directory) {
    namespace fs = std::filesystem;
    if (directory.empty()) return fail("expected an empty directory to mount on, not ''");
    std::error_code error;
    const fs::path path = fs::canonical(directory, error);
    if (error == std::errc::not_connected)
        return fail(
            fmt::format("{0}: its file system has lost its program; umount {0} first", directory));
    if (error)
        return fail(fmt::format("{}: {}; expected an empty directory to mount on", directory,
                                errno_text(error.value())));
    if (!fs::is_directory(path, error))
        return fail(
            fmt::format("{}: is no directory; expected an empty one to mount on", directory));
    const bool is_empty = fs::is_empty(path, error);
    if (error)
        return fail(
            fmt::format("{}: cannot be looked into: {}", directory, errno_text(error.value())));
    if (!is_empty)
        return fail(
            fmt::format("{}: is not empty; expected an empty directory to mount on", directory));
    return path.string();
}

/// The signals that end it, as a descriptor, for one scope.
class EndSignals {
  public:
    EndSignals() {
        sigemptyset(&set_);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set_, number);
        pthread_sigmask(SIG_BLOCK, &set_, &before_);
        descriptor_ = signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    ~EndSignals() {
        // A second one that came meanwhile meant the same.
        signalfd_siginfo info{};
        while (::read(descriptor_, &info, sizeof info) > 0) {}
        close(descriptor_);
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    EndSignals(const EndSignals&) = delete;
    EndSignals& operator=(const EndSignals&) = delete;
    int descriptor() const { return descriptor_; }

  private:
    sigset_t set_{};
    sigset_t before_{};
    int descriptor_ = -1;
};

struct SessionEnd {
    void operator()(fuse_session* session) const { fuse_session_destroy(session); }
};
using Session = std::unique_ptr<fuse_session, SessionEnd>;

/// Mounts. Errors: why it is not possible here.
Result<Session> mount_on(const std::string& directory, FuseFiles& files) {
    if (access("/dev/fuse", R_OK | W_OK) != 0)
        return fail(
            fmt::format("/dev/fuse: {}; mounting needs FUSE (modprobe fuse)", errno_text(errno)));
    std::string words = "default_permissions,fsname=free-node-memory,subtype=free-node-memory";
    // Others than the mounting user; an ordinary user may not give that right.
    if (geteuid() == 0) words += ",allow_other";
    std::string program = "free-node-memory";
    std::string option = "-o";
    std::array<char*, 4> texts{program.data(), option.data(), words.data(), nullptr};
    fuse_args arguments = FUSE_ARGS_INIT(3, texts.data());
    fuse_set_log_func(hear_complaint);
    Session session(
        fuse_session_new(&arguments, &FuseFiles::operations(), sizeof(fuse_lowlevel_ops), &files));
    fuse_opt_free_args(&arguments);
    const bool is_mounted = session && fuse_session_mount(session.get(), directory.c_str()) == 0;
    fuse_set_log_func(ignore_complaint);
    if (!is_mounted)
        return fail(fmt::format("{}: cannot be mounted on: {}", directory,
                                last_complaint().empty() ? "FUSE refused" : last_complaint()));
    return session;
}

/// Serves until a signal or an unmount. Returns whether it ended as it should.
Result<void> serve(fuse_session* session, FuseFiles& files, int signals) {
    const int descriptor = fuse_session_fd(session);
    // A request that its sender takes back between poll() and read() must not make us wait.
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    fuse_buf buffer{};
    const std::unique_ptr<fuse_buf, void (*)(fuse_buf*)> owned(
        &buffer, [](fuse_buf* used) { free(used->mem); });
    while (!fuse_session_exited(session)) {
        std::array<pollfd, 2> wanted{pollfd{descriptor, POLLIN, 0}, pollfd{signals, POLLIN, 0}};
        if (poll(wanted.data(), wanted.size(), -1) < 0 && errno != EINTR)
            return fail(fmt::format("waiting for requests: {}", errno_text(errno)));
        if (wanted[1].revents != 0) return {};
        const int received = fuse_session_receive_buf(session, &buffer);
        if (received == -EINTR || received == -EAGAIN) continue;
        if (received == 0 || received == -ENODEV) return {};  // Unmounted.
        if (received < 0) return fail(fmt::format("reading requests: {}", errno_text(-received)));
        fuse_session_process_buf(session, &buffer);
        files.after_request();
    }
    return {};
}

}  // namespace

int serve_control_files(const MountOptions& options, ControlFiles& files, std::ostream& out,
                        std::ostream& error) {
    const auto refuse = [&error](const std::string& text, Outcome outcome) {
        error << "free-node-memory: mount: " << text << '\n';
        return static_cast<int>(outcome);
    };
    const auto directory = find_directory(options.directory);
    if (!directory) return refuse(directory.error().message, Outcome::usage);
    const EndSignals signals;  // Before there are threads: they are blocked in all of them.
    FuseFiles served(options, files);
    const auto session = mount_on(*directory, served);
    if (!session) return refuse(session.error().message, Outcome::refused);

    out << fmt::format("free-node-memory: {} is ready; SIGTERM or umount ends it\n", *directory)
        << std::flush;
    Result<void> end = serve(session->get(), served, signals.descriptor());
    const bool is_idle = served.stop(limits::control_stop_patience);
    fuse_session_unmount(session->get());
    if (!is_idle) {
        // A call of the kernel that hears nothing, such as a sync: nobody could wait for it.
        error << "free-node-memory: mount: a write is still at work and is left to itself\n"
              << std::flush;
        _exit(static_cast<int>(Outcome::done));
    }
    if (!end) return refuse(end.error().message, Outcome::refused);
    return static_cast<int>(Outcome::done);
}

}  // namespace braidway::apps
