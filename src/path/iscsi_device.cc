// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/limits.h"
#include "base/units.h"

namespace braidway::path {
namespace {

/// A portal as a target writes it, without its group tag, and taken apart; nothing when it is none.
struct Portal {
    std::string host;
    uint16_t port = IscsiUri::port_default;
};
std::optional<Portal> portal_of(std::string_view text) {
    const auto uri =
        IscsiUri::parse(fmt::format("iscsi://{}/iqn.x/0", text.substr(0, text.find(','))));
    if (!uri) return std::nullopt;
    return Portal{uri->host, uri->port};
}

/// What `disk` offers in blocks of `block_bytes`.
Result<block::Geometry> geometry_of(const ScsiDisk& disk, std::optional<uint32_t> block_bytes) {
    block::Geometry geometry = disk.geometry();
    if (!block_bytes) return geometry;
    if (*block_bytes < geometry.block_bytes)
        return fail(fmt::format("block_size {} is smaller than the {} bytes of the disk's blocks",
                                *block_bytes, geometry.block_bytes),
                    EINVAL);
    geometry.block_bytes = *block_bytes;
    geometry.size_bytes -= geometry.size_bytes % *block_bytes;
    if (geometry.size_bytes == 0)
        return fail(fmt::format("block_size {} is larger than the disk", *block_bytes), EINVAL);
    geometry.preferred_bytes = std::max(geometry.preferred_bytes, *block_bytes);
    return geometry;
}

/// Whether a login with the same initiator port ends what the session before had under way, as RFC
/// 7143 (6.3.5) has it. tgtd, whose units have this vendor, answers on the new session while a disk
/// thread of its own still has a write of the old one (seen with 1.0.85). Either name may have been
/// changed by its configuration.
bool ends_lost_commands(const wire::ScsiUnit& unit) {
    return unit.vendor != "IET" && unit.product != "VIRTUAL-DISK";
}

IscsiLogin login_of(const IscsiOptions& options, const std::string& portal) {
    const IscsiUri& uri = options.uri;
    return {.portal = portal,
            .target = uri.target,
            .initiator = options.initiator,
            .isid = options.isid,
            .isid_qualifier = options.isid_qualifier,
            .lun = uri.lun,
            .header_digest = uri.header_digest.value_or(false),
            .user = uri.user,
            .secret = options.secret.empty() ? uri.secret : options.secret,
            .target_user = uri.target_user,
            .target_secret = options.target_secret};
}

}  // namespace

IscsiDevice::IscsiDevice(loop::Loop& loop, IscsiOptions options)
    : loop_(loop),
      options_(std::move(options)),
      resolver_(loop),
      channel_(loop),
      probe_(channel_),
      doubts_(loop, options_.resend_quiesce,
              [this](bool at_risk) {
                  if (listener_ != nullptr) listener_->writes_settled(at_risk);
              }),
      io_(loop,
          {.io_timeout = options_.io_timeout,
           .task_management_timeout = options_.task_management_timeout,
           .abort_patience = std::max(options_.resend_quiesce, options_.task_management_timeout),
           .requests_max = options_.requests_max,
           .commands_max = options_.commands_max},
          doubts_, *this) {
    // What the probe is told of is the probe's.
    channel_.on_doubt([this] {
        if (state_ == State::connected && !probe_.busy()) io_.doubt();
    });
    for (void** owner : {&attempt_timer_.owner, &keepalive_timer_.owner, &failed_.owner,
                         &ping_.owner, &secrets_.owner})
        *owner = this;
    secrets_.work = [](loop::BlockingCall& base) {
        ReadSecrets& call = static_cast<ReadSecrets&>(base);
        call.outcome = read_iscsi_secrets(call.options);
    };
    secrets_.done = [](loop::BlockingCall& call) {
        static_cast<IscsiDevice*>(call.owner)->secrets_read();
    };
    attempt_timer_.fire = [](loop::Timer& timer, Instant) {
        static_cast<IscsiDevice*>(timer.owner)->attempt_late();
    };
    keepalive_timer_.fire = [](loop::Timer& timer, Instant) {
        static_cast<IscsiDevice*>(timer.owner)->keep_alive();
    };
    failed_.done = [](loop::Operation& operation, int32_t) {
        IscsiDevice& self = *static_cast<IscsiDevice*>(operation.owner);
        self.end_attempt(std::unexpected(self.failure_));
    };
    ping_.done = [](IscsiManagement&) {};
}

IscsiDevice::~IscsiDevice() {
    CHECK(quiet(), "an iSCSI device is disconnected, and quiet, before it goes");
    loop_.disarm(attempt_timer_);
    loop_.disarm(keepalive_timer_);
}

IscsiCounters IscsiDevice::counters() const {
    return {.io = io_.counters(), .sessions = sessions_};
}

bool IscsiDevice::quiet() const {
    const bool buried = std::ranges::all_of(graves_, [](const auto& one) { return one->quiet(); });
    return session_ == nullptr && buried && !connected_ && failed_.idle() && resolver_.quiet() &&
           !secrets_.busy && !probe_.busy() && channel_.quiet() && io_.quiet() && !ping_.busy;
}

// --- connecting ----------------------------------------------------------------------------------

void IscsiDevice::connect(Connected done) {
    CHECK(state_ == State::down && !connected_, "one attempt at a time, when there is no session");
    connected_ = std::move(done);
    redirects_ = 0;
    loop_.arm_after(attempt_timer_, options_.connect_timeout);
    // Not at each login: the files may be on the very storage that was lost.
    const bool known = !options_.secret.empty() && !std::exchange(login_refused_, false);
    if (known || (options_.secret_file.empty() && options_.target_secret_file.empty()))
        return resolve();
    state_ = State::reading;
    // One that an earlier attempt did not wait for is waited for now.
    if (secrets_.busy) return;
    secrets_.busy = true;
    secrets_.options = options_;
    loop_.run_blocking(secrets_);
}

void IscsiDevice::secrets_read() {
    secrets_.busy = false;
    if (state_ != State::reading) return;
    if (!secrets_.outcome)
        return fail_attempt(secrets_.outcome.error().message, secrets_.outcome.error().code);
    options_.secret = secrets_.options.secret;
    options_.target_secret = secrets_.options.target_secret;
    resolve();
}

void IscsiDevice::resolve() {
    state_ = State::resolving;
    resolver_.resolve(
        options_.uri.host, options_.uri.port,
        [this](Result<std::vector<std::string>> portals) { resolved(std::move(portals)); });
}

void IscsiDevice::resolved(Result<std::vector<std::string>> portals) {
    // Not in connect(), which may be called from the very session that has just ended.
    reap();
    if (!portals) return fail_attempt(portals.error().message, portals.error().code);
    portals_ = std::move(*portals);
    std::ranges::reverse(portals_);
    try_next_portal();
}

void IscsiDevice::try_next_portal() {
    state_ = State::logging_in;
    const std::string portal = std::move(portals_.back());
    portals_.pop_back();
    open_session(portal);
}

void IscsiDevice::open_session(const std::string& portal) {
    portal_ = portal;
    IscsiSessionOwner& self = *this;
    session_ = std::make_unique<IscsiSession>(loop_, login_of(options_, portal), self);
    const Result<void> opened = session_->open();
    if (opened) return;
    bury_session();
    if (!portals_.empty()) return try_next_portal();
    fail_attempt(opened.error().message, opened.error().code);
}

void IscsiDevice::session_ready() {
    ++sessions_;
    state_ = State::probing;
    channel_.set_session(session_.get());
    if (probe_.busy()) return fail_attempt("the last attempt has not ended yet", EBUSY);
    probe_.start(options_.connect_timeout,
                 [this](Result<ScsiFinding> found) { probed(std::move(found)); });
}

void IscsiDevice::session_redirected(const std::string& text) {
    bury_session();
    const auto portal = portal_of(text);
    if (!portal || ++redirects_ > limits::iscsi_redirects_max)
        return fail_attempt(fmt::format("the portal sends us on to '{}', once too often or to "
                                        "nowhere; name the right portal",
                                        text),
                            EHOSTUNREACH);
    state_ = State::resolving;
    portals_.clear();
    resolver_.resolve(portal->host, portal->port, [this](Result<std::vector<std::string>> portals) {
        resolved(std::move(portals));
    });
}

void IscsiDevice::session_lost(const Error& reason) {
    const State was = state_;
    const std::string text = reason.message;
    bury_session();
    if (was == State::connected) return told(text);
    if (was == State::logging_in && reason.code == ECONNREFUSED && !portals_.empty())
        return try_next_portal();
    login_refused_ = was == State::logging_in && reason.code == EACCES;
    fail_attempt(text, reason.code);
}

void IscsiDevice::probed(Result<ScsiFinding> found) {
    // A session that was lost meanwhile has been told of already.
    if (state_ != State::probing) return;
    if (!found) {
        bury_session();
        return fail_attempt(fmt::format("LUN {}: {}", options_.uri.lun, found.error().message),
                            found.error().code);
    }
    finding_ = std::move(*found);
    finding_.disk.read_only = finding_.disk.read_only || options_.read_only;
    const auto geometry = geometry_of(finding_.disk, options_.block_bytes);
    if (!geometry) {
        bury_session();
        return fail_attempt(geometry.error().message, geometry.error().code);
    }
    found_geometry_ = *geometry;
    // The login with our initiator port has ended the session before, where it is the same target
    // port; TEST UNIT READY was answered on the new one.
    if (ends_lost_commands(finding_.unit)) io_.port_taken_over(portal_);
    state_ = State::connected;
    loop_.disarm(attempt_timer_);
    arrivals_seen_ = session_->arrivals();
    keep_alive_later();
    end_attempt(FabricFinding{.geometry = found_geometry_,
                              .identity = finding_.unit.wwid.text,
                              .description = description(),
                              .shared_cache = true,
                              .inquiry = finding_.inquiry,
                              .identification = finding_.identification});
}

std::string IscsiDevice::description() const {
    const wire::ScsiUnit& unit = finding_.unit;
    std::string text = fmt::format("iscsi {} {} LUN {}: {} {} {}", portal_, options_.uri.target,
                                   options_.uri.lun, unit.vendor, unit.product, unit.revision);
    if (!unit.serial.empty()) text += ", serial number " + unit.serial;
    if (finding_.disk.read_only) text += ", read-only";
    text += ", as " + options_.initiator;
    return text;
}

void IscsiDevice::attempt_late() {
    std::string at;
    std::string_view hint = "check host, port and network";
    switch (state_) {
        case State::reading:
            at = "the files of the secrets were not read";
            hint = "check the storage that they are on";
            break;
        case State::resolving:
            at = fmt::format("the name '{}' was not resolved", options_.uri.host);
            break;
        case State::logging_in:
            at = fmt::format("no answer from {}", portal_);
            break;
        case State::probing:
            at = fmt::format("LUN {} does not answer", options_.uri.lun);
            break;
        case State::down:
        case State::connected:
            return;
    }
    resolver_.cancel();
    bury_session();
    fail_attempt(
        fmt::format("{} within {}; {}", at, format_duration(options_.connect_timeout), hint),
        ETIMEDOUT);
}

/// Ends the attempt from the loop, whatever this is called from.
void IscsiDevice::fail_attempt(const std::string& text, int code) {
    resolver_.cancel();
    bury_session();
    loop_.disarm(attempt_timer_);
    state_ = State::down;
    failure_ = {text, code};
    if (connected_ && failed_.idle()) loop_.complete_soon(failed_, 0);
}

void IscsiDevice::end_attempt(Result<FabricFinding> result) {
    const Connected done = std::exchange(connected_, nullptr);
    if (done) done(std::move(result));
}

// --- a session's life ----------------------------------------------------------------------------

void IscsiDevice::admit() {
    CHECK(state_ == State::connected, "a device that is admitted is connected");
    geometry_ = found_geometry_;
    admitted_ = true;
    channel_.admit_all(true);
    io_.session_up(*session_, finding_.disk, portal_);
}

void IscsiDevice::disconnect() {
    resolver_.cancel();
    if (connected_) return fail_attempt("the path was taken away", ECANCELED);
    bury_session();
    state_ = State::down;
}

/// The session is closed; what it had under way ends.
void IscsiDevice::bury_session() {
    if (session_ == nullptr) return;
    loop_.disarm(keepalive_timer_);
    channel_.set_session(nullptr);
    channel_.admit_all(false);
    if (probe_.busy()) probe_.cancel();
    session_->close();
    graves_.push_back(std::move(session_));
    if (std::exchange(admitted_, false)) io_.session_down(IoStatus::transport);
}

void IscsiDevice::reap() {
    std::erase_if(graves_, [](const auto& one) { return one->quiet(); });
}

void IscsiDevice::drop_session(const std::string& reason) {
    bury_session();
    told(reason);
}

void IscsiDevice::unit_in_doubt() {
    probe_.start(options_.connect_timeout,
                 [this](const Result<ScsiFinding>& found) { looked_again(found); });
}

/// A unit that is another one now is lost: who connects again compares it with the map's.
void IscsiDevice::looked_again(const Result<ScsiFinding>& found) {
    // A session that is being lost is told of by session_lost().
    if (state_ != State::connected || session_ == nullptr || !session_->usable()) return;
    const uint16_t lun = options_.uri.lun;
    if (!found) return drop_session(fmt::format("LUN {}: {}", lun, found.error().message));
    const std::string& was = finding_.unit.wwid.text;
    const std::string& is = found->unit.wwid.text;
    if (is != was) return drop_session(fmt::format("LUN {} is {} now, and was {}", lun, is, was));
    io_.unit_confirmed();
}

/// The session that was there is gone.
void IscsiDevice::told(const std::string& reason) {
    state_ = State::down;
    if (listener_ != nullptr) listener_->connection_lost(reason);
}

void IscsiDevice::keep_alive_later() {
    if (options_.keepalive) loop_.arm_after(keepalive_timer_, *options_.keepalive);
}

void IscsiDevice::keep_alive() {
    reap();
    if (session_ == nullptr) return;
    const bool silent = std::exchange(arrivals_seen_, session_->arrivals()) == arrivals_seen_;
    if (silent && ping_.busy)
        return drop_session(
            fmt::format("no sign of life for {}", format_duration(2 * *options_.keepalive)));
    keep_alive_later();
    if (!silent || ping_.busy) return;
    session_->ping(ping_);
    session_->push();
}

}  // namespace braidway::path
