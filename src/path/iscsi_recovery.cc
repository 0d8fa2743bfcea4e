// SPDX-License-Identifier: Apache-2.0
// What IscsiIo does about commands that are not answered: deadlines, ABORT TASK, LUN RESET; and
// about answers that may be another unit's.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/units.h"
#include "path/iscsi_io.h"

namespace braidway::path {

void IscsiIo::arm_deadline() {
    Job* oldest = first_late(never);
    if (!options_.io_timeout || oldest == nullptr) return loop_.disarm(deadline_);
    Instant due = oldest->started + *options_.io_timeout;
    if (late_since_) due = std::max(due, *late_since_ + drain_grace);
    loop_.arm(deadline_, due);
}

/// The oldest request that was due at `now` and that nothing was done about.
IscsiIo::Job* IscsiIo::first_late(Instant now) {
    for (Job* job = jobs_.front(); job != nullptr; job = jobs_.after(*job)) {
        if (now != never && job->started + *options_.io_timeout > now) return nullptr;
        if (!job->given_up) return job;
    }
    return nullptr;
}

/// Whether a command of `job` may be half in the socket: then it cannot be taken back.
bool IscsiIo::waits_for_socket(const Job& job) {
    if (session_ == nullptr || session_->drained()) return false;
    for (Piece* piece = pieces_.front(); piece != nullptr; piece = pieces_.after(*piece))
        if (piece->job == &job && IscsiSession::holds(piece->command)) return true;
    return false;
}

void IscsiIo::check_deadlines(Instant now) {
    while (Job* job = first_late(now)) {
        if (waits_for_socket(*job)) {
            if (!late_since_) late_since_ = now;
            if (now < *late_since_ + drain_grace) {
                pump_soon();
                return arm_deadline();
            }
            late_since_.reset();
            return owner_.drop_session("the target takes no more data");
        }
        give_up(*job);
    }
    late_since_.reset();
    arm_deadline();
    send_aborts();
}

void IscsiIo::give_up(Job& job) {
    ++counters_.late;
    job.given_up = true;
    bool unknown = false;
    for (Piece* piece = pieces_.front(); piece != nullptr;) {
        Piece& one = *std::exchange(piece, pieces_.after(*piece));
        if (one.job != &job) continue;
        if (one.asleep) {
            release(one);
        } else if (session_ != nullptr && IscsiSession::holds(one.command)) {
            session_->forget(one.command, one.abort);
            pieces_.remove(one);
            --job.in_flight;
            one.job = nullptr;
            unknown = unknown || one.change;
            if (one.change) one.doubt = doubts_.add(1);
            one.since = loop_.now();
            aborting_.push_back(one);
        }
    }
    fail_job(job, 0, IoStatus::timeout, unknown);
    // What is still counted has ended, and is delivered in this turn.
    settle(job);
}

/// Asks for the end of all that was given up; together, because a command can be given up only
/// while nothing waits to be sent.
void IscsiIo::send_aborts() {
    if (session_ == nullptr) return;
    for (Piece* piece = aborting_.front(); piece != nullptr; piece = aborting_.after(*piece)) {
        if (std::exchange(piece->abort_sent, true)) continue;
        ++counters_.aborts;
        session_->abort_task(piece->abort);
    }
    pump_soon();
    if (aborting_.empty() || abort_deadline_.armed()) return;
    if (!ping_.busy) session_->ping(ping_);
    arrivals_seen_ = session_->arrivals();
    loop_.arm_after(abort_deadline_, options_.task_management_timeout);
}

void IscsiIo::abort_ended(Piece& piece) {
    if (!piece.abort.answered) return release_aborted(piece, false);
    const uint8_t response = piece.abort.response;
    // A task that does not exist any more has ended; its answer was on its way to us.
    if (response == IscsiManagement::function_complete ||
        response == IscsiManagement::task_does_not_exist)
        return release_aborted(piece, true);
    if (session_ == nullptr) return release_aborted(piece, false);
    piece.refused = true;
    piece.since = loop_.now();
    aborting_.remove(piece);
    aborting_.push_back(piece);
    reset_lun();
}

/// The end of a command that was given up: it is over (`confirmed`), or lost with its session.
void IscsiIo::release_aborted(Piece& piece, bool confirmed) {
    aborting_.remove(piece);
    const bool in_doubt = piece.change;
    const WritesInDoubt::Group doubt = piece.doubt;
    piece_slots_.give_back(&piece);
    if (in_doubt && !confirmed) lost_.push_back({doubt, portal_});
    if (aborting_.empty() && !reset_.busy) loop_.disarm(abort_deadline_);
    if (session_ != nullptr) pump_soon();
    if (in_doubt && confirmed) doubts_.settle(doubt);
}

void IscsiIo::port_taken_over(const std::string& portal) {
    std::vector<LostChange> over;
    std::erase_if(lost_, [&](const LostChange& one) {
        if (one.portal == portal) over.push_back(one);
        return one.portal == portal;
    });
    for (const LostChange& one : over) doubts_.settle(one.doubt);
    if (!doubts_.any()) lost_.clear();
}

void IscsiIo::reset_lun() {
    if (reset_.busy) return;
    ++counters_.resets;
    reset_since_ = loop_.now();
    session_->reset_lun(reset_);
    loop_.arm(abort_deadline_, reset_since_ + options_.task_management_timeout);
    pump_soon();
}

void IscsiIo::reset_ended() {
    if (!reset_.answered || session_ == nullptr) return;
    if (reset_.response != IscsiManagement::function_complete)
        return owner_.drop_session("the target refuses to abort commands and to reset the unit");
    if (!session_->drained()) return owner_.drop_session("the unit was reset while it was written");
    for (Piece* piece = aborting_.front(); piece != nullptr;) {
        Piece& one = *std::exchange(piece, aborting_.after(*piece));
        if (one.refused) release_aborted(one, true);
    }
    end_reset_pieces();
}

/// The target has ended all commands of the unit and answers none of them.
void IscsiIo::end_reset_pieces() {
    for (Piece* piece = pieces_.front(); piece != nullptr;) {
        Piece& one = *piece;
        piece = pieces_.after(one);
        if (!IscsiSession::holds(one.command)) continue;
        Job& job = *one.job;
        session_->forget(one.command, one.abort);
        fail_job(job, one.begin_bytes, IoStatus::transport, false);
        release(one);
        settle(job);
        if (session_ == nullptr) return;
        // The completion may have changed the list.
        piece = pieces_.front();
    }
}

void IscsiIo::check_aborts(Instant now) {
    Piece* oldest = aborting_.front();
    if (session_ == nullptr || (oldest == nullptr && !reset_.busy)) return;
    const bool alive = std::exchange(arrivals_seen_, session_->arrivals()) != arrivals_seen_;
    const Instant since = reset_.busy ? reset_since_ : oldest->since;
    const Duration patience = alive ? options_.abort_patience : options_.task_management_timeout;
    if (since + patience <= now)
        return owner_.drop_session(fmt::format("no answer to {} within {}",
                                               reset_.busy ? "LOGICAL UNIT RESET" : "ABORT TASK",
                                               format_duration(patience)));
    if (!ping_.busy) session_->ping(ping_);
    loop_.arm(abort_deadline_, now + options_.task_management_timeout);
    pump_soon();
}

/// Whether the command goes out again once it is known who the unit is.
bool IscsiIo::doubt_unit(Piece& piece) {
    if (session_ == nullptr || !session_->usable()) return false;
    doubt();
    if (piece.job->status != IoStatus::ok || piece.tries >= tries_max) return false;
    ++piece.tries;
    ++counters_.retries;
    piece.asleep = true;
    return true;
}

void IscsiIo::doubt() {
    if (session_ == nullptr || !session_->usable()) return;
    if (!std::exchange(unit_doubted_, true)) owner_.unit_in_doubt();
}

void IscsiIo::unit_confirmed() {
    unit_doubted_ = false;
    wake_sleepers();
}

}  // namespace braidway::path
