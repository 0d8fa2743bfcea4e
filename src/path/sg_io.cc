// SPDX-License-Identifier: Apache-2.0
#include "path/sg_io.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace braidway::path {

using wire::ScsiTransport;

/// A command on its way. While a thread has it the command is the thread's, the rest the lane's.
struct SgIo::Job : loop::BlockingCall {
    SgCommand command;
    int error = 0;  ///< Of the call.

    // --- the lane's own ---
    SgIo* channel = nullptr;
    ScsiTask* task = nullptr;  ///< Null once it was answered without the kernel.
    bool busy = false;
    bool refused = false;  ///< Not for the kernel: `answer_soon` tells `transport`.
    ScsiTransport transport = ScsiTransport::answered;
    loop::Timer deadline;
    loop::Operation answer_soon;
};

namespace {

constexpr int sg_version_min = 30000;  // SG_IO came with version 3.

}  // namespace

int sg_system_call(int fd, sg_io_hdr& header) {
    int result = 0;
    do {
        result = ::ioctl(fd, SG_IO, &header);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? errno : 0;
}

SgDevice::SgDevice(SgDevice&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), name_(std::move(other.name_)) {
}

SgDevice::~SgDevice() {
    if (fd_ >= 0) ::close(fd_);
}

Result<SgDevice> open_sg_device(const std::string& name) {
    constexpr int flags = O_CLOEXEC | O_NONBLOCK;
    int fd = ::open(name.c_str(), O_RDWR | flags);
    if (fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM))
        fd = ::open(name.c_str(), O_RDONLY | flags);
    if (fd < 0) return fail(fmt::format("{}: {}", name, errno_text(errno)), errno);
    SgDevice device(fd, name);
    struct stat status{};
    if (::fstat(fd, &status) != 0)
        return fail(fmt::format("{}: {}", name, errno_text(errno)), errno);
    if (!S_ISBLK(status.st_mode) && !S_ISCHR(status.st_mode))
        return fail(fmt::format("{}: is no device and takes no SCSI commands; name /dev/sdX or "
                                "/dev/sgN",
                                name),
                    ENOTTY);
    int version = 0;
    if (::ioctl(fd, SG_GET_VERSION_NUM, &version) != 0 || version < sg_version_min)
        return fail(fmt::format("{}: takes no SCSI commands (SG_IO); a hardware handler needs a "
                                "SCSI disk, /dev/sdX or /dev/sgN",
                                name),
                    ENOTTY);
    return device;
}

SgIo::SgIo(loop::Loop& loop, SgDevice device, SgCall call)
    : loop_(loop),
      device_(std::move(device)),
      call_(call ? std::move(call) : sg_system_call),
      threads_(loop, "bw-scsi", limits::sg_workers_max) {
}

SgIo::~SgIo() {
    CHECK(quiet(), "a channel goes after its commands have ended");
}

void SgIo::execute(ScsiTask& task) {
    if (down_) return refuse(task, ScsiTransport::no_connection);
    const bool both_ways = !task.data_out.empty() && task.data_in_bytes > 0;
    if (both_ways || commands_ >= limits::sg_commands_max)
        return refuse(task, ScsiTransport::no_resources);

    Job& job = free_job();
    job.task = &task;
    job.command.cdb = task.cdb;
    job.command.data_out = task.data_out;
    job.command.data_in.assign(task.data_in_bytes, std::byte{0});
    prepare_sg(job.command, task.timeout);
    job.work = [](loop::BlockingCall& call) {
        Job& begun = static_cast<Job&>(call);
        begun.error = begun.channel->call_(begun.channel->device_.fd(), begun.command.header);
    };
    job.done = [](loop::BlockingCall& call) {
        Job& done = static_cast<Job&>(call);
        done.channel->ended(done);
    };
    if (!threads_.run(job)) {
        release(job);
        return refuse(task, ScsiTransport::no_resources);
    }
    job.deadline.owner = &job;
    job.deadline.fire = [](loop::Timer& timer, Instant) {
        Job& late = *static_cast<Job*>(timer.owner);
        late.channel->deadline_passed(late);
    };
    loop_.arm_after(job.deadline, task.timeout + limits::sg_answer_grace);
}

void SgIo::shut_down() {
    down_ = true;
    // refuse() may make the list longer, by jobs that are left alone here.
    for (size_t at = 0; at < jobs_.size(); ++at) {
        Job& job = *jobs_[at];
        if (job.task == nullptr || job.refused) continue;
        loop_.disarm(job.deadline);
        ScsiTask& task = *std::exchange(job.task, nullptr);
        if (threads_.withdraw(job)) {
            release(job);
            refuse(task, ScsiTransport::no_connection);
        } else {
            // Another job carries the answer: the kernel keeps this one.
            ++stuck_;
            refuse(task, ScsiTransport::connection_lost);
        }
    }
}

SgIo::Job& SgIo::free_job() {
    auto free = std::ranges::find(jobs_, false, [](const auto& job) { return job->busy; });
    if (free == jobs_.end()) free = jobs_.insert(free, std::make_unique<Job>());
    Job& job = **free;
    job.channel = this;
    job.busy = true;
    job.refused = false;
    ++commands_;
    return job;
}

/// Answers a task that the kernel does not see, or sees no more; from the loop.
void SgIo::refuse(ScsiTask& task, ScsiTransport transport) {
    Job& job = free_job();
    job.task = &task;
    job.refused = true;
    job.transport = transport;
    job.answer_soon.owner = &job;
    job.answer_soon.done = [](loop::Operation& operation, int32_t) {
        Job& refused = *static_cast<Job*>(operation.owner);
        refused.channel->answer(refused, {.transport = refused.transport});
    };
    loop_.complete_soon(job.answer_soon, 0);
}

void SgIo::deadline_passed(Job& job) {
    if (threads_.withdraw(job)) return answer(job, {.transport = ScsiTransport::no_resources});
    ++stuck_;
    ScsiTask& task = *std::exchange(job.task, nullptr);
    task.transport = ScsiTransport::timed_out;
    task.status = 0;
    task.sense.clear();
    task.data_in.clear();
    task.done(task);
}

/// The kernel has given the job back.
void SgIo::ended(Job& job) {
    if (job.task == nullptr) {
        --stuck_;
        release(job);
        return;
    }
    loop_.disarm(job.deadline);
    if (job.error != 0) refusal_ = job.error;
    answer(job, read_sg(job.command, job.error));
}

/// The task's owner may send the next one from inside its `done`, and that may take this job.
void SgIo::answer(Job& job, const wire::ScsiAnswer& answer) {
    ScsiTask& task = *std::exchange(job.task, nullptr);
    task.transport = answer.transport;
    task.status = answer.status;
    task.sense.assign(answer.sense.begin(), answer.sense.end());
    task.data_in.assign(answer.data_in.begin(), answer.data_in.end());
    release(job);
    task.done(task);
}

void SgIo::release(Job& job) {
    job.busy = false;
    --commands_;
}

}  // namespace braidway::path
