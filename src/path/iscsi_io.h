// SPDX-License-Identifier: Apache-2.0
// Block requests on an iSCSI session: cutting, retries, deadlines, and what is done about commands
// that are not answered.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/slot_pool.h"
#include "block/block_device.h"
#include "path/iscsi_session.h"
#include "path/scsi_channel.h"
#include "path/scsi_disk.h"
#include "path/writes_in_doubt.h"

namespace braidway::path {

/// What the I/O of a path has met since it was made.
struct IscsiIoCounters {
    uint64_t commands = 0;  ///< Sent, with those that were sent again.
    uint64_t retries = 0;   ///< Sent again on this path.
    uint64_t late = 0;      ///< Requests that were not answered in time.
    uint64_t aborts = 0;    ///< ABORT TASK sent.
    uint64_t resets = 0;    ///< LOGICAL UNIT RESET sent.
};

/// Asked by IscsiIo for what it cannot do itself.
class IscsiIoOwner {
  public:
    /// The session is of no use any more: close it, and then call session_down().
    virtual void drop_session(const std::string& reason) = 0;
    /// The unit may be another one now: ask who it is. Nothing goes to it before unit_confirmed().
    virtual void unit_in_doubt() = 0;

  protected:
    ~IscsiIoOwner() = default;
};

/// The data commands of one path.
///
/// At io_timeout a request ends with IoStatus::timeout; what it had under way is taken back from
/// the library, so that its memory is free, and aborted at the target (ABORT TASK). A target that
/// refuses that gets a LOGICAL UNIT RESET, which ends the commands of other hosts, too. One that is
/// silent for task_management_timeout loses its session: it would not answer a reset either, and
/// the next session with the same initiator port ends what this one had under way. One that shows
/// signs of life meanwhile is waiting for its disk, and is waited for, until abort_patience is
/// over. A change ends with outcome_unknown when a command of it was sent and not answered. The
/// doubt ends when the target has confirmed its abort, or by port_taken_over(). When the device
/// says that its units have changed, everything waits until the owner knows who this one is: a
/// number that is given to another unit must not get the data of the first.
///
/// Shapes:  requests_max requests, commands_max commands; more requests wait for a command.
/// Errors:  as wire::classify; `offline` without a session; `resource` beyond requests_max.
/// Threads: one lane. No allocation per request of ours.
class IscsiIo {
  public:
    struct Options {
        std::optional<Duration> io_timeout{};
        Duration task_management_timeout{};
        Duration abort_patience{};
        uint32_t requests_max = 0;
        uint32_t commands_max = 0;
    };
    static constexpr unsigned tries_max = limits::iscsi_tries_max;
    /// How long a late command may wait for the socket to take the rest of it.
    static constexpr Duration drain_grace = limits::iscsi_drain_grace;
    /// Before a command goes out again that the device was too busy for.
    static constexpr Duration busy_pause = limits::iscsi_busy_pause;
    /// A target that takes fewer commands at a time is not believed.
    static constexpr uint32_t window_min = limits::iscsi_window_min;

    IscsiIo(loop::Loop& loop, Options options, WritesInDoubt& doubts, IscsiIoOwner& owner);
    ~IscsiIo();
    IscsiIo(const IscsiIo&) = delete;
    IscsiIo& operator=(const IscsiIo&) = delete;

    /// As BlockDevice::submit().
    void begin(block::Request& request);
    /// I/O may go on `session`, which is at `portal`.
    void session_up(IscsiSession& session, const ScsiDisk& disk, const std::string& portal);
    /// There is none any more, or it is closed; requests end with `status`.
    void session_down(IoStatus status);
    /// The unit is the one it was: what waited goes on.
    void unit_confirmed();
    /// A command beside the data was told that the unit may be another one: as if one of the data
    /// had been.
    void doubt();
    /// A new session has our initiator port at `portal`: no change of an earlier session there can
    /// happen any more.
    void port_taken_over(const std::string& portal);
    /// What waited in the library is sent.
    void session_drained();
    void set_sense_reader(SenseReader reader) { read_sense_ = std::move(reader); }
    bool quiet() const;
    const IscsiIoCounters& counters() const { return counters_; }

  private:
    struct Queued {};
    struct Job : ListNode<>, ListNode<Queued> {
        block::Request* request = nullptr;
        Instant started;
        uint64_t dispatched_bytes = 0;
        uint64_t failed_at = 0;
        uint32_t in_flight = 0;
        IoStatus status = IoStatus::ok;
        bool all_dispatched = false;
        bool flushing = false;  ///< The data are there; now the cache goes to the medium.
        bool unknown = false;
        bool given_up = false;  ///< Its last commands are about to be delivered.
    };
    /// A command of a job, and then perhaps its abort.
    struct Piece : ListNode<> {
        IscsiIo* io = nullptr;
        Job* job = nullptr;  ///< Null when the job has ended without it.
        IscsiCommand command;
        IscsiManagement abort;
        std::array<std::byte, 24> parameters{};
        uint64_t begin_bytes = 0;  ///< Within the request.
        uint64_t end_bytes = 0;
        uint64_t length_bytes = 0;  ///< Of the command under way.
        IoOp op = IoOp::read;
        uint8_t tries = 0;
        bool change = false;
        bool asleep = false;
        bool refused = false;  ///< The target does not abort it.
        bool abort_sent = false;
        WritesInDoubt::Group doubt = 0;  ///< Of a change that was given up.
        Instant since;                   ///< Of the abort.
    };
    using JobList = IntrusiveList<Job>;
    /// A change that went with its session.
    struct LostChange {
        WritesInDoubt::Group doubt = 0;
        std::string portal;
    };

    void pump();
    void pump_soon();
    bool dispatch(Job& job);
    void start(Piece& piece);
    void gather(Piece& piece, const ScsiPiece& what);
    void piece_ended(Piece& piece);
    bool try_again(Piece& piece, wire::ScsiRetry retry);
    bool doubt_unit(Piece& piece);
    bool do_without_write_same(Piece& piece, const wire::ScsiOutcome& outcome);
    void fail_job(Job& job, uint64_t at, IoStatus status, bool unknown);
    void release(Piece& piece);
    void settle(Job& job);
    void finish(Job& job);

    void check_deadlines(Instant now);
    Job* first_late(Instant now);
    void give_up(Job& job);
    void arm_deadline();
    void wake_sleepers();

    void send_aborts();
    void abort_ended(Piece& piece);
    void reset_lun();
    void reset_ended();
    void check_aborts(Instant now);
    bool waits_for_socket(const Job& job);
    void end_reset_pieces();
    void release_aborted(Piece& piece, bool confirmed);

    loop::Loop& loop_;
    Options options_;
    WritesInDoubt& doubts_;
    IscsiIoOwner& owner_;
    IscsiSession* session_ = nullptr;
    ScsiDisk disk_;
    SenseReader read_sense_;
    IscsiIoCounters counters_;

    SlotPool<Job> job_slots_;
    SlotPool<Piece> piece_slots_;
    JobList jobs_;                      ///< By start.
    IntrusiveList<Job, Queued> queue_;  ///< With something to dispatch.
    IntrusiveList<Piece> pieces_;       ///< With the session, or asleep.
    IntrusiveList<Piece> aborting_;     ///< By start of the abort.
    loop::TurnEnd pump_;
    loop::Timer deadline_;
    loop::Timer abort_deadline_;
    loop::Timer wake_;
    IscsiManagement reset_;
    IscsiManagement ping_;  ///< Goes with aborts: does the target live?
    uint64_t arrivals_seen_ = 0;
    Instant reset_since_;
    std::optional<Instant> late_since_;  ///< A late command waits for the socket.
    bool full_ = false;                  ///< Nothing more goes to the library now.
    bool unit_doubted_ = false;          ///< Until unit_confirmed().
    uint32_t window_ = 0;                ///< Commands that the target takes at a time.
    std::string portal_;                 ///< Of the session that there is, or was last.
    std::vector<LostChange> lost_;
};

}  // namespace braidway::path
