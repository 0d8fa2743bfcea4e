// SPDX-License-Identifier: Apache-2.0
// Gets to know a SCSI disk: asks who it is and what it can do, one command after the other.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "path/scsi_channel.h"
#include "path/scsi_disk.h"
#include "wire/scsi_identity.h"

namespace braidway::path {

/// What a probe has learnt.
struct ScsiFinding {
    wire::ScsiUnit unit{};
    ScsiDisk disk{};
    /// The raw answers, for hardware handlers: standard inquiry data and page 0x83.
    std::vector<std::byte> inquiry{};
    std::vector<std::byte> identification{};
};

/// Asks a device by INQUIRY and its pages, TEST UNIT READY, READ CAPACITY and MODE SENSE. News of
/// earlier events (unit attention) is taken and dropped.
///
/// Errors:  one line: there is no such LUN and which there are, it is no disk, it is not ready, it
///          does not answer, its capacity makes no sense.
/// Threads: one lane. Goes only when no command is under way.
class ScsiProbe {
  public:
    using Done = std::function<void(Result<ScsiFinding>)>;

    explicit ScsiProbe(ScsiChannel& channel);
    ~ScsiProbe();
    ScsiProbe(const ScsiProbe&) = delete;
    ScsiProbe& operator=(const ScsiProbe&) = delete;

    /// Starts; none may be under way. Each command has `timeout`. `done` is called from the loop.
    void start(Duration timeout, Done done);
    bool busy() const { return done_ != nullptr; }
    /// `done` is not called any more; the command under way still ends.
    void cancel() { cancelled_ = true; }

  private:
    enum class Step : uint8_t {
        inquiry,
        luns,  ///< Only when the LUN is missing.
        ready,
        supported_pages,
        pages,
        capacity_16,
        capacity_10,
        mode,
    };
    struct Page {
        uint8_t number;
        std::vector<std::byte> data;
        bool supported = false;
    };

    void begin();
    void ask(Step step, const wire::Cdb& cdb, uint32_t data_in_bytes);
    void answered();
    void take_inquiry();
    void take_ready(const wire::ScsiOutcome& outcome);
    void take_supported_pages();
    void take_page();
    void ask_next_page();
    void take_mode();
    void conclude();
    void end(Result<ScsiFinding> result);
    std::vector<std::byte>& page(uint8_t number);

    ScsiChannel& channel_;
    ScsiTask task_;
    Step step_ = Step::inquiry;
    Done done_;
    bool cancelled_ = false;
    Duration timeout_{};
    ScsiFinding finding_;
    std::vector<Page> pages_;
    size_t page_at_ = 0;
    std::vector<std::byte> capacity_16_;
    std::vector<std::byte> capacity_10_;
    unsigned attentions_ = 0;
};

}  // namespace braidway::path
