// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_io.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "wire/scsi_block_commands.h"

namespace braidway::path {
namespace {

using wire::ScsiFate;
using wire::ScsiRetry;

/// Handed to the library before the socket is asked whether it takes it.
constexpr uint64_t push_bytes = limits::iscsi_push_bytes;

/// Written, never changed; libiscsi's vectors have no const.
constexpr std::array<std::byte, wire::scsi_block_bytes_max> zeroes{};

iovec zero_memory(uint64_t bytes) {
    return {const_cast<std::byte*>(zeroes.data()), std::min<uint64_t>(bytes, zeroes.size())};
}

/// How many bytes of `data` behind `skip` the first `pieces` vectors hold.
uint64_t bytes_in_pieces(std::span<const iovec> data, uint64_t skip, size_t pieces) {
    uint64_t bytes = 0;
    for (const iovec& one : data) {
        if (skip >= one.iov_len) {
            skip -= one.iov_len;
            continue;
        }
        if (pieces-- == 0) break;
        bytes += one.iov_len - std::exchange(skip, 0);
    }
    return bytes;
}

void cut_out(std::span<const iovec> data, uint64_t skip, uint64_t length, std::vector<iovec>& to) {
    for (const iovec& one : data) {
        if (skip >= one.iov_len) {
            skip -= one.iov_len;
            continue;
        }
        if (length == 0) return;
        const uint64_t bytes = std::min<uint64_t>(one.iov_len - skip, length);
        to.push_back({static_cast<std::byte*>(one.iov_base) + skip, bytes});
        length -= bytes;
        skip = 0;
    }
}

}  // namespace

IscsiIo::IscsiIo(loop::Loop& loop, Options options, WritesInDoubt& doubts, IscsiIoOwner& owner)
    : loop_(loop),
      options_(options),
      doubts_(doubts),
      owner_(owner),
      job_slots_(options.requests_max),
      piece_slots_(options.commands_max) {
    pump_.owner = this;
    pump_.run = [](loop::TurnEnd& hook) { static_cast<IscsiIo*>(hook.owner)->pump(); };
    for (loop::Timer* timer : {&deadline_, &abort_deadline_, &wake_}) timer->owner = this;
    deadline_.fire = [](loop::Timer& timer, Instant now) {
        static_cast<IscsiIo*>(timer.owner)->check_deadlines(now);
    };
    abort_deadline_.fire = [](loop::Timer& timer, Instant now) {
        static_cast<IscsiIo*>(timer.owner)->check_aborts(now);
    };
    wake_.fire = [](loop::Timer& timer, Instant) {
        static_cast<IscsiIo*>(timer.owner)->wake_sleepers();
    };
    ping_.done = [](IscsiManagement&) {};
    reset_.owner = this;
    reset_.done = [](IscsiManagement& management) {
        static_cast<IscsiIo*>(management.owner)->reset_ended();
    };
}

IscsiIo::~IscsiIo() {
    CHECK(quiet(), "I/O has ended before its device goes");
    for (loop::Timer* timer : {&deadline_, &abort_deadline_, &wake_}) loop_.disarm(*timer);
}

bool IscsiIo::quiet() const {
    return job_slots_.in_use() == 0 && piece_slots_.in_use() == 0 && !reset_.busy && !ping_.busy &&
           !pump_.linked();
}

void IscsiIo::begin(block::Request& request) {
    const auto answer = [&](IoStatus status) { block::finish_soon(loop_, request, status); };
    if (session_ == nullptr) return answer(IoStatus::offline);
    if (request.op == IoOp::cache) return answer(IoStatus::ok);
    const bool possible = request.op == IoOp::flush || scsi_piece_bytes_max(disk_, request.op) > 0;
    if (!possible) return answer(IoStatus::not_supported);
    Job* job = job_slots_.take();
    if (job == nullptr) return answer(IoStatus::resource);
    job->request = &request;
    job->started = loop_.now();
    job->dispatched_bytes = job->failed_at = 0;
    job->in_flight = 0;
    job->status = IoStatus::ok;
    job->all_dispatched = job->flushing = job->unknown = job->given_up = false;
    jobs_.push_back(*job);
    queue_.push_back(*job);
    if (options_.io_timeout && !deadline_.armed()) arm_deadline();
    pump_soon();
}

void IscsiIo::session_up(IscsiSession& session, const ScsiDisk& disk, const std::string& portal) {
    CHECK(jobs_.empty() && pieces_.empty(), "I/O of the session before has ended");
    session_ = &session;
    portal_ = portal;
    // What was lost before has been settled by the time alone.
    if (!doubts_.any()) lost_.clear();
    disk_ = disk;
    full_ = unit_doubted_ = false;
    window_ = options_.commands_max;
    late_since_.reset();
}

void IscsiIo::session_down(IoStatus status) {
    session_ = nullptr;
    full_ = false;
    loop_.disarm(wake_);
    loop_.disarm(abort_deadline_);
    while (Job* job = queue_.front()) {
        queue_.remove(*job);
        fail_job(*job, job->dispatched_bytes, status, false);
        settle(*job);
    }
    for (Piece* piece = pieces_.front(); piece != nullptr;) {
        Piece& one = *std::exchange(piece, pieces_.after(*piece));
        if (!one.asleep) continue;
        Job& job = *one.job;
        fail_job(job, one.begin_bytes, status, false);
        release(one);
        settle(job);
        piece = pieces_.front();
    }
    // Nobody answers any more for what the target had refused to abort.
    for (Piece* piece = aborting_.front(); piece != nullptr;) {
        Piece& one = *std::exchange(piece, aborting_.after(*piece));
        if (!one.abort.busy) release_aborted(one, false);
    }
}

void IscsiIo::session_drained() {
    full_ = false;
    pump_soon();
    if (late_since_) loop_.arm(deadline_, loop_.now());
}

void IscsiIo::pump_soon() {
    loop_.at_turn_end(pump_);
}

void IscsiIo::pump() {
    uint64_t handed = 0;
    // What was handed over may end, or the session may, whenever it is pushed.
    while (session_ != nullptr && !full_ && !late_since_ && !unit_doubted_) {
        Job* job = queue_.front();
        if (job == nullptr || pieces_.size() >= window_) break;
        const uint64_t before = job->dispatched_bytes;
        if (!dispatch(*job)) break;
        handed += job->dispatched_bytes - before;
        if (handed < push_bytes) continue;
        handed = 0;
        session_->push();
        full_ = session_ != nullptr && !session_->drained();
    }
    if (session_ == nullptr) return;
    session_->push();
    full_ = session_ != nullptr && !session_->drained();
    // With more than one under way it is better to let their answers gather.
    if (pieces_.size() == 1 && !pieces_.front()->asleep) loop_.look_first();
    if (!full_) return;
    // What is not sent can neither be aborted nor go elsewhere: no more than the target takes.
    const size_t stuck = session_->held_back();
    if (stuck > 0 && pieces_.size() > stuck)
        window_ = std::max(window_min, static_cast<uint32_t>(pieces_.size() - stuck));
}

/// Starts the next command of `job`; false when none is free.
bool IscsiIo::dispatch(Job& job) {
    Piece* piece = piece_slots_.take();
    if (piece == nullptr) return false;
    const block::Request& request = *job.request;
    piece->io = this;
    piece->job = &job;
    piece->tries = 0;
    piece->asleep = piece->refused = piece->abort_sent = false;
    piece->op = job.flushing ? IoOp::flush : request.op;
    piece->change = changes_data(piece->op);
    if (piece->op == IoOp::flush) {
        piece->begin_bytes = piece->end_bytes = request.length_bytes;
    } else {
        piece->begin_bytes = job.dispatched_bytes;
        piece->end_bytes = piece->begin_bytes + std::min(request.length_bytes - piece->begin_bytes,
                                                         scsi_piece_bytes_max(disk_, piece->op));
        job.dispatched_bytes = piece->end_bytes;
    }
    job.all_dispatched = piece->end_bytes == request.length_bytes;
    if (job.all_dispatched) queue_.remove(job);
    ++job.in_flight;
    pieces_.push_back(*piece);
    piece->command.owner = piece->abort.owner = piece;
    piece->command.done = [](IscsiCommand& command) {
        Piece& one = *static_cast<Piece*>(command.owner);
        one.io->piece_ended(one);
    };
    piece->abort.done = [](IscsiManagement& management) {
        Piece& one = *static_cast<Piece*>(management.owner);
        one.io->abort_ended(one);
    };
    start(*piece);
    return true;
}

void IscsiIo::start(Piece& piece) {
    if (unit_doubted_) {
        piece.asleep = true;
        return;
    }
    const block::Request& request = *piece.job->request;
    uint64_t length = piece.end_bytes - piece.begin_bytes;
    if (piece.op == IoOp::read || piece.op == IoOp::write) {
        const uint64_t fit =
            bytes_in_pieces(request.data, piece.begin_bytes, IscsiSession::pieces_max);
        length = std::min(length, fit / disk_.limits.block_bytes * disk_.limits.block_bytes);
        CHECK(length > 0, "a block is not in hundreds of pieces");
    }
    const ScsiPiece what = scsi_piece(disk_, piece.op, request.offset_bytes + piece.begin_bytes,
                                      length, request.fua, request.may_unmap);
    piece.length_bytes = what.length_bytes;
    piece.command.cdb = what.cdb;
    gather(piece, what);
    ++counters_.commands;
    session_->execute(piece.command);
}

void IscsiIo::gather(Piece& piece, const ScsiPiece& what) {
    const block::Request& request = *piece.job->request;
    IscsiCommand& command = piece.command;
    command.direction = IscsiCommand::Data::out;
    command.data.clear();
    switch (what.payload) {
        case ScsiPayload::none:
            command.direction = IscsiCommand::Data::none;
            return;
        case ScsiPayload::data_in:
            command.direction = IscsiCommand::Data::in;
            [[fallthrough]];
        case ScsiPayload::data_out:
            return cut_out(request.data, piece.begin_bytes, what.length_bytes, command.data);
        case ScsiPayload::unmap_range: {
            const uint32_t block = disk_.limits.block_bytes;
            piece.parameters =
                wire::unmap_data({.lba = (request.offset_bytes + piece.begin_bytes) / block,
                                  .blocks = static_cast<uint32_t>(what.length_bytes / block)});
            command.data.push_back({piece.parameters.data(), piece.parameters.size()});
            return;
        }
        case ScsiPayload::zero_block:
            command.data.push_back(zero_memory(disk_.limits.block_bytes));
            return;
        case ScsiPayload::zeroes:
            for (uint64_t left = what.length_bytes; left > 0; left -= command.data.back().iov_len)
                command.data.push_back(zero_memory(left));
            return;
    }
}

void IscsiIo::piece_ended(Piece& piece) {
    CHECK(piece.job != nullptr, "a command that was taken back does not end");
    Job& job = *piece.job;
    wire::ScsiOutcome outcome = wire::classify(piece.command.answer());
    if (outcome.sense && read_sense_)
        if (const auto word = read_sense_(*outcome.sense)) outcome = *word;
    // Devices say what they like of the parameters of other commands.
    const bool is_short =
        piece.command.missing_bytes > 0 && (piece.op == IoOp::read || piece.op == IoOp::write);
    if (outcome.status == IoStatus::ok && is_short) outcome.status = IoStatus::io;
    const bool no_cache = piece.op == IoOp::flush && outcome.status == IoStatus::not_supported;
    if (outcome.status == IoStatus::ok || no_cache) {
        piece.begin_bytes += piece.length_bytes;
        if (piece.begin_bytes < piece.end_bytes && job.status == IoStatus::ok) {
            if (session_ != nullptr && session_->usable()) {
                piece.tries = 0;
                start(piece);
                return pump_soon();
            }
            fail_job(job, piece.begin_bytes, IoStatus::transport, false);
        }
    } else {
        if (outcome.sense && wire::tells_of_another_unit(*outcome.sense) && doubt_unit(piece))
            return;
        const bool again = job.status == IoStatus::ok && (do_without_write_same(piece, outcome) ||
                                                          try_again(piece, outcome.retry));
        if (again) return;
        const bool unknown = piece.change && outcome.fate == ScsiFate::unknown;
        if (unknown) lost_.push_back({doubts_.add(1), portal_});
        fail_job(job, piece.begin_bytes, outcome.status, unknown);
    }
    release(piece);
    settle(job);
    pump_soon();
}

bool IscsiIo::try_again(Piece& piece, ScsiRetry retry) {
    if (retry == ScsiRetry::no || piece.tries >= tries_max) return false;
    if (session_ == nullptr || !session_->usable()) return false;
    ++piece.tries;
    ++counters_.retries;
    if (retry == ScsiRetry::now) {
        start(piece);
        pump_soon();
        return true;
    }
    piece.asleep = true;
    if (!wake_.armed()) loop_.arm_after(wake_, busy_pause);
    return true;
}

/// Goes over to writing zeroes as data, for good, when the disk does not know WRITE SAME.
bool IscsiIo::do_without_write_same(Piece& piece, const wire::ScsiOutcome& outcome) {
    const bool is_same = piece.command.cdb.opcode() == wire::scsi::op_write_same_16;
    const bool refused =
        outcome.status == IoStatus::not_supported || outcome.status == IoStatus::target;
    if (piece.op != IoOp::write_zeroes || !is_same || !refused) return false;
    if (session_ == nullptr || !session_->usable()) return false;
    disk_.write_same = false;
    start(piece);
    pump_soon();
    return true;
}

void IscsiIo::wake_sleepers() {
    if (unit_doubted_) return;
    for (Piece* piece = pieces_.front(); piece != nullptr; piece = pieces_.after(*piece)) {
        if (!std::exchange(piece->asleep, false)) continue;
        start(*piece);
    }
    pump_soon();
}

/// The first error in the order of offsets wins.
void IscsiIo::fail_job(Job& job, uint64_t at, IoStatus status, bool unknown) {
    job.unknown = job.unknown || unknown;
    if (job.status != IoStatus::ok && job.failed_at <= at) return;
    job.status = status;
    job.failed_at = at;
}

void IscsiIo::release(Piece& piece) {
    pieces_.remove(piece);
    --piece.job->in_flight;
    piece.job = nullptr;
    piece_slots_.give_back(&piece);
}

/// Goes on with a job of which a command has ended.
void IscsiIo::settle(Job& job) {
    const bool queued = static_cast<ListNode<Queued>&>(job).linked();
    if (job.status != IoStatus::ok && queued) queue_.remove(job);
    if (job.in_flight > 0) return;
    if (job.status == IoStatus::ok) {
        if (!job.all_dispatched) return;
        if (job.request->fua && !job.flushing && scsi_needs_flush(disk_, job.request->op)) {
            job.flushing = true;
            job.all_dispatched = false;
            queue_.push_back(job);
            return pump_soon();
        }
    }
    finish(job);
}

void IscsiIo::finish(Job& job) {
    block::Request& request = *job.request;
    const IoStatus status = job.status;
    request.outcome_unknown = job.unknown;
    if (status == IoStatus::timeout) request.error_text = "no answer in time";
    if (status == IoStatus::transport) request.error_text = "the connection was lost";
    jobs_.remove(job);
    job_slots_.give_back(&job);
    if (jobs_.empty()) loop_.disarm(deadline_);
    request.finish(status);
}

}  // namespace braidway::path
