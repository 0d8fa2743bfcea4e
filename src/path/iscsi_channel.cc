// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_channel.h"

#include <algorithm>
#include <utility>

namespace braidway::path {

using wire::ScsiTransport;

IscsiChannel::IscsiChannel(loop::Loop& loop) : loop_(loop) {
    send_.owner = this;
    send_.run = [](loop::TurnEnd& hook) {
        IscsiSession* session = static_cast<IscsiChannel*>(hook.owner)->session_;
        if (session != nullptr) session->push();
    };
}

IscsiChannel::~IscsiChannel() {
    CHECK(quiet(), "a channel has answered everything before it goes");
}

bool IscsiChannel::quiet() const {
    return !send_.linked() &&
           std::ranges::none_of(slots_, [](const auto& slot) { return slot->busy; });
}

IscsiChannel::Slot& IscsiChannel::free_slot() {
    const auto found = std::ranges::find_if(slots_, [](const auto& slot) { return !slot->busy; });
    if (found != slots_.end()) return **found;
    slots_.push_back(std::make_unique<Slot>());
    Slot& slot = *slots_.back();
    slot.channel = this;
    for (void** owner :
         {&slot.command.owner, &slot.abort.owner, &slot.timer.owner, &slot.refusal.owner})
        *owner = &slot;
    slot.command.done = [](IscsiCommand& command) {
        Slot& one = *static_cast<Slot*>(command.owner);
        one.channel->ended(one);
    };
    slot.abort.done = [](IscsiManagement& abort) { static_cast<Slot*>(abort.owner)->busy = false; };
    slot.timer.fire = [](loop::Timer& timer, Instant) {
        Slot& one = *static_cast<Slot*>(timer.owner);
        one.channel->late(one);
    };
    slot.refusal.done = [](loop::Operation& operation, int32_t) {
        Slot& one = *static_cast<Slot*>(operation.owner);
        one.busy = false;
        one.channel->answer(one, ScsiTransport::no_connection);
    };
    return slot;
}

void IscsiChannel::execute(ScsiTask& task) {
    Slot& slot = free_slot();
    slot.busy = true;
    slot.task = &task;
    const bool may_go = admits_all_ || task.asks_who;
    if (session_ == nullptr || !session_->usable() || !may_go) {
        loop_.complete_soon(slot.refusal, 0);
        return;
    }
    IscsiCommand& command = slot.command;
    command.cdb = task.cdb;
    command.direction = IscsiCommand::Data::none;
    command.data.clear();
    if (!task.data_out.empty()) {
        command.direction = IscsiCommand::Data::out;
        slot.data = task.data_out;
    } else {
        slot.data.assign(task.data_in_bytes, std::byte{0});
        if (!slot.data.empty()) command.direction = IscsiCommand::Data::in;
    }
    if (!slot.data.empty()) command.data.push_back({slot.data.data(), slot.data.size()});
    loop_.arm_after(slot.timer, task.timeout);
    session_->execute(command);
    loop_.at_turn_end(send_);
}

void IscsiChannel::ended(Slot& slot) {
    loop_.disarm(slot.timer);
    // Before the asker hears of it, who may take "ready" for the whole answer; while the slot is
    // taken, because others are asked in it.
    const IscsiCommand& command = slot.command;
    if (doubted_ && command.transport == ScsiTransport::answered &&
        command.status == wire::scsi::status_check_condition) {
        const auto sense = wire::parse_sense(command.answer().sense);
        if (sense && wire::tells_of_another_unit(*sense)) doubted_();
    }
    slot.busy = false;
    if (slot.task != nullptr) answer(slot, slot.command.transport);
}

void IscsiChannel::answer(Slot& slot, ScsiTransport transport) {
    ScsiTask& task = *std::exchange(slot.task, nullptr);
    const IscsiCommand& command = slot.command;
    task.transport = transport;
    task.status = 0;
    task.sense.clear();
    task.data_in.clear();
    if (transport == ScsiTransport::answered) {
        task.status = command.status;
        const auto sense = command.answer().sense;
        task.sense.assign(sense.begin(), sense.end());
        if (command.direction == IscsiCommand::Data::in) {
            const size_t missing = std::min<size_t>(command.missing_bytes, slot.data.size());
            task.data_in.assign(slot.data.begin(),
                                slot.data.end() - static_cast<ptrdiff_t>(missing));
        }
    }
    task.done(task);
}

void IscsiChannel::late(Slot& slot) {
    // What cannot be taken back has its own memory, and ends with its session at the latest.
    const bool held = IscsiSession::holds(slot.command) && slot.command.session == session_;
    if (held && session_->usable() && session_->drained()) {
        session_->forget(slot.command, slot.abort);
        session_->abort_task(slot.abort);
        loop_.at_turn_end(send_);
    }
    answer(slot, ScsiTransport::timed_out);
}

}  // namespace braidway::path
