// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace braidway::path {
namespace {

static_assert(sizeof(scsi_iovec) == sizeof(iovec) &&
                  offsetof(scsi_iovec, iov_len) == offsetof(iovec, iov_len),
              "libiscsi promises that its iovec is the system's");

/// In front of sense data stands their length.
constexpr int sense_header_bytes = 2;

IscsiSession& session_of(void* self) {
    return *static_cast<IscsiSession*>(self);
}

/// Units beyond 255 are addressed in the flat way.
int lun_field(uint16_t lun) {
    return lun < 0x100 ? lun : 0x4000 | lun;
}

void set_cork(int fd, int on) {
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

}  // namespace

IscsiSession::IscsiSession(loop::Loop& loop, IscsiLogin login, IscsiSessionOwner& owner)
    : loop_(loop), login_(std::move(login)), owner_(owner) {
    for (Poll* poll : {&poll_in_, &poll_out_}) {
        poll->owner = this;
        poll->done = [](loop::Operation& operation, int32_t result) {
            session_of(operation.owner).polled(result);
        };
    }
    later_.owner = this;
    later_.done = [](loop::Operation& operation, int32_t) {
        session_of(operation.owner).deliver();
    };
}

IscsiSession::~IscsiSession() {
    CHECK(quiet(), "a session is closed, and quiet, before it goes");
}

Result<void> IscsiSession::open() {
    CHECK(context_ == nullptr && !closed_, "a session is opened once");
    const auto give_up = [this](std::string text) -> Result<void> {
        iscsi_destroy_context(context_);
        context_ = nullptr;
        closed_ = true;
        return fail(std::move(text));
    };
    context_ = iscsi_create_context(login_.initiator.c_str());
    if (context_ == nullptr) return fail("out of memory for an iSCSI session", ENOMEM);
    iscsi_set_noautoreconnect(context_, 1);
    if (!prepare_login(context_, login_)) return give_up(library_error());
    if (iscsi_connect_async(context_, login_.portal.c_str(), connected, this) != 0)
        return give_up(iscsi_connect_problem(login_.portal, library_error()));
    const int fd = iscsi_get_fd(context_);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    file_ = loop_.add_file(fd);
    watch();
    return {};
}

void IscsiSession::execute(IscsiCommand& command) {
    CHECK(usable() && !holds(command), "a command goes once, to a session that is logged in");
    CHECK(command.data.size() <= pieces_max, "a command has few pieces of memory");
    size_t bytes = 0;
    for (const iovec& piece : command.data) bytes += piece.iov_len;
    int direction = SCSI_XFER_NONE;
    if (command.direction == IscsiCommand::Data::in) direction = SCSI_XFER_READ;
    if (command.direction == IscsiCommand::Data::out) direction = SCSI_XFER_WRITE;
    command.session = this;
    command.sense_bytes = 0;
    command.status = 0;
    command.missing_bytes = 0;
    command.task = scsi_create_task(command.cdb.size,
                                    reinterpret_cast<unsigned char*>(command.cdb.bytes.data()),
                                    direction, static_cast<int>(bytes));
    if (command.task != nullptr) {
        auto* pieces = reinterpret_cast<scsi_iovec*>(command.data.data());
        const auto count = static_cast<int>(command.data.size());
        if (direction == SCSI_XFER_READ) scsi_task_set_iov_in(command.task, pieces, count);
        if (direction == SCSI_XFER_WRITE) scsi_task_set_iov_out(command.task, pieces, count);
        // Which units there are is asked of unit 0: the one we want may be missing.
        const bool about_all = command.cdb.opcode() == wire::scsi::op_report_luns;
        if (iscsi_scsi_command_async(context_, about_all ? 0 : lun_field(login_.lun), command.task,
                                     command_ended, nullptr, &command) == 0) {
            ++handed_over_;
            return;
        }
        scsi_free_scsi_task(std::exchange(command.task, nullptr));
    }
    command.transport = wire::ScsiTransport::no_resources;
    ended_.push_back(command);
    deliver_soon();
}

void IscsiSession::push() {
    if (!usable()) return;
    // The library makes one call per message, and each would be a packet of its own.
    const bool many = std::exchange(handed_over_, 0) > 1;
    const int fd = file_.fd;
    if (many) set_cork(fd, 1);
    service(POLLOUT);
    if (many && !closed_) set_cork(fd, 0);
}

bool IscsiSession::drained() const {
    return !usable() ||
           (iscsi_out_queue_length(context_) == 0 && (iscsi_which_events(context_) & POLLOUT) == 0);
}

size_t IscsiSession::held_back() const {
    if (!usable() || (iscsi_which_events(context_) & POLLOUT) != 0) return 0;
    return static_cast<size_t>(iscsi_out_queue_length(context_));
}

void IscsiSession::forget(IscsiCommand& command, IscsiManagement& for_abort) {
    CHECK(holds(command) && drained(), "only what was sent as a whole can be forgotten");
    for_abort.task_tag = command.task->itt;
    for_abort.command_number = command.task->cmdsn;
    forgetting_ = true;
    iscsi_scsi_cancel_task(context_, command.task);
    forgetting_ = false;
    CHECK(command.task == nullptr, "libiscsi has given the command back");
}

void IscsiSession::abort_task(IscsiManagement& management) {
    send(management, ISCSI_TM_ABORT_TASK);
}

void IscsiSession::reset_lun(IscsiManagement& management) {
    management.task_tag = UINT32_MAX;
    management.command_number = 0;
    send(management, ISCSI_TM_LUN_RESET);
}

void IscsiSession::send(IscsiManagement& management, int function) {
    CHECK(usable() && !management.busy, "management goes once, to a session that is logged in");
    management.answered = false;
    management.busy = true;
    management.session = this;
    if (iscsi_task_mgmt_async(context_, lun_field(login_.lun),
                              static_cast<iscsi_task_mgmt_funcs>(function), management.task_tag,
                              management.command_number, management_ended, &management) == 0)
        return;
    end_management(management);
}

void IscsiSession::ping(IscsiManagement& management) {
    CHECK(usable() && !management.busy, "a ping goes once, to a session that is logged in");
    management.answered = false;
    management.busy = true;
    management.session = this;
    if (iscsi_nop_out_async(context_, ping_ended, nullptr, 0, &management) == 0) return;
    end_management(management);
}

/// It could not be sent.
void IscsiSession::end_management(IscsiManagement& management) {
    managements_ended_.push_back(&management);
    deliver_soon();
}

void IscsiSession::service(int events) {
    if (iscsi_service(context_, events) != 0 || cancelled_) {
        lost(failure_.empty() ? library_error() : failure_);
        return;
    }
    settle();
}

/// Tells what was noted while the library ran.
void IscsiSession::settle() {
    if (!failure_.empty()) return lost(failure_);
    if (!redirect_.empty()) {
        cut();
        owner_.session_redirected(redirect_);
        return;
    }
    deliver();
    if (closed_) return;
    watch();
    if (std::exchange(ready_news_, false)) owner_.session_ready();
    if (!was_full_) {
        was_full_ = usable() && !drained();
    } else if (drained()) {
        was_full_ = false;
        owner_.session_drained();
    }
}

void IscsiSession::deliver_soon() {
    const bool news = !ended_.empty() || !managements_ended_.empty();
    if (news && later_.idle()) loop_.complete_soon(later_, 0);
}

void IscsiSession::deliver() {
    while (IscsiCommand* command = ended_.pop_front()) command->done(*command);
    while (!managements_ended_.empty()) {
        IscsiManagement& management = *managements_ended_.back();
        managements_ended_.pop_back();
        management.busy = false;
        management.done(management);
    }
}

void IscsiSession::watch() {
    if (closed_) return;
    const int events = iscsi_which_events(context_);
    if ((events & POLLIN) != 0) watch(poll_in_, POLLIN);
    if ((events & POLLOUT) != 0) watch(poll_out_, POLLOUT);
}

void IscsiSession::watch(Poll& poll, int events) {
    if (!poll.idle()) return;
    poll.events = events;
    loop_.poll(poll, file_, events);
}

void IscsiSession::polled(int32_t result) {
    if (closed_) return retire();
    if (result < 0) return lost(errno_text(-result));
    if ((result & (POLLIN | POLLHUP | POLLERR)) != 0) ++arrivals_;
    service(result & (POLLIN | POLLOUT | POLLHUP | POLLERR));
}

void IscsiSession::lost(const std::string& text) {
    if (closed_) return;
    Error reason;
    if (ready_) {
        // The library's text is about the last thing it tried.
        reason.message = "the connection was lost";
        reason.code = ENOTCONN;
    } else if (connected_) {
        reason.message = text.find("Can not reconnect") != std::string::npos
                             ? "the target closed the connection during the login"
                             : iscsi_login_problem(login_, text);
        reason.code = EACCES;
    } else {
        reason.message = iscsi_connect_problem(login_.portal, text);
        reason.code = ECONNREFUSED;
    }
    cut();
    deliver();
    owner_.session_lost(reason);
}

void IscsiSession::close() {
    if (closed_) return;
    if (context_ == nullptr) {
        closed_ = true;
        return;
    }
    cut();
    deliver_soon();
}

/// Ends everything but the delivery of ended commands.
void IscsiSession::cut() {
    closed_ = true;
    // The library is not called again, so no memory of a command is touched; the peer sees the end
    // now, although the descriptor is closed only when nothing waits on it.
    shutdown(file_.fd, SHUT_RDWR);
    iscsi_scsi_cancel_all_tasks(context_);
    for (Poll* poll : {&poll_in_, &poll_out_})
        if (!poll->idle()) loop_.cancel(*poll);
    retire();
}

void IscsiSession::retire() {
    if (context_ == nullptr || !poll_in_.idle() || !poll_out_.idle()) return;
    loop_.remove_file(file_);
    iscsi_destroy_context(std::exchange(context_, nullptr));
    deliver_soon();
}

bool IscsiSession::quiet() const {
    return context_ == nullptr && later_.idle() && ended_.empty() && managements_ended_.empty();
}

std::string IscsiSession::library_error() const {
    std::string text = iscsi_get_error(context_);
    std::ranges::replace(text, '\n', ' ');
    while (text.ends_with(' ')) text.pop_back();
    return text.empty() ? "no reason given" : text;
}

// --- callbacks of the library: they take notes ---------------------------------------------------

void IscsiSession::connected(iscsi_context* context, int status, void*, void* self) {
    IscsiSession& session = session_of(self);
    if (session.closed_ || session.ready_) return;
    if (status != SCSI_STATUS_GOOD) {
        session.failure_ = session.library_error();
        return;
    }
    session.connected_ = true;
    if (iscsi_login_async(context, logged_in, self) != 0)
        session.failure_ = session.library_error();
}

void IscsiSession::logged_in(iscsi_context* context, int status, void*, void* self) {
    IscsiSession& session = session_of(self);
    if (session.closed_) return;
    if (status == SCSI_STATUS_GOOD) {
        session.ready_ = session.ready_news_ = true;
    } else if (status == SCSI_STATUS_REDIRECT) {
        session.redirect_ = iscsi_get_target_address(context);
    } else if (session.failure_.empty()) {
        session.failure_ = session.library_error();
    }
}

void IscsiSession::command_ended(iscsi_context*, int status, void*, void* self) {
    IscsiCommand& command = *static_cast<IscsiCommand*>(self);
    scsi_task* task = std::exchange(command.task, nullptr);
    IscsiSession& session = *command.session;
    command.transport = wire::ScsiTransport::answered;
    switch (status) {
        case SCSI_STATUS_CANCELLED:
        case SCSI_STATUS_TIMEOUT:
            command.transport = wire::ScsiTransport::connection_lost;
            session.cancelled_ = session.cancelled_ || !session.forgetting_;
            break;
        case SCSI_STATUS_ERROR:
            // The target broke the protocol, or rejected the message.
            command.transport = wire::ScsiTransport::connection_lost;
            session.cancelled_ = true;
            break;
        default:
            command.status = static_cast<uint8_t>(status);
            if (task->residual_status == SCSI_RESIDUAL_UNDERFLOW)
                command.missing_bytes = static_cast<uint32_t>(task->residual);
            break;
    }
    if (status == SCSI_STATUS_CHECK_CONDITION && task->datain.size > sense_header_bytes) {
        const auto bytes = std::min<size_t>(
            static_cast<size_t>(task->datain.size - sense_header_bytes), command.sense.size());
        std::memcpy(command.sense.data(), task->datain.data + sense_header_bytes, bytes);
        command.sense_bytes = static_cast<uint8_t>(bytes);
    }
    scsi_free_scsi_task(task);
    if (!session.forgetting_) session.ended_.push_back(command);
}

void IscsiSession::management_ended(iscsi_context*, int status, void* data, void* self) {
    IscsiManagement& management = *static_cast<IscsiManagement*>(self);
    management.answered = status == SCSI_STATUS_GOOD && data != nullptr;
    if (management.answered)
        management.response = static_cast<uint8_t>(*static_cast<uint32_t*>(data));
    management.session->managements_ended_.push_back(&management);
}

void IscsiSession::ping_ended(iscsi_context*, int status, void*, void* self) {
    IscsiManagement& management = *static_cast<IscsiManagement*>(self);
    management.answered = status == SCSI_STATUS_GOOD;
    management.session->managements_ended_.push_back(&management);
}

}  // namespace braidway::path
