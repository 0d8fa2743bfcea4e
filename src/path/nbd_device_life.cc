// SPDX-License-Identifier: Apache-2.0
// How an NBD device connects, what it finds, and how it loses its connections.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/units.h"
#include "path/nbd_device.h"
#include "path/volume_identity.h"

namespace braidway::path {
namespace {

using namespace wire::nbd;

NbdConnectionOptions connection_options(const NbdDeviceOptions& options) {
    const wire::NbdUri& uri = options.uri;
    NbdConnectionOptions made;
    made.target = {.socket = uri.socket, .host = uri.host, .port = uri.port};
    made.wishes.export_name = uri.export_name;
    made.wishes.tls = uri.tls;
    made.io_timeout = options.io_timeout;
    made.keepalive = options.keepalive;
    made.upgrade = options.upgrade;
    return made;
}

/// For one line of text.
std::string printable(std::string text) {
    for (char& letter : text)
        if (letter < 0x20 || letter >= 0x7f) letter = '?';
    return text;
}

}  // namespace

NbdDevice::NbdDevice(loop::Loop& loop, NbdDeviceOptions options)
    : loop_(loop),
      options_(std::move(options)),
      connection_options_(connection_options(options_)),
      commands_(options_.commands_max),
      doubts_(loop, options_.resend_quiesce, [this](bool at_risk) {
          for (Link& link : former_) link.connection->peer().stop();
          if (listener_ != nullptr) listener_->writes_settled(at_risk);
      }) {
    connect_timer_.owner = reap_.owner = this;
    connect_timer_.fire = [](loop::Timer& timer, Instant) {
        auto& self = *static_cast<NbdDevice*>(timer.owner);
        self.fail_connect(
            fmt::format("no answer from {} in {}; does the server work?",
                        self.options_.uri.server(), format_duration(self.options_.connect_timeout)),
            ETIMEDOUT);
    };
    reap_.run = [](loop::TurnEnd& hook) { static_cast<NbdDevice*>(hook.owner)->reap(); };
}

NbdDevice::~NbdDevice() {
    CHECK(quiet(), "a device goes when nothing is under way");
    loop_.disarm(connect_timer_);
}

bool NbdDevice::quiet() const {
    const auto gone = [](const Link& link) { return link.connection->quiet(); };
    return state_ == State::down && current_.empty() && std::ranges::all_of(former_, gone) &&
           waiting_.empty() && commands_.in_use() == 0 && !reap_.linked();
}

// --- connecting ---------------------------------------------------------------------------------

void NbdDevice::connect(Connected done) {
    CHECK(state_ == State::down, "a device connects when it has no connection");
    state_ = State::connecting;
    admitted_ = false;
    done_ = std::move(done);
    finding_ = {};
    remarks_.clear();
    leaving_ = false;
    loop_.arm_after(connect_timer_, options_.connect_timeout);
    add_connection();
}

void NbdDevice::add_connection() {
    NbdConnection::Owner& owner = *this;
    current_.push_back(
        {.connection = std::make_unique<NbdConnection>(loop_, connection_options_, owner)});
    current_.back().connection->start();
}

NbdDevice::Link& NbdDevice::link_of(const NbdConnection& connection) {
    const auto is_it = [&](const Link& link) { return link.connection.get() == &connection; };
    const auto current = std::ranges::find_if(current_, is_it);
    if (current != current_.end()) return *current;
    const auto former = std::ranges::find_if(former_, is_it);
    CHECK(former != former_.end(), "a connection is known to its device");
    return *former;
}

void NbdDevice::entered(NbdConnection& connection) {
    Link& link = link_of(connection);
    if (&link == &current_.front()) return first_entered(link);
    const wire::NbdSession& found = connection.offer().session;
    const wire::NbdSession& first = offer_.session;
    if (found.size_bytes != first.size_bytes || found.flags != first.flags ||
        found.minimum_block != first.minimum_block || found.structured != first.structured ||
        found.base_allocation != first.base_allocation)
        return connection.cut("the server tells its connections different things of the export",
                              IoStatus::transport);
    link.entered = true;
    finish_if_complete();
}

void NbdDevice::first_entered(Link& link) {
    if (const auto taken = take_offer(link.connection->offer()); !taken)
        return fail_connect(taken.error().message, taken.error().code);
    link.entered = true;
    if (!options_.fingerprint.empty()) {
        link.fingerprint = std::make_unique<Fingerprint>();
        read_fingerprint(link);
    }
    const bool several = offer_.session.has(can_multi_conn);
    if (!several && options_.connections > 1)
        remarks_ += "; one connection, as the server does not say MULTI_CONN";
    for (uint32_t more = 1; several && more < options_.connections; ++more) add_connection();
    finish_if_complete();
}

Result<void> NbdDevice::take_offer(const wire::NbdServerOffer& offer) {
    offer_ = offer;
    const wire::NbdSession& session = offer.session;
    block::Geometry& found = finding_.geometry;
    found.block_bytes =
        options_.block_bytes.value_or(std::max(session.minimum_block, limits::block_bytes_min));
    if (found.block_bytes < session.minimum_block)
        return fail(fmt::format("block_size {} is smaller than the {} bytes the server needs",
                                found.block_bytes, session.minimum_block),
                    EINVAL);
    if (session.maximum_payload < found.block_bytes)
        return fail(fmt::format("the server takes at most {} bytes at a time, less than a block "
                                "of {}",
                                session.maximum_payload, found.block_bytes),
                    EINVAL);
    offer_.session.maximum_payload -= session.maximum_payload % found.block_bytes;
    found.size_bytes = session.size_bytes - session.size_bytes % found.block_bytes;
    if (found.size_bytes == 0)
        return fail(fmt::format("the export has {} bytes, less than one block", session.size_bytes),
                    EINVAL);
    if (found.size_bytes != session.size_bytes)
        remarks_ += fmt::format("; the last {} bytes are less than a block and not used",
                                session.size_bytes - found.size_bytes);
    if (session.has(wire::nbd::read_only) && !options_.read_only)
        remarks_ += "; the server lets us read only";
    found.memory_alignment = 1;
    found.preferred_bytes = std::max(offer.preferred_block, found.block_bytes);
    found.read_only = options_.read_only || session.has(wire::nbd::read_only);
    found.rotational = session.has(wire::nbd::rotational);
    found.can_flush = session.has(send_flush);
    found.can_fua = session.has(send_fua);
    found.can_discard = session.has(send_trim);
    found.can_write_zeroes = session.has(send_write_zeroes);
    found.can_fast_zero = found.can_write_zeroes && session.has(send_fast_zero);
    found.can_block_status = session.base_allocation;
    for (const FingerprintRange& range : options_.fingerprint)
        if (range.length_bytes > found.size_bytes ||
            range.offset_bytes > found.size_bytes - range.length_bytes)
            return fail(fmt::format("fingerprint: the export of {} bytes has no {} bytes at {}",
                                    found.size_bytes, range.length_bytes, range.offset_bytes),
                        EINVAL);
    return {};
}

/// Reads the next range, widened to whole blocks of the server.
void NbdDevice::read_fingerprint(Link& link) {
    Fingerprint& state = *link.fingerprint;
    const FingerprintRange& range = options_.fingerprint[state.next];
    const uint64_t block = offer_.session.minimum_block;
    const uint64_t begin = range.offset_bytes - range.offset_bytes % block;
    uint64_t end = range.offset_bytes + range.length_bytes;
    end += (block - end % block) % block;
    state.memory.resize(end - begin);
    state.data = {state.memory.data(), state.memory.size()};
    state.command.command = cmd_read;
    state.command.offset = begin;
    state.command.length = static_cast<uint32_t>(end - begin);
    state.command.data = {&state.data, 1};
    state.command.started = loop_.now();
    link.connection->submit(state.command);
}

void NbdDevice::fingerprint_read(Link& link) {
    if (state_ != State::connecting || &link != &current_.front()) return;
    Fingerprint& state = *link.fingerprint;
    const uint64_t begin = state.command.offset;
    if (state.command.status != IoStatus::ok)
        return fail_connect(fmt::format("the fingerprint at {} cannot be read: {}", begin,
                                        io_status_name(state.command.status)),
                            EIO);
    const FingerprintRange& range = options_.fingerprint[state.next];
    const auto bytes = std::span<const std::byte>(state.memory);
    state.hash =
        fingerprint_of(bytes.subspan(range.offset_bytes - begin, range.length_bytes), state.hash);
    if (++state.next < options_.fingerprint.size()) return read_fingerprint(link);
    finish_if_complete();
}

void NbdDevice::finish_if_complete() {
    if (state_ != State::connecting || !std::ranges::all_of(current_, &Link::entered)) return;
    const Fingerprint* fingerprint = current_.front().fingerprint.get();
    if (fingerprint != nullptr && fingerprint->next < options_.fingerprint.size()) return;
    loop_.disarm(connect_timer_);
    state_ = State::up;
    finding_.identity = identity();
    finding_.description = description();
    finding_.shared_cache = options_.shared_cache && offer_.session.has(can_multi_conn);
    if (geometry_.size_bytes == 0) geometry_ = finding_.geometry;
    const Connected done = std::exchange(done_, nullptr);
    done(finding_);
}

void NbdDevice::fail_connect(std::string reason, int code) {
    if (state_ != State::connecting) return;
    loop_.disarm(connect_timer_);
    state_ = State::down;
    retire_all(true);
    const Connected done = std::exchange(done_, nullptr);
    done(fail(std::move(reason), code));
}

std::string NbdDevice::identity() const {
    const Fingerprint* fingerprint = current_.front().fingerprint.get();
    return nbd_identity(options_.uri.export_name, finding_.geometry.size_bytes,
                        fingerprint == nullptr ? "" : fmt::format("{:016x}", fingerprint->hash));
}

std::string NbdDevice::description() const {
    const std::string security = current_.front().connection->security();
    return fmt::format("nbd {} export '{}', {} connection{}{}{}{}", options_.uri.server(),
                       printable(options_.uri.export_name), current_.size(),
                       current_.size() == 1 ? "" : "s", security.empty() ? "" : " over ", security,
                       remarks_);
}

void NbdDevice::admit() {
    if (state_ != State::up) return;
    geometry_ = finding_.geometry;
    admitted_ = true;
}

// --- losing -------------------------------------------------------------------------------------

/// One connection has ended. When that was not asked for, nothing new goes to the others either.
void NbdDevice::closed(NbdConnection& connection) {
    loop_.at_turn_end(reap_);
    const auto current = std::ranges::find_if(
        current_, [&](const Link& link) { return link.connection.get() == &connection; });
    if (current == current_.end()) return note_doubts(link_of(connection));
    const bool first = current == current_.begin();
    const std::string reason = connection.reason();
    former_.push_back(std::move(*current));
    current_.erase(current);
    if (state_ == State::connecting) {
        if (first) return fail_connect(reason, ENOTCONN);
        // Not as many as were wished for; those that are there will do.
        remarks_ += fmt::format("; a further connection failed: {}", reason);
        return finish_if_complete();
    }
    state_ = State::down;
    admitted_ = false;
    retire_all(false);
    note_doubts(link_of(connection));
    feed_waiting();
    if (listener_ != nullptr) listener_->connection_lost(reason);
}

void NbdDevice::retire_all(bool at_once) {
    std::vector<NbdConnection*> retired;
    for (Link& link : current_) {
        retired.push_back(link.connection.get());
        former_.push_back(std::move(link));
    }
    current_.clear();
    for (NbdConnection* connection : retired) {
        if (at_once)
            connection->cut("the attempt was given up", IoStatus::transport);
        else
            connection->drain();
    }
}

/// The changes that a connection has lost are settled when nobody is left who could do them.
void NbdDevice::note_doubts(Link& link) {
    const uint32_t writes = std::exchange(link.doubtful, 0);
    if (writes == 0) return;
    const WritesInDoubt::Group group = doubts_.add(writes);
    if (options_.drops_closed) return doubts_.settle(group);
    PeerProcess& peer = link.connection->peer();
    if (leaving_ || !link.connection->closed_by_peer() || !peer.known()) return;
    peer.watch([this, group] {
        loop_.at_turn_end(reap_);
        doubts_.settle(group);
    });
}

/// Connections whose watch of the server goes on are left for another time.
void NbdDevice::reap() {
    std::erase_if(former_, [](const Link& link) { return link.connection->quiet(); });
}

void NbdDevice::disconnect() {
    leaving_ = true;
    for (Link& link : former_) link.connection->peer().stop();
    if (state_ == State::connecting) return fail_connect("the path is being removed", ECANCELED);
    if (state_ == State::down) return;
    state_ = State::down;
    admitted_ = false;
    retire_all(false);
    feed_waiting();
}

}  // namespace braidway::path
