// SPDX-License-Identifier: Apache-2.0
#include "loop/uring_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "base/clock.h"
#include "base/limits.h"
#include "loop/uring_entry.h"

namespace braidway::loop {

namespace {

/// Where the kernel puts the wake-up counter, which nobody reads. Static, because a read that is
/// in flight when a ring is closed ends some time later.
uint64_t wake_sink;

/// Said by the ring: entering the kernel would bring completions.
constexpr unsigned kernel_has_work = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;

/// Completions that belong to no operation.
constexpr uint64_t ignored_tag = 0;
constexpr uint64_t wake_tag = 1;

/// Modes of the ring, best first; a kernel that does not know one answers EINVAL.
struct Mode {
    unsigned flags;
    const char* description;
};
constexpr Mode modes[] = {
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
         IORING_SETUP_SUBMIT_ALL,
     "io_uring (single issuer, deferred task work"},
    {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
     "io_uring (cooperative task work"},
    {0, "io_uring (plain"},
};

/// Leaves the processor to its other thread for a moment, where it has two.
void breathe() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

bool is_socket_wait(Operation::Kind kind) {
    return kind == Operation::Kind::receive || kind == Operation::Kind::send ||
           kind == Operation::Kind::accept;
}

}  // namespace

Result<std::unique_ptr<Loop>> UringLoop::create() {
    std::unique_ptr<UringLoop> loop(new UringLoop());
    if (auto made = loop->set_up(); !made) return std::unexpected(made.error());
    return std::unique_ptr<Loop>(std::move(loop));
}

UringLoop::~UringLoop() {
    shut_down();
    if (ring_made_) io_uring_queue_exit(&ring_);
    if (wake_fd_ >= 0) close(wake_fd_);
}

Result<void> UringLoop::set_up() {
    // Blocking, so that a read of it waits in the kernel.
    wake_fd_ = eventfd(0, EFD_CLOEXEC);
    if (wake_fd_ < 0) {
        const int code = errno;
        return fail("no event descriptor for an event loop: " + errno_text(code), code);
    }
    if (const int code = set_up_ring(); code != 0) {
        return fail("the kernel refuses io_uring: " + errno_text(code), code);
    }
    ring_made_ = true;
    if ((ring_.features & IORING_FEAT_EXT_ARG) == 0) {
        return fail("io_uring of this kernel is too old (5.11 is needed)", ENOSYS);
    }
    make_file_table();
    wake_file_ = add_file(wake_fd_);
    queue_wake_read();
    return {};
}

int UringLoop::set_up_ring() {
    int refused = EINVAL;
    for (const Mode& mode : modes) {
        io_uring_params params{};
        params.flags =
            mode.flags | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        params.cq_entries = 4 * limits::ring_entries;
        refused = -io_uring_queue_init_params(limits::ring_entries, &ring_, &params);
        if (refused == 0) {
            description_ = mode.description;
            // Since Linux 6.1, as the best mode, a send that fails half-way says how far it came.
            quick_sends_ = &mode == std::begin(modes) && (ring_.features & IORING_FEAT_CQE_SKIP);
            return 0;
        }
        if (refused != EINVAL) break;
    }
    return refused;
}

/// Files in a table of the ring spare the kernel two atomic operations per I/O. Refused (an old
/// kernel, a small limit of open files) means plain descriptors.
void UringLoop::make_file_table() {
    for (unsigned slots = limits::ring_files; slots >= 256; slots /= 4) {
        if (io_uring_register_files_sparse(&ring_, slots) != 0) continue;
        free_slots_.reserve(slots);
        for (unsigned slot = slots; slot > 0; --slot) {
            free_slots_.push_back(static_cast<int>(slot) - 1);
        }
        description_ += ", registered files)";
        return;
    }
    description_ += ")";
}

bool UringLoop::register_memory(std::byte* base, size_t bytes) {
    CHECK(registered_ == nullptr, "a loop registers one range of memory");
    const iovec range{base, bytes};
    if (io_uring_register_buffers(&ring_, &range, 1) != 0) return false;
    registered_ = base;
    registered_bytes_ = bytes;
    description_.insert(description_.size() - 1, ", registered buffers");
    return true;
}

File UringLoop::add_file(int fd) {
    if (free_slots_.empty()) return {fd, -1};
    const int slot = free_slots_.back();
    ++counters_.system_calls;
    if (io_uring_register_files_update(&ring_, static_cast<unsigned>(slot), &fd, 1) != 1) {
        return {fd, -1};
    }
    free_slots_.pop_back();
    return {fd, slot};
}

void UringLoop::remove_file(File file) {
    if (file.slot < 0) return;
    int none = -1;
    ++counters_.system_calls;
    const int removed =
        io_uring_register_files_update(&ring_, static_cast<unsigned>(file.slot), &none, 1);
    // Refused to other threads than the lane's, as when things are taken down after it has ended:
    // then the slot stays taken until the ring goes.
    if (removed == 1) free_slots_.push_back(file.slot);
}

void UringLoop::cancel(Operation& operation) {
    if (!operation.cancellable()) return;
    operation.cancelled = true;
    operation.patient = false;
    if (operation.quick) return;  // It ends with this turn's submission, or has ended.
    if (operation.linked()) {
        (operation.kind == Operation::Kind::receive ? receives_ : backlog_).remove(operation);
        finish_soon(operation, -ECANCELED);
        return;
    }
    io_uring_sqe* entry = take_entry();
    while (entry == nullptr) {
        // Only while the kernel has no memory for requests; it must be told, or nobody would.
        CHECK(enabled_, "what is cancelled before the first turn fits into the ring");
        ++counters_.system_calls;
        io_uring_submit_and_get_events(&ring_);
        entry = take_entry();
    }
    // The queue is in order: a later operation with the same address is not hit.
    io_uring_prep_cancel(entry, &operation, 0);
    io_uring_sqe_set_data64(entry, ignored_tag);
}

void UringLoop::start(Operation& operation) {
    const bool is_transfer =
        operation.kind == Operation::Kind::read || operation.kind == Operation::Kind::write;
    if (is_transfer && operation.iov_count == 1) {
        const auto* first = static_cast<const std::byte*>(operation.iov->iov_base);
        operation.registered = first >= registered_ &&
                               first + operation.iov->iov_len <= registered_ + registered_bytes_;
    }
    if (operation.kind == Operation::Kind::send && operation.patient && quick_sends_ &&
        backlog_.empty() && operation.bytes() <= limits::quick_send_bytes_max) {
        if (io_uring_sqe* entry = take_entry()) {
            operation.quick = true;
            quick_.push_back(operation);
            return prepare_entry(operation, *entry);
        }
    }
    queue(operation);
}

void UringLoop::queue(Operation& operation) {
    if (operation.kind == Operation::Kind::receive) return receives_.push_back(operation);
    io_uring_sqe* entry = backlog_.empty() ? take_entry() : nullptr;
    if (entry == nullptr) {
        backlog_.push_back(operation);
    } else {
        prepare_entry(operation, *entry);
    }
}

void UringLoop::queue_list(IntrusiveList<Operation>& list) {
    while (!list.empty()) {
        io_uring_sqe* entry = take_entry();
        if (entry == nullptr) return;
        prepare_entry(*list.pop_front(), *entry);
    }
}

void UringLoop::queue_wake_read() {
    io_uring_sqe* entry = take_entry();
    CHECK(entry != nullptr, "there is an entry for the wake-up");
    io_uring_prep_read(entry, wake_file_.slot >= 0 ? wake_file_.slot : wake_fd_, &wake_sink,
                       sizeof wake_sink, 0);
    if (wake_file_.slot >= 0) entry->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(entry, wake_tag);
}

/// An entry of the submission queue; makes room by submitting when it is full. Null before the
/// first turn, or when the kernel takes no more for now.
io_uring_sqe* UringLoop::take_entry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr && enabled_) {
        ++counters_.system_calls;
        io_uring_submit(&ring_);
        quick_left_ = !quick_.empty();
        entry = io_uring_get_sqe(&ring_);
    }
    return entry;
}

void UringLoop::wait(bool block, Instant deadline) {
    if (!enabled_) enable();
    queue_list(backlog_);
    queue_list(receives_);
    if (!backlog_.empty() || !receives_.empty() || quick_left_) block = false;
    for (Operation* one = quick_.front(); one != nullptr && block; one = quick_.after(*one))
        block = one->patient;
    enter(block, deadline);
    woke_up();
    end_quick();
    deliver();
}

void UringLoop::wake() {
    const uint64_t one = 1;
    const ssize_t written = ::write(wake_fd_, &one, sizeof one);
    CHECK(written == sizeof one, "an event descriptor takes an event");
}

void UringLoop::enable() {
    // Not by io_uring_enable_rings(): the shared library of liburing 2.3 does not export it.
    const int result = io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                         IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    CHECK(result == 0, "a ring that was made disabled can be enabled");
    enabled_ = true;
    io_uring_register_ring_fd(&ring_);  // Refused by kernels before 5.18; then it costs a little.
}

/// The only place where a turn enters the kernel: once, or not at all; twice where it looks first.
void UringLoop::enter(bool block, Instant deadline) {
    int result = 0;
    const bool look_first = std::exchange(look_first_, false);
    if (block && io_uring_cq_ready(&ring_) == 0 && fall_asleep()) {
        if (look_first && look(deadline)) {
            --counters_.sleeps;  // It was awake all the time.
            return;
        }
        do {
            result = enter_and_wait(deadline);
        } while (result == -EINTR && io_uring_cq_ready(&ring_) == 0);
    } else {
        const unsigned flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
        if (io_uring_sq_ready(&ring_) == 0 && (flags & kernel_has_work) == 0) return;
        ++counters_.system_calls;
        result = io_uring_submit_and_get_events(&ring_);
    }
    CHECK(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
              result == -EBUSY,
          "the kernel takes what the ring asks of it");
}

/// Looks whether something comes, after submitting everything. False when it has to sleep.
bool UringLoop::look(Instant deadline) {
    constexpr int looks_per_clock = 16;
    if (!lookout_.worth_it()) return false;
    ++counters_.looks;
    if (io_uring_sq_ready(&ring_) > 0) {
        ++counters_.system_calls;
        // What has failed is tried again by whoever sleeps.
        if (io_uring_submit_and_get_events(&ring_) < 0) return false;
    }
    // What is there at once says nothing of looking: the peer may have run on this very CPU.
    bool found = something_came();
    if (!found) {
        const Instant end = std::min(deadline, monotonic_now() + limits::look_length);
        do {
            for (int at = 0; at < looks_per_clock && !found; ++at) {
                breathe();
                found = something_came();
            }
        } while (!found && monotonic_now() < end);
        lookout_.looked(found);
        if (!found) return false;
    }
    ++counters_.looks_found;
    if (io_uring_cq_ready(&ring_) > 0) return true;
    ++counters_.system_calls;
    io_uring_get_events(&ring_);
    return true;
}

/// Whether there is a completion, or the kernel has something that will become one.
bool UringLoop::something_came() const {
    return io_uring_cq_ready(&ring_) > 0 ||
           (IO_URING_READ_ONCE(*ring_.sq.kflags) & kernel_has_work) != 0;
}

/// Submits everything and waits for one completion.
int UringLoop::enter_and_wait(Instant deadline) {
    ++counters_.system_calls;
    const std::optional<Duration> left = time_until(deadline);
    if (!left) return io_uring_submit_and_wait(&ring_, 1);
    __kernel_timespec length{};
    length.tv_sec = left->count() / 1'000'000'000;
    length.tv_nsec = left->count() % 1'000'000'000;
    io_uring_cqe* first = nullptr;
    return io_uring_submit_and_wait_timeout(&ring_, &first, 1, &length, nullptr);
}

/// Quick sends that were submitted and have no completion have sent everything. Told before the
/// completions, among which may be the answers.
void UringLoop::end_quick() {
    // Not all submitted, or a completion that has found no room.
    quick_left_ =
        !quick_.empty() && (io_uring_sq_ready(&ring_) > 0 ||
                            (IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0);
    if (quick_left_ || quick_.empty()) return;
    unsigned head = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
        if (completion->user_data <= wake_tag) continue;
        auto& operation = *reinterpret_cast<Operation*>(completion->user_data);
        if (operation.quick && operation.linked()) quick_.remove(operation);
    }
    // Those that are started meanwhile come behind.
    for (size_t left = quick_.size(); left > 0; --left) {
        Operation& operation = *quick_.pop_front();
        operation.quick = false;
        finish(operation, static_cast<int32_t>(operation.bytes()));
    }
}

void UringLoop::deliver() {
    for (unsigned left = io_uring_cq_ready(&ring_); left > 0; --left) {
        io_uring_cqe* completion = nullptr;
        if (io_uring_peek_cqe(&ring_, &completion) != 0) break;
        const uint64_t tag = completion->user_data;
        const int32_t result = completion->res;
        io_uring_cq_advance(&ring_, 1);
        if (tag == wake_tag) {
            queue_wake_read();
        } else if (tag != ignored_tag) {
            completed(*reinterpret_cast<Operation*>(tag), result);
        }
    }
}

void UringLoop::completed(Operation& operation, int32_t result) {
    if (std::exchange(operation.quick, false)) {
        if (operation.linked()) quick_.remove(operation);
        if (result == -EAGAIN && !operation.cancelled) return queue(operation);
        if (result == -EAGAIN) result = -ECANCELED;
    } else if (is_socket_wait(operation.kind)) {
        // Some kernels do not let operations on non-blocking sockets wait: wait by poll, then try.
        const bool readiness = operation.waiting && result >= 0;
        operation.waiting = !operation.waiting && result == -EAGAIN;
        if (readiness || operation.waiting) {
            if (!operation.cancelled) return queue(operation);
            result = -ECANCELED;
        }
    }
    if (operation.cancelled && result == -EINTR) result = -ECANCELED;
    finish(operation, result);
}

}  // namespace braidway::loop
