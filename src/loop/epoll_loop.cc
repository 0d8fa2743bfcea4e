// SPDX-License-Identifier: Apache-2.0
#include "loop/epoll_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <span>

namespace braidway::loop {

namespace {

constexpr int events_per_turn_max = 256;
constexpr uint32_t wake_slot = UINT32_MAX;
/// Watched for on every descriptor. Room for sending is watched for only while somebody waits for
/// it: on a unix socket each read of the peer would be an edge.
constexpr uint32_t always_watched = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr uint32_t hang_ups = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

/// The value of a system call as an operation reports it.
int32_t result_of(ssize_t value) {
    return value < 0 ? -errno : static_cast<int32_t>(value);
}

bool is_file_io(Operation::Kind kind) {
    return kind == Operation::Kind::read || kind == Operation::Kind::write ||
           kind == Operation::Kind::sync_data || kind == Operation::Kind::allocate;
}

}  // namespace

Result<std::unique_ptr<Loop>> EpollLoop::create(const std::string& reason) {
    std::unique_ptr<EpollLoop> loop(new EpollLoop());
    if (auto made = loop->set_up(); !made) return std::unexpected(made.error());
    if (!reason.empty()) loop->description_ += " (" + reason + ")";
    return std::unique_ptr<Loop>(std::move(loop));
}

EpollLoop::EpollLoop()
    : description_("epoll with up to " + std::to_string(limits::io_workers_max) + " workers"),
      workers_(
          [](void* owner, Operation& operation) {
              auto& self = *static_cast<EpollLoop*>(owner);
              self.finished_.push(operation);
              self.wake_if_asleep();
          },
          this) {
}

EpollLoop::~EpollLoop() {
    shut_down();
    workers_.stop();  // One may be about to wake this loop, although its result is here already.
    if (wake_fd_ >= 0) close(wake_fd_);
    if (epoll_fd_ >= 0) close(epoll_fd_);
}

Result<void> EpollLoop::set_up() {
    epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
    wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    // Each write is an edge, so nobody has to read it.
    epoll_event event{EPOLLIN | EPOLLET, {.u32 = wake_slot}};
    if (epoll_fd_ < 0 || wake_fd_ < 0 ||
        epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) {
        const int code = errno;
        return fail("no descriptors for an event loop: " + errno_text(code), code);
    }
    return {};
}

File EpollLoop::add_file(int fd) {
    if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<int>(watches_.size()));
        watches_.emplace_back();
        free_slots_.reserve(watches_.size());
    }
    const int slot = free_slots_.back();
    free_slots_.pop_back();
    Watch& watch = watches_[static_cast<size_t>(slot)];
    watch.fd = fd;
    watch.events = 0;
    watch.readable = watch.writable = true;
    watch.hung_up = false;
    return {fd, slot};
}

void EpollLoop::remove_file(File file) {
    Watch& watch = watch_of(file);
    CHECK(watch.waiting.empty(), "a file is forgotten after its operations have ended");
    if (watch.events != 0) {
        ++counters_.system_calls;
        epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, watch.fd, nullptr);
    }
    watch.fd = -1;
    watch.events = 0;
    free_slots_.push_back(file.slot);
}

EpollLoop::Watch& EpollLoop::watch_of(File file) {
    const auto slot = static_cast<size_t>(file.slot);
    CHECK(file.slot >= 0 && slot < watches_.size() && watches_[slot].fd == file.fd,
          "a file is made known to a loop before it is used there");
    return watches_[slot];
}

void EpollLoop::start(Operation& operation) {
    if (is_file_io(operation.kind))
        start_file(operation);
    else
        start_socket(operation);
}

void EpollLoop::cancel(Operation& operation) {
    if (!operation.cancellable()) return;
    operation.cancelled = true;
    if (is_file_io(operation.kind)) {
        if (operation.waiting) {
            for_workers_.remove(operation);
        } else if (!workers_.withdraw(operation)) {
            return;  // It has begun.
        }
    } else {
        watch_of(operation.file).waiting.remove(operation);
    }
    finish_soon(operation, -ECANCELED);
}

void EpollLoop::start_file(Operation& operation) {
    operation.waiting = true;
    for_workers_.push_back(operation);
}

/// Tries `operation`; if it cannot be done yet, it waits.
void EpollLoop::start_socket(Operation& operation) {
    Watch& watch = watch_of(operation.file);
    Outcome outcome = attempt(watch, operation);
    if (!outcome) {
        uint32_t events = always_watched;
        if (operation.kind == Operation::Kind::send) events |= EPOLLOUT;
        if (operation.kind == Operation::Kind::poll)
            events |= static_cast<uint32_t>(operation.flags);
        if (const int code = watch_for(watch, operation.file, events); code != 0) outcome = -code;
    }
    if (outcome) {
        finish_soon(operation, *outcome);
    } else {
        operation.waiting = true;
        watch.waiting.push_back(operation);
    }
}

/// Makes epoll watch for `events`, too. Adding and changing both report what is so already.
/// Returns an errno value.
int EpollLoop::watch_for(Watch& watch, File file, uint32_t events) {
    if ((watch.events & events) == events) return 0;
    events |= watch.events;
    epoll_event event{events, {.u32 = static_cast<uint32_t>(file.slot)}};
    const int action = watch.events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    ++counters_.system_calls;
    if (epoll_ctl(epoll_fd_, action, watch.fd, &event) != 0) return errno;
    watch.events = events;
    return 0;
}

/// Stops watching for room when nobody waits for it any more.
void EpollLoop::watch_room_no_longer(Watch& watch, uint32_t slot) {
    if ((watch.events & EPOLLOUT) == 0) return;
    for (Operation* one = watch.waiting.front(); one != nullptr; one = watch.waiting.after(*one)) {
        if (one->kind == Operation::Kind::send) return;
        if (one->kind == Operation::Kind::poll && (one->flags & POLLOUT) != 0) return;
    }
    epoll_event event{watch.events & ~uint32_t{EPOLLOUT}, {.u32 = slot}};
    ++counters_.system_calls;
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, watch.fd, &event) == 0) watch.events = event.events;
}

EpollLoop::Outcome EpollLoop::attempt(Watch& watch, Operation& operation) {
    switch (operation.kind) {
        case Operation::Kind::receive:
            return attempt_receive(watch, operation);
        case Operation::Kind::send:
            return attempt_send(watch, operation);
        case Operation::Kind::accept:
            return attempt_accept(watch);
        case Operation::Kind::poll:
            return attempt_poll(watch, operation);
        case Operation::Kind::idle:
        case Operation::Kind::ready:
        case Operation::Kind::held:
        case Operation::Kind::read:
        case Operation::Kind::write:
        case Operation::Kind::sync_data:
        case Operation::Kind::allocate:
            break;
    }
    CHECK(false, "files are the workers' business");
}

EpollLoop::Outcome EpollLoop::attempt_receive(Watch& watch, Operation& operation) {
    if (!watch.readable && !watch.hung_up) return {};
    operation.message = {};
    operation.message.msg_iov = const_cast<iovec*>(operation.iov);
    operation.message.msg_iovlen = operation.iov_count;
    ssize_t count = 0;
    do {
        ++counters_.system_calls;
        count = recvmsg(watch.fd, &operation.message, MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    const int32_t result = result_of(count);
    if (result == -EAGAIN) watch.readable = watch.hung_up = false;
    if (result > 0 && static_cast<size_t>(count) < operation.bytes()) watch.readable = false;
    return result == -EAGAIN ? Outcome() : Outcome(result);
}

EpollLoop::Outcome EpollLoop::attempt_send(Watch& watch, Operation& operation) {
    if (!watch.writable) return {};
    operation.message = {};
    operation.message.msg_iov = const_cast<iovec*>(operation.iov);
    operation.message.msg_iovlen = operation.iov_count;
    ssize_t count = 0;
    do {
        ++counters_.system_calls;
        count = sendmsg(watch.fd, &operation.message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    const int32_t result = result_of(count);
    if (result == -EAGAIN) watch.writable = false;
    return result == -EAGAIN ? Outcome() : Outcome(result);
}

EpollLoop::Outcome EpollLoop::attempt_accept(Watch& watch) {
    if (!watch.readable && !watch.hung_up) return {};
    int32_t result = 0;
    do {
        ++counters_.system_calls;
        result = result_of(accept4(watch.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    } while (result == -EINTR);
    if (result == -EAGAIN) watch.readable = watch.hung_up = false;
    return result == -EAGAIN ? Outcome() : Outcome(result);
}

EpollLoop::Outcome EpollLoop::attempt_poll(Watch& watch, const Operation& operation) {
    pollfd entry{watch.fd, static_cast<short>(operation.flags), 0};
    ++counters_.system_calls;
    const int count = ::poll(&entry, 1, 0);
    return count > 0 ? Outcome(entry.revents) : Outcome();
}

void EpollLoop::wait(bool block, Instant deadline) {
    for (Operation* one = for_workers_.front(); one != nullptr; one = for_workers_.after(*one)) {
        one->waiting = false;
    }
    counters_.system_calls += workers_.submit(for_workers_);

    if (block) block = finished_.empty() && fall_asleep() && finished_.empty();
    std::array<epoll_event, events_per_turn_max> events;
    const int count = wait_for_events(events, block, deadline);
    woke_up();

    finished_.take_all([this](Operation& operation) { finish(operation, operation.result); });
    for (int at = 0; at < count; ++at) {
        const epoll_event& event = events[static_cast<size_t>(at)];
        if (event.data.u32 != wake_slot) happened(event.data.u32, event.events);
    }
}

/// Returns how many events there are.
int EpollLoop::wait_for_events(std::span<epoll_event> events, bool block, Instant deadline) {
    int count = 0;
    do {
        ++counters_.system_calls;
        count = wait_once(events, block ? time_until(deadline) : Duration::zero());
    } while (count < 0 && errno == EINTR);
    CHECK(count >= 0, "the kernel lets a loop wait for events");
    return count;
}

/// No timeout = for ever.
int EpollLoop::wait_once(std::span<epoll_event> events, std::optional<Duration> timeout) {
    const int room = static_cast<int>(events.size());
    if (!timeout) return epoll_wait(epoll_fd_, events.data(), room, -1);
    if (precise_ && *timeout > Duration::zero()) {
        timespec length{};
        length.tv_sec = timeout->count() / 1'000'000'000;
        length.tv_nsec = timeout->count() % 1'000'000'000;
        const int count = epoll_pwait2(epoll_fd_, events.data(), room, &length, nullptr);
        if (count >= 0 || errno == EINTR) return count;
        precise_ = false;  // An old kernel, or a filter of system calls that does not know it.
    }
    // Rounded up: early would be a turn for nothing.
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*timeout).count();
    return epoll_wait(epoll_fd_, events.data(), room,
                      static_cast<int>(std::min<int64_t>(ms, INT_MAX)));
}

/// Something came for the descriptor in `slot`: whoever waits there tries. The event may be one of
/// a descriptor that has left its slot since; then they try in vain.
void EpollLoop::happened(uint32_t slot, uint32_t events) {
    Watch& watch = watches_[slot];
    if ((events & (EPOLLIN | hang_ups)) != 0) watch.readable = true;
    if ((events & (EPOLLOUT | hang_ups)) != 0) watch.writable = true;
    if ((events & hang_ups) != 0) watch.hung_up = true;
    for (size_t left = watch.waiting.size(); left > 0; --left) {
        Operation* operation = watch.waiting.pop_front();
        if (operation == nullptr) break;
        if (const Outcome outcome = attempt(watch, *operation)) {
            finish(*operation, *outcome);
        } else {
            watch.waiting.push_back(*operation);
        }
    }
    if ((events & EPOLLOUT) != 0) watch_room_no_longer(watch, slot);
}

void EpollLoop::wake() {
    const uint64_t one = 1;
    // A full counter is refused, and is as good a wake-up as any.
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
}

}  // namespace braidway::loop
