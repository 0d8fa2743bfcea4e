// SPDX-License-Identifier: Apache-2.0
// A logical unit of an iSCSI target as the lowest device of a path.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "path/fabric_device.h"
#include "path/iscsi_channel.h"
#include "path/iscsi_io.h"
#include "path/iscsi_options.h"
#include "path/resolver.h"
#include "path/scsi_probe.h"
#include "path/writes_in_doubt.h"

namespace braidway::path {

/// What a path has met since it was made.
struct IscsiCounters {
    IscsiIoCounters io{};
    uint64_t sessions = 0;  ///< That were logged in.
};

/// A logical unit behind one portal, by libiscsi.
///
/// Doubts about changes end when the target confirms ABORT TASK or LUN RESET, or when a session
/// with the same initiator port at the same portal is logged in and has answered TEST UNIT READY:
/// by RFC 7143 (6.3.5) that has ended all commands of the session before, but not with tgtd; else
/// after resend_quiesce.
/// Secrets that stand in files are read on the lane's helper thread: at first, and after a login
/// that the target has refused.
/// Errors:  connect() answers one line, without secrets, which says what to do. Requests end as
///          IscsiIo says.
/// Threads: one lane.
class IscsiDevice final : public FabricDevice, private IscsiSessionOwner, private IscsiIoOwner {
  public:
    IscsiDevice(loop::Loop& loop, IscsiOptions options);
    ~IscsiDevice() override;

    void connect(Connected done) override;
    void admit() override;
    void disconnect() override;
    bool quiet() const override;
    bool connected() const override { return state_ == State::connected; }
    ScsiChannel* scsi() override { return &channel_; }
    DoubtCounters doubts() const override { return doubts_.counters(); }

    const block::Geometry& geometry() const override { return geometry_; }
    /// Of the last connect(): names and raw pages, for hardware handlers.
    const ScsiFinding& finding() const { return finding_; }
    void set_sense_reader(const SenseReader& reader) override { io_.set_sense_reader(reader); }
    IscsiCounters counters() const;

  private:
    /// Where the connection is.
    enum class State : uint8_t {
        down,        ///< Left by connect().
        reading,     ///< The secrets are read from their files.
        resolving,   ///< The host's name is looked up.
        logging_in,  ///< A portal was called.
        probing,     ///< A session is there; the unit is asked who it is.
        connected,   ///< Left when the session is lost, or by disconnect().
    };

    void begin(block::Request& request) override { io_.begin(request); }
    void session_ready() override;
    void session_redirected(const std::string& portal) override;
    void session_lost(const Error& reason) override;
    void session_drained() override { io_.session_drained(); }
    void drop_session(const std::string& reason) override;
    void unit_in_doubt() override;

    void secrets_read();
    void resolve();
    void resolved(Result<std::vector<std::string>> portals);
    void try_next_portal();
    void open_session(const std::string& portal);
    void probed(Result<ScsiFinding> found);
    void looked_again(const Result<ScsiFinding>& found);
    void attempt_late();
    void fail_attempt(const std::string& text, int code);
    void end_attempt(Result<FabricFinding> result);
    void bury_session();
    void reap();
    void keep_alive();
    void keep_alive_later();
    void told(const std::string& reason);
    std::string description() const;

    /// On the helper thread, with options of its own.
    struct ReadSecrets : loop::BlockingCall {
        IscsiOptions options;
        Result<void> outcome;
        bool busy = false;
    };

    loop::Loop& loop_;
    IscsiOptions options_;
    ReadSecrets secrets_;
    State state_ = State::down;
    bool admitted_ = false;
    block::Geometry geometry_;
    block::Geometry found_geometry_;  ///< Of the last connect().
    ScsiFinding finding_;
    Connected connected_;
    Error failure_;  ///< Of the attempt, delivered from the loop.
    Resolver resolver_;
    std::vector<std::string> portals_;  ///< Still to be tried; the next at the end.
    std::string portal_;                ///< Of the session.
    unsigned redirects_ = 0;
    bool login_refused_ = false;  ///< The secrets may have changed: they are read again.
    std::unique_ptr<IscsiSession> session_;
    /// Closed; the loop still has something of them.
    std::vector<std::unique_ptr<IscsiSession>> graves_;
    IscsiChannel channel_;
    ScsiProbe probe_;
    WritesInDoubt doubts_;
    IscsiIo io_;
    loop::Timer attempt_timer_;
    loop::Timer keepalive_timer_;
    loop::Operation failed_;
    IscsiManagement ping_;
    uint64_t arrivals_seen_ = 0;
    uint64_t sessions_ = 0;
};

}  // namespace braidway::path
