// SPDX-License-Identifier: Apache-2.0
// SCSI commands beside the data, on an iSCSI session: of probes and hardware handlers.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "path/iscsi_session.h"
#include "path/scsi_channel.h"

namespace braidway::path {

/// Sends tasks on whatever session there is. A task that is late is answered as timed out, and
/// aborted at the target.
///
/// Its commands have memory of their own, so that nothing waits for I/O to give some back.
/// Threads: one lane.
class IscsiChannel final : public ScsiChannel {
  public:
    explicit IscsiChannel(loop::Loop& loop);
    ~IscsiChannel();

    /// Null = there is none. The tasks of the one before end by it.
    void set_session(IscsiSession* session) { session_ = session; }
    /// Whether the unit is known to be the right one. Till then tasks that do not ask who it is are
    /// answered as if there were no connection: a handler's would change a foreign array.
    void admit_all(bool admit) { admits_all_ = admit; }
    /// Called when the sense data of an answer say that the unit may be another one now.
    void on_doubt(std::function<void()> doubted) { doubted_ = std::move(doubted); }
    void execute(ScsiTask& task) override;
    bool quiet() const;

  private:
    struct Slot {
        IscsiChannel* channel = nullptr;
        ScsiTask* task = nullptr;  ///< Null when it was answered before its command has ended.
        IscsiCommand command;
        IscsiManagement abort;
        std::vector<std::byte> data;
        loop::Timer timer;
        loop::Operation refusal;
        bool busy = false;
    };

    Slot& free_slot();
    void ended(Slot& slot);
    void late(Slot& slot);
    void answer(Slot& slot, wire::ScsiTransport transport);

    loop::Loop& loop_;
    IscsiSession* session_ = nullptr;
    bool admits_all_ = false;
    std::function<void()> doubted_;
    loop::TurnEnd send_;  ///< Nothing ends inside execute(), as it might while sending.
    std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace braidway::path
