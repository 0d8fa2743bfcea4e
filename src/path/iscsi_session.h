// SPDX-License-Identifier: Apache-2.0
// One iSCSI session: libiscsi's asynchronous mode on our loop.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/intrusive_list.h"
#include "base/limits.h"
#include "loop/loop.h"
#include "path/iscsi_login.h"
#include "wire/scsi_answer.h"
#include "wire/scsi_cdb.h"

// NOLINTNEXTLINE(readability-identifier-naming): the library's name.
struct iscsi_context;
// NOLINTNEXTLINE(readability-identifier-naming): the library's name.
struct scsi_task;

namespace braidway::path {

class IscsiSession;

/// One SCSI command of a session. Owned by who executes it, until `done`.
struct IscsiCommand : ListNode<> {
    enum class Data : uint8_t { none, in, out };
    using Done = void (*)(IscsiCommand& command);
    static constexpr size_t sense_bytes_max = 252;

    wire::Cdb cdb{};
    Data direction = Data::none;
    std::vector<iovec> data{};  ///< At most pieces_max; changed and restored while it runs.

    // --- the answer ---
    wire::ScsiTransport transport = wire::ScsiTransport::answered;
    uint8_t status = 0;
    uint8_t sense_bytes = 0;
    std::array<std::byte, sense_bytes_max> sense{};
    uint32_t missing_bytes = 0;  ///< Of the data, which were not transferred.

    Done done = nullptr;
    void* owner = nullptr;      ///< For `done`.
    scsi_task* task = nullptr;  ///< The library's; null = not in a session.
    IscsiSession* session = nullptr;

    wire::ScsiAnswer answer() const {
        return {
            .transport = transport, .status = status, .sense = std::span(sense).first(sense_bytes)};
    }
};

/// Task management, or a ping. Owned by who sends it, until `done`.
struct IscsiManagement {
    using Done = void (*)(IscsiManagement& management);
    // Numbers of RFC 7143, 11.6.1.
    static constexpr uint8_t function_complete = 0;
    static constexpr uint8_t task_does_not_exist = 1;

    // Of the command that is to be aborted; filled in by IscsiSession::forget().
    uint32_t task_tag = 0;
    uint32_t command_number = 0;

    // --- the answer ---
    bool answered = false;  ///< Or else the session ended first.
    uint8_t response = 0;

    Done done = nullptr;
    void* owner = nullptr;
    IscsiSession* session = nullptr;
    bool busy = false;  ///< The session has it.
};

/// Told how a session is doing; all from the loop, or from IscsiSession::push().
class IscsiSessionOwner {
  public:
    virtual void session_ready() = 0;
    /// Before it was ready: the target wants to be spoken to at another portal. It is over.
    virtual void session_redirected(const std::string& portal) = 0;
    /// It did not come about, or is over; its commands have ended. Not after close().
    virtual void session_lost(const Error& reason) = 0;
    /// What was held back by a full socket or the target's command window has been sent.
    virtual void session_drained() = 0;

  protected:
    ~IscsiSessionOwner() = default;
};

/// One session with one connection.
///
/// open(), then commands, then close() or session_lost(); it is destroyed when quiet(). A session
/// is never connected anew: the next one is another object.
///
/// What libiscsi 1.19 does that is not in its manual, and what is done about it here:
/// - a lost connection of a session without auto-reconnect is no error of iscsi_service(): its
///   commands are cancelled, and only the next call fails. Both count as lost;
/// - a cancelled command that is half sent leaves half a message in the stream, one with data still
///   queued leaves these pointing to freed memory: forget() asks for drained();
/// - a callback may come inside any call: it only takes notes, delivered afterwards;
/// - time-outs are whole seconds and are not looked at while connecting: none is used;
/// - the error text of a failed login is overwritten: it is kept when it is new;
/// - data are written by writev(2), which raises SIGPIPE on a connection that was reset: the
/// program
///   ignores that signal.
/// Errors:  as Error with one line, in which the caller's URI is missing.
/// Threads: one lane. libiscsi allocates per command.
class IscsiSession {
  public:
    static constexpr size_t pieces_max = limits::iscsi_pieces_max;

    IscsiSession(loop::Loop& loop, IscsiLogin login, IscsiSessionOwner& owner);
    ~IscsiSession();
    IscsiSession(const IscsiSession&) = delete;
    IscsiSession& operator=(const IscsiSession&) = delete;

    /// Connects and logs in. Errors: at once, without a word to the owner.
    Result<void> open();
    /// Commands may be executed.
    bool usable() const { return ready_ && !closed_; }

    /// Hands `command` over; push() sends it. usable(). Its `done` is not called inside.
    void execute(IscsiCommand& command);
    /// Sends what was handed over, as far as the socket and the target take it.
    void push();
    /// All that was handed over has been sent.
    bool drained() const;
    /// How many messages wait because the target takes no more commands now (its window); 0 when
    /// none does, or when they wait for the socket.
    size_t held_back() const;
    /// The session has the command.
    static bool holds(const IscsiCommand& command) { return command.task != nullptr; }

    /// Takes `command` back from the library: its memory is not touched any more, its `done` is not
    /// called. The target may still execute it. drained().
    void forget(IscsiCommand& command, IscsiManagement& for_abort);
    /// Ends what forget() has put into `management`, at the target. push() sends it; so it is with
    /// the next two. Their `done` is not called inside.
    void abort_task(IscsiManagement& management);
    /// Ends all commands of the unit at the target, those of other initiators, too.
    void reset_lun(IscsiManagement& management);
    /// Asks the target for a sign of life.
    void ping(IscsiManagement& management);

    /// Ends the session: the connection is cut; commands end with connection_lost, from the loop.
    void close();
    bool quiet() const;

    /// Messages that have come in, as a sign of life.
    uint64_t arrivals() const { return arrivals_; }

  private:
    struct Poll : loop::Operation {
        int events = 0;
    };

    void service(int events);
    void settle();
    void deliver();
    void deliver_soon();
    void watch();
    void watch(Poll& poll, int events);
    void polled(int32_t result);
    void cut();
    void retire();
    void lost(const std::string& text);
    void send(IscsiManagement& management, int function);
    void end_management(IscsiManagement& management);
    std::string library_error() const;

    static void connected(iscsi_context* context, int status, void* data, void* self);
    static void logged_in(iscsi_context* context, int status, void* data, void* self);
    static void command_ended(iscsi_context* context, int status, void* data, void* command);
    static void management_ended(iscsi_context* context, int status, void* data, void* management);
    static void ping_ended(iscsi_context* context, int status, void* data, void* management);

    loop::Loop& loop_;
    IscsiLogin login_;
    IscsiSessionOwner& owner_;
    iscsi_context* context_ = nullptr;
    loop::File file_;
    Poll poll_in_;
    Poll poll_out_;
    loop::Operation later_;  ///< Delivers what ended inside a caller.
    IntrusiveList<IscsiCommand> ended_;
    std::vector<IscsiManagement*> managements_ended_;
    std::string failure_;   ///< Noted in a callback; empty = none.
    std::string redirect_;  ///< Noted in a callback.
    bool connected_ = false;
    bool ready_ = false;
    bool ready_news_ = false;  ///< session_ready() is to be called.
    bool was_full_ = false;    ///< session_drained() is to be called.
    bool forgetting_ = false;
    bool cancelled_ = false;  ///< The library has given the connection up.
    bool closed_ = false;
    uint32_t handed_over_ = 0;  ///< Since the last push().
    uint64_t arrivals_ = 0;
};

}  // namespace braidway::path
